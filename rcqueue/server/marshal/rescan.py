"""Rescan: a message's verdict is made anew, and what the policy would do with each of its mails is told.

For many it is weighed first: every message is scanned, what came of it is stored with the act, and nothing else is
done until the number of mails that would pass is confirmed. Then each gets its new verdict, and those that pass are
released. Scanning itself is in weighing.py, the verb in rejudging.py; what is here is pure, or an operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel

from rcqueue.model.act import ActState, ReleaseAs, Way
from rcqueue.model.mail import RuleHit, VerdictKind
from rcqueue.model.scan import Action, ScanResult
from rcqueue.server.scan.decide import Decision as Decided
from rcqueue.server.scan.judge import Judgement
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision

UNSCANNED = "unscanned"  #: there was nothing to scan: its bytes were purged, or it broke
PASSES = "pass"
_MAX_REASON = 2000


class Judged(BaseModel):
    """What scanning a message anew came to. `would`: what the policy would do with each mail, by its n."""

    verdict: VerdictKind
    score: float | None
    required: float | None
    reason: str
    rules: list[RuleHit]
    scans: list[ScanResult]
    would: dict[int, str]
    strip: dict[int, list[str]] = {}
    unsure: bool = False  #: a scanner gave no answer, or not all could be read: what was to be stripped still is

    @classmethod
    def of(cls, judgement: Judgement, recipients: Mapping[int, str], loop: str = "") -> Judged:
        """`recipients` by the n of their mails. The message's verdict is that of the first that would not pass. `loop`:
        it came back, as this says, and is held whatever the scanners find."""
        decisions = {n: judgement.by_recipient[to] for n, to in recipients.items()}
        if loop:
            decisions = {n: _held_as(decision, loop) for n, decision in decisions.items()}
        first = next((d for d in decisions.values() if d.action is not Action.PASS), next(iter(decisions.values())))
        reasons = dict.fromkeys(d.reason for d in decisions.values() if d.reason)
        return cls(
            verdict=first.kind or VerdictKind.POLICY,
            score=first.score,
            required=first.required,
            reason="; ".join(reasons)[:_MAX_REASON] or "scanned again: the policy would let it pass",
            rules=list(first.rules),
            scans=judgement.results,
            would={n: _word(decision) for n, decision in decisions.items()},
            strip={n: list(decision.strip) for n, decision in decisions.items() if decision.strip},
            unsure=bool(judgement.contents.unread) or any(one.error or one.skipped for one in judgement.results),
        )

    def way(self, n: int, before: str | None) -> str | None:
        """How a mail goes out from now on. One that has a way keeps one: it is not to leave by its original's road."""
        names = self.strip.get(n, [])
        if self.unsure and before:
            names = list(dict.fromkeys([*Way.model_validate_json(before).strip, *names]))
        if names:
            return Way(form=ReleaseAs.STRIPPED, strip=names).model_dump_json()
        return before and Way().model_dump_json()


def _held_as(decision: Decided, loop: str) -> Decided:
    if decision.action not in (Action.PASS, Action.TAG):
        return decision
    reason = "; ".join(filter(None, (loop, decision.reason)))
    return replace(decision, action=Action.HOLD, kind=VerdictKind.POLICY, reason=reason)


def _word(decision: Decided) -> str:
    return decision.action.value.lower()


# -- many: weighed before anybody confirms


@dataclass(frozen=True, slots=True)
class KeepWeighed:
    """What came of one message of an act; derived, so no entry. `judged` None: there was nothing to scan."""

    act: str
    message: int
    judged: Judged | None
    numbers: tuple[int, ...]

    @property
    def needs(self) -> Needs:
        return Needs()

    @property
    def weight(self) -> int:
        return 4000

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        if self.judged is not None:
            row = {"act": self.act, "message": self.message, "judged": self.judged.model_dump_json()}
            rows.append(t.act_judged, row)
        mail = t.act_mail.c
        words: dict[str, list[int]] = {}
        for n in self.numbers:
            word = self.judged.would.get(n, UNSCANNED) if self.judged is not None else UNSCANNED
            words.setdefault(word, []).append(n)
        for word, numbers in words.items():
            these = (mail.act == self.act, mail.message == self.message, mail.n.in_(numbers))
            rows.sweep(t.act_mail.update().where(*these).values(would=word))
        return Decision()


@dataclass(frozen=True, slots=True)
class Weighed:
    """All of an act is weighed: it waits to be confirmed, for as long as an act does that was just stored."""

    act: str
    passing: int

    @property
    def needs(self) -> Needs:
        return Needs(acts=frozenset({self.act}))

    @property
    def weight(self) -> int:
        return 500

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        row = rows.get(t.act, self.act)
        if row is None or row["state"] != ActState.WEIGHING:
            return Decision()
        rows.put(t.act, (self.act,), {"state": ActState.STORED.value, "passing": self.passing, "weighed": now})
        facts = {"act": self.act, "count": row["count"], "passing": self.passing, "person": row["account"]}
        return Decision(None, [Draft("act.weigh", facts=facts)])
