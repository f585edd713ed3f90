"""What is on its way out, as one viewer may see it: built from the classes that they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from rcqueue.model.access import Access, DataClass, Right
from rcqueue.model.ids import encode_mail, parse_id
from rcqueue.model.mail import Status, from_us
from rcqueue.model.outgoing import OutgoingMail
from rcqueue.server.store import tables as t
from rcqueue.server.store.database import head_seq
from rcqueue.server.store.pages import counts
from rcqueue.server.store.query_sql import ZERO, at_customer

from .refusal import Refusal, customers_with
from .show import reply_for

WAYS_OUT = (Status.UNCERTAIN, Status.RELEASING)


def outgoing(
    connection: Connection,
    who: Access,
    hop_of: Callable[[str], str],
    hop: str | None,
    limit: int,
    after: str | None = None,
) -> tuple[int, list[OutgoingMail], int, str | None]:
    """(sequence it is true at, mails, how many more than of the first page, where the next page begins); of all next
    hops, or of one. What waits for a person comes first, then what was tried most. `hop_of` is of a recipient. Raises
    Refusal."""
    customers = customers_with(who, Right.VIEW)
    found: list[Any] = []
    place = None if after is None else _place(after)
    for status in WAYS_OUT[0 if place is None else WAYS_OUT.index(place.status) :]:
        columns = t.message.c
        query = select(t.mail, columns.customer, columns.from_email, columns.subject)
        query = query.join(t.message, columns.id == t.mail.c.message)
        query = query.where(columns[status.lower()] > ZERO, t.mail.c.status == status)
        query = query.where(or_(*map(at_customer, customers)))
        if place is not None and place.status == status:
            query = query.where(_beyond(place))
        query = query.order_by(t.mail.c.tries.desc(), t.mail.c.message, t.mail.c.n)
        if hop is None:
            query = query.limit(limit - len(found))
        for row in connection.execute(query):
            if len(found) == limit:
                break
            if hop is None or hop_of(row.rcpt) == hop:
                found.append(row)
    tried = _attempts(connection, found)
    kept = counts(connection, who, now_us=0).status
    more = 0 if hop is not None or after is not None else sum(kept[status] for status in WAYS_OUT) - len(found)
    mails = [_mail(who, row, hop_of(row.rcpt), *tried.get((row.message, row.n), (0, None))) for row in found]
    return head_seq(connection), mails, max(0, more), _cursor(found[-1]) if len(found) == limit else None


class _Place(NamedTuple):
    """Of a mail in this list."""

    status: Status
    tries: int
    message: int
    n: int


def _cursor(row: Any) -> str:
    return f"{row.status}.{row.tries}.{encode_mail(row.message, row.n)}"


def _place(cursor: str) -> _Place:
    """Raises Refusal: it is no cursor of this list."""
    status, _, rest = cursor.partition(".")
    tries, _, mail = rest.partition(".")
    try:
        if status not in WAYS_OUT or not tries.isdecimal() or len(tries) > 9:
            raise ValueError
        message, n = parse_id(mail)
        if n is None:
            raise ValueError
    except ValueError:
        raise Refusal("bad-request", f"after: {cursor[:40]!r} is no cursor: expected `next` of a page") from None
    return _Place(Status(status), int(tries), message, n)


def _beyond(place: _Place) -> ColumnElement[bool]:
    """What comes after it among mails of its status."""
    tries, message, n = t.mail.c.tries, t.mail.c.message, t.mail.c.n
    later = or_(message > place.message, and_(message == place.message, n > place.n))
    return or_(tries < place.tries, and_(tries == place.tries, later))


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
