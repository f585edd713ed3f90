"""Every verb on mail: which right it needs, which status it applies to, what it does. One entry a message.

Checks, in this order, all in the act's own transaction: is the mail there (and may this person view it), the right, has
it changed since the person saw it (`as_of`), its status, and who holds it (claim and fence).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rcqueue.model.access import Access, DataClass, Right
from rcqueue.model.act import POSTMASTER, ActAnswer, ActBody, MailResult, Result, Verb
from rcqueue.model.ids import encode_mail
from rcqueue.model.journal import LEASE
from rcqueue.model.mail import SeenHow, from_us, to_us
from rcqueue.model.query import Query, matching
from rcqueue.server.config_values import mail_address
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.query_sql import facts_of
from rcqueue.server.store.rows import Needs, RowDict, Rows
from rcqueue.server.store.writer import Decision

from . import claiming, keeping, rejudging, releasing, senders
from .asking import who_asks
from .caps import beyond, cap_of
from .doing import SECOND, Doing, Terms, lapsed, learn, not_done
from .mails import MessageChange, claim_ended
from .refusal import Refusal, no_right
from .rescan import Judged
from .seeing import saw

Target = tuple[int, int | None]  #: (message, n of a mail), or (message, None): its mails that the filter matches


@dataclass(frozen=True, slots=True)
class _Rule:
    right: Right
    statuses: frozenset[str]
    do: Callable[[Doing, int, RowDict], MailResult | None]  # a refusal, or None when it was done
    checks_version: bool = True
    checks_claim: bool = True


_HELD = frozenset({"ONHOLD"})

RULES: dict[Verb, _Rule] = {
    Verb.CLAIM: _Rule(Right.CLAIM, _HELD, claiming.claim, checks_version=False),
    Verb.UNCLAIM: _Rule(Right.CLAIM, _HELD, claiming.unclaim, checks_version=False),
    Verb.TAKEOVER: _Rule(Right.TAKEOVER, _HELD, claiming.takeover, checks_version=False, checks_claim=False),
    Verb.ASSIGN: _Rule(Right.CLAIM, _HELD, claiming.assign, checks_version=False),
    Verb.RELEASE: _Rule(Right.RELEASE, _HELD, releasing.release),
    Verb.RECALL: _Rule(Right.RELEASE, frozenset({"RELEASING"}), releasing.recall, checks_version=False),
    Verb.DELETE: _Rule(Right.DELETE, _HELD, keeping.delete),
    Verb.RESTORE: _Rule(Right.DELETE, frozenset({"DELETED", "EXPIRED", "RELEASED"}), keeping.restore),
    Verb.EXTEND: _Rule(Right.EXTEND, _HELD, keeping.extend),
    Verb.NOTE: _Rule(
        Right.NOTE, frozenset(s.upper() for s in t.STATUSES), keeping.note, checks_version=False, checks_claim=False
    ),
    Verb.SETTLE: _Rule(Right.RELEASE, frozenset({"UNCERTAIN"}), releasing.settle),
    Verb.TRY: _Rule(Right.RELEASE, frozenset({"RELEASING"}), releasing.try_now, checks_version=False),
    Verb.RESCAN: _Rule(Right.RELEASE, _HELD, rejudging.rescan),  # as release: what may be rescanned may be let go
}


LEARNS = {Verb.RELEASE: "ham", Verb.DELETE: "spam"}


def check_body(verb: Verb, body: ActBody, now: int) -> None:
    """What the verb's arguments must be, whatever the mail."""
    if verb is Verb.SETTLE and body.settle is None:
        raise Refusal("bad-request", "settle: say how: arrived, again or hold")
    if verb is Verb.NOTE and not body.note.strip():
        raise Refusal("bad-request", "note: the note is empty")
    if verb is Verb.TAKEOVER and not body.reason.strip():
        raise Refusal("bad-request", "takeover: give a reason; the holder is told it")
    if (verb is Verb.ASSIGN) != bool(body.person):
        raise Refusal(
            "bad-request", f"person: {'say who gets it' if verb is Verb.ASSIGN else 'it goes with assign alone'}"
        )
    if body.sender is not None and verb not in senders.KINDS:
        raise Refusal("bad-request", f"sender: it goes with release (allow it) or delete (block it), not with {verb}")
    if body.expiry is not None and not now < to_us(body.expiry) < now + 3660 * 86400 * SECOND:
        raise Refusal("bad-request", "expiry: a time from now to ten years from now was expected")
    if verb is not Verb.RELEASE and (body.form or body.to):
        raise Refusal("bad-request", f"{'form' if body.form else 'to'}: it goes with release alone")
    if body.learn and verb not in LEARNS:
        raise Refusal("bad-request", "learn: it goes with release (learned as ham) and with delete (as spam)")
    for to in body.to:
        try:
            _ = to == POSTMASTER or mail_address(to)
        except ValueError as error:
            raise Refusal("bad-request", f"to: {to[:80]!r}: {error}, or {POSTMASTER}") from None


def _try(d: Doing, n: int) -> MailResult | None:
    rule, mail = RULES[d.verb], d.change.mails.get(n)
    if mail is None:
        return not_done(d, n, Result.GONE, None, "there is no such mail")
    if rule.checks_version and d.body.as_of is not None and mail["version"] > d.body.as_of:
        return not_done(d, n, Result.CHANGED, mail, f"it changed meanwhile: it is {mail['status']} now")
    if mail["status"] not in rule.statuses:
        return not_done(d, n, Result.STATUS, mail, f"{d.verb} does not apply to {mail['status']}")
    claim = d.change.claim_on(n)
    # A claim whose lease has ended holds nothing, though its entry (mail.lapse) may be a second away.
    if claim and rule.checks_claim and claim["account"] != d.who.account and not lapsed(d, claim):
        name = _name(d.change.rows, claim["account"])
        return not_done(d, n, Result.CLAIMED, mail, f"{name} holds it", by=name)
    if d.body.fence is not None and rule.checks_version:
        mine = claim and claim["account"] == d.who.account and claim["fence"] <= d.body.fence
        if not mine or (claim and lapsed(d, claim)):
            return not_done(d, n, Result.LOST, mail, "your claim on it has lapsed")
    if d.body.sender is not None and (why := senders.hindrance(d.change.row)):
        return not_done(d, n, Result.STATUS, mail, why)
    return rule.do(d, n, mail)


def _name(rows: Rows, account: int) -> str:
    row = rows.get(t.account, account)
    return row["name"] if row else "somebody"


def act_on_message(d: Doing, numbers: Iterable[int]) -> tuple[list[MailResult], list[Draft]]:
    """Tries the verb on the given mails of one message; their results, and its entry if anything changed, with those
    of what it says about the sender."""
    results: list[MailResult] = []
    for n in numbers:
        refused = _try(d, n)
        mail = d.change.mails.get(n)
        results.append(
            refused
            or MailResult(
                id=encode_mail(d.change.id, n),
                result=Result.DONE,
                status=mail and mail["status"],
                version=mail and mail["version"],
                would=d.judged.would.get(n, "") if d.judged else "",
            )
        )
    if not d.change.changed:
        return results, []
    if d.body.learn:
        learn(d, LEARNS[d.verb])
    personal = d.personal | {k: v for k, v in (("reason", d.body.reason), ("note", d.body.note)) if v}
    facts = d.facts | ({"as": str(d.body.settle)} if d.body.settle else {})
    if d.judged:
        facts |= rejudging.new_verdict(d)
    entry = d.change.entry(f"mail.{d.verb}", d.who.account, d.who.session, facts=facts, personal=personal)
    return results, [entry, *senders.with_act(d, results, d.change.seq + 1)]


@dataclass(frozen=True, slots=True)
class Act:
    """One verb on one or a few messages or mails, at once. Answers an `ActAnswer`, or refuses."""

    session: int
    verb: Verb
    targets: tuple[Target, ...]
    body: ActBody
    terms: Terms
    query: Query | None = None
    judged: Mapping[int, Judged] = field(default_factory=dict)  # rescan: by message

    @property
    def needs(self) -> Needs:
        return Needs(
            messages=frozenset(m for m, _ in self.targets),
            sessions=frozenset({self.session}),
            accounts=frozenset({self.body.person} if self.body.person else ()),
            senders=self.body.sender is not None,
            customers=bool(self.body.to),
        )

    @property
    def weight(self) -> int:
        return 1000 * len(self.targets)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        check_body(self.verb, self.body, now)
        if self.body.as_of is not None and self.body.as_of >= seq:
            raise Refusal("changed", f"there is no entry {self.body.as_of} yet: it was seen in another journal")
        answer = ActAnswer(seq=seq - 1, done=0, results=[])
        decision = Decision()
        lack: Right | DataClass | None = None
        if self.verb in _GRANTS:
            renew(rows, self.session, now)
        if (cap := cap_of(who, self.verb, self.terms.caps)) is not None:
            there = [(m, n) for m, n in self.targets if rows.message(m) is not None]
            count = sum(len(_numbers(rows, self, m, n, who, now)) for m, n in there)
            if count > cap:
                return beyond(who, self.verb, cap, count)
        for message, n in self.targets:
            row = rows.message(message)
            if row is None or Right.VIEW not in who.rights_at(row["customer"]):
                answer.results.append(_gone(message, n))
                continue
            numbers = _numbers(rows, self, message, n, who, now)
            if missing := lacking(rows, message, who, self.verb, self.body, numbers):
                lack = lack or missing
                decision.entries.append(denied(row, who, self.verb, missing))
                answer.results.append(_refused(message, n, why_not(missing, row["customer"])))
                continue
            change = MessageChange(rows, message, seq + len(decision.entries), now)
            doing = Doing(who, self.verb, self.body, self.terms, change, judged=self.judged.get(message))
            results, drafts = act_on_message(doing, numbers)
            answer.results += results
            decision.entries += drafts
            if drafts and self.verb in _LOOKED_AT:
                saw(rows, message, who.account, now, SeenHow.ACTED)
            answer.fence = max(filter(None, (answer.fence, doing.fence)), default=None)
            answer.release = doing.release or answer.release
            if doing.recall_until:
                answer.recall_until = from_us(doing.recall_until)
        answer.done = sum(r.result == Result.DONE for r in answer.results)
        answer.seq = seq + len(decision.entries) - 1
        decision.answer = answer if answer.done else _nothing_done(answer, lack)
        return decision


def _numbers(rows: Rows, act: Act, message: int, n: int | None, who: Access, now: int) -> list[int]:
    """The mails that a target means: one; or, of a message, those that match the filter in force; without a filter,
    those that the verb can act on (all, if it can act on none: so that the refusal says why)."""
    if n is not None:
        return [n]
    mails = rows.mails[message]
    if act.query is not None:
        return [m.n for m in matching(act.query, facts_of(rows, message), now)]
    rule = RULES[act.verb]
    able = [i for i, mail in sorted(mails.items()) if mail["status"] in rule.statuses]
    if rule.checks_claim:
        claims = rows.claims[message]
        free = [
            i
            for i in able
            if i not in claims or claims[i]["account"] == who.account or claim_ended(rows, claims[i], now)
        ]
        able = free or able
    return able or sorted(mails)


_GRANTS = frozenset({Verb.CLAIM, Verb.TAKEOVER})
#: Verbs that tell that the person saw the mail, when they name it. (A filter tells nothing of the kind.)
_LOOKED_AT = frozenset(Verb) - _GRANTS - {Verb.UNCLAIM, Verb.ASSIGN}


def renew(rows: Rows, session: int, now: int) -> None:
    """Whoever claims in a terminal is there: its lease runs on."""
    row = rows.get(t.session, session)
    if row is not None and row["kind"] == "terminal":
        rows.put(t.session, (session,), {"lease": max(row["lease"], now + LEASE * SECOND)})


def lacking(
    rows: Rows, message: int, who: Access, verb: Verb, body: ActBody, numbers: Sequence[int]
) -> Right | DataClass | None:
    """The right, or the class, that a person lacks for a verb with these arguments on these mails of a message. To take
    over from another session of one's own, the right to claim is enough."""
    right, row = RULES[verb].right, rows.message(message)
    assert row is not None
    rights = who.rights_at(row["customer"])
    claims = rows.claims[message].values()
    if verb is Verb.TAKEOVER and claims and all(c["account"] == who.account for c in claims):
        right = right if right in rights else Right.CLAIM
    if right not in rights:
        return right
    more = releasing.lacks(rows, message, who, body, numbers) if verb is Verb.RELEASE else None
    return more or senders.lacking(who, row["customer"], body)


def why_not(lack: Right | DataClass, customer: str) -> str:
    """What is said to whoever lacks it."""
    if isinstance(lack, Right):
        return no_right(lack, customer).detail
    return f"to release to others shows them the {lack}, and you may not see that at {customer}"


def _gone(message: int, n: int | None) -> MailResult:
    return MailResult(id=encode_mail(message, n or 0), result=Result.GONE, detail="there is no such mail")


def _refused(message: int, n: int | None, detail: str) -> MailResult:
    return MailResult(id=encode_mail(message, n or 0), result=Result.REFUSED, detail=detail)


def denied(row: RowDict, who: Access, verb: str, lack: Right | DataClass) -> Draft:
    """The entry of an act on a message that was refused for want of a right, or of a class."""
    return Draft(
        "denied",
        customer=row["customer"],
        queue=row["queue"],
        message=row["id"],
        account=who.account,
        session=who.session,
        facts={"verb": str(verb), **_named(lack)},
    )


def _named(lack: Right | DataClass) -> dict[str, str]:
    return {"right" if isinstance(lack, Right) else "class": lack.value}


_PROBLEM = {
    Result.GONE: "not-found",
    Result.CHANGED: "changed",
    Result.STATUS: "status",
    Result.CLAIMED: "claimed",
    Result.LOST: "lost",
    Result.REFUSED: "forbidden",
}


def _nothing_done(answer: ActAnswer, lack: Right | DataClass | None) -> Refusal:
    if not answer.results:
        return Refusal("not-found", "no mail of it matches the filter", results=[])
    first = answer.results[0]
    extra = {"by": first.by} if first.by else {}
    if first.result == Result.REFUSED and lack is not None:
        extra |= _named(lack)
    if first.status:
        extra["is"] = str(first.status)
    return Refusal(
        _PROBLEM[Result(first.result)],
        first.detail,
        results=[r.model_dump(mode="json") for r in answer.results],
        **extra,
    )
