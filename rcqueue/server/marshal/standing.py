"""Claims of filters: what is held and matches is claimed in the hold's own transaction, by an entry of its own. They
live as claims do, with the session's lease or to an end of their own, and the oldest that matches takes a mail."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, func, select

from rcqueue.model.access import Access, Right, covers
from rcqueue.model.fields import Term
from rcqueue.model.mail import from_us
from rcqueue.model.query import Query, QueryError, QueryForbidden, matching, parse
from rcqueue.model.standing import Claims, Standing
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.pages import check_query, counts, page
from rcqueue.server.store.query_sql import facts_of
from rcqueue.server.store.rows import Needs, RowDict, Rows
from rcqueue.server.store.writer import Decision

from .asking import who_asks, without
from .claiming import API_CLAIM
from .doing import SECOND
from .mails import MessageChange, claim_ended
from .refusal import Refusal, customers_with
from .verbs import renew

MOST = 10  #: of one person at once: each is looked at whenever something is held
SHOWN = 50
_HELD = Term("claim", "any", "", False, 0, "claim:any")


@dataclass(frozen=True, slots=True)
class Stand:
    """Claims a filter. Answers its id; the same filter again is the same claim, with its end anew."""

    session: int
    query: str
    for_seconds: int | None = None

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}), standing=True)

    @property
    def weight(self) -> int:
        return 500

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        if not who.anywhere(Right.CLAIM):
            return without(Right.CLAIM, who, "any customer", "claim.stand", None)
        renew(rows, self.session, now)
        session = rows.get(t.session, self.session)
        assert session is not None
        by_lease = session["kind"] == "terminal" and not self.for_seconds
        until = None if by_lease else now + (self.for_seconds * SECOND if self.for_seconds else API_CLAIM)
        mine = [row for row in rows.tables[t.standing.name].values() if row["account"] == who.account]
        for row in mine:
            if row["query"] == self.query and row["session"] == self.session:
                rows.put(t.standing, (row["id"],), {"until": until})
                return Decision(row["id"])
        if len(mine) >= MOST:
            raise Refusal("bad-request", f"you claim {MOST} filters already: give one back first")
        row = {"id": seq, "account": who.account, "session": self.session, "query": self.query}
        rows.put(t.standing, (seq,), row | {"created": now, "until": until})
        return Decision(seq, [_entry("stand", row, who)])


@dataclass(frozen=True, slots=True)
class EndStanding:
    """Gives a filter back; what was claimed by it stays claimed."""

    session: int
    id: int

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}), standing=True)

    @property
    def weight(self) -> int:
        return 200

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who, row = who_asks(rows, self.session, now), rows.get(t.standing, self.id)
        if row is None or row["account"] != who.account:
            raise Refusal("not-found", f"you claim no filter {self.id}")
        rows.drop(t.standing, (self.id,))
        return Decision(seq, [_entry("end", row, who)])


@dataclass(frozen=True, slots=True)
class LapseStanding:
    """Those whose end, or whose session's lease, has passed are gone."""

    ids: frozenset[int]

    @property
    def needs(self) -> Needs:
        return Needs(standing=True)

    @property
    def weight(self) -> int:
        return 200 * len(self.ids)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        decision = Decision(0)
        for id in sorted(self.ids):
            row = rows.get(t.standing, id)
            if row is not None and claim_ended(rows, row, now):
                rows.drop(t.standing, (id,))
                decision.entries.append(_entry("lapse", row, None))
                decision.answer += 1
        return decision


def _entry(what: str, row: RowDict, who: Access | None) -> Draft:
    return Draft(
        f"claim.{what}",
        account=who.account if who else None,
        session=who.session if who else None,
        facts={"filter": row["id"], "person": row["account"]},
        personal={"query": row["query"]},
    )


@lru_cache(maxsize=256)
def _parsed(text: str, name: str) -> Query:
    return parse(text, me=name)


def taken(rows: Rows, message: int, now: int, seq: int) -> list[Draft]:
    """A message was just held: whoever claims a filter that it matches has it."""
    drafts: list[Draft] = []
    for _, row in sorted(rows.tables[t.standing.name].items()):
        who = None if claim_ended(rows, row, now) else _holder(rows, row)
        change = MessageChange(rows, message, seq + len(drafts), now)
        customer = change.row["customer"]
        if who is None or not {Right.VIEW, Right.CLAIM} <= who.rights_at(customer):
            continue
        query = _parsed(row["query"], who.name)
        if not query.needs() <= who.classes_at(customer):
            continue
        for mail in matching(query, facts_of(rows, message), now):
            if mail.status == "ONHOLD" and change.claim_on(mail.n) is None:
                change.grant(mail.n, row["session"], row["account"], row["until"])
        if change.changed:
            facts = {"standing": row["id"]}
            drafts.append(change.entry("mail.claim", row["account"], row["session"], facts=facts))
    return drafts


def _holder(rows: Rows, row: RowDict) -> Access | None:
    session = rows.get(t.session, row["session"])
    return rows.access_of(row["account"], row["session"], session["scope"] if session is not None else "")


# -- what is shown


def lapsed_standing(connection: Connection, now: int) -> list[int]:
    """Those that have ended (as mails.claim_ended says)."""
    return [row.id for row in _all(connection, now) if not row.live]


def _all(connection: Connection, now: int) -> list[Any]:
    session, account = t.session.c, t.account.c
    live = (func.coalesce(t.standing.c.until, session.lease) > now) & session.ended.is_(None) & (session.ends > now)
    found = select(t.standing, account.name, (live & account.enabled).label("live"))
    found = found.join(t.session, session.id == t.standing.c.session)
    found = found.join(t.account, account.id == t.standing.c.account).order_by(t.standing.c.id)
    return list(connection.execute(found).all())


def claims(connection: Connection, who: Access, query: Query | None, now: int) -> Claims:
    """The claims of filters that stand, and, of a filter, how they and claims of mails overlap with it."""
    answer = Claims()
    at = customers_with(who, Right.VIEW)
    for row in _all(connection, now):
        if not row.live or len(answer.standing) == SHOWN or not _near(connection, at, row.account):
            continue
        theirs = _readable(who, row)
        until = None if row.until is None else from_us(row.until)
        one = Standing(id=row.id, who=row.name, created=from_us(row.created), until=until)
        if theirs is not None:
            one.query = row.query
            if query is not None:
                one.both = counts(connection, who, Query((*theirs.given, *query.given)), now_us=now).matching
        answer.standing.append(one)
    if query is not None:
        held: Counter[str] = Counter()
        for found in page(connection, who, Query((*query.given, _HELD)), limit=500, now_us=now).rows:
            if found.claim is not None:
                held[found.claim.who] += found.claim.mails
        answer.held = dict(held)
    return answer


def _near(connection: Connection, at: tuple[str, ...], account: int) -> bool:
    """Whether somebody works at a customer of one's own: strangers' filters are not shown."""
    places = connection.execute(select(t.role_grant.c.customer).where(t.role_grant.c.account == account)).scalars()
    return any(covers(a, place) or covers(place, a) for place in places for a in at)


def _readable(who: Access, row: Any) -> Query | None:
    try:
        query = parse(row.query, me=row.name)
        check_query(who, query)
    except (QueryForbidden, QueryError):
        return None
    return query
