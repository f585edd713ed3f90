"""All scanners on one message at once, and what the policy makes of it for each recipient."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rcqueue.model.scan import ScannerHealth, ScanResult
from rcqueue.server.config import Config, ScannerAt
from rcqueue.server.reading.children import Readers

from . import policy as policies
from .attachments import Contents
from .base import Learn, NotLearned, ScanEnvelope, Scanner
from .clamav import ClamAV
from .decide import NOBODY_SAID, Decision, decide
from .policy import Policy
from .rspamd import Rspamd
from .senders import Sender, Senders
from .sophos_icap import SophosIcap
from .sophos_sssp import SophosSssp
from .spamassassin import SpamAssassin
from .standing import Rules, Standing

PROBE_SECONDS = 30.0  #: between two looks at a scanner's health

_TYPES: dict[str, Callable[[ScannerAt], Scanner]] = {
    "spamassassin": SpamAssassin,
    "clamav": ClamAV,
    "sophos-sssp": SophosSssp,
    "sophos-icap": SophosIcap,
    "rspamd": Rspamd,
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the scanners said of a message, and what is done with each recipient's mail."""

    results: list[ScanResult]
    by_recipient: dict[str, Decision]
    contents: Contents = field(default_factory=Contents)


class Lesson(NamedTuple):
    """What came of learning, in our words; `again`: nothing yet."""

    said: str
    again: bool = False


def policy_of(config: Config) -> Policy:
    """Raises ConfigMistake."""
    return policies.load(config.policy, {at.name: at.away for at in config.scanner})


def scanner_of(at: ScannerAt) -> Scanner:
    return _TYPES[at.type](at)


class Judge:
    """Raises ConfigMistake when the policy can't be read. `readers` look into messages; without any it has its own.
    `rules` are what people set while the server runs; None: nothing."""

    def __init__(self, config: Config, readers: Readers | None = None, rules: Rules | None = None) -> None:
        self.rules = rules
        self.policy = rules.file if rules is not None else policy_of(config)  #: what the file says
        self._customer_of, self._ours = config.customer_of, config.authserv_ids
        self.scanners: dict[str, Scanner] = {at.name: scanner_of(at) for at in config.scanner}
        self.size_limit = config.smtp.size_limit  #: bytes of a message that anybody may ask about
        self._own = Readers() if readers is None else None
        self._readers = readers or self._own
        self._probing: asyncio.Task[None] | None = None

    @property
    def configured(self) -> bool:
        """Whether there is anything to judge by: without a scanner and a policy every mail passes."""
        return bool(self.scanners) or self.policy.has_rules

    async def start(self) -> None:
        """Begins to look after the scanners' health. One that is away keeps nothing from starting."""
        self._probing = asyncio.create_task(self._probe(), name="scanners")

    async def close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._probing
        await asyncio.gather(*(scanner.close() for scanner in self.scanners.values()))
        if self._own is not None:
            await self._own.close()

    async def judge(self, raw: bytes, envelope: ScanEnvelope) -> Judgement:
        """Asks each scanner whose word counts for one of the recipients, once. Never raises for what they do."""
        recipients = envelope.recipients or ("",)
        asked = {name for recipient in recipients for name in self.policy.scanners(recipient)}
        looks = any(self.policy.looks_into(recipient) for recipient in recipients)
        results, contents = await asyncio.gather(
            self.scan(raw, envelope, [name for name in self.scanners if name in asked]),
            self._contents(raw) if looks else _nothing(),
        )
        standing = await self._standing()  # after the scanners: they may have taken a while
        words = dict.fromkeys(recipients, NOBODY_SAID)
        if standing.senders and self.rules is not None:
            sender, now = Sender.of(raw, envelope.sender, self._ours), self.rules.now()
            words = {to: standing.senders.word(sender, to, self._customer_of(to), now) for to in recipients}
        decisions = {to: decide(standing.policy, results, contents, to, words[to]) for to in recipients}
        return Judgement(results, decisions, contents)

    async def _standing(self) -> Standing:
        return Standing(self.policy, Senders()) if self.rules is None else await self.rules.current()

    async def scan(self, raw: bytes, envelope: ScanEnvelope, names: Sequence[str] | None = None) -> list[ScanResult]:
        """The results of the scanners of these names (None: all), asked at once."""
        scanners = self.scanners.values() if names is None else [self.scanners[name] for name in names]
        return list(await asyncio.gather(*(scanner.scan(raw, envelope) for scanner in scanners)))

    async def learn(self, raw: bytes, as_: Learn, known: Container[str] = ()) -> dict[str, Lesson]:
        """What came of it, by the name of each scanner that learns and is not among those that have `known` it."""
        scanners = [scanner for name, scanner in self.scanners.items() if scanner.can_learn and name not in known]
        said = await asyncio.gather(*(scanner.learn(raw, as_) for scanner in scanners), return_exceptions=True)
        answers: dict[str, Lesson] = {}
        for scanner, one in zip(scanners, said, strict=True):
            if isinstance(one, NotLearned):
                answers[scanner.name] = Lesson(f"not learned: {one}", one.again)
            elif isinstance(one, BaseException):
                raise one
            else:
                answers[scanner.name] = Lesson(one)
        return answers

    def health(self) -> list[ScannerHealth]:
        return [scanner.health for scanner in self.scanners.values()]

    async def probe(self) -> None:
        """Looks at every scanner, now."""
        await asyncio.gather(*(scanner.probe() for scanner in self.scanners.values()))

    async def _probe(self) -> None:
        while True:
            await self.probe()
            await asyncio.sleep(PROBE_SECONDS)

    async def _contents(self, raw: bytes) -> Contents:
        assert self._readers is not None
        return Contents.of(await self._readers.read(raw))


async def _nothing() -> Contents:
    return Contents()
