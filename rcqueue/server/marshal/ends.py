"""What time does, as actor `system`: claims lapse, mail expires, bytes are purged. Each checks again in its own
transaction, so that a renewal that came first wins."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Delete, delete, exists

from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision

from .mails import ENDED, MessageChange, claim_ended


@dataclass(frozen=True, slots=True)
class _OnMessages:
    messages: frozenset[int]

    @property
    def needs(self) -> Needs:
        return Needs(messages=self.messages)

    @property
    def weight(self) -> int:
        return 1000 * len(self.messages)


@dataclass(frozen=True, slots=True)
class Lapse(_OnMessages):
    """Claims whose end has passed are gone; with `session`, all of that session's (it was quiet too long, or left)."""

    session: int | None = None

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        decision = Decision(answer=0)
        for message in sorted(self.messages):
            claims = rows.claims[message]
            over = [
                n
                for n, c in claims.items()
                if (c["session"] == self.session if self.session is not None else claim_ended(rows, c, now))
            ]
            if not over or rows.message(message) is None:
                continue
            holders = sorted({claims[n]["account"] for n in over})
            change = MessageChange(rows, message, seq + len(decision.entries), now)
            for n in over:
                change.free(n)
            decision.entries.append(change.entry("mail.lapse", facts={"holders": holders}))
            decision.answer += len(over)
        return decision


@dataclass(frozen=True, slots=True)
class Expire(_OnMessages):
    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        decision = Decision(answer=0)
        for message in sorted(self.messages):
            over = [n for n, m in rows.mails[message].items() if m["status"] == "ONHOLD" and m["expiry"] <= now]
            if not over:
                continue
            change = MessageChange(rows, message, seq + len(decision.entries), now)
            for n in over:
                change.set(n, "EXPIRED")
            decision.entries.append(change.entry("mail.expire"))
            decision.answer += len(over)
        return decision


@dataclass(frozen=True, slots=True)
class Purge(_OnMessages):
    """The bytes of messages go whose mails have all ended at least `after` microseconds ago. Entries stay."""

    after: int

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        decision = Decision(answer=0)
        for message in sorted(self.messages):
            row, mails = rows.message(message), rows.mails[message].values()
            if row is None or row["purged"] is not None:
                continue
            if not all(m["status"] in ENDED and m["ended"] <= now - self.after for m in mails):
                continue
            rows.put(t.message, (message,), {"purged": now})
            rows.sweep(_unless_needed(row["customer"], row["sha256"]))
            for table in (t.message_detail, t.seen):
                rows.sweep(delete(table).where(table.c.message == message))
            decision.entries.append(Draft("mail.purge", customer=row["customer"], queue=row["queue"], message=message))
            decision.answer += 1
        return decision


@dataclass(frozen=True, slots=True)
class Forget(_OnMessages):
    """What is known of mail that passed or was rejected goes, all of it; entries stay."""

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        decision = Decision(answer=0)
        for message in sorted(self.messages):
            row = rows.message(message)
            if row is None or row["recipients"] != row["passed"] + row["rejected"]:
                continue
            for mail in rows.mails[message].values():
                rows.count(row, mail["status"], -1)
            for table in (t.mail, t.message_detail, t.posting, t.note, t.seen):
                rows.sweep(delete(table).where(table.c.message == message))
            rows.sweep(delete(t.message).where(t.message.c.id == message))
            decision.answer += 1
        return decision


def _unless_needed(customer: str, sha256: bytes) -> Delete:
    """Erases bytes that no message needs. Whether one does is looked up after all else of the batch is written: the
    same bytes may have arrived again a moment ago, in this very batch."""
    blob, message = t.blob.c, t.message.c
    needed = exists().where(message.customer == customer, message.sha256 == sha256, message.purged.is_(None))
    return delete(t.blob).where(blob.customer == customer, blob.sha256 == sha256, ~needed)
