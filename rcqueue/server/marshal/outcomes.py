"""What becomes of a release: attempts, each durable before connecting and again before the final dot, and outcomes.

A mail in RELEASING waits while `due` is set; it is taken for an attempt by unsetting it. Actor is `system` throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rcqueue.model.act import Way
from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import Needs, RowDict, Rows
from rcqueue.server.store.writer import Decision

from .mails import ENDED, MessageChange
from .refusal import Refusal

DAY = 86400 * 1_000_000


class NotWaiting(Refusal):
    """The mail was recalled, or another attempt has it."""

    def __init__(self) -> None:
        super().__init__("status", "it does not wait for the next hop any more")


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that may connect now."""

    message: int
    n: int
    number: int
    release: str
    sender: str
    recipient: str
    customer: str
    sha256: bytes
    way: Way | None  #: how it goes out; None: as it came, by any road


@dataclass(frozen=True, slots=True)
class _OnMail:
    message: int
    n: int

    @property
    def needs(self) -> Needs:
        return Needs(messages=frozenset({self.message}))

    @property
    def weight(self) -> int:
        return 500


@dataclass(frozen=True, slots=True)
class BeginAttempt(_OnMail):
    next_hop: str

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        mail, message = rows.mails[self.message].get(self.n), rows.message(self.message)
        if mail is None or message is None or mail["status"] != "RELEASING" or mail["due"] is None or mail["due"] > now:
            raise NotWaiting
        number = mail["tries"] + 1
        rows.put(t.mail, (self.message, self.n), {"due": None, "tries": number})
        key = (self.message, self.n, number)
        values = dict(zip(("message", "n", "number"), key, strict=True))
        values |= {"release": mail["release"], "next_hop": self.next_hop, "started": now}
        values |= dict.fromkeys(("dot", "finished", "code", "reply", "queue_id"))
        rows.put(t.attempt, key, values)
        return Decision(
            Begun(
                *key,
                mail["release"],
                message["sender"],
                mail["rcpt"],
                message["customer"],
                message["sha256"],
                mail["way"] and Way.model_validate_json(mail["way"]),
            )
        )


@dataclass(frozen=True, slots=True)
class BeginAttempts:
    """Attempts on mails (message, n). Answers of each what begun it is, or None: it does not wait any more."""

    mails: tuple[tuple[int, int], ...]
    next_hop: str

    @property
    def needs(self) -> Needs:
        return Needs(messages=frozenset(message for message, _ in self.mails))

    @property
    def weight(self) -> int:
        return 500 * len(self.mails)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        begun: list[Begun | None] = []
        for message, n in self.mails:
            try:
                begun.append(BeginAttempt(message, n, self.next_hop).decide(rows, now, seq).answer)
            except NotWaiting:
                begun.append(None)
        return Decision(begun)


@dataclass(frozen=True, slots=True)
class BeforeDot(_OnMail):
    """All bytes are sent but the final dot. After this, no answer means UNCERTAIN."""

    number: int

    @property
    def needs(self) -> Needs:
        return Needs(attempts=frozenset({self.message}))

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        key = (self.message, self.n, self.number)
        _open_attempt(rows, key)
        rows.put(t.attempt, key, {"dot": now})
        return Decision()


def _open_attempt(rows: Rows, key: tuple[int, int, int]) -> RowDict:
    """An attempt whose end is not on record yet. (One that has ended is not read, but may have ended in this batch.)"""
    attempt = rows.get(t.attempt, *key)
    if attempt is None or attempt["finished"] is not None:
        raise NotWaiting
    return attempt


class Outcome(StrEnum):
    RELEASED = "released"  # 250
    RETRY = "retry"  # 4xx, or nobody answered before the dot
    REFUSED = "refused"  # 5xx: back to the hold
    UNCERTAIN = "uncertain"  # the answer was lost after the dot


@dataclass(frozen=True, slots=True)
class EndAttempt(_OnMail):
    number: int
    outcome: Outcome
    code: int
    reply: str
    retry_in: int = 0  # microseconds
    next_hop: str = ""
    queue_id: str | None = None  # the next hop's own
    noted: Mapping[str, Any] = field(default_factory=dict)  # more for the entry's facts: nothing personal

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        mail, key = rows.mails[self.message].get(self.n), (self.message, self.n, self.number)
        attempt = _open_attempt(rows, key)
        if mail is None or mail["status"] != "RELEASING":
            raise NotWaiting
        if attempt["dot"] is None and self.outcome in (Outcome.RELEASED, Outcome.UNCERTAIN):
            raise ValueError(f"the dot of an attempt that was {self.outcome} is not on record")
        rows.put(t.attempt, key, {"finished": now, "code": self.code, "reply": self.reply, "queue_id": self.queue_id})
        change = MessageChange(rows, self.message, seq, now)
        match self.outcome:
            case Outcome.RELEASED:
                change.set(self.n, "RELEASED", reply=self.reply, due=None)
            case Outcome.RETRY:
                change.set(self.n, "RELEASING", reply=self.reply, due=now + self.retry_in)
            case Outcome.UNCERTAIN:
                change.set(self.n, "UNCERTAIN", reply=self.reply, due=None)
            case Outcome.REFUSED:
                expiry = max(mail["expiry"], now + DAY)
                change.set(self.n, "ONHOLD", reply=self.reply, due=None, expiry=expiry)
        facts = {"release": mail["release"], "attempt": self.number, "code": self.code, **self.noted}
        if self.queue_id:
            facts["queue_id"] = self.queue_id
        personal = {"reply": self.reply, "next_hop": self.next_hop}
        return Decision(entries=[change.entry(f"mail.{self.outcome}", facts=facts, personal=personal)])


@dataclass(frozen=True, slots=True)
class Recover(_OnMail):
    """After a crash: an attempt that had not reached its dot is tried again, one that had is UNCERTAIN."""

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        mail = rows.mails[self.message].get(self.n)
        if mail is None or mail["status"] != "RELEASING" or mail["due"] is not None:
            raise NotWaiting
        attempt: RowDict | None = rows.get(t.attempt, self.message, self.n, mail["tries"])
        reply = "the server stopped before the next hop answered"
        if attempt is not None:
            rows.put(t.attempt, (self.message, self.n, mail["tries"]), {"finished": now, "code": 0, "reply": reply})
        change = MessageChange(rows, self.message, seq, now)
        if attempt is not None and attempt["dot"] is not None:
            change.set(self.n, "UNCERTAIN", reply=reply, due=None)
            kind = "mail.uncertain"
        else:
            change.set(self.n, "RELEASING", reply=reply, due=now)
            kind = "mail.retry"
        return Decision(entries=[change.entry(kind, facts={"release": mail["release"]}, personal={"reply": reply})])


@dataclass(frozen=True, slots=True)
class EndAtOrigin:
    """What became of attempts on mails of one message whose original waited elsewhere, and does no longer: all of them
    in one entry, so that none of them can go another way after a crash."""

    message: int
    attempts: tuple[tuple[int, int], ...]  # n, number
    outcome: Outcome  # RELEASED or UNCERTAIN
    reply: str
    next_hop: str
    origin: str  # from now on

    @property
    def needs(self) -> Needs:
        return Needs(messages=frozenset({self.message}))

    @property
    def weight(self) -> int:
        return 500 * len(self.attempts)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        change = MessageChange(rows, self.message, seq, now)
        code = 250 if self.outcome is Outcome.RELEASED else 0
        for n, number in self.attempts:
            attempt = _open_attempt(rows, (self.message, n, number))
            if change.mails[n]["status"] != "RELEASING":
                raise NotWaiting
            ended = {"dot": attempt["dot"] or now, "finished": now, "code": code, "reply": self.reply}
            rows.put(t.attempt, (self.message, n, number), ended)
            change.set(n, self.outcome.upper(), reply=self.reply, due=None)
        rows.put(t.message, (self.message,), {"origin": self.origin})
        facts = {"release": change.mails[self.attempts[0][0]]["release"], "code": code}
        personal = {"reply": self.reply, "next_hop": self.next_hop}
        return Decision(entries=[change.entry(f"mail.{self.outcome}", facts=facts, personal=personal)])


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The original of a message whose mails have all ended is about to be deleted where it waits."""

    message: int
    origin: str  # from now on

    @property
    def needs(self) -> Needs:
        return Needs(messages=frozenset({self.message}))

    @property
    def weight(self) -> int:
        return 500

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        """Answers whether it may be deleted: somebody may have restored a mail meanwhile."""
        row = rows.message(self.message)
        if row is None or not all(mail["status"] in ENDED for mail in rows.mails[self.message].values()):
            return Decision(False)
        rows.put(t.message, (self.message,), {"origin": self.origin})
        return Decision(True, [MessageChange(rows, self.message, seq, now).entry("mail.withdraw")])
