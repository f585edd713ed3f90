"""Senders that people let through or stop, until an end: each an entry, by whoever has the right at that customer.

Said with a release or a delete, it is in that act's own transaction. The judge follows the entries (scan.standing).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rcqueue.model.access import Access, Right
from rcqueue.model.act import ActBody, MailResult, Result, SenderScope, Verb
from rcqueue.model.folding import fold_address
from rcqueue.model.ids import parse_id
from rcqueue.server.scan.senders import pattern_of
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, RowDict, Rows
from rcqueue.server.store.writer import Decision

from .asking import who_asks, without
from .doing import SECOND, Doing
from .refusal import Refusal

DAY = 86400 * SECOND
LONGEST = 366 * DAY
_NEEDED = {"allow": Right.RELEASE, "block": Right.DELETE}
KINDS = {Verb.RELEASE: "allow", Verb.DELETE: "block"}


def rights_for(kind: str, pattern: str, recipient: str) -> tuple[Right, ...]:
    """What it takes to say or to end it: more than one recipient, or more than one address, is an administrator's."""
    wide = not recipient or "@" not in pattern
    return (_NEEDED[kind], Right.ADMINISTER) if wide else (_NEEDED[kind],)


@dataclass(frozen=True, slots=True)
class _OnSender:
    session: int
    reason: str

    @property
    def weight(self) -> int:
        return 500


@dataclass(frozen=True, slots=True)
class AddSender(_OnSender):
    """Answers the id of the rule. `recipient` is "" for all of the customer's; `ends` is Unix microseconds."""

    kind: str
    pattern: str  # as scan.senders.pattern_of gives it
    customer: str
    recipient: str
    ends: int

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}), customers=True)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        if rows.get(t.customer, self.customer) is None:
            raise Refusal("bad-request", f"there is no customer {self.customer}")
        if not now < self.ends <= now + LONGEST:
            raise Refusal("bad-request", "its end: a time from now to 366 days from now was expected")
        needed = rights_for(self.kind, self.pattern, self.recipient)
        if refused := _refused(who, self.customer, needed, self.kind):
            return refused
        return Decision(seq, [_add(rows, who, self, now, seq)])


@dataclass(frozen=True, slots=True)
class EndSender(_OnSender):
    """Takes one back before its end."""

    id: int

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}), sender_rules=frozenset({self.id}))

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who, rule = who_asks(rows, self.session, now), rows.get(t.sender_rule, self.id)
        if rule is None or Right.VIEW not in who.rights_at(rule["customer"]):
            raise Refusal("not-found", f"there is no rule {self.id} about a sender")
        needed = rights_for(rule["kind"], rule["pattern"], rule["recipient"])
        if refused := _refused(who, rule["customer"], needed, "end"):
            return refused
        if rule["ended"] is not None or rule["ends"] <= now:
            raise Refusal("status", f"rule {self.id} has ended already", **{"is": "ended"})
        rows.put(t.sender_rule, (self.id,), {"ended": now})
        return Decision(self.id, [_entry("end", who, rule, self.reason)])


# -- with an act on mail


def lacking(who: Access, customer: str, body: ActBody) -> Right | None:
    """The right that what an act says about the sender needs, and that this person lacks."""
    wide = body.sender is not None and body.sender.scope == SenderScope.CUSTOMER
    return Right.ADMINISTER if wide and Right.ADMINISTER not in who.rights_at(customer) else None


def hindrance(message: RowDict) -> str | None:
    """Why nothing can be said about the sender of a message."""
    try:
        pattern = pattern_of(message["from_email"])
    except ValueError:
        pattern = ""
    return None if "@" in pattern else "it names no sender about whom something could be said"


def with_act(d: Doing, results: Iterable[MailResult], seq: int) -> list[Draft]:
    """What the act says about the sender of the mails that it was done to: an entry a recipient, or one for all.
    What was said before, to the same end or a later one, is not said again."""
    done = [parse_id(result.id)[1] for result in results if result.result == Result.DONE]
    wish, rows, message = d.body.sender, d.change.rows, d.change.row
    if wish is None or not done:
        return []
    everybody = wish.scope == SenderScope.CUSTOMER
    recipients = [""] if everybody else [fold_address(d.change.mails[n]["rcpt"]) for n in done if n is not None]
    kind, pattern, ends = KINDS[d.verb], fold_address(message["from_email"]), d.change.now + wish.days * DAY
    drafts: list[Draft] = []
    for recipient in dict.fromkeys(recipients):
        add = AddSender(d.who.session, d.body.reason, kind, pattern, message["customer"], recipient, ends)
        if not _said_before(rows.tables["sender_rule"].values(), add):
            drafts.append(_add(rows, d.who, add, d.change.now, seq + len(drafts)))
    return drafts


def _said_before(rules: Iterable[RowDict], add: AddSender) -> bool:
    return any(
        all(rule[name] == getattr(add, name) for name in ("kind", "pattern", "customer", "recipient"))
        and rule["ended"] is None
        and rule["ends"] > add.ends - DAY
        for rule in rules
    )


# -- both


def _refused(who: Access, customer: str, needed: Sequence[Right], what: str) -> Decision | None:
    rights = who.rights_at(customer)
    right = next((right for right in needed if right not in rights), None)
    return None if right is None else without(right, who, customer, f"sender.{what}", customer)


def _add(rows: Rows, who: Access, add: AddSender, now: int, seq: int) -> Draft:
    row: RowDict = {
        "id": seq,
        "kind": add.kind,
        "pattern": add.pattern,
        "customer": add.customer,
        "recipient": add.recipient,
        "account": who.account,
        "created": now,
        "ends": add.ends,
        "ended": None,
    }
    rows.put(t.sender_rule, (seq,), row)
    return _entry(add.kind, who, row, add.reason)


def _entry(what: str, who: Access, rule: RowDict, reason: str) -> Draft:
    return Draft(
        f"sender.{what}",
        customer=rule["customer"],
        account=who.account,
        session=who.session,
        facts={"sender": rule["id"], "scope": "recipient" if rule["recipient"] else "customer", "ends": rule["ends"]},
        personal={
            name: said
            for name, said in (("address", rule["pattern"]), ("recipient", rule["recipient"]), ("reason", reason))
            if said
        },
    )
