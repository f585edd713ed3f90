"""An after-queue content filter: clean mail goes back to the mail server at once, the rest is held or refused.

No 250 before the server that it goes to has said 250, and what is held is durable. Over LMTP each recipient is answered
for itself, and the mail server tries again for those alone that were not taken. SMTP has one answer for all of them: so
that no try delivers a second time to some, recipients that the server refuses for good are held, a refusal for now is
passed on before anything is done, and once something is held the rest is no longer sent back to be tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from rcqueue.model.ids import encode_message
from rcqueue.model.mail import Receipt, VerdictKind
from rcqueue.model.scan import Action
from rcqueue.server.config import Filter, Smtp
from rcqueue.server.passes import without_pass
from rcqueue.server.scan.base import ScanEnvelope
from rcqueue.server.scan.decide import Decision
from rcqueue.server.scan.judge import Judge, Judgement

from .connection import Connection, FilterConnection
from .hold import Intake
from .judged import Plan, passed_on, plan
from .reinject import Handover, Lost, Reply, Server
from .replies import DEFERRED, FAILED, REFUSED
from .returned import Returned
from .smtp import GRACE, SmtpIntake

log = logging.getLogger(__name__)

_AWAY = "451 4.4.1 Error: the server that mail goes on to can not be reached, try again later"


class ContentFilter(SmtpIntake):
    """The filter's port; it speaks SMTP and LMTP, as it is greeted."""

    origin = "filter"
    protocol = FilterConnection

    def __init__(self, intake: Intake, judge: Judge, config: Filter, smtp: Smtp) -> None:
        super().__init__(intake, smtp, config.listen)
        self._judge, self._server_behind = judge, Server(config.reinject, config.timeout)

    async def stop(self, grace: float = GRACE) -> None:
        await super().stop(grace)
        self._server_behind.close()

    async def take(
        self, server: Connection, sender: str, recipients: list[str], data: bytes, receipt: Receipt
    ) -> dict[str, str]:
        everybody = tuple(dict.fromkeys(recipients))
        envelope = ScanEnvelope(sender, everybody, receipt.client, receipt.helo, receipt.ident)
        back = await self._intake.returned(sender, everybody, data)
        judgement = back.judgement if back is not None else await self._judge.judge(data, envelope)
        todo = plan(judgement, everybody, one_answer=not server.each)
        mail = _Mail(self._intake, judgement, sender, data, receipt, server.each, back)
        mail.answers |= dict.fromkeys(everybody, DEFERRED) | dict.fromkeys(todo.refuse, REFUSED)
        mail.record("REJECTED", todo.refuse)
        if not todo.go:
            await mail.hold(todo.hold)
            return mail.answers
        try:
            async with self._server_behind.handover() as handover:
                await mail.hand_over(handover, todo, server)
        except Lost as lost:
            log.warning("filter: %s: %s", self._server_behind.at, lost)
            await mail.not_handed_over(todo.go, _AWAY, f"the server that it goes on to: {lost}; it may have arrived")
        return mail.answers


class _Mail:
    """One message on its way through; `answers` by recipient."""

    def __init__(
        self,
        intake: Intake,
        judgement: Judgement,
        sender: str,
        data: bytes,
        receipt: Receipt,
        each: bool,
        back: Returned | None,
    ) -> None:
        self._intake, self._judgement, self._sender, self._data = intake, judgement, sender, data
        self._receipt, self._each, self._back = receipt, each, back
        self._held: set[str] = set()
        self.answers: dict[str, str] = {}

    async def hold(self, decisions: dict[str, Decision]) -> None:
        if not decisions:
            return
        judgement = Judgement(self._judgement.results, decisions, self._judgement.contents)
        ids = await self._intake.hold(
            self._sender,
            list(decisions),
            self._data,
            self._receipt,
            origin="filter",
            judgement=judgement,
            back=self._back,
        )
        self._held |= decisions.keys()
        said = f"250 2.0.0 Held as {', '.join(map(encode_message, ids))}"
        self.answers |= dict.fromkeys(self.answers if not self._each else decisions, said)

    async def passed(self, recipients: list[str]) -> None:
        """What went on, on record: of a mail that came back before its sender is told, who would send it again."""
        if self._back is None:
            self.record("PASSED", recipients)
            return
        try:
            await self._intake.lets_go(self._back, self._sender, self._data, self._receipt, origin="filter")
        except Exception:  # it has gone on, so that is what is said
            log.exception("filter: that a released mail came back could not be noted")

    def record(self, status: str, recipients: Iterable[str]) -> None:
        if to := list(recipients):
            more = (self._data, self._receipt)
            self._intake.record(status, self._sender, to, *more, origin="filter", judgement=self._judgement)

    async def hand_over(self, handover: Handover, todo: Plan, server: Connection) -> None:
        content = passed_on(self._data, todo.headers) if self._back is None else without_pass(self._data)
        first, replies = await handover.envelope(
            self._sender,
            todo.go,
            size=len(content),
            utf8=self._receipt.smtputf8,
            client=server.forwarded(),
            dsn=self._receipt.dsn,
        )
        refused = {to: first if not first.good else reply for to, reply in replies.items() if not reply.good}
        taken = [to for to in todo.go if to not in refused]
        hold = dict(todo.hold)
        if refused and not self._each:
            for_now = next((reply for reply in refused.values() if not reply.final), None)
            if for_now is not None or not (taken or hold):
                await handover.reset()
                self._say(self.answers, for_now or next(iter(refused.values())))
                return
            hold |= {
                to: self._kept(to, f"refused by the server that it goes on to: {r.text}") for to, r in refused.items()
            }
        for to, reply in refused.items():
            self._say([to], reply)
        if not taken:
            await handover.reset()
            await self.hold(hold)
            return
        said = await handover.content(content)
        if said is None or said.final or self._each:
            await self.hold(hold)
        if said is None:
            said = await handover.dot()
        if said.good:
            await self.passed(taken)
            self.answers |= dict.fromkeys(
                taken if self._each else self.answers, f"250 2.0.0 Ok: passed on: {said.text}"
            )
        else:
            await self.not_handed_over(taken, said.text, f"refused by the server that it goes on to: {said.text}")

    async def not_handed_over(self, recipients: list[str], answer: str, reason: str) -> None:
        """What was to go on did not. It is tried again by who sent it, unless that would hold something twice."""
        if self._held and not self._each:
            await self.hold({to: self._kept(to, reason) for to in recipients if to not in self._held})
        else:
            waiting = (to for to in recipients if self.answers[to] == DEFERRED) if self._each else iter(self.answers)
            self.answers |= dict.fromkeys(waiting, answer)

    def _kept(self, recipient: str, reason: str) -> Decision:
        was = self._judgement.by_recipient[recipient]
        return Decision(Action.HOLD, VerdictKind.POLICY, was.score, was.required, was.rules, reason)

    def _say(self, recipients: Iterable[str], reply: Reply) -> None:
        answer = reply.text if 400 <= reply.code < 600 else FAILED
        self.answers |= dict.fromkeys(recipients, answer)
