"""Mail that a mail server hands over a second time, because it was stopped, or we were, before our answer was safe
with it: such mail is held once.

A trusted server says under which id it has the mail in its queue (XFORWARD IDENT), and writes that with the time into
the bytes: the same bytes under the same id for the same recipient are the same mail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from rcqueue.model.mail import Receipt
from rcqueue.server.marshal import Marshal
from rcqueue.server.marshal.hold import Arrival
from rcqueue.server.store import tables as t


async def not_held_yet(marshal: Marshal, arrivals: Sequence[Arrival]) -> tuple[list[Arrival], list[int]]:
    """(what is still to be held, the messages that the rest is in)."""
    waiting, before = [], []
    for arrival in arrivals:
        held = await marshal.database.read(_held, arrival) if _named(arrival.receipt) else {}
        before += [held[to] for to in arrival.recipients if to in held]
        if not held:
            waiting.append(arrival)
        elif to := tuple(to for to in arrival.recipients if to not in held):
            receipt = arrival.receipt.model_copy(update={"recipients": list(to)})
            waiting.append(replace(arrival, recipients=to, receipt=receipt))
    return waiting, list(dict.fromkeys(before))


def _named(receipt: Receipt) -> bool:
    return bool(receipt.ident and receipt.forwarded_by)


def _held(connection: Connection, arrival: Arrival) -> dict[str, int]:
    """The message that this mail is held in already, or was, by recipient."""
    message, mail = t.message.c, t.mail.c
    found = connection.execute(
        select(message.id, mail.rcpt, t.message_detail.c.receipt)
        .join(t.message_detail, t.message_detail.c.message == message.id)
        .join(t.mail, mail.message == message.id)
        .where(
            message.customer == arrival.customer,
            message.sha256 == hashlib.sha256(arrival.raw).digest(),
            message.sender == arrival.sender,
            message.origin == arrival.origin,
            mail.status.not_in(("PASSED", "REJECTED")),  # noted of it, never held
            mail.rcpt.in_(arrival.recipients),
        )
    )
    ours = (arrival.receipt.ident, arrival.receipt.forwarded_by)
    same = ((id, to, Receipt.model_validate_json(receipt)) for id, to, receipt in found)
    return {to: id for id, to, receipt in same if (receipt.ident, receipt.forwarded_by) == ours}
