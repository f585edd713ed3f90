"""Saved filters: one's own, and those shared at a customer. Each change is an entry of whoever made it; the text, which
may name people, is its personal part."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from rcqueue.model.access import Access, Right, covers
from rcqueue.model.mail import from_us
from rcqueue.model.query import QueryError, QueryForbidden, parse
from rcqueue.model.saved import MAX_NAME, SavedFilter
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.pages import check_query
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision

from .asking import who_asks, without
from .refusal import Refusal, customers_with

OWN = ""  #: in the place of a customer
SHARED = 0  #: in the place of an owner


@dataclass(frozen=True, slots=True)
class _OnFilter:
    """`customer` OWN: the asker's own. Sharing needs the right to note at the customer, as notes are for colleagues
    too; what another shared is replaced and deleted by who may administer there."""

    session: int
    account: int
    name: str
    customer: str

    @property
    def needs(self) -> Needs:
        rows = frozenset({(t.saved_filter.name, self.key)})
        return Needs(sessions=frozenset({self.session}), customers=True, rows=rows)

    @property
    def weight(self) -> int:
        return 500

    @property
    def key(self) -> tuple[str, int, str]:
        return (self.customer, self.account if self.customer == OWN else SHARED, self.name)

    def refused(self, rows: Rows, who: Access, verb: str) -> Decision | None:
        if self.customer == OWN:
            return None
        rights = who.rights_at(self.customer)
        if rows.get(t.customer, self.customer) is None or Right.VIEW not in rights:
            raise Refusal("not-found", f"there is no customer {self.customer[:80]}")
        old = rows.get(t.saved_filter, *self.key)
        needed = Right.NOTE if old is None or old["by"] == who.account else Right.ADMINISTER
        return None if needed in rights else without(needed, who, self.customer, verb, self.customer)

    def entry(self, who: Access, verb: str, query: str) -> Draft:
        facts = {} if self.customer == OWN else {"shared": self.customer}
        personal = {"name": self.name, "query": query}
        return Draft(verb, account=who.account, session=who.session, facts=facts, personal=personal)


@dataclass(frozen=True, slots=True)
class SaveFilter(_OnFilter):
    """`query` is a filter that parses, `sort` a sort of lists. Answers the entry's number."""

    query: str
    sort: str

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        if refused := self.refused(rows, who, "filter.save"):
            return refused
        customer, account, name = self.key
        row = {"customer": customer, "account": account, "name": name, "query": self.query, "sort": self.sort}
        rows.put(t.saved_filter, self.key, row | {"by": who.account, "at": now})
        return Decision(seq, [self.entry(who, "filter.save", self.query)])


@dataclass(frozen=True, slots=True)
class DeleteFilter(_OnFilter):
    """Answers the entry's number."""

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who, row = who_asks(rows, self.session, now), rows.get(t.saved_filter, *self.key)
        if refused := self.refused(rows, who, "filter.delete"):
            return refused
        if row is None:
            raise Refusal("not-found", f"there is no saved filter {self.name[:MAX_NAME]!r}")
        rows.drop(t.saved_filter, self.key)
        return Decision(seq, [self.entry(who, "filter.delete", row["query"])])


def saved_filters(connection: Connection, who: Access) -> list[SavedFilter]:
    """A person's own, and the shared ones of where they may view mail; none that asks about a class they lack.
    Raises Refusal."""
    at = customers_with(who, Right.VIEW)
    saved = t.saved_filter.c
    found = select(t.saved_filter, t.account.c.name.label("who")).outerjoin(
        t.account, t.account.c.id == t.saved_filter.c.by
    )
    found = found.where(saved.account.in_((who.account, SHARED))).order_by(saved.customer != OWN, saved.name)
    return [
        SavedFilter(
            name=row.name,
            query=row.query,
            sort=row.sort,
            customer=row.customer or None,
            by=row.who or "somebody",
            at=from_us(row.at),
        )
        for row in connection.execute(found)
        if row.customer == OWN
        or (any(covers(row.customer, path) or covers(path, row.customer) for path in at) and _may_read(who, row))
    ]


def _may_read(who: Access, row: object) -> bool:
    try:
        check_query(who, parse(row.query, me=who.name), row.sort)  # type: ignore[attr-defined]
    except (QueryForbidden, QueryError, ValueError):
        return False
    return True
