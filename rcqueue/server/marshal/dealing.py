"""`next N`: the next messages that nobody holds, dealt so that no two people get the same.

Which come next is one rule: first what expires within a day, the first to expire first; then, of the OLDEST that are
left, those with the fewest points, which are the likeliest to be held wrongly. So nothing waits past its last day.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from rcqueue.model.access import Access, DataClass, Right
from rcqueue.model.act import ActBody, Dealt, Verb
from rcqueue.model.fields import Term
from rcqueue.model.ids import encode_message
from rcqueue.model.query import Query, matching
from rcqueue.server.store import tables as t
from rcqueue.server.store.drivers import Order
from rcqueue.server.store.query_sql import Filter, facts_of
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.walk import find
from rcqueue.server.store.writer import Decision

from . import claiming
from .asking import who_asks, without
from .doing import SECOND, Doing, Terms
from .mails import MessageChange, claim_ended
from .refusal import Refusal
from .verbs import renew

MOST = 200  #: messages at once
SPARE = 100  #: candidates beyond those wanted, for what colleagues take in the same moment
OLDEST = 500
LOOK = 0.2  #: seconds that looking for them may take
_DAY = 86400 * SECOND
_FREE = (
    Term("status", "=", frozenset({"ONHOLD"}), False, 0, "status:onhold"),
    Term("claim", "none", "", False, 0, "claim:none"),
)


def candidates(connection: Connection, who: Access, query: Query, want: int, now: int, deadline: float) -> list[int]:
    """Messages on hold that match and have a mail which nobody holds, where this person may claim: the next first."""
    customers = tuple(c for c in who.customers(Right.CLAIM) if Right.VIEW in who.rights_at(c))

    def those(order: Order, most: int, *more: Term) -> list[int]:
        f = Filter(Query((*query.given, *_FREE, *more)), now, customers)
        return [place.id for place in find(connection, f, order, None, most, deadline).places]

    found = those(Order("expiry", descending=False), want, Term("expires", "<", _DAY, False, 0, "expires:<1d"))
    if len(found) < want:
        old = [id for id in those(Order("time", descending=False), max(OLDEST, want)) if id not in set(found)]
        if DataClass.HEADERS in who.classes_everywhere():  # points belong to them
            scores = select(t.message.c.id, t.message.c.score).where(t.message.c.id.in_(old))
            score = {row.id: row.score for row in connection.execute(scores)}
            old.sort(key=lambda id: (score[id] is None, score[id] or 0.0, id))
        found += old
    return found[:want]


@dataclass(frozen=True, slots=True)
class Deal:
    """Claims the first `count` of these messages that still match, whole, and on which nobody else holds anything."""

    session: int
    query: Query
    count: int
    messages: tuple[int, ...]
    terms: Terms
    for_seconds: int | None = None

    @property
    def needs(self) -> Needs:
        return Needs(messages=frozenset(self.messages), sessions=frozenset({self.session}))

    @property
    def weight(self) -> int:
        return 1000 * len(self.messages)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        if not who.anywhere(Right.CLAIM):
            return without(Right.CLAIM, who, "any customer", "next", None)
        renew(rows, self.session, now)
        decision, dealt = Decision(), Dealt(seq=seq - 1)
        for message in self.messages:
            if len(dealt.messages) == self.count:
                break
            row = rows.message(message)
            if row is None or not {Right.VIEW, Right.CLAIM} <= who.rights_at(row["customer"]):
                continue
            if not self._free(rows, message, now):
                continue
            change = MessageChange(rows, message, seq + len(decision.entries), now)
            doing = Doing(who, Verb.CLAIM, ActBody(for_seconds=self.for_seconds), self.terms, change)
            mails = change.mails
            for mail in matching(self.query, facts_of(rows, message), now):
                if mail.status == "ONHOLD" and claiming.claim(doing, mail.n, mails[mail.n]) is None:
                    dealt.mails += 1
            if change.changed:
                decision.entries.append(change.entry("mail.claim", who.account, who.session, facts={"next": True}))
                dealt.messages.append(encode_message(message))
        if self.messages and not dealt.messages:
            raise Refusal("changed", "colleagues took all of it in this moment: ask again")
        dealt.seq = seq + len(decision.entries) - 1
        decision.answer = dealt
        return decision

    def _free(self, rows: Rows, message: int, now: int) -> bool:
        """Nobody holds any of it: two people are never dealt one message."""
        return all(claim_ended(rows, claim, now) for claim in rows.claims[message].values())
