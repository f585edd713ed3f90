"""Adoption of a Postfix's hold queue: what is in it is held here, and its original waits there for the way out.

Once all of its mails have ended here (released one by one, deleted, expired), the original is deleted there, so that
nobody's `postsuper -H ALL` delivers it after all. Its bytes are ours until they are purged, and a mail that is restored
goes out by SMTP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from rcqueue.model.mail import Receipt, from_us
from rcqueue.server.config import SECOND
from rcqueue.server.marshal.outcomes import Withdraw
from rcqueue.server.postfix import (
    DROPPED,
    LEFT,
    RELEASED,
    SHARED,
    Away,
    Listed,
    Origin,
    Original,
    PostfixHelper,
    origin,
)
from rcqueue.server.store import tables as t
from rcqueue.server.store.writer import Stopped

from .hold import CONTROL, Busy, Intake

log = logging.getLogger(__name__)

AT_ONCE = 4  #: messages that are read at a time
CHUNK = 500  #: messages that one query asks about


class PostfixHold:
    def __init__(self, intake: Intake, helper: PostfixHelper, poll: int, size_limit: int) -> None:
        """`poll` is microseconds, `size_limit` bytes."""
        self._intake, self._helper, self._poll, self._size_limit = intake, helper, poll / SECOND, size_limit
        self._known: dict[str, list[int]] = {}  # the messages that an original became, by its queue id
        self._host = ""
        self._left: set[str] = set()  # queue ids that can not be adopted, and were complained of
        self.trouble = ""  #: why the hold queue can not be read now

    async def run(self) -> None:
        while True:
            try:
                await self.beat()
                self._note("")
            except Away as error:
                self._note(str(error))
            except (Busy, Stopped):
                pass
            except Exception:
                log.exception("postfix: the hold queue could not be adopted")
            await asyncio.sleep(self._poll)

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            log.warning("postfix: %s", trouble or "the helper answers again")

    async def beat(self) -> None:
        """Looks once: adopts what is new, deletes there what has ended here. Raises Away, Busy, Stopped."""
        host, listed = await self._helper.messages()
        database = self._intake.marshal.database
        if host != self._host:
            self._known = await database.read(_known, host)
            self._host = host
        there = {message.queue_id: message for message in listed}
        self._left &= there.keys()
        mine = [queue_id for queue_id in there if queue_id in self._known]
        for start in range(0, len(mine), CHUNK):
            some = mine[start : start + CHUNK]
            rows = await database.read(_now, [message for queue_id in some for message in self._known[queue_id]])
            for queue_id in some:
                await self._settle(queue_id, [rows[message] for message in self._known[queue_id]])
        new = [message for queue_id, message in there.items() if queue_id not in self._known]
        for start in range(0, len(new), AT_ONCE):
            await asyncio.gather(*(self._adopt(message) for message in new[start : start + AT_ONCE]))

    async def _settle(self, queue_id: str, messages: list[_Now]) -> None:
        """What is in the hold queue was adopted before."""
        if all(message.origin.words & {RELEASED, LEFT} for message in messages):
            del self._known[queue_id]  # somebody put it on hold again
        elif not any(message.live for message in messages if message.origin.waits):
            for message in messages:
                # On record before it is done: after a crash between the two it is done again.
                gone = Withdraw(message.id, str(message.origin.now(DROPPED)))
                if message.origin.waits and not await self._intake.marshal.do(gone):
                    return
            await self._helper.delete(queue_id)

    async def _adopt(self, listed: Listed) -> None:
        original = await self._message(listed)
        if original is None:
            return
        shared = self._intake.customers(original.recipients) > 1
        where = Origin(self._host, listed.queue_id, frozenset({SHARED} if shared else ()))
        receipt = self._receipt(listed, original)
        raw = original.content.replace(b"\n", b"\r\n")
        self._known[listed.queue_id] = await self._intake.hold(
            original.sender, original.recipients, raw, receipt, origin=str(where)
        )

    async def _message(self, listed: Listed) -> Original | None:
        """A message that is to be adopted; None, once complained of, when it can not be."""
        if listed.queue_id in self._left:
            return None
        why, original = "", None
        if listed.size > self._size_limit:
            why = f"{listed.size} bytes, over the limit of {self._size_limit}"
        else:
            try:
                original = await self._helper.message(listed.queue_id)
            except Away as error:
                why = str(error)
        if original is not None and any(CONTROL.search(a) for a in (original.sender, *original.recipients)):
            why = "an address that can not be read"
        if original is not None and not original.recipients:
            why = "no recipient"
        if why:
            self._left.add(listed.queue_id)
            log.warning("postfix: %s stays in the hold queue, it is not adopted: %s", listed.queue_id, why)
            return None
        return original

    def _receipt(self, listed: Listed, original: Original) -> Receipt:
        said = {name: CONTROL.sub("\ufffd", value) for name, value in original.attributes.items()}
        port = said.get("client_port", "")
        return Receipt(
            at=from_us(self._intake.marshal.clock.now()),
            client=said.get("client_address", ""),
            port=int(port) if port.isascii() and port.isdigit() else 0,
            name=said.get("client_name", "").replace("unknown", ""),
            helo=said.get("helo_name", ""),
            protocol=said.get("protocol_name", ""),
            ident=listed.queue_id,
            smtputf8=not all(a.isascii() for a in (original.sender, *original.recipients)),
            body_8bit=said.get("encoding") == "8bit",
            data_at=from_us(listed.arrival * SECOND),
        )


class _Now(NamedTuple):
    id: int
    origin: Origin
    live: int  #: mails that have not ended


def _known(connection: Connection, host: str) -> dict[str, list[int]]:
    """The messages whose originals wait at a host, or wait to be deleted there, by queue id."""
    column = t.message.c.origin
    query = select(column, t.message.c.id).where(column.startswith(str(Origin(host, "")), autoescape=True))
    known: dict[str, list[int]] = {}
    for text, message in connection.execute(query.order_by(t.message.c.id)):
        found = origin(text)
        if found is not None and not found.words & {RELEASED, LEFT}:
            known.setdefault(found.queue_id, []).append(message)
    return known


def _now(connection: Connection, messages: Sequence[int]) -> dict[int, _Now]:
    row: Any = t.message.c
    live = row.onhold + row.releasing + row.uncertain
    query = select(row.id, row.origin, live).where(row.id.in_(messages))
    found = ((message, origin(text), alive) for message, text, alive in connection.execute(query))
    return {message: _Now(message, where, alive) for message, where, alive in found if where is not None}
