"""What became of learning that an act asked for (doing.learn), as actor `system`: one entry, and the task is gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, update

from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision


@dataclass(frozen=True, slots=True)
class _OnTask:
    task: int
    message: int
    as_: str  # ham, spam
    results: Mapping[str, str]  # in our words, by scanner

    @property
    def needs(self) -> Needs:
        return Needs(messages=frozenset({self.message}))

    @property
    def weight(self) -> int:
        return 500


@dataclass(frozen=True, slots=True)
class Learned(_OnTask):
    """It is over: learned, or given up. `trouble`: why no scanner was asked."""

    trouble: str = ""

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        rows.sweep(delete(t.task).where(t.task.c.id == self.task))
        row = rows.message(self.message)
        if row is None:
            return Decision()
        facts: dict[str, Any] = {"as": self.as_, "results": dict(self.results)}
        if self.trouble:
            facts["trouble"] = self.trouble
        entry = Draft("mail.learn", customer=row["customer"], queue=row["queue"], message=self.message, facts=facts)
        return Decision(entries=[entry])


@dataclass(frozen=True, slots=True)
class LearnLater(_OnTask):
    """Some have not learned it: they are asked again at `due`. No entry: nothing is decided yet."""

    due: int
    tries: int

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        payload = json.dumps({"as": self.as_, "results": dict(self.results)})
        values = {"payload": payload, "due": self.due, "tries": self.tries}
        rows.sweep(update(t.task).where(t.task.c.id == self.task).values(**values))
        return Decision()
