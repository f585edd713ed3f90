"""What people set for a next hop: nothing goes to it for a while, or only so many mails a minute. Each an entry."""

from __future__ import annotations

from dataclasses import dataclass

from rcqueue.model.access import ROOT, Right
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, RowDict, Rows
from rcqueue.server.store.writer import Decision

from .asking import who_asks, without
from .refusal import Refusal

VERBS = ("pause", "resume", "limit")


@dataclass(frozen=True, slots=True)
class SetHop:
    """Needs the right to administer at the root: everybody's mail goes by a next hop. Mails under way end as they do;
    what waits can still be recalled."""

    session: int
    verb: str  # one of VERBS
    at: str  # HOST:PORT
    reason: str
    rate: int | None = None  # limit: mails a minute; None: no limit

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}), rows=frozenset({("next_hop", (self.at,))}))

    @property
    def weight(self) -> int:
        return 500

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        if Right.ADMINISTER not in who.rights_at(ROOT):
            return without(Right.ADMINISTER, who, ROOT, f"outgoing.{self.verb}", None)
        if not self.reason.strip():
            raise Refusal("bad-request", "reason: say why; it goes on record")
        row: RowDict = {"at": self.at, "paused": None, "rate": None} | (rows.get(t.next_hop, self.at) or {})
        if (row["paused"] is not None, self.verb) in ((True, "pause"), (False, "resume")):
            raise Refusal("status", f"{self.at} is {'paused already' if self.verb == 'pause' else 'not paused'}")
        facts: dict[str, object] = {"next_hop": self.at}
        match self.verb:
            case "pause":
                row["paused"] = now
            case "resume":
                row["paused"] = None
            case _:
                facts |= {"old": row["rate"], "new": self.rate}
                row["rate"] = self.rate
        if row["paused"] is row["rate"] is None:
            rows.drop(t.next_hop, (self.at,))
        else:
            rows.put(t.next_hop, (self.at,), row)
        said = {"reason": self.reason}
        entry = Draft(f"outgoing.{self.verb}", account=who.account, session=who.session, facts=facts, personal=said)
        return Decision(seq, [entry])
