"""Which indexes serve a filter, and which of them is taken.

That is not left to a planner: the indexes that a filter's terms offer are probed, by counts that stop at a cap, and
the shortest is taken. An index that has the order of the list is walked. One that lacks it (a range of scores, in a
list by time) is gathered whole and sorted, if it is small.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select

from rcqueue.model.access import ROOT
from rcqueue.model.fields import COMPARE, VERDICTS, WORD, Term
from rcqueue.model.ids import first_id_at

from . import tables as t
from .query_sql import ON_HOLD, ZERO, Condition, Filter, Proof, Proved, account_named

PROBE = 2_000  #: counts of ordered indexes stop here,
LONG_PROBE = 10_000  #: and here, between several that are longer
GATHER = 4_000  #: at most so many candidates are gathered and sorted
SAMPLE = 256  #: newest messages with a trigram: how far back they reach says how rare it is
MAX_ID = (1 << 63) - 1


class Position(NamedTuple):
    """A place in a sorted list: the sort's key (None by time, and where there is none) and the message's id."""

    key: Any
    id: int


@dataclass(frozen=True, slots=True)
class Order:
    """A sort in one direction; without a key it is by time, which is by id. What has no key is the lowest."""

    name: str
    descending: bool

    @property
    def key(self) -> ColumnElement[Any] | None:
        return literal_column(t.SORT_KEYS[self.name]) if self.name in t.SORT_KEYS else None

    @property
    def has_gaps(self) -> bool:
        """Whether a message can be without a key."""
        return self.name in ("score", "expiry")

    def reversed(self) -> Order:
        return Order(self.name, not self.descending)

    def by(self, *columns: Any) -> list[Any]:
        return [c.desc() if self.descending else c.asc() for c in columns]

    def after(self, column: ColumnElement[Any], value: Any) -> Condition:
        later: Condition = column < value if self.descending else column > value
        return later

    def sorted(self, places: Iterable[Position]) -> list[Position]:
        return sorted(places, key=_rank, reverse=self.descending)

    def passed(self, place: Position, edge: Position) -> bool:
        """Whether `place` comes after `edge`."""
        return _rank(place) < _rank(edge) if self.descending else _rank(place) > _rank(edge)


def _rank(place: Position) -> tuple[bool, Any, int]:
    return place.key is not None, place.key, place.id


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An index that gives ids of messages."""

    id: ColumnElement[int]
    where: tuple[Condition, ...] = ()
    repeats: bool = False  #: a message can come more than once

    def ids(self) -> Select[Any]:
        return select(self.id.label("id")).where(*self.where)


@dataclass(frozen=True, slots=True, eq=False)
class Driver:
    """Sources that together hold every message that can match; what they `prove` of the filter need not be asked."""

    sources: tuple[Source, ...]
    proves: frozenset[Proof] = frozenset()
    ordered: bool = True  #: the ids of a source come in order


# -- which indexes a filter offers ----------------------------------------------------------------------------------

message_id = t.message.c.id
HELD = t.message.c.onhold > ZERO
NOT_HELD = t.message.c.onhold == ZERO


def _holds(f: Filter, *where: Condition) -> tuple[tuple[Source, ...], frozenset[Proof]]:
    """The indexes of messages on hold and, unless the filter wants only those, off hold; and what they prove."""
    held = Source(message_id, (HELD, *where))
    if f.query.statuses == {"ONHOLD"}:
        return (held,), frozenset({Proved.STATUS})
    return (held, Source(message_id, (NOT_HELD, *where))), frozenset()


def _base(f: Filter, order: Order) -> Driver:
    """The index of the sort itself, as far as the filter's terms on that key bound it."""
    if order.name != "time":
        where = tuple(condition for term in f.query.terms for condition in _bound(f, term, order))
        sources, proves = _holds(f, *where)
        return Driver(sources, proves)
    if f.any_status:
        return Driver((Source(message_id),))
    return _by_status(f)


def _by_status(f: Filter) -> Driver:
    statuses = sorted(s.lower() for s in f.query.statuses)
    return Driver(tuple(Source(message_id, (t.message.c[s] > ZERO,)) for s in statuses), frozenset({Proved.STATUS}))


def _bound(f: Filter, term: Term, order: Order) -> list[Condition]:
    if term.negated:
        return []
    if term.field == order.name and term.field in ("score", "size"):
        return [COMPARE[term.op](t.message.c[term.field], term.value)]
    if term.field == order.name == "verdict" and len(term.value) == 1:
        return [t.message.c.verdict == min(term.value)]
    if term.field == "expires" and order.name == "expiry" and "<" in term.op:
        return [COMPARE[term.op](t.message.c.next_expiry, f.now_us + term.value)]
    return []


def _rivals(f: Filter, order: Order) -> list[Driver]:
    """The other indexes that hold every message that can match."""
    found = [driver for term in f.query.terms if (driver := _offered(f, term)) is not None]
    if f.customers is not None and ROOT not in f.customers:
        found.append(Driver(tuple(_posting(f"customer:{path}") for path in f.customers), frozenset({Proved.SCOPE})))
    if order.name != "time":
        low, high = id_range(f)
        if low > 0 or high < MAX_ID:
            sources, proves = _holds(f, message_id > low, message_id < high)
            found.append(Driver(sources, proves))
        if f.query.statuses != {"ONHOLD"} and not f.any_status:
            found.append(_by_status(f))
    return found


def _words(connection: Connection, f: Filter) -> Driver | None:
    """The index of trigrams, by the two that are rarest among the newest messages: to ask for more costs more than to
    look into those that have two."""
    some = t.trigrams(term.value for term in f.query.terms if term.field in ("subject", WORD) and not term.negated)
    if not some:
        return None
    id = t.message_words.c.rowid
    newest = (select(id).where(t.having([one])).order_by(id.desc()).limit(1).offset(SAMPLE - 1) for one in some)
    reach = connection.execute(select(*(one.scalar_subquery() for one in newest))).one()
    by_reach = sorted(zip(some, reach, strict=True), key=lambda one: one[1] or 0)  # None: there are not so many
    return Driver((Source(id, (t.having(one for one, _ in by_reach[:2]),)),))


def _posting(term: str) -> Source:
    return Source(t.posting.c.message, (t.posting.c.term == term,))


def _offered(f: Filter, term: Term) -> Driver | None:
    """The index that a term offers."""
    proves: frozenset[Proof] = frozenset({term})
    match term.field:
        case "verdict":
            kinds = sorted(set(VERDICTS) - term.value if term.negated else term.value)
            parts = [_holds(f, t.message.c.verdict == kind) for kind in kinds]
            return Driver(tuple(s for sources, _ in parts for s in sources), proves.union(*(p for _, p in parts)))
        case _ if term.negated:
            return None
        case "from":
            return Driver((_posting(f"from:{term.value}"),), proves)
        case "to":
            return Driver((_posting(f"to:{term.value}"),))
        case "customer" if ROOT not in term.value:
            return Driver(tuple(_posting(f"customer:{path}") for path in term.value), proves)
        case "campaign":
            return Driver(tuple(_posting(f"campaign:{name}") for name in term.value), proves)
        case "claim" if term.op == "any":
            return Driver((Source(t.claim.c.message, repeats=True),))
        case "claim" if term.op == "=":
            mine = t.claim.c.account == account_named(term.value)
            return Driver((Source(t.claim.c.message, (mine,), repeats=True),))
        case "seen" if term.op == "any":
            return Driver((Source(t.seen.c.message, repeats=True),), proves)
        case "seen" if term.op == "=":
            return Driver((Source(t.seen.c.message, (t.seen.c.account == account_named(term.value),)),), proves)
        case "degraded" if term.value:
            return Driver((Source(message_id, (t.message.c.degraded.is_not(None),)),), proves)
        case "id":
            those = sorted({message for message, _ in term.value})
            return Driver((Source(message_id, (message_id.in_(those),)),), ordered=False)
        case "score" | "size":
            sources, status = _holds(f, COMPARE[term.op](t.message.c[term.field], term.value))
            return Driver(sources, proves | status, ordered=False)
        case "expires" | "requested" if term.value is not False:
            # All that the filter asks of a mail is asked of these rows themselves.
            where = (t.mail.c.status == ON_HOLD, *f.on_mail)
            mails = Source(t.mail.c.message, where, repeats=True)
            return Driver((mails,), frozenset({Proved.MAILS, Proved.STATUS}), ordered=False)
    return None


def within_ids(at_us: int) -> int:
    """The time, or the nearest that an id can have."""
    return max(0, min(at_us, (MAX_ID >> 21) * 1000 - 1000))


def id_range(f: Filter) -> tuple[int, int]:
    """Ids of messages are times: between which two (both not included) the terms on age and time let them be."""
    low, high = 0, MAX_ID
    for term in f.query.terms:
        if term.field in ("age", "at") and not term.negated:
            at = within_ids(term.value if term.field == "at" else f.now_us - term.value)
            if (">" in term.op) == (term.field == "at"):
                low = max(low, first_id_at(at) - 1)
            else:
                high = min(high, first_id_at(at + 1000))
    return low, high


# -- which of them is taken -----------------------------------------------------------------------------------------


def _size(connection: Connection, driver: Driver, cap: int, bounds: tuple[int, int]) -> int:
    """How many candidates a driver has, counted up to `cap` a source."""
    low, high = bounds
    counts = []
    for source in driver.sources:
        some = source.ids().limit(cap)
        if driver.ordered and bounds != (0, MAX_ID):
            some = some.where(source.id > low, source.id < high)
        counts.append(select(func.count()).select_from(some.subquery()).scalar_subquery())
    return sum(connection.execute(select(*counts)).one()) if counts else 0


def choose(connection: Connection, f: Filter, order: Order) -> tuple[Driver, bool]:
    """The driver, and whether it is gathered (else walked)."""
    base, rivals = _base(f, order), _rivals(f, order)
    if (words := _words(connection, f)) is not None:
        rivals.append(words)
    if not rivals:
        return base, False
    bounds = id_range(f) if order.key is None else (0, MAX_ID)
    walked = [d for d in rivals if d.ordered and order.key is None]
    gathered = [d for d in rivals if d not in walked]
    walked.append(base)
    sizes = [_size(connection, d, PROBE, bounds) for d in walked]
    shortest = min(sizes)
    if gathered and shortest:
        small = [_size(connection, d, GATHER + 1, bounds) for d in gathered]
        if min(small) <= GATHER and (min(small) < shortest or shortest >= PROBE):
            return gathered[small.index(min(small))], True
    if shortest >= PROBE:
        # On hold, or in any status, the base is the whole queue: no term's index is longer. The counts don't say so
        # of one with several sources: each stops at the cap, and together they pass the base's.
        if len(walked) > 1 and (f.query.statuses == {"ONHOLD"} or f.any_status):
            walked.pop()
        sizes = [_size(connection, d, LONG_PROBE, bounds) for d in walked] if len(walked) > 1 else [shortest]
    return walked[sizes.index(min(sizes))], False
