"""The shell of a rescan: reads held messages, has them judged, and hands what came of it to the writer.

Few at once: the scanners are there for the mail that comes in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from rcqueue.model.access import Access, Right
from rcqueue.model.act import ActState
from rcqueue.model.mail import Receipt
from rcqueue.server.passes import LOOP
from rcqueue.server.scan.base import ScanEnvelope
from rcqueue.server.scan.judge import Judge
from rcqueue.server.store import tables as t
from rcqueue.server.store.database import Database
from rcqueue.server.store.writer import Operation, Stopped

from .rescan import PASSES, Judged, KeepWeighed, Weighed
from .show import raw_bytes, stored_verdict

log = logging.getLogger(__name__)
AT_ONCE = 2  #: messages
CHUNK = 50  #: messages that are looked up at a time


@dataclass(frozen=True, slots=True)
class _Message:
    raw: bytes
    envelope: ScanEnvelope
    recipients: dict[int, str]  # by the n of their mails
    loop: str  # that it came back, if it did


class Weighing:
    def __init__(self, judge: Judge, database: Database, do: Callable[[Operation], Awaitable[Any]]) -> None:
        self._judge, self._database, self._do = judge, database, do
        self._few = asyncio.Semaphore(AT_ONCE)

    async def messages(self, who: Access, ids: Iterable[int]) -> dict[int, Judged]:
        """Messages that `who` may release, scanned now. Those that can't be are missing: the act says why."""
        ids = list(dict.fromkeys(ids))
        judged = await asyncio.gather(*(self._message(id, (), who) for id in ids))
        return {id: one for id, one in zip(ids, judged, strict=True) if one is not None}

    async def act(self, act: str) -> None:
        """Weighs all of an act that is not weighed yet; after a restart it goes on where it was."""
        after = 0
        while True:
            try:
                found = await self._database.read(_unweighed, act, after)
                if not found:
                    await self._do(Weighed(act, await self._database.read(_passing, act)))
                    return
                await asyncio.gather(*(self._weigh(act, message, numbers) for message, numbers in found.items()))
                after = max(found)
            except Stopped:
                return
            except Exception:
                log.exception("act %s could not be weighed; it is tried again", act)
                await asyncio.sleep(1)

    async def _weigh(self, act: str, message: int, numbers: tuple[int, ...]) -> None:
        judged = await self._message(message, numbers)
        await self._do(KeepWeighed(act, message, judged, numbers))

    async def _message(self, id: int, numbers: tuple[int, ...], who: Access | None = None) -> Judged | None:
        """What is said of its mails on hold, and of `numbers`."""
        async with self._few:
            message = await self._database.read(_read, id, numbers, who)
            if message is None:
                return None
            try:
                judgement = await self._judge.judge(message.raw, message.envelope)
                return Judged.of(judgement, message.recipients, message.loop)
            except Exception:  # it stays as it was, and the others are not kept waiting
                log.exception("a message could not be scanned again")
                return None


def _read(connection: Connection, id: int, numbers: tuple[int, ...], who: Access | None) -> _Message | None:
    message = connection.execute(select(t.message).where(t.message.c.id == id)).one_or_none()
    if message is None or message.purged is not None:
        return None
    if who is not None and not {Right.VIEW, Right.RELEASE} <= who.rights_at(message.customer):
        return None
    mails = connection.execute(select(t.mail).where(t.mail.c.message == id).order_by(t.mail.c.n)).all()
    recipients = {mail.n: mail.rcpt for mail in mails if mail.status == "ONHOLD" or mail.n in numbers}
    if not recipients:
        return None
    detail = t.message_detail.c
    kept = connection.execute(select(detail.receipt, detail.verdict).where(detail.message == id)).one_or_none()
    receipt = Receipt.model_validate_json(kept.receipt) if kept else None
    reason = stored_verdict(kept.verdict).reason if kept else ""
    envelope = ScanEnvelope(
        message.sender,
        tuple(dict.fromkeys(recipients.values())),
        receipt.client if receipt else "",
        receipt.helo if receipt else "",
        receipt.ident if receipt else "",
    )
    return _Message(raw_bytes(connection, id), envelope, recipients, reason if reason.startswith(f"{LOOP}:") else "")


def _unweighed(connection: Connection, act: str, after: int) -> dict[int, tuple[int, ...]]:
    """Some messages of an act beyond `after`, with the mails of it; none when it is not to be weighed any more."""
    weighing = select(t.act.c.id).where(t.act.c.id == act, t.act.c.state == ActState.WEIGHING.value)
    if connection.execute(weighing).first() is None:
        return {}
    mail = t.act_mail.c
    some = (
        select(mail.message)
        .distinct()
        .where(mail.act == act, mail.message > after, mail.would.is_(None))
        .order_by(mail.message)
    )
    messages = connection.execute(some.limit(CHUNK)).scalars().all()
    found: dict[int, tuple[int, ...]] = {}
    for row in connection.execute(
        select(mail.message, mail.n).where(mail.act == act, mail.message.in_(messages)).order_by(mail.message, mail.n)
    ):
        found[row.message] = (*found.get(row.message, ()), row.n)
    return found


def _passing(connection: Connection, act: str) -> int:
    passing = select(func.count()).select_from(t.act_mail).where(t.act_mail.c.act == act, t.act_mail.c.would == PASSES)
    return int(connection.execute(passing).scalar_one())
