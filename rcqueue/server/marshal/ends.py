"""What time does, as actor `system`: claims lapse, mail expires, bytes are purged. Each checks again in its own
transaction, so that a renewal that came first wins."""

from __future__ import annotations

from dataclasses import dataclass

from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision

from .mails import ENDED, MessageChange
from .verbs import claim_ended


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
    kept_blobs: frozenset[tuple[str, bytes]]  # that another message, not in this purge, still needs

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        decision = Decision(answer=0)
        for message in sorted(self.messages):
            row, mails = rows.message(message), rows.mails[message].values()
            if row is None or row["purged"] is not None:
                continue
            if not all(m["status"] in ENDED and m["ended"] <= now - self.after for m in mails):
                continue
            rows.put(t.message, (message,), {"purged": now})
            blob = (row["customer"], row["sha256"])
            if blob not in self.kept_blobs:
                rows.erase(t.blob, {"customer": blob[0], "sha256": blob[1]})
            rows.erase(t.message_detail, {"message": message})
            decision.entries.append(Draft("mail.purge", customer=row["customer"], queue=row["queue"], message=message))
            decision.answer += 1
        return decision
