"""Notices to recipients: that one is made, that it goes out, and what became of it.

A recipient gets at most one a day: the row of table `notice` and the task that sends it are written in one transaction.
The task is marked in another just before the final dot of the mail, together with the links that are in it; with that
mark it is never sent again. Its end takes the task away.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete

from rcqueue.model.access import Access, Right
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, RowDict, Rows
from rcqueue.server.store.writer import Decision

from .asking import who_asks, without
from .refusal import Refusal

KIND = "notice"  #: of their tasks
KEPT = 90 * 86400 * 1_000_000  #: microseconds: how long is known who got one

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody for whom mail is held that no notice has told of."""

    recipient: str  # folded: who it is
    address: str  # as mail to them is addressed
    customer: str


@dataclass(frozen=True, slots=True)
class Due:
    """A notice that waits to be sent. `handed_over`: an attempt had come to its dot, and has no end on record."""

    task: int
    recipient: str
    address: str
    customer: str
    day: str
    since: int  # when it was made
    tries: int
    handed_over: bool


# -- what is written ------------------------------------------------------------------------------------------------


class _Small:
    @property
    def weight(self) -> int:
        return 500


@dataclass(frozen=True, slots=True)
class QueueNotices:
    """Makes the notices of a day for those who have none of it, and the tasks that send them. Answers how many."""

    day: str
    wanted: tuple[Wanted, ...]

    @property
    def needs(self) -> Needs:
        notices = {(t.notice.name, (w.recipient, self.day)) for w in self.wanted}
        return Needs(rows=frozenset(notices | {(t.notice_stop.name, (w.recipient,)) for w in self.wanted}))

    @property
    def weight(self) -> int:
        return 500 * len(self.wanted)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        decision = Decision(0)
        for w in self.wanted:
            key = (w.recipient, self.day)
            if rows.get(t.notice, *key) is not None or rows.get(t.notice_stop, w.recipient) is not None:
                continue
            of = {"recipient": w.recipient, "day": self.day, "customer": w.customer}
            rows.put(t.notice, key, of | {"at": now, "mails": 0, "outcome": None})
            task = 1000 * (seq + len(decision.entries))
            payload = json.dumps(of | {"address": w.address, "since": now})
            row = {"id": task, "kind": KIND, "message": None, "n": None, "payload": payload, "due": now, "tries": 0}
            rows.put(t.task, (task,), row)
            personal = {"address": w.address}
            decision.entries.append(
                Draft("notice.queue", customer=w.customer, facts={"day": self.day}, personal=personal)
            )
            decision.answer += 1
        return decision


class NotDue(Refusal):
    """The notice was sent, or is no more."""

    def __init__(self) -> None:
        super().__init__("status", "this notice does not wait to be sent any more")


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link that is in a notice: the hash of its token, and the mail that it asks for; None: it stops the notices."""

    token: bytes
    message: int | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class _OnNotice(_Small):
    notice: Due

    @property
    def needs(self) -> Needs:
        key = (self.notice.recipient, self.notice.day)
        return Needs(rows=frozenset({(t.task.name, (self.notice.task,)), (t.notice.name, key)}))

    def task(self, rows: Rows) -> tuple[RowDict, Json]:
        task = rows.get(t.task, self.notice.task)
        if task is None:
            raise NotDue
        return task, json.loads(task["payload"])


@dataclass(frozen=True, slots=True)
class HandOver(_OnNotice):
    """All bytes of a notice are sent but the final dot: its links are good from here on, and it is not sent again."""

    links: tuple[NewLink, ...]
    ends: int  # of the links

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        task, payload = self.task(rows)
        if payload.get("handed_over"):
            raise NotDue
        rows.put(t.task, (task["id"],), {"payload": json.dumps(payload | {"handed_over": True})})
        mails = sum(link.message is not None for link in self.links)
        rows.put(t.notice, (self.notice.recipient, self.notice.day), {"mails": mails})
        for link in self.links:
            row = {"token": link.token, "recipient": self.notice.recipient, "message": link.message, "n": link.n}
            rows.append(t.notice_link, row | {"ends": self.ends, "used": None})
        return Decision()


@dataclass(frozen=True, slots=True)
class EndNotice(_OnNotice):
    """What became of an attempt to send a notice: sent, retry, refused, uncertain, or dropped (nothing is held)."""

    outcome: str
    code: int = 0
    reply: str = ""
    next_hop: str = ""
    retry_in: int = 0  # microseconds

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        task, payload = self.task(rows)
        if self.outcome == "retry":
            payload = {k: v for k, v in payload.items() if k != "handed_over"}
            later = {"payload": json.dumps(payload), "due": now + self.retry_in, "tries": task["tries"] + 1}
            rows.put(t.task, (task["id"],), later)
        else:
            rows.drop(t.task, (task["id"],))
            rows.put(t.notice, (self.notice.recipient, self.notice.day), {"outcome": self.outcome})
        facts = {"day": self.notice.day, "code": self.code}
        said = {"address": self.notice.address, "reply": self.reply, "next_hop": self.next_hop}
        personal = {name: value for name, value in said.items() if value}
        return Decision(
            entries=[Draft(f"notice.{self.outcome}", customer=self.notice.customer, facts=facts, personal=personal)]
        )


class ForgetNotices(_Small):
    """Links whose end has come, and who got notices long ago."""

    needs = Needs()

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        rows.sweep(delete(t.notice_link).where(t.notice_link.c.ends <= now))
        rows.sweep(delete(t.notice).where(t.notice.c.at <= now - KEPT))
        return Decision()


# -- what people ask for --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ByPerson(_Small):
    session: int
    customer: str

    def denied(self, who: Access, verb: str) -> Decision | None:
        if Right.ADMINISTER in who.rights_at(self.customer):
            return None
        return without(Right.ADMINISTER, who, self.customer, verb, self.customer)


def _entry(kind: str, who: Access, customer: str, **more: Any) -> Draft:
    return Draft(kind, customer=customer, account=who.account, session=who.session, **more)


@dataclass(frozen=True, slots=True)
class SendNotices(_ByPerson):
    """Somebody has the notices of a domain made now. Answers {"waiting", "made"}: how many recipients waited for one,
    and how many got one."""

    domain: str
    waiting: int
    queue: QueueNotices

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session})) | self.queue.needs

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        if (denied := self.denied(who, "notice.send")) is not None:
            return denied
        facts = {"domain": self.domain}
        made = self.queue.decide(rows, now, seq + 1)
        entry = _entry("notice.send", who, self.customer, facts=facts)
        return Decision({"waiting": self.waiting, "made": made.answer}, [entry, *made.entries])


@dataclass(frozen=True, slots=True)
class StartNotices(_ByPerson):
    """A recipient who stopped the notices gets them again. Answers the number of the entry."""

    recipient: str

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}), rows=frozenset({(t.notice_stop.name, (self.recipient,))}))

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        if (denied := self.denied(who, "notice.start")) is not None:
            return denied
        if rows.get(t.notice_stop, self.recipient) is None:
            raise Refusal("not-found", "this recipient has not stopped the notices")
        rows.drop(t.notice_stop, (self.recipient,))
        return Decision(seq, [_entry("notice.start", who, self.customer, personal={"address": self.recipient})])
