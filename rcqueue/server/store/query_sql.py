"""The filter language as SQL, for SQLite and PostgreSQL: the same fields as model/fields.py, term by term.

A query becomes conditions on `message` and conditions on `mail`; the latter must hold on one mail, so that all of them
stand in one EXISTS, unless the counts by status of the message row say it already. `from:` (and `to:`, `customer:` as
an index) look into postings, which intake writes with `terms_of`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, false, func, literal_column, not_, or_, select, true

from rcqueue.model import fields, folding
from rcqueue.model.access import ROOT
from rcqueue.model.facts import Facts, MailFacts
from rcqueue.model.fields import COMPARE, STATUSES, Term
from rcqueue.model.query import Query

from . import tables as t
from .rows import Rows

Condition = ColumnElement[bool]


class Proved(Enum):
    """What an index can have shown of all its messages, beside single terms."""

    SCOPE = auto()  #: their customers are the viewer's
    STATUS = auto()  #: a mail of each has a status that matches
    MAILS = auto()  #: a mail of each matches


Proof = Term | Proved

ZERO: ColumnElement[Any] = literal_column("0")  # literal, or SQLite does not see that a partial index serves
ON_HOLD: ColumnElement[Any] = literal_column("'ONHOLD'")
TERM_CHARS = 400  #: more than any value of the language, and well below what an index of PostgreSQL takes

# -- what intake writes ---------------------------------------------------------------------------------------------


def terms_of(message: Mapping[str, Any], recipients: Iterable[str]) -> list[str]:
    """The postings of a message, given its row of the table `message` and the addresses of its mails."""
    terms = {f"customer:{path}": None for path in upwards(message["customer"], "/", from_left=True) if path != ROOT}
    for field, addresses in (("from", (message["from_email"], message["sender"])), ("to", recipients)):
        for address in map(folding.fold_ascii, addresses):
            if address:
                terms[f"{field}:{address}"] = None
            for domain in upwards(folding.domain_of(address), ".", from_left=False):
                terms[f"{field}:{domain}"] = None
    for campaign in (message["campaign"], message["campaign_open"]):
        if campaign:
            terms[f"campaign:{campaign}"] = None
    if not message["sender"]:
        terms["from:<>"] = None
    return [term[:TERM_CHARS] for term in terms]


def words_of(message: Mapping[str, Any], recipients: Iterable[str]) -> str:
    """The column `words` of a message, given the rest of its row and the addresses of its mails."""
    return folding.words_of(message["subject"], message["from_email"], message["sender"], recipients)


def upwards(path: str, separator: str, *, from_left: bool) -> list[str]:
    """`path` and each element above it: acme/sales, acme (from the left); mail.example.org, example.org, org."""
    parts = path.split(separator)
    cuts = range(len(parts))
    found = [separator.join(parts[: len(parts) - i] if from_left else parts[i:]) for i in cuts]
    return [f for f in found if f]


def facts_of(rows: Rows, message: int) -> Facts:
    """The facts of a message as a batch has it at hand: not who looked at it."""
    row = rows.tables[t.message.name][message,]
    claims = rows.claims[message]
    names = {n: rows.tables[t.account.name][claim["account"],]["name"] for n, claim in claims.items()}
    mails = (
        MailFacts(n, mail["rcpt"], mail["status"], mail["expiry"], names.get(n), mail["requested"])
        for n, mail in sorted(rows.mails[message].items())
    )
    campaigns = (row["campaign"], row["campaign_open"])
    same = ("id", "at", "size", "sender", "from_email", "subject", "score", "verdict", "customer", "degraded")
    return Facts(
        **{name: row[name] for name in same},
        rules=tuple(json.loads(row["rules"])),
        campaigns=campaigns,
        mails=tuple(mails),
    )


# -- the fields -----------------------------------------------------------------------------------------------------


def at_customer(path: str, column: ColumnElement[str] = t.message.c.customer) -> Condition:
    """At a customer and those below it. (No LIKE: it would fold case on SQLite.)"""
    if path == ROOT:
        return true()
    below = path + "/"
    starts: ColumnElement[str] = func.substr(column, 1, len(below))
    return or_(column == path, starts == below)


def posted(term: str) -> Condition:
    """Messages with a posting."""
    return exists().where(t.posting.c.term == term, t.posting.c.message == t.message.c.id).correlate(t.message)


def _subject(term: Term, now_us: int) -> Condition:
    # The folded subject ends at the only line end of `words`.
    escaped = term.value.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return t.message.c.words.like(f"%{escaped}%\n%", escape="/")


def _to(term: Term, now_us: int) -> Condition:
    if "@" in term.value:
        same: Condition = func.lower(t.mail.c.rcpt) == term.value
        return same
    domain = t.mail.c.rcpt_domain
    return or_(domain == term.value, domain.endswith("." + term.value, autoescape=True))


def _expires(term: Term, now_us: int) -> Condition:
    return and_(t.mail.c.status == ON_HOLD, COMPARE[term.op](t.mail.c.expiry, now_us + term.value))


def _claim(term: Term, now_us: int) -> Condition:
    held = [t.claim.c.message == t.mail.c.message, t.claim.c.n == t.mail.c.n]
    if term.op == "=":
        held.append(t.claim.c.account == account_named(term.value))
    found = exists().where(*held).correlate(t.mail)
    return not_(found) if term.op == "none" else found


def _seen(term: Term, now_us: int) -> Condition:
    looked = [t.seen.c.message == t.message.c.id]
    if term.op == "=":
        looked.append(t.seen.c.account == account_named(term.value))
    found = exists().where(*looked).correlate(t.message)
    return not_(found) if term.op == "none" else found


def _requested(term: Term, now_us: int) -> Condition:
    at = t.mail.c.requested
    if term.op == "=":
        return at.is_not(None) if term.value else at.is_(None)
    return and_(at.is_not(None), COMPARE[term.op](now_us - term.value - at, 0))


def account_named(name: str) -> Any:
    return select(t.account.c.id).where(t.account.c.name == name).scalar_subquery()


def _id(term: Term, now_us: int) -> Condition:
    return or_(
        *(
            and_(t.mail.c.message == message, *((t.mail.c.n == n,) if n is not None else ()))
            for message, n in term.value
        )
    )


#: The condition of each field, on `message` or on `mail` as the field's level says. None of them is ever NULL.
CONDITIONS: dict[str, Callable[[Term, int], Condition]] = {
    "status": lambda term, now: t.mail.c.status.in_(sorted(term.value)),
    "from": lambda term, now: posted(f"from:{term.value}"),
    "to": _to,
    "subject": _subject,
    "score": lambda term, now: and_(t.message.c.score.is_not(None), COMPARE[term.op](t.message.c.score, term.value)),
    "size": lambda term, now: COMPARE[term.op](t.message.c.size, term.value),
    "verdict": lambda term, now: t.message.c.verdict.in_(sorted(term.value)),
    "rule": lambda term, now: func.lower(t.message.c.rules).contains(f'"{term.value}"', autoescape=True),
    "campaign": lambda term, now: or_(*(posted(f"campaign:{name}") for name in term.value)),
    "customer": lambda term, now: or_(*map(at_customer, term.value)),
    "age": lambda term, now: COMPARE[term.op](now - term.value - t.message.c.at, 0),
    "at": lambda term, now: COMPARE[term.op](t.message.c.at, term.value),
    "expires": _expires,
    "claim": _claim,
    "seen": _seen,
    "requested": _requested,
    "degraded": lambda term, now: t.message.c.degraded.is_not(None) if term.value else t.message.c.degraded.is_(None),
    "id": _id,
    fields.WORD: lambda term, now: t.message.c.words.contains(term.value, autoescape=True),
}


@dataclass(frozen=True)
class Filter:
    """A query for one viewer at one moment. `customers`: where they may view, None for everywhere."""

    query: Query
    now_us: int
    customers: tuple[str, ...] | None = None

    @property
    def empty(self) -> bool:
        """Nothing can match."""
        return not self.query.statuses or self.customers == ()

    def condition(self, term: Term) -> Condition:
        holds = CONDITIONS[term.field](term, self.now_us)
        return not_(holds) if term.negated else holds

    @cached_property
    def any_status(self) -> bool:
        return len(self.query.statuses) == len(STATUSES)

    @cached_property
    def mail_terms(self) -> tuple[Term, ...]:
        """Terms on mails beyond the status."""
        return tuple(term for term in self.query.of_level("mail") if term.field != "status")

    @cached_property
    def on_mail(self) -> tuple[Condition, ...]:
        """What must hold on a mail."""
        conditions = [self.condition(term) for term in self.mail_terms]
        if not self.any_status:
            statuses = sorted(self.query.statuses)
            column = t.mail.c.status
            conditions.insert(0, column == ON_HOLD if statuses == ["ONHOLD"] else column.in_(statuses))
        return tuple(conditions)

    def on_message(self, proved: frozenset[Proof] = frozenset()) -> tuple[Condition, ...]:
        """What must hold on a message, an EXISTS on its mails among it; not again what an index has `proved`."""
        terms = [term for term in self.query.of_level("message") if term not in proved]
        terms.sort(key=lambda term: not fields.FIELDS[term.field].indexed)  # what is dear comes last
        conditions = [self.condition(term) for term in terms]
        if Proved.SCOPE not in proved and self.customers is not None and ROOT not in self.customers:
            conditions.insert(0, or_(false(), *map(at_customer, self.customers)))
        if Proved.STATUS not in proved and not self.any_status:
            held = [t.message.c[s.lower()] > ZERO for s in sorted(self.query.statuses)]
            conditions.insert(0, or_(false(), *held) if len(held) != 1 else held[0])
        if Proved.MAILS not in proved and self.mail_terms:
            conditions.append(exists().where(t.mail.c.message == t.message.c.id, *self.on_mail).correlate(t.message))
        return tuple(conditions)
