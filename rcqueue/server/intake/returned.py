"""Mail that was released from here and comes back, by its pass: it is not judged again, and goes on once.

The journal of attempts says whether a pass is of a release that there was; the posting `release:ID/ATTEMPT` of what was
recorded or held under it says whether it came back before. A pass is good for one attempt: a mail that the next hop did
not take comes with another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from rcqueue.model.ids import parse_id
from rcqueue.model.mail import VerdictKind
from rcqueue.model.scan import Action
from rcqueue.server.marshal import Marshal
from rcqueue.server.marshal.hold import returned_term
from rcqueue.server.passes import LOOP, NOTICE, Pass, check
from rcqueue.server.scan.decide import Decision
from rcqueue.server.scan.judge import Judgement
from rcqueue.server.store import tables as t


@dataclass(frozen=True, slots=True)
class Returned:
    """A mail of ours that came back; `again`: not for the first time."""

    by: Pass
    recipient: str
    again: bool

    @property
    def goes_on(self) -> Judgement:
        return self._judgement(Action.PASS, None, f"released from here as {self.by.release}")

    @property
    def loops(self) -> Judgement:
        how = "came back again" if self.again else "came back"
        return self._judgement(Action.HOLD, VerdictKind.POLICY, f"{LOOP}: released as {self.by.release}, and {how}")

    @property
    def judgement(self) -> Judgement:
        """Where mail can go on."""
        return self.loops if self.again else self.goes_on

    def _judgement(self, action: Action, kind: VerdictKind | None, reason: str) -> Judgement:
        return Judgement([], {self.recipient: Decision(action, kind, reason=reason)})


async def returned(
    marshal: Marshal, keys: Sequence[bytes], sender: str, recipients: Sequence[str], raw: bytes
) -> Returned | None:
    """None: it is a mail like any other. A release goes to one recipient, so what has several is none."""
    everybody = set(recipients)
    if not keys or len(everybody) != 1:
        return None
    (recipient,) = everybody
    found = check(keys, raw, sender, recipient, marshal.clock.now() // 1_000_000)
    if found is None:
        return None
    again = await marshal.database.read(_came_back, found)
    return None if again is None else Returned(found, recipient, again)


def _came_back(connection: Connection, found: Pass) -> bool | None:
    """None: there was no such attempt."""
    if not found.release.startswith(NOTICE) and not _attempted(connection, found):
        return None
    seen = select(t.posting.c.message).where(t.posting.c.term == returned_term(found)).limit(1)
    return connection.execute(seen).first() is not None


def _attempted(connection: Connection, found: Pass) -> bool:
    try:
        message, n = parse_id(found.release.partition("-")[0])
    except ValueError:
        return False
    attempt = t.attempt.c
    mine = (attempt.message == message, attempt.n == n, attempt.number == found.attempt)
    return connection.execute(select(attempt.release).where(*mine)).scalar() == found.release
