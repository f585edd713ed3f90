"""The way out of mail whose original waits in a Postfix's hold queue.

A message whose mails are all released is handed over there, by `postsuper -H`: once, as its own queue file. Postfix
knows whole messages only: released to some of its recipients, it goes out by SMTP for each of them, and its original
waits until the others' mails have ended too (intake/postfix_hold.py then deletes it). Before either, the hold queue is
asked whether the original is still there: what somebody released there by hand is not sent a second time.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from rcqueue.server.config import NextHop
from rcqueue.server.marshal import Marshal
from rcqueue.server.marshal.outcomes import Begun, EndAtOrigin, NotWaiting, Outcome
from rcqueue.server.postfix import LEFT, RELEASED, SHARED, Away, Origin, PostfixHelper, origin
from rcqueue.server.store import tables as t

from .session import Answer

_NOT_ASKED = 421  #: the code of an attempt that surely did nothing; 0: nobody knows


class Originals:
    def __init__(self, marshal: Marshal, helper: PostfixHelper, next_hop: NextHop) -> None:
        self._marshal, self._helper, self._next_hop = marshal, helper, next_hop

    async def attempt(self, message: int) -> list[tuple[Begun, Answer | None]]:
        """Attempts on the mails of a message that are due; those that are returned are to be ended with the answer, or
        (None) sent by SMTP. The others have ended."""
        now = self._marshal.clock.now()
        where, mails = await self._marshal.database.read(_state, message)
        waiting = [mail for mail in mails if mail.status == "RELEASING" and mail.due is not None]
        whole = len(waiting) == len(mails) and SHARED not in where.words and all(mail.way is None for mail in mails)
        due = [mail for mail in waiting if mail.due is not None and mail.due <= now]
        if whole and len(due) < len(waiting):
            return []  # within the recall window; the look at its end comes back to it
        label = str(Origin(where.host, where.queue_id))
        tried = await asyncio.gather(
            *(
                self._marshal.begin_attempt(message, m.n, label if whole else str(self._next_hop.of(m.rcpt)))
                for m in due
            ),
            return_exceptions=True,
        )
        begun = [one for one in tried if isinstance(one, Begun)]
        for one in tried:
            if isinstance(one, BaseException) and not isinstance(one, NotWaiting):
                raise one
        whole = whole and len(begun) == len(mails) and all(one.way is None for one in begun)
        if not begun:
            return []
        try:
            if whole:
                held = await self._helper.release(where.queue_id)
            else:
                held = await self._helper.message(where.queue_id) is not None
        except Away as away:
            again = Answer(Outcome.RETRY, 0 if whole and away.asked else _NOT_ASKED, f"{label}: {away}")
            return [(one, again) for one in begun]
        if held and not whole:
            return [(one, None) for one in begun]
        await self._over(where, begun, held or await self._marshal.database.read(_tried_before, label, begun))
        return []

    async def _over(self, where: Origin, begun: list[Begun], ours: bool) -> None:
        """It is in the hold queue no longer: we released it, now or in an attempt that was cut off, or somebody did."""
        reply = f"released from the hold queue of {where.host} as {where.queue_id}"
        if not ours:
            reply = f"no longer in the hold queue of {where.host}: somebody released or deleted {where.queue_id} there"
        await self._marshal.do(
            EndAtOrigin(
                begun[0].message,
                tuple((one.n, one.number) for one in begun),
                Outcome.RELEASED if ours else Outcome.UNCERTAIN,
                reply,
                str(Origin(where.host, where.queue_id)),
                str(where.now(RELEASED if ours else LEFT)),
            )
        )


class _Mail(NamedTuple):
    n: int
    rcpt: str
    status: str
    due: int | None
    way: str | None


def waits(text: str) -> bool:
    """Whether the original of a message of this origin waits in a hold queue."""
    where = origin(text)
    return where is not None and where.waits


def _state(connection: Connection, message: int) -> tuple[Origin, list[_Mail]]:
    where = origin(connection.execute(select(t.message.c.origin).where(t.message.c.id == message)).scalar_one())
    assert where is not None
    mail = t.mail.c
    query = select(mail.n, mail.rcpt, mail.status, mail.due, mail.way).where(mail.message == message).order_by(mail.n)
    return where, [_Mail(*row) for row in connection.execute(query)]


def _tried_before(connection: Connection, label: str, begun: list[Begun]) -> bool:
    """Whether an attempt before these, of the same release, may have handed the original over."""
    attempt: Any = t.attempt.c
    query = select(attempt.n, attempt.number, attempt.code).where(
        attempt.message == begun[0].message, attempt.release.in_({b.release for b in begun}), attempt.next_hop == label
    )
    mine = {(b.n, b.number) for b in begun}
    return any((n, number) not in mine and not code for n, number, code in connection.execute(query))
