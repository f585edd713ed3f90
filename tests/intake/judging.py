"""A judge for tests of the ways in: what is done with a mail is decided by the local part of its recipient."""

from __future__ import annotations

import asyncio

from rcqueue.model.mail import RuleHit, VerdictKind
from rcqueue.model.scan import Action, ScanResult
from rcqueue.server.scan.base import ScanEnvelope
from rcqueue.server.scan.decide import Decision
from rcqueue.server.scan.judge import Judgement


class ByRecipient:
    """`hold.anna@x` is held, `reject...` refused, `tag...` tagged, `defer...` deferred, all others pass."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, ScanEnvelope]] = []
        self.waiting = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def judge(self, raw: bytes, envelope: ScanEnvelope) -> Judgement:
        self.asked.append((raw, envelope))
        self.waiting.set()
        await self.go_on.wait()
        rules = [RuleHit(name="BY_NAME", points=7.5, description="the recipient's name says so")]
        result = ScanResult(scanner="names", kind=VerdictKind.SPAM, score=7.5, required=5.0, rules=rules)
        return Judgement([result], {to: self._decide(to, rules) for to in envelope.recipients})

    def _decide(self, recipient: str, rules: list[RuleHit]) -> Decision:
        word = recipient.partition(".")[0].upper()
        action = Action(word) if word in list(Action) else Action.PASS
        headers = (("X-Rcq-Verdict", "SPAM; names"), ("X-Spam-Flag", "YES")) if action is Action.TAG else ()
        kind = None if action is Action.PASS else VerdictKind.SPAM
        return Decision(action, kind, 7.5, 5.0, tuple(rules), "names: 7.5 of 5", headers)
