"""Pages of the queue, counts, and the mails that a filter means, for one viewer and on one snapshot.

Everything here takes a connection inside a transaction; who calls reads the journal's head in the same one, so that a
page and its `seq` are of one moment. Nothing is skipped by OFFSET: a cursor is a place in the sorted list.
"""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, false, func, not_, or_, select

from rcqueue.model.access import ROOT, Access, Right
from rcqueue.model.fields import STATUSES, Term
from rcqueue.model.ids import first_id_at
from rcqueue.model.query import EVERY, Query, check, parse_sort

from . import tables as t
from .drivers import MAX_ID, Order, Position, message_id, within_ids
from .listing import SOME, RowData, build_row, read_rows, session_mark
from .query_sql import Filter, Proved, at_customer
from .ready import padded
from .walk import everything, find

__all__ = [
    "MailRef",
    "PageResult",
    "RowData",
    "Tally",
    "build_row",
    "check_query",
    "counts",
    "mails_of",
    "matching_mails",
    "page",
    "read_rows",
    "rows_by_id",
    "session_mark",
]

_REF = (t.mail.c.message, t.mail.c.n, t.mail.c.version, t.mail.c.rcpt)
MAX_PAGE = 500
CAP = 10_000  #: counts of what matches stop here
BATCH = 500  #: messages at a time
SHARE = 0.6  #: of the time that a page may take, what may be spent looking; the rest reads the rows


@dataclass(frozen=True, slots=True)
class PageResult:
    """`next` and `previous` are cursors: for `after` and `before`; None: the list ends (begins) here."""

    rows: list[RowData]
    next: str | None
    previous: str | None
    partial: bool = False  #: time was up; `next` (before a cursor: `previous`) goes on


class MailRef(NamedTuple):
    message: int
    n: int
    version: int
    rcpt: str


@dataclass(slots=True)
class Tally:
    """Mails by status, and of those on hold by verdict; `matching` and `others` (by status) when a query was given."""

    status: dict[str, int] = field(default_factory=dict)
    verdict: dict[str, int] = field(default_factory=dict)
    matching: int | None = None
    capped: bool = False  #: there are more than `matching`, or time was up
    others: dict[str, int] = field(default_factory=dict)


def check_query(access: Access, query: Query, sort: str = "-time") -> None:
    """Refuses a filter or sort on a class that the viewer lacks anywhere they can view and the filter looks: raises
    QueryForbidden."""
    looks = next((term.value for term in query.terms if term.field == "customer" and not term.negated), (ROOT,))
    check(query, access.classes_everywhere(looks), sort)


def filter_for(access: Access | None, query: Query, now_us: int) -> Filter:
    return Filter(query, now_us, None if access is None else access.customers(Right.VIEW))


# -- cursors --------------------------------------------------------------------------------------------------------


def encode_cursor(sort: str, place: Position) -> str:
    packed = json.dumps([sort.removeprefix("-"), place.id, place.key], ensure_ascii=False, separators=(",", ":"))
    return "1" + base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def decode_cursor(sort: str, cursor: str) -> Position:
    """The place that a cursor names. Raises ValueError: it is of another sort, of another version, or no cursor."""
    try:
        if cursor[:1] != "1" or len(cursor) > 1000:
            raise ValueError
        data = base64.b64decode(cursor[1:] + "=" * (-len(cursor[1:]) % 4), altchars=b"-_", validate=True)
        name, message, key = json.loads(data, parse_constant=_KEYS.__getitem__)  # NaN is none of them
        if not isinstance(message, int) or isinstance(message, bool) or not 0 <= message <= MAX_ID:
            raise ValueError
        if not isinstance(key, _KEYS[name]) or (isinstance(key, int) and abs(key) > MAX_ID):
            raise ValueError
        if isinstance(key, str) and b"\0" in key.encode():
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(f"{cursor[:40]!r} is no cursor: expected `next` or `previous` of a page") from None
    if name != sort.removeprefix("-"):
        raise ValueError(f"this cursor is of a list sorted by {name}, not by {sort.removeprefix('-')}")
    return Position(key, message)


_NONE = type(None)
_KEYS: dict[str, tuple[type, ...]] = {
    "time": (_NONE,),
    "score": (float, int, _NONE),
    "size": (int,),
    "expiry": (int, _NONE),
    "from": (str,),
    "to": (str,),
    "subject": (str,),
    "verdict": (str,),
    "customer": (str,),
}


# -- pages ----------------------------------------------------------------------------------------------------------


def page(
    connection: Connection,
    access: Access,
    query: Query,
    sort: str = "-time",
    *,
    after: str | None = None,
    before: str | None = None,
    at: int | None = None,
    time_us: int | None = None,
    end: bool = False,
    limit: int = 100,
    now_us: int,
    budget_s: float = 0.05,
) -> PageResult:
    """One page of what matches and may be viewed: from the beginning, or from at most one of: `after` or `before` a
    cursor, starting `at` a message's id, starting at a time (sorts by time only), or the `end` of the list.

    Raises ValueError for what cannot be meant, QueryForbidden for a class that the viewer lacks, LookupError when `at`
    names no message that the viewer may see (by time any id is a place).
    """
    began = time.perf_counter()
    check_query(access, query, sort)
    if sum((after is not None, before is not None, at is not None, time_us is not None, end)) > 1:
        raise ValueError("expected at most one of after, before, at, time and end")
    if not 1 <= limit <= MAX_PAGE:
        raise ValueError(f"limit {limit}: expected 1 to {MAX_PAGE}")
    name, descending = parse_sort(sort)
    order = Order(name, descending)
    f = filter_for(access, query, now_us)
    cursor = before if before is not None else after
    start = decode_cursor(sort, cursor) if cursor is not None else None
    if at is not None:
        start = _place_of(connection, f, order, at)
    elif time_us is not None:
        start = _place_at(order, time_us)
    backwards = end or before is not None
    walked = order.reversed() if backwards else order
    found = find(connection, f, walked, start, limit + 1, began + budget_s * SHARE)
    places = found.places[:limit]
    onward = places[-1] if len(found.places) > limit else found.edge
    back = places[0] if places and start is not None else start
    first, last = (onward, back) if backwards else (back, onward)
    ids = [place.id for place in places]
    return PageResult(
        read_rows(connection, f, ids[::-1] if backwards else ids),
        next=None if last is None else encode_cursor(sort, last),
        previous=None if first is None else encode_cursor(sort, first),
        partial=found.edge is not None and len(places) < limit,
    )


def _place_of(connection: Connection, f: Filter, order: Order, message: int) -> Position:
    """The place just before a message's."""
    step, key = 1 if order.descending else -1, order.key
    if key is None:
        return Position(None, max(0, min(MAX_ID, message + step)))
    visible = Filter(EVERY, f.now_us, f.customers).on_message()
    row = connection.execute(select(key).where(t.message.c.id == message, *visible)).one_or_none()
    if row is None:
        raise LookupError("there is no such message")
    return Position(row[0], message + step)


def _place_at(order: Order, time_us: int) -> Position:
    if order.key is not None:
        raise ValueError("a page starts at a time only in a list sorted by time")
    time_us = within_ids(time_us)
    # Newest first: at the last message that is not younger than that; oldest first: at the first not older.
    return Position(None, first_id_at(time_us + 1000) if order.descending else first_id_at(time_us) - 1)


def rows_by_id(
    connection: Connection, access: Access | None, ids: Sequence[int], query: Query, now_us: int
) -> list[RowData]:
    """The rows of those messages that match and may be viewed (`access` None: by anyone), in the order of `ids`."""
    f = filter_for(access, query, now_us)
    if f.empty or not ids:
        return []
    found = select(message_id).where(message_id.in_(SOME), *f.on_message())
    those = set(connection.execute(found, {"ids": padded(ids)}).scalars())
    return read_rows(connection, f, [message for message in dict.fromkeys(ids) if message in those])


# -- mails, and how many --------------------------------------------------------------------------------------------


def matching_mails(
    connection: Connection, access: Access | None, query: Query, now_us: int, after: tuple[int, int] = (0, -1)
) -> Iterator[MailRef]:
    """Every mail after that one (message, n) which matches and may be viewed, oldest message first."""
    f = filter_for(access, query, now_us)
    mails = select(*_REF).where(t.mail.c.message.in_(SOME), *f.on_mail)
    mails = mails.order_by(t.mail.c.message, t.mail.c.n)
    start = Position(None, after[0] - 1) if after[0] else None
    for found in everything(connection, f, BATCH, start=start):
        if found.places:
            ids = padded([place.id for place in found.places])
            refs = map(MailRef._make, connection.execute(mails, {"ids": ids}).all())
            yield from (ref for ref in refs if ref[:2] > after)


def mails_of(connection: Connection, message: int, query: Query, now_us: int) -> list[MailRef]:
    """The mails of one message that match."""
    f = filter_for(None, query, now_us)
    mails = (
        select(*_REF)
        .join(t.message, t.message.c.id == t.mail.c.message)
        .where(t.mail.c.message == message, *f.on_message(frozenset({Proved.MAILS})), *f.on_mail)
    )
    return [MailRef._make(row) for row in connection.execute(mails.order_by(t.mail.c.n))]


def counts(
    connection: Connection, access: Access, query: Query | None = None, *, now_us: int, budget_s: float = 0.05
) -> Tally:
    """The kept counters over what may be viewed; with a query how many mails match it, and match but for the status."""
    began = time.perf_counter()
    tally = Tally(status=dict.fromkeys(STATUSES, 0))
    for status, verdict, n in kept(connection, access, (), t.tally.c.status, t.tally.c.verdict):
        tally.status[status] += n
        if status == "ONHOLD" and n:
            tally.verdict[verdict] = n
    if query is None:
        return tally
    check_query(access, query)
    if kept_answers(query):
        others_too = [term for term in query.terms if term.field != "status"]
        by_status, tally.capped = Counter(dict(kept(connection, access, others_too, t.tally.c.status))), False
    else:
        others = query.with_statuses(frozenset(STATUSES) - query.statuses)
        by_status, tally.capped = _count(connection, filter_for(access, query, now_us), began + budget_s / 2)
        by_status += _count(connection, filter_for(access, others, now_us), began + budget_s)[0]
    tally.matching = sum(by_status[status] for status in query.statuses)
    tally.others = {
        status: by_status[status] for status in STATUSES if by_status[status] and status not in query.statuses
    }
    return tally


def count_matching(
    connection: Connection, access: Access, query: Query, now_us: int, deadline: float
) -> tuple[int, bool]:
    """How many mails match, and whether there may be more: counting stopped at the cap, or at `deadline`."""
    found, capped = _count(connection, filter_for(access, query, now_us), deadline)
    return found.total(), capped


def kept_answers(query: Query) -> bool:
    """Whether the kept counters can say how many mails match."""
    return all(term.field in _KEPT for term in query.terms)


def kept(connection: Connection, access: Access, terms: Sequence[Term], *by: Any) -> list[Any]:
    """(*by, mails): sums of the kept counters by some of their columns, over what may be viewed and where terms on
    status, verdict and customer hold."""
    column = t.tally.c.customer
    where = [or_(false(), *(at_customer(path, column) for path in access.customers(Right.VIEW)))]
    for term in terms:
        holds = _KEPT[term.field](term)
        where.append(not_(holds) if term.negated else holds)
    return list(connection.execute(select(*by, func.sum(t.tally.c.n)).where(*where).group_by(*by)))


_KEPT: dict[str, Callable[[Term], Any]] = {
    "status": lambda term: t.tally.c.status.in_(sorted(term.value)),
    "verdict": lambda term: t.tally.c.verdict.in_(sorted(term.value)),
    "customer": lambda term: or_(*(at_customer(path, t.tally.c.customer) for path in term.value)),
}


def _count(connection: Connection, f: Filter, deadline: float) -> tuple[Counter[str], bool]:
    """Mails that match, by status, and whether counting stopped (at the cap, or as time was up) before the end."""
    found: Counter[str] = Counter()
    statuses = [status for status in STATUSES if status in f.query.statuses]
    by_mail = select(t.mail.c.status, func.count()).where(t.mail.c.message.in_(SOME), *f.on_mail)
    by_mail = by_mail.group_by(t.mail.c.status)
    by_message = select(*(func.sum(t.message.c[status.lower()]) for status in statuses)).where(message_id.in_(SOME))
    for batch in everything(connection, f, CAP // 5, deadline):
        ids = padded([place.id for place in batch.places]) if batch.places else []
        if ids and f.mail_terms:
            rows = connection.execute(by_mail, {"ids": ids})
            found.update({status: n for status, n in rows})  # noqa: C416 - dict() would ask the result for its keys
        elif ids:
            sums = connection.execute(by_message, {"ids": ids}).one()
            found.update(dict(zip(statuses, sums, strict=True)))
        if (over := found.total() - CAP) >= 0:
            found[max(found, key=found.__getitem__)] -= over
            return found, over > 0 or batch.edge is not None
        if batch.edge is not None and time.perf_counter() >= deadline:
            return found, True
    return found, False
