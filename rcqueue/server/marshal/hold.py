"""Holding: what arrived becomes a message and its mails, in the transaction that keeps its bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rcqueue.model.access import Right
from rcqueue.model.act import Way
from rcqueue.model.folding import domain_of
from rcqueue.model.ids import MAX_RECIPIENTS, new_message_id
from rcqueue.model.mail import Receipt, VerdictDetail
from rcqueue.server.passes import Pass
from rcqueue.server.reading.scan import Scan
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.query_sql import terms_of, words_of
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision

from .asking import who_asks, without
from .campaigns import Marked, assign
from .mails import new_mail
from .standing import taken


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message for one customer, read and ready to be held."""

    customer: str
    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    scan: Scan
    receipt: Receipt
    queue: str = "main"
    status: str = "ONHOLD"  # or PASSED, REJECTED: then only what is known of it is kept
    origin: str = "smtp"  # the way in; where the original still waits, also which it is
    scans: str = "[]"  # what our scanners said: a JSON list
    marked: Marked = field(default_factory=Marked)  # what tells which campaign it belongs to
    returned: Pass | None = None  # the release, and the attempt of it, that this mail of ours came back by
    ways: Mapping[str, Way] = field(default_factory=dict)  # how the policy wants it to go out, by recipient
    account: int | None = None  # who imported it; None: it came by mail
    session: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """All of one transaction: held together or not at all. Answers the ids of the messages."""

    arrivals: Sequence[Arrival]
    expiry: int  # microseconds from now

    @property
    def needs(self) -> Needs:
        return Needs(marks=marks_of(self.arrivals), standing=True)

    @property
    def weight(self) -> int:
        return sum(len(a.raw) for a in self.arrivals) + 2000

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        decision = Decision(answer=[])
        for arrival in self.arrivals:
            draft = _hold(rows, arrival, now, seq + len(decision.entries), now + self.expiry)
            decision.entries += [draft, *_taken(rows, draft, now, seq + len(decision.entries) + 1)]
            decision.answer.append(draft.message)
        return decision


@dataclass(frozen=True, slots=True)
class Import(Hold):
    """Held over the API: needs the right to hold at each customer whose mail it is."""

    session: int

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}), marks=marks_of(self.arrivals), standing=True)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        for customer in (a.customer for a in self.arrivals):
            if Right.HOLD not in who.rights_at(customer):
                return without(Right.HOLD, who, customer, "import", customer)
        return Hold.decide(self, rows, now, seq)


def marks_of(arrivals: Iterable[Arrival]) -> frozenset[bytes]:
    """What leads to the campaigns that arrivals may belong to."""
    return frozenset().union(*(arrival.marked.keys for arrival in arrivals))


def returned_term(by: Pass) -> str:
    """The posting that tells that a mail came back by a pass."""
    return f"{returned_as(by)}/{by.attempt}"


def returned_as(by: Pass) -> str:
    """The posting of all that came back under a release id."""
    return f"release:{by.release}"


@dataclass(frozen=True, slots=True)
class Return:
    """A mail that was released from here has come back: once by each pass it goes on, and that is recorded; what comes
    by the same pass again is held. Answers whether it goes on."""

    goes_on: Arrival
    loops: Arrival
    by: Pass
    expiry: int

    @property
    def needs(self) -> Needs:
        return Needs(
            terms=frozenset({returned_term(self.by)}), marks=marks_of((self.goes_on, self.loops)), standing=True
        )

    @property
    def weight(self) -> int:
        return len(self.loops.raw) + 2000

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        again = rows.posted(returned_term(self.by))
        draft = _hold(rows, self.loops if again else self.goes_on, now, seq, now + self.expiry)
        return Decision(not again, [draft, *_taken(rows, draft, now, seq + 1)])


def _taken(rows: Rows, draft: Draft, now: int, seq: int) -> list[Draft]:
    """By whoever claims a filter that what was just held matches."""
    return taken(rows, draft.message, now, seq) if draft.kind == "mail.hold" and draft.message is not None else []


_KINDS = {"ONHOLD": "mail.hold", "PASSED": "mail.pass", "REJECTED": "mail.reject"}


def _hold(rows: Rows, a: Arrival, now: int, seq: int, expiry: int) -> Draft:
    recipients = tuple(dict.fromkeys(a.recipients))[:MAX_RECIPIENTS]
    message, scan = new_message_id(now, seq), a.scan
    digest = hashlib.sha256(a.raw).digest()
    held = a.status == "ONHOLD"
    if held:
        rows.append(t.blob, {"customer": a.customer, "sha256": digest, "size": len(a.raw), "codec": "", "data": a.raw})
    row = {
        "id": message,
        "queue": a.queue,
        "customer": a.customer,
        "sha256": digest,
        "at": now,
        "size": len(a.raw),
        "sender": a.sender,
        "from_email": scan.from_email or a.sender,
        "from_domain": scan.from_domain or domain_of(a.sender),
        "subject": scan.subject,
        "first_rcpt": recipients[0],
        "score": scan.score,
        "verdict": scan.verdict,
        "rules": json.dumps([r.name for r in scan.rules], ensure_ascii=False),
        "degraded": scan.degraded,
        "recipients": len(recipients),
        **dict.fromkeys(t.STATUSES, 0),
        a.status.lower(): len(recipients),
        "requested": 0,
        "next_expiry": expiry if held else None,
        "version": seq,
        "purged": None if held else now,
        "origin": a.origin,
    }
    row["campaign"], row["campaign_open"] = assign(rows, a.marked, message)
    row["words"] = words_of(row, recipients)
    rows.put(t.message, (message,), row)
    verdict = VerdictDetail(
        id="", verdict=scan.verdict, score=scan.score, required=scan.required, reason=scan.reason, rules=scan.rules
    )
    rows.put(
        t.message_detail,
        (message,),
        {
            "message": message,
            "receipt": a.receipt.model_dump_json(),
            "headers": json.dumps(scan.headers, ensure_ascii=False),
            "withheld": scan.withheld,
            "verdict": verdict.model_dump_json(exclude={"id"}),
            "scans": a.scans,
            "rescanned": None,
            "deep": None,
        },
    )
    ways = {to: way.model_dump_json() for to, way in a.ways.items()} if held else {}
    for n, recipient in enumerate(recipients):
        rows.put(
            t.mail,
            (message, n),
            new_mail(message, n, recipient, a.status, expiry, seq, way=ways.get(recipient)),
        )
    for term in terms_of(row, recipients):
        rows.append(t.posting, {"term": term, "message": message})
    facts = {"sha256": digest.hex(), "size": len(a.raw), "verdict": str(scan.verdict)}
    if a.returned is not None:
        facts["release"] = a.returned.release
        for term in (returned_as(a.returned), returned_term(a.returned)):  # read by what else is in this batch
            rows.put(t.posting, (term, message), {"term": term, "message": message})
    if a.status == "ONHOLD":
        rows.flow(a.customer, now, came=len(recipients))
    rows.count(row, a.status, len(recipients))
    return Draft(
        _KINDS[a.status],
        customer=a.customer,
        queue=a.queue,
        message=message,
        mails=[(n, a.status, seq, expiry) for n in range(len(recipients))],
        account=a.account,
        session=a.session,
        facts=facts,
        personal={"client": a.receipt.client, "sender": a.sender},
    )
