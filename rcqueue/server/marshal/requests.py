"""What a recipient does with a link of a notice: asks for the release of a mail, or stops the notices. Actor is
`system`: whoever has the link is nobody that we know.

A link requests and never releases. It is good once, until its end, and for as long as what it asks for can be had. Why
one is no good is not told: whoever guesses learns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision

from .mails import MessageChange

#: Verdicts of mail that a recipient is told the number of, and no more.
DANGEROUS = frozenset({"VIRUS", "PHISH"})


class Asks(StrEnum):
    """What a link is for."""

    RELEASE = "release"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Link:
    """A link that is good. `message` and `n`: of the mail; None: it stops the notices of the recipient."""

    token: bytes
    recipient: str
    message: int | None
    n: int | None

    @property
    def asks(self) -> Asks:
        return Asks.STOP if self.message is None else Asks.RELEASE


# Links and mails as mappings: rows of a batch, or of a reader.
def _good(link: Any, now: int) -> bool:
    return link is not None and link["used"] is None and link["ends"] > now


def _askable(verdict: str, mail: Any) -> bool:
    return mail["status"] == "ONHOLD" and mail["requested"] is None and verdict not in DANGEROUS


def find_link(connection: Connection, token: bytes, now: int) -> Link | None:
    """The link with this hash of a token, if it is good now. Reads alone: following a link does nothing."""
    link = connection.execute(select(t.notice_link).where(t.notice_link.c.token == token)).mappings().one_or_none()
    if link is None or not _good(link, now):
        return None
    if link["message"] is not None:
        query = select(t.mail, t.message.c.verdict).join(t.message, t.message.c.id == t.mail.c.message)
        query = query.where(t.mail.c.message == link["message"], t.mail.c.n == link["n"])
        mail = connection.execute(query).mappings().one_or_none()
        if mail is None or not _askable(mail["verdict"], mail):
            return None
    return Link(token, link["recipient"], link["message"], link["n"])


@dataclass(frozen=True, slots=True)
class UseLink:
    """The button behind a link was pressed. Answers whether the link was good."""

    link: Link
    customer: str  # of the recipient

    @property
    def needs(self) -> Needs:
        messages = frozenset({self.link.message} - {None})
        stop = (t.notice_stop.name, (self.link.recipient,))
        return Needs(messages=messages, rows=frozenset({(t.notice_link.name, (self.link.token,)), stop}))  # type: ignore[arg-type]

    @property
    def weight(self) -> int:
        return 500

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        if not _good(rows.get(t.notice_link, self.link.token), now):
            return Decision(False)
        entry = self._stop(rows, now) if self.link.message is None else self._request(rows, self.link.message, now, seq)
        if entry is None:
            return Decision(False)
        rows.put(t.notice_link, (self.link.token,), {"used": now})
        return Decision(True, [entry])

    def _request(self, rows: Rows, message: int, now: int, seq: int) -> Draft | None:
        row, n = rows.message(message), self.link.n
        mail = rows.mails[message].get(n) if n is not None else None
        if row is None or n is None or mail is None or not _askable(row["verdict"], mail):
            return None
        change = MessageChange(rows, message, seq, now)
        change.request(n)
        return change.entry("mail.request", personal={"recipient": mail["rcpt"]})

    def _stop(self, rows: Rows, now: int) -> Draft:
        rows.put(t.notice_stop, (self.link.recipient,), {"recipient": self.link.recipient, "at": now})
        return Draft("notice.stop", customer=self.customer, personal={"address": self.link.recipient})
