"""The scanners learn what was released as ham, and what was deleted as spam, where the act said so.

A task stands in the act's own transaction, and goes in that of the entry which says what came of it: so it is done at
least once, also when the server ends in between. A scanner that was told twice knows it already.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from rcqueue.server.marshal import Marshal, Refusal
from rcqueue.server.marshal.doing import TASK
from rcqueue.server.marshal.learning import Learned, LearnLater
from rcqueue.server.marshal.show import raw_bytes
from rcqueue.server.scan.judge import Judge
from rcqueue.server.store import tables as t

log = logging.getLogger(__name__)

KINDS = frozenset({"mail.release", "mail.delete"})  #: entries that may ask for it
MINUTE = 60 * 1_000_000
WAITS = (MINUTE, 5 * MINUTE, 30 * MINUTE, 120 * MINUTE, 360 * MINUTE)  #: after the first try, the second ...
GIVE_UP = 2 * 86400 * 1_000_000  #: after it was asked for
AT_ONCE = 50  #: tasks that are read at a time
LONGEST = 60.0  #: seconds between two looks


class Learning:
    """`run` until cancelled; `wake` when an entry of KINDS was committed."""

    def __init__(self, marshal: Marshal, judge: Judge, *, waits: Sequence[int] = WAITS, give_up: int = GIVE_UP) -> None:
        self._marshal, self._judge, self._waits, self._give_up = marshal, judge, waits, give_up
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Call it in the loop's thread."""
        self._woken.set()

    async def run(self) -> None:
        while True:
            sleep = 1.0
            try:
                sleep = await self.look()
            except Exception:
                log.exception("learning")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(sleep):
                    await self._woken.wait()
            self._woken.clear()

    async def look(self) -> float:
        """Does what is due; in how many seconds something else will be."""
        marshal = self._marshal
        while due := await marshal.database.read(_due, marshal.clock.now()):
            for task in due:
                await self._learn(task)
        later = await marshal.database.read(_next)
        return LONGEST if later is None else min(max((later - marshal.clock.now()) / 1e6, 0), LONGEST)

    async def _learn(self, task: Any) -> None:
        asked = json.loads(task.payload)
        results: dict[str, str] = asked.get("results", {})
        on = (task.id, task.message, asked["as"])
        try:
            raw = await self._marshal.database.read(raw_bytes, task.message)
        except Refusal as gone:
            await self._marshal.do(Learned(*on, results, gone.detail))
            return
        lessons = await self._judge.learn(raw, asked["as"], known=results)
        results |= {name: lesson.said for name, lesson in lessons.items() if not lesson.again}
        waiting = {name: lesson.said for name, lesson in lessons.items() if lesson.again}
        now, tries = self._marshal.clock.now(), task.tries + 1
        due = now + self._waits[min(tries, len(self._waits)) - 1]
        if waiting and due <= task.at + self._give_up:
            await self._marshal.do(LearnLater(*on, results, due, tries))
            return
        said = results | waiting
        await self._marshal.do(Learned(*on, said, "" if said else "no scanner here learns"))


def _due(connection: Connection, now: int) -> Sequence[Any]:
    """Tasks, and when they were asked for."""
    task = t.task.c
    query = select(task.id, task.message, task.payload, task.tries, t.entry.c.at)
    query = query.join(t.entry, t.entry.c.seq == task.id // TASK).where(task.kind == "learn", task.due <= now)
    return connection.execute(query.order_by(task.due).limit(AT_ONCE)).all()


def _next(connection: Connection) -> int | None:
    return connection.execute(select(func.min(t.task.c.due)).where(t.task.c.kind == "learn")).scalar()
