"""What the mails that match a filter have in common: the commonest values of a few facets, and the mails of each.

Mails are counted newest first, as far as the time allows; what the kept counters say is exact at any size. The count of
a value is that of the filter narrowed by its term, so that one message can count for several values of a facet.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from rcqueue.model.access import ROOT, Access
from rcqueue.model.facet import FACETS, Facet, FacetValue, term_of
from rcqueue.model.fields import ALL_OF_IT
from rcqueue.model.folding import domain_of, fold_ascii
from rcqueue.model.query import Query

from . import tables as t
from .listing import SOME
from .pages import filter_for, kept, kept_answers
from .query_sql import Filter, upwards
from .ready import padded
from .walk import NEWEST, everything

BATCH = 1024  #: messages at a time

#: Of each facet, mails by what its columns hold: what that means is asked once for each that differs.
Counts = dict[str, Counter[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class _Facet:
    """`columns` of the message; the values that they `have`; and, for what stands in a tree, those above a value, which
    the term on them holds for too (a facet lists none of those that no mail has itself)."""

    columns: tuple[str, ...]
    have: Callable[..., Iterable[str]]
    above: Callable[[str], Iterable[str]] = lambda value: (value,)


def _senders(from_email: str, sender: str) -> Iterable[str]:
    found = {fold_ascii(address) for address in (from_email, sender) if "@" in address}
    return found if sender else found | {"<>"}


def _domains(from_email: str, sender: str) -> Iterable[str]:
    return {domain_of(address) for address in (from_email, sender)} - {""}


def _rules(rules: str) -> Iterable[str]:
    return {fold_ascii(name) for name in json.loads(rules)}


def _customers(path: str) -> Iterable[str]:
    above = upwards(path, "/", from_left=True)
    return above if path == ROOT else (*above, ROOT)


_RECIPIENT = "recipient"  #: is a mail's: it has no columns
_FACETS: dict[str, _Facet] = {
    _RECIPIENT: _Facet((), lambda rcpt: {fold_ascii(rcpt)} if "@" in rcpt else ()),
    "sender": _Facet(("from_email", "sender"), _senders),
    "domain": _Facet(("from_email", "sender"), _domains, lambda domain: upwards(domain, ".", from_left=False)),
    "rule": _Facet(("rules",), _rules),
    "verdict": _Facet(("verdict",), lambda verdict: (verdict,)),
    "customer": _Facet(("customer",), lambda path: (path,), _customers),
}


def _facet(name: str, access: Access) -> _Facet:
    if name != "campaign":
        return _FACETS[name]
    told = "campaign" if access.classes_everywhere() >= ALL_OF_IT else "campaign_open"  # as listing.campaign_of
    return _Facet((told,), lambda campaign: {campaign} - {""})


def facets(
    connection: Connection,
    access: Access,
    query: Query,
    by: Sequence[str],
    limit: int,
    *,
    now_us: int,
    budget_s: float = 0.18,
) -> list[Facet]:
    """Of each facet in `by` (of model.facet.FACETS) at most `limit` values, the commonest first."""
    deadline = time.perf_counter() + budget_s
    exact = {name for name in by if name in ("verdict", "customer")} if kept_answers(query) else set()
    counts = {name: _kept(connection, access, query, name) for name in exact}
    of = {name: _facet(name, access) for name in by}
    capped = False
    if rest := {name: facet for name, facet in of.items() if name not in exact}:
        counted, capped = _count(connection, filter_for(access, query, now_us), rest, deadline)
        counts |= counted
    return [
        Facet(by=name, values=_values(name, facet, counts[name], limit), capped=capped and name not in exact)
        for name, facet in of.items()
    ]


def _kept(connection: Connection, access: Access, query: Query, name: str) -> Counter[tuple[Any, ...]]:
    return Counter({(value,): n for value, n in kept(connection, access, query.terms, t.tally.c[name]) if n})


def _count(connection: Connection, f: Filter, of: dict[str, _Facet], deadline: float) -> tuple[Counts, bool]:
    """Mails that match by what the columns of each facet hold, and whether the time was up before the end."""
    message, mail = t.message.c, t.mail.c
    counts: Counts = {name: Counter() for name in of}
    if f.empty:
        return counts, False
    columns = list(dict.fromkeys(column for facet in of.values() for column in facet.columns))
    places = {name: [4 + columns.index(c) for c in facet.columns] for name, facet in of.items() if facet.columns}
    of_status: Any = sum(message[status.lower()] for status in f.query.statuses)
    about = select(message.id, message.recipients, message.first_rcpt, of_status, *(message[c] for c in columns))
    about = about.where(message.id.in_(SOME))
    rcpts = select(mail.message, mail.rcpt).where(mail.message.in_(SOME), *f.on_mail)
    for batch in everything(connection, f, BATCH, deadline, NEWEST):
        ids = [place.id for place in batch.places]
        rows = connection.execute(about, {"ids": padded(ids)}).all() if ids else []
        # Of a message to one, its row says all that is asked; of others the mails that match are read.
        several = [row[0] for row in rows if row[1] > 1 and (f.mail_terms or _RECIPIENT in of)]
        mails: dict[int, list[str]] = {id: [] for id in several}
        for id, rcpt in connection.execute(rcpts, {"ids": padded(several)}) if several else ():
            mails[id].append(rcpt)
        for row in rows:
            to = mails.get(row[0])
            n = row[3] if to is None else len(to)
            for name, where in places.items():
                counts[name][tuple([row[i] for i in where])] += n
            if _RECIPIENT in counts:
                for rcpt in (row[2],) if to is None else to:
                    counts[_RECIPIENT][(rcpt,)] += 1
        if batch.edge is not None and time.perf_counter() >= deadline:
            return counts, True
    return counts, False


def _values(name: str, facet: _Facet, counts: Counter[tuple[Any, ...]], limit: int) -> list[FacetValue]:
    having = [(frozenset(facet.have(*raw)), n) for raw, n in counts.items()]
    known = frozenset().union(*(values for values, _ in having))
    mails: Counter[str] = Counter()
    for values, n in having:
        for value in {above for one in values for above in facet.above(one)} & known:
            mails[value] += n
    found: list[FacetValue] = []
    for value, n in sorted(mails.items(), key=lambda item: (-item[1], item[0])):
        if len(found) == limit:
            break
        if (term := term_of(FACETS[name].field, value)) is not None:
            found.append(FacetValue(value=value, mails=n, term=term))
    return found
