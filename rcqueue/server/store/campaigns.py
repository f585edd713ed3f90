"""The list of campaigns, one viewer's: newest first, by kept counters where those can say what matches, else by a walk
along the mails that match.

A viewer is told of campaigns of the one kind or of the other, customer by customer, by the classes that they have
there; everything here keeps to what stands at such customers (`_told`, `_only`).
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, false, func, literal_column, not_, or_, select, true

from rcqueue.model.access import Access, DataClass, Right
from rcqueue.model.fields import ALL_OF_IT, EVERYONES, STATUSES, Term
from rcqueue.model.mail import Campaign, CampaignClaim, from_us
from rcqueue.model.query import EVERY, Query, parse, written

from . import tables as t
from .drivers import Position
from .listing import SOME, build_row, campaign_of, read_rows
from .pages import check_query, count_matching, decode_cursor, encode_cursor, filter_for
from .query_sql import Condition, at_customer
from .ready import padded
from .walk import NEWEST, find

SAMPLE = 6  #: newest messages of a campaign that say what it is
SHOWN = 3  #: different values of them
CHUNK = 300  #: places of the list that are read at once
CLAIMS = 20_000  #: claims that are looked at
SORT = "-time"


@dataclass(frozen=True, slots=True)
class CampaignPage:
    campaigns: list[Campaign]
    next: str | None
    partial: bool = False


def campaigns(
    connection: Connection,
    access: Access,
    query: Query,
    *,
    after: str | None = None,
    limit: int,
    now_us: int,
    budget_s: float = 0.15,
) -> CampaignPage:
    """A page of the campaigns that have a mail which matches. Raises ValueError: `after` is no cursor."""
    check_query(access, query)
    began = time.perf_counter()
    start = None if after is None else decode_cursor(SORT, after).id
    if all(term.field in _KEPT for term in query.terms):
        names, edge, partial = _by_counters(connection, access, query, start, limit, began + budget_s)
        sums = _sums(connection, access, query, names)
        counts = {name: (sums[name], False) for name in names}
    else:
        names, edge, partial = _by_mails(connection, access, query, start, limit, began + budget_s / 2, now_us)
        narrowed = {name: _only(access, query, name) for name in names}
        counts = {
            name: count_matching(connection, access, one, now_us, began + budget_s) for name, one in narrowed.items()
        }
    shown = _shown(connection, access, names)
    for one in shown:
        one.mails, one.capped = counts[one.id]
    return CampaignPage(shown, None if edge is None else encode_cursor(SORT, Position(None, edge)), partial)


def campaign(connection: Connection, access: Access, message: Any) -> Campaign | None:
    """That of a message (row of the table), as a list of what is on hold would show it; None: the viewer knows none."""
    name = campaign_of(message, access.classes_at(message.customer))
    shown = [] if name is None else _shown(connection, access, [name])
    for one in shown:
        one.mails = one.status.get("ONHOLD", 0)
    return shown[0] if shown else None


# -- of what a viewer is told ---------------------------------------------------------------------------------------


def _where(access: Access, classes: frozenset[DataClass]) -> tuple[str, ...]:
    """The customers at (and below) which a viewer has these classes. Who has a class has it below, too."""
    view = {grant.customer for grant in access.grants if Right.VIEW in access.rights_at(grant.customer)}
    return tuple(sorted(path for path in view if access.classes_at(path) >= classes))


def _told(access: Access, name: ColumnElement[str], customer: ColumnElement[str]) -> Condition:
    """Whether a viewer is told of this campaign there."""
    whole = or_(false(), *(at_customer(path, customer) for path in _where(access, ALL_OF_IT)))
    some = or_(false(), *(at_customer(path, customer) for path in _where(access, EVERYONES)))
    kind = func.substr(name, 1, 1)
    return or_(and_(kind == "C", whole), and_(kind == "E", some, not_(whole)))


def _only(access: Access, query: Query, name: str) -> Query:
    """The query narrowed to a campaign, where the viewer is told of it."""
    return Query((*query.given, *parse(_term(access, name)).given))


def _term(access: Access, name: str) -> str:
    """The same as it is written. Where they read bodies at some customers alone, one mail is of a campaign by the one
    name there and by the other elsewhere."""
    term, whole = f"campaign:{name}", _where(access, ALL_OF_IT)
    if not whole or access.classes_everywhere() >= ALL_OF_IT:
        return term
    return f"{term} {'-' if name[0] == 'E' else ''}{written('customer', ','.join(whole))}"


# -- which, and in which order --------------------------------------------------------------------------------------

_mails = t.campaign_mails.c

#: Terms that the kept counters answer; one on the status chooses between them.
_KEPT: dict[str, Callable[[Term], Condition]] = {
    "status": lambda term: true(),
    "customer": lambda term: or_(*(at_customer(path, _mails.customer) for path in term.value)),
    "campaign": lambda term: _mails.campaign.in_(term.value),
}

Found = tuple[list[str], int | None, bool]  #: names; the last message that was looked at, None at the end; time was up


def _matching(query: Query) -> Any:
    """The mails that match, by the counters."""
    return sum((_mails[status.lower()] for status in sorted(query.statuses)), literal_column("0"))


def _kept(access: Access, query: Query) -> list[Condition]:
    """What must hold on counters that count mails which match."""
    terms = [term for term in query.terms if term.field != "status"]
    holds = [not_(_KEPT[term.field](term)) if term.negated else _KEPT[term.field](term) for term in terms]
    return [_told(access, _mails.campaign, _mails.customer), _matching(query) > 0, *holds]


def _sums(connection: Connection, access: Access, query: Query, names: Sequence[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    sums = select(_mails.campaign, func.sum(_matching(query))).where(*_kept(access, query))
    for name, n in connection.execute(sums.where(_mails.campaign.in_(names)).group_by(_mails.campaign)):
        found[name] = n
    return found


def _by_counters(
    connection: Connection, access: Access, query: Query, start: int | None, limit: int, deadline: float
) -> Found:
    """Each stands where it was seen last, at a customer where a mail of it matches."""
    where = _kept(access, query)
    names: list[str] = []
    edge = start
    while True:
        places = select(_mails.campaign, _mails.last).where(*where)
        if edge is not None:
            places = places.where(_mails.last < edge)
        rows = connection.execute(places.order_by(_mails.last.desc()).limit(CHUNK)).all()
        last = select(_mails.campaign, func.max(_mails.last)).where(*where)
        last = last.where(_mails.campaign.in_([row.campaign for row in rows])).group_by(_mails.campaign)
        stands = {name: newest for name, newest in connection.execute(last)}  # noqa: C416 - as pages._count
        for row in rows:
            if row.last == stands[row.campaign]:
                names.append(row.campaign)
                if len(names) == limit:
                    return names, row.last, False
        if len(rows) < CHUNK:
            return names, None, False
        edge = rows[-1].last
        if time.perf_counter() >= deadline:
            return names, edge, True


def _by_mails(
    connection: Connection,
    access: Access,
    query: Query,
    start: int | None,
    limit: int,
    deadline: float,
    now_us: int,
) -> Found:
    """Each stands where its newest mail that matches does."""
    f = filter_for(access, query, now_us)
    names: dict[str, None] = {}
    message = t.message.c
    about = select(message.id, message.customer, message.campaign, message.campaign_open).where(message.id.in_(SOME))
    at = None if start is None else Position(None, start)
    while True:
        found = find(connection, f, NEWEST, at, CHUNK, deadline)
        ids = [place.id for place in found.places]
        rows = {row.id: row for row in connection.execute(about, {"ids": padded(ids)})} if ids else {}
        for id in ids:
            name = campaign_of(rows[id], access.classes_at(rows[id].customer))
            if name is None or name in names:
                continue
            if start is not None and _newest(connection, access, query, name, now_us) >= start:
                continue  # an earlier page has it
            names[name] = None
            if len(names) == limit:
                return list(names), id, False
        if found.edge is None:
            return list(names), None, False
        at = found.edge
        if time.perf_counter() >= deadline:
            return list(names), at.id, True


def _newest(connection: Connection, access: Access, query: Query, name: str, now_us: int) -> int:
    f = filter_for(access, _only(access, query, name), now_us)
    return max((place.id for place in find(connection, f, NEWEST, None, 1, None).places), default=0)


# -- what they show -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Counted:
    """Over what a viewer may see; `first` and `last` are messages."""

    first: int
    last: int
    status: Counter[str] = field(default_factory=Counter)


def _counted(connection: Connection, access: Access, names: Iterable[str]) -> dict[str, _Counted]:
    found: dict[str, _Counted] = {}
    told = _told(access, _mails.campaign, _mails.customer)
    for row in connection.execute(select(t.campaign_mails).where(_mails.campaign.in_(sorted(names)), told)):
        one = found.setdefault(row.campaign, _Counted(row.first, row.last))
        one.first, one.last = min(one.first, row.first), max(one.last, row.last)
        one.status.update({status: n for status in STATUSES if (n := getattr(row, status.lower()))})
    return found


def _shown(connection: Connection, access: Access, names: Sequence[str]) -> list[Campaign]:
    """In the order of `names`; what they show of mails is built from the newest rows as this viewer gets them."""
    if not names:
        return []
    counted = _counted(connection, access, names)
    samples = {name: _sample(connection, access, name) for name in names if name in counted}
    ids = [id for some in samples.values() for id in some]
    rows = {row.id: row for row in read_rows(connection, filter_for(access, EVERY, 0), ids)}
    claims = _claims(connection, access, set(counted))
    shown = []
    for name, some in samples.items():
        built = [build_row(rows[id], access.classes_at(rows[id].customer)) for id in some if id in rows]
        if built:
            one = counted[name]
            shown.append(
                Campaign(
                    id=name,
                    term=_term(access, name),
                    mails=0,
                    first=_came(one.first),
                    last=_came(one.last),
                    status={status: one.status[status] for status in STATUSES if one.status[status]},
                    verdict=built[0]["verdict"],
                    subjects=_different(built, "subject"),
                    fromDomains=_different(built, "fromDomain"),
                    toEmails=_different(built, "toEmail"),
                    claims=[CampaignClaim(who=who, mails=n) for who, n in claims[name]],
                )
            )
    return shown


def _came(message: int) -> Any:
    return from_us((message >> 21) * 1000)


def _different(rows: Sequence[dict[str, Any]], key: str) -> list[str] | None:
    values = [row[key] for row in rows if key in row]
    return list(dict.fromkeys(values))[:SHOWN] if values else None


_OF_KIND = {"C": t.message.c.campaign, "E": t.message.c.campaign_open}


def _sample(connection: Connection, access: Access, name: str) -> list[int]:
    """Its newest messages."""
    posting, message = t.posting.c, t.message.c
    found = select(message.id).join(t.posting, posting.message == message.id)
    found = found.where(posting.term == f"campaign:{name}", _told(access, _OF_KIND[name[0]], message.customer))
    return list(connection.execute(found.order_by(posting.message.desc()).limit(SAMPLE)).scalars())


def _claims(connection: Connection, access: Access, names: set[str]) -> dict[str, list[tuple[str, int]]]:
    """Of each campaign who holds how many of its mails, the holder of most first."""
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    some = select(t.claim.c.message, t.claim.c.account).limit(CLAIMS).subquery()
    n = func.count().label("n")
    for kind, column in _OF_KIND.items():
        wanted = sorted(name for name in names if name[0] == kind)
        if wanted:
            held = select(column, t.account.c.name, n).select_from(some)
            held = held.join(t.message, t.message.c.id == some.c.message)
            held = held.join(t.account, t.account.c.id == some.c.account)
            held = held.where(column.in_(wanted), _told(access, column, t.message.c.customer))
            held = held.group_by(column, t.account.c.name).order_by(n.desc(), t.account.c.name)
            for name, who, mails in connection.execute(held):
                found[name].append((who, mails))
    return found
