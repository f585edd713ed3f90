"""What is on its way out, as one viewer may see it: built from the classes that they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, func, or_, select

from rcqueue.model.access import Access, DataClass, Right
from rcqueue.model.ids import encode_mail
from rcqueue.model.mail import Status, from_us
from rcqueue.model.outgoing import OutgoingMail
from rcqueue.server.store import tables as t
from rcqueue.server.store.database import head_seq
from rcqueue.server.store.pages import counts
from rcqueue.server.store.query_sql import ZERO, at_customer

from .refusal import customers_with
from .show import reply_for

WAYS_OUT = (Status.UNCERTAIN, Status.RELEASING)


def outgoing(
    connection: Connection, who: Access, hop_of: Callable[[str], str], hop: str | None, limit: int
) -> tuple[int, list[OutgoingMail], int]:
    """(sequence it is true at, mails, how many more); of all next hops, or of one. What waits for a person comes first,
    then what was tried most. `hop_of` is of a recipient. Raises Refusal."""
    customers = customers_with(who, Right.VIEW)
    found: list[Any] = []
    for status in WAYS_OUT:
        columns = t.message.c
        query = select(t.mail, columns.customer, columns.from_email, columns.subject)
        query = query.join(t.message, columns.id == t.mail.c.message)
        query = query.where(columns[status.lower()] > ZERO, t.mail.c.status == status)
        query = query.where(or_(*map(at_customer, customers)))
        for row in connection.execute(query.order_by(t.mail.c.tries.desc(), t.mail.c.message, t.mail.c.n)):
            if len(found) == limit:
                break
            if hop is None or hop_of(row.rcpt) == hop:
                found.append(row)
    tried = _attempts(connection, found)
    kept = counts(connection, who, now_us=0).status
    more = 0 if hop is not None else sum(kept[status] for status in WAYS_OUT) - len(found)
    mails = [_mail(who, row, hop_of(row.rcpt), *tried.get((row.message, row.n), (0, None))) for row in found]
    return head_seq(connection), mails, max(0, more)


def _mail(who: Access, row: Any, hop: str, attempts: int, last: int | None) -> OutgoingMail:
    classes = who.classes_at(row.customer)
    whose = DataClass.ENVELOPE in classes
    return OutgoingMail(
        id=encode_mail(row.message, row.n),
        status=row.status,
        customer=row.customer,
        next_hop=hop,
        fromEmail=row.from_email if whose else None,
        toEmail=row.rcpt if whose else None,
        subject=row.subject if DataClass.SUBJECT in classes else None,
        attempts=attempts,
        last=None if last is None else from_us(last),
        next=None if row.due is None else from_us(row.due),
        reply=reply_for(who, row.customer, row.reply),
        version=row.version,
    )


def _attempts(connection: Connection, mails: list[Any]) -> dict[tuple[int, int], tuple[int, int]]:
    """How often each was tried under its release, and when last."""
    attempt, releases = t.attempt.c, {row.release: (row.message, row.n) for row in mails}
    query = select(attempt.release, func.count(), func.max(attempt.started))
    query = query.where(attempt.message.in_({row.message for row in mails}), attempt.release.in_(list(releases)))
    found = connection.execute(query.group_by(attempt.release)) if mails else ()
    return {releases[release]: (number, last) for release, number, last in found}
