"""A server of mail in memory, for tests of the terminal: the same calls, rows and entries as the real one, no network.

`Store` is the queue and its journal; `FakeApi` and `FakeFeed` are what a terminal talks to. Time stands still.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rcqueue.client.outcome import sort_key
from rcqueue.model.fields import Facts, MailFacts
from rcqueue.model.ids import encode_mail, encode_message, new_message_id
from rcqueue.model.journal import Entry, MailChange
from rcqueue.model.mail import Page, Row, RowClaim, Status, VerdictKind, to_us
from rcqueue.model.query import Query, matching, parse

NOW = datetime(2026, 3, 14, 3, 0, tzinfo=UTC)


@dataclass
class Mail:
    to: str
    status: Status = Status.ONHOLD
    version: int = 0
    claim: str | None = None
    fence: int = 0


@dataclass
class Message:
    number: int
    at: datetime
    sender: str
    subject: str
    mails: list[Mail]
    score: float | None = None
    verdict: VerdictKind = VerdictKind.SPAM
    size: int = 2048
    rules: list[str] = field(default_factory=list)
    customer: str = "acme/sales"

    @property
    def id(self) -> str:
        return encode_message(self.number)

    @property
    def expiry(self) -> datetime:
        return self.at + timedelta(days=14)

    def facts(self) -> Facts:
        expiry = to_us(self.expiry)
        mails = tuple(MailFacts(n, m.to, m.status, expiry, m.claim) for n, m in enumerate(self.mails))
        return Facts(
            id=self.number,
            at=to_us(self.at),
            size=self.size,
            sender=self.sender,
            from_email=self.sender,
            subject=self.subject,
            score=self.score,
            verdict=self.verdict,
            rules=tuple(self.rules),
            customer=self.customer,
            degraded=None,
            mails=mails,
        )

    def row(self, of: list[Mail]) -> Row:
        held = [m for m in of if m.claim]
        statuses = [m.status for m in of]
        return Row(
            id=self.id,
            timestamp=self.at,
            status=max(sorted(set(statuses)), key=statuses.count),
            expiry=self.expiry,
            fromDomain=self.sender.partition("@")[2],
            fromEmail=self.sender,
            sender=self.sender,
            toEmail=of[0].to,
            matching=len(of),
            recipients=len(self.mails),
            subject=self.subject,
            score=self.score,
            verdict=self.verdict,
            size=self.size,
            rules=self.rules,
            customer=self.customer,
            queue="main",
            claim=RowClaim(
                who=held[0].claim or "", mails=len(held), session="s-" + (held[0].claim or ""), fence=held[0].fence
            )
            if held
            else None,
            version=max(m.version for m in self.mails),
        )


class Store:
    """Every change is one entry in `journal`. Its clock moves when a test moves it."""

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}
        self.journal: list[Entry] = []
        self.now = NOW
        self._cursors: dict[str, Any] = {}

    @property
    def seq(self) -> int:
        return len(self.journal)

    def hold(self, sender: str, to: Iterable[str], subject: str, *, at: datetime | None = None, **more: Any) -> Message:
        at = at or self.now
        message = Message(new_message_id(to_us(at), self.seq + 1), at, sender, subject, [Mail(t) for t in to], **more)
        self.messages[message.id] = message
        self.change("mail.hold", "system", message, range(len(message.mails)))
        return message

    def change(self, kind: str, actor: str, message: Message, which: Iterable[int], **to: Any) -> Entry:
        """Sets the attributes `to` on those mails and writes the entry. A status changes the version."""
        seq = self.seq + 1
        mails = []
        for n in which:
            mail = message.mails[n]
            for name, value in to.items():
                setattr(mail, name, value)
            if "status" in to or kind == "mail.hold":
                mail.version = seq
            mails.append(MailChange(id=encode_mail(message.number, n), status=mail.status, version=mail.version))
        entry = Entry(
            seq=seq,
            at=self.now,
            kind=kind,
            message=message.id,
            mails=mails,
            row=message.row(message.mails),
            actor=actor,
        )
        self.journal.append(entry)
        return entry

    def matching(self, query: Query, message: Message) -> list[Mail]:
        return [message.mails[m.n] for m in matching(query, message.facts(), to_us(self.now))]

    def select(self, text: str, sort: str, me: str = "") -> list[Row]:
        """All rows that match, in order."""
        query = parse(text, me=me)
        rows = [m.row(of) for m in self.messages.values() if (of := self.matching(query, m))]
        key, downwards = sort_key(sort)
        return sorted(rows, key=key, reverse=downwards)

    def page(self, text: str, sort: str, limit: int, me: str = "", **where: Any) -> Page:
        rows = self.select(text, sort, me)
        key, downwards = sort_key(sort)

        def count(up_to: Any, *, including: bool) -> int:
            """How many rows come before (or are at) this key."""
            keys = [key(row) for row in rows]
            return sum((k > up_to if downwards else k < up_to) or (including and k == up_to) for k in keys)

        first = 0
        if (cursor := where.get("after")) is not None:
            first = count(self._cursors[cursor], including=True)
        elif (cursor := where.get("before")) is not None:
            end = count(self._cursors[cursor], including=False)
            first, limit = max(0, end - limit), min(limit, end)
        elif (message := where.get("at")) is not None:
            first = count(key(self.messages[message].row(self.messages[message].mails)), including=False)
        elif (time := where.get("time")) is not None:
            when = datetime.fromisoformat(time)
            first = sum((r.timestamp > when) if downwards else (r.timestamp < when) for r in rows)
        elif where.get("end"):
            first = max(0, len(rows) - limit)
        shown = rows[first : first + limit]
        return Page(
            seq=self.seq,
            rows=shown,
            next=self._cursor(key(shown[-1])) if shown and first + limit < len(rows) else None,
            previous=self._cursor(key(shown[0])) if shown and first > 0 else None,
        )

    def rows(self, ids: Iterable[str], text: str, me: str = "") -> Page:
        query = parse(text, me=me)
        asked = [self.messages[i] for i in ids if i in self.messages]
        return Page(seq=self.seq, rows=[m.row(of) for m in asked if (of := self.matching(query, m))])

    def _cursor(self, key: Any) -> str:
        self._cursors[repr(key)] = key
        return repr(key)
