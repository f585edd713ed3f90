"""A lane: the mails that wait for one next hop, how it does, and what people set for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from rcqueue.model.health import NextHopState
from rcqueue.model.mail import from_us
from rcqueue.server.config import SECOND, Address
from rcqueue.server.marshal.outcomes import Begun, Outcome

from .am_pdp import AmPdp
from .load import Load
from .session import Answer

MailKey = tuple[int, int]
LINGER = 0.1  #: seconds after which a session looks whether more is going to come
AHEAD = 0.1  #: seconds; what is sent in them is begun ahead:
MOST_AHEAD = 8  #: mails for each session,
BYTES_AHEAD = 4 << 20  #: and, beyond the first, this long in all
WHOLE = 60 * SECOND  #: how often a look sees all that is due


class HopSet(NamedTuple):
    """What people set for a next hop."""

    paused: bool = False
    rate: int | None = None  #: mails a minute at most


UNSET = HopSet()


@dataclass(slots=True)
class Lane:
    """The mails that wait for one next hop: taken customer by customer in turn, so that none waits for another's."""

    hop: Address | AmPdp
    sessions: int = 0
    feeding: bool = False  # whether attempts are being begun for it
    ready: asyncio.Queue[tuple[Begun, Load]] = field(default_factory=asyncio.Queue)  # begun, and not taken by a session
    few: asyncio.Event = field(default_factory=asyncio.Event)  # are ready
    ahead: int = 1  # how many are begun at once
    took: float = AHEAD  # seconds that the last mail took
    set: HopSet = UNSET
    free_at: int = 0  # when the next may go, where there is a limit
    down: Answer = field(default_factory=lambda: Answer(Outcome.RETRY, 0, ""))
    down_until: int = 0
    state: NextHopState = field(init=False)
    _turn: deque[tuple[str, deque[tuple[MailKey, int]]]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.state = NextHopState(at=str(self.hop))

    def heard(self, answer: Answer, now: int) -> None:
        """It answered, or did not. A mail that it refuses for good says nothing of how it does."""
        up = answer.outcome not in (Outcome.RETRY, Outcome.UNCERTAIN)
        self.state = NextHopState(at=self.state.at, up=up, code=answer.code, last=from_us(now))

    @property
    def waiting(self) -> int:
        return sum(len(mails) for _, mails in self._turn)

    def put(self, customer: str, key: MailKey, size: int) -> None:
        for whose, mails in self._turn:
            if whose == customer:
                mails.append((key, size))
                return
        self._turn.append((customer, deque([(key, size)])))

    def wait(self, now: int) -> int:
        """Microseconds until one may go."""
        if self.set.paused:
            return WHOLE
        return max(0, self.free_at - now) if self.set.rate else 0

    async def next(self) -> tuple[Begun, Load] | None:
        """What was begun first; None when nothing is any more, and nothing is going to be soon."""
        while self.feeding or not self.ready.empty():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    taken = await self.ready.get()
                    if self.ready.qsize() <= self.ahead // 2:
                        self.few.set()
                    return taken
        return None

    def plan(self, sessions: int) -> None:
        """How many are begun ahead: for each session what it sends in AHEAD seconds, from one to MOST_AHEAD. What is
        begun can't be recalled, and is sent before a stop ends."""
        self.ahead = sessions * max(1, min(MOST_AHEAD, int(AHEAD / max(self.took, 0.001))))

    async def used(self) -> None:
        """Returns when half of what is begun ahead was taken."""
        self.few.clear()
        if self.ready.qsize() > self.ahead // 2:
            await self.few.wait()

    def take(self, now: int) -> tuple[MailKey, int]:
        """One of those that wait, and its size in bytes."""
        if self.set.rate:
            self.free_at = now + 60 * SECOND // self.set.rate
        customer, mails = self._turn.popleft()
        taken = mails.popleft()
        if mails:
            self._turn.append((customer, mails))
        return taken
