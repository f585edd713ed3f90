"""What all scanners have in common: limits of time and size, health, and an answer whatever happens."""

from __future__ import annotations

import abc
import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeVar

from rcqueue.model.mail import RuleHit, VerdictKind
from rcqueue.model.scan import ScannerHealth, ScanResult
from rcqueue.server.config import ScannerAt

from .pool import Connection, Crowded, Pool

__all__ = [
    "Adapter",
    "Learn",
    "NotLearned",
    "OverLimit",
    "ScanEnvelope",
    "ScanResult",
    "Scanner",
    "Trouble",
    "spam_kind",
]

log = logging.getLogger(__name__)
T = TypeVar("T")
Learn = Literal["ham", "spam"]


@dataclass(frozen=True, slots=True)
class ScanEnvelope:
    """What is known of a message beside its bytes. `client` is an IP address."""

    sender: str = ""
    recipients: tuple[str, ...] = ()
    client: str = ""
    helo: str = ""
    queue_id: str = ""


class Trouble(Exception):
    """What a scanner did wrong, in our words: it quotes nothing of what came."""


class OverLimit(Exception):
    """The scanner is well, and takes no mail as large as this."""


class NotLearned(Exception):
    """Why a message was not learned, in our words; `again`: later it may be."""

    def __init__(self, why: str, *, again: bool = False) -> None:
        super().__init__(why)
        self.again = again


class Scanner(Protocol):
    """A scanner as the judge sees it."""

    @property
    def name(self) -> str: ...
    @property
    def can_learn(self) -> bool: ...
    @property
    def health(self) -> ScannerHealth: ...
    async def scan(self, raw: bytes, envelope: ScanEnvelope) -> ScanResult: ...
    async def learn(self, raw: bytes, as_: Learn) -> str: ...
    async def probe(self) -> None: ...
    async def close(self) -> None: ...


@dataclass(slots=True)
class _Health:
    up: bool | None = None
    since: datetime | None = None
    error: str | None = None
    signatures_at: datetime | None = None

    def mark(self, error: str | None) -> bool:
        """Whether that is news."""
        up = error is None
        news = self.up is not up
        if news:
            self.up, self.since = up, datetime.now(UTC)
        self.error = error
        return news


@dataclass
class Adapter(abc.ABC):
    """One configured scanner. What is below gives `_scan`, and what else it can."""

    at: ScannerAt
    can_learn = False
    version: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.name = self.at.name
        self.seconds = self.at.timeout / 1_000_000
        self._health = _Health()
        self._pool = Pool(self.at.address, self.at.pool)

    # -- what an adapter gives

    @abc.abstractmethod
    async def _scan(self, raw: bytes, envelope: ScanEnvelope) -> ScanResult:
        """Asks. Raises Trouble, OSError, EOFError, TimeoutError; ValueError for an answer that can't be read."""

    @abc.abstractmethod
    async def _probe(self) -> None:
        """Asks whether it lives, and what it is; sets `version` and when its signatures were made."""

    async def _learn(self, raw: bytes, as_: Learn) -> str:
        raise NotLearned(f"{self.name} can not learn")

    # -- what it gets

    async def _use(self, ask: Callable[[Connection], Awaitable[T]]) -> T:
        return await self._pool.use(ask, seconds=self.seconds, waiting=self.seconds)

    def result(self, kind: VerdictKind | None = None, threats: list[str] | None = None, reason: str = "") -> ScanResult:
        return ScanResult(scanner=self.name, kind=kind, threats=threats or [], reason=reason, version=self.version)

    # -- what the judge sees

    @property
    def health(self) -> ScannerHealth:
        of = self._health
        return ScannerHealth(
            name=self.name,
            up=of.up,
            since=of.since,
            error=of.error,
            version=self.version,
            signatures_at=of.signatures_at,
        )

    async def scan(self, raw: bytes, envelope: ScanEnvelope) -> ScanResult:
        """Never raises: what goes wrong is the result's `error`."""
        if len(raw) > self.at.size_limit:
            over = f"{len(raw)} bytes, over size_limit, {self.at.size_limit}"
            return ScanResult(scanner=self.name, skipped=over, version=self.version)
        began = time.perf_counter()
        try:
            result, error = await self._guarded(self._scan(raw, envelope))
        except OverLimit as limit:
            result, error = ScanResult(scanner=self.name, skipped=str(limit), version=self.version), None
        if result is None:
            result = ScanResult(scanner=self.name, error=error, version=self.version)
        result.seconds = round(time.perf_counter() - began, 4)
        return result

    async def learn(self, raw: bytes, as_: Learn) -> str:
        """What came of it, in our words. Raises NotLearned."""
        if len(raw) > self.at.size_limit:
            raise NotLearned(f"{len(raw)} bytes, over the limit of {self.name}, {self.at.size_limit}")

        async def ask() -> str | NotLearned:
            try:
                return await self._learn(raw, as_)
            except NotLearned as why:
                return why

        said, error = await self._guarded(ask(), marks=False)
        if said is None:
            raise NotLearned(f"{self.name}: {error}", again=True)
        if isinstance(said, NotLearned):
            raise NotLearned(f"{self.name}: {said}")
        return said

    async def probe(self) -> None:
        """Asks the scanner whether it lives; its health has the answer."""
        await self._guarded(self._probe())

    async def close(self) -> None:
        self._pool.close()

    async def _guarded(self, work: Awaitable[T], *, marks: bool = True) -> tuple[T | None, str | None]:
        """The answer, or why there is none; it marks the health by that."""
        answer: T | None = None
        error: str | None = None
        try:
            answer = await work
        except (NotLearned, Trouble) as trouble:
            error = str(trouble)
        except Crowded:
            return None, f"none of its {self.at.pool} connections became free within {self.seconds:g} s"
        except OverLimit:
            self._health.mark(None)
            raise
        except TimeoutError:
            error = f"no answer within {self.seconds:g} s"
        except (EOFError, ConnectionResetError, BrokenPipeError):
            error = "it closed the connection in the middle"
        except OSError as failure:
            why = os.strerror(failure.errno) if failure.errno else type(failure).__name__
            error = f"{self.at.address} can't be reached: {why}"
        except (ValueError, KeyError, TypeError, AttributeError, asyncio.LimitOverrunError):
            error = f"its answer is none of {self.at.type}"
        except Exception as failure:  # the mail is judged without this scanner
            log.exception("scanner %s", self.name)
            error = f"the adapter failed ({type(failure).__name__})"
        if marks and self._health.mark(error):
            if error is None:
                log.info("scanner %s is up", self.name)
            else:
                log.warning("scanner %s is down: %s", self.name, error)
        return answer, error


def spam_kind(rules: list[RuleHit]) -> VerdictKind:
    """What kind of spam it is: a rule about phishing that counts makes it that."""
    phishing = any("phish" in rule.name.lower() and (rule.points or 0) > 0 for rule in rules)
    return VerdictKind.PHISH if phishing else VerdictKind.SPAM
