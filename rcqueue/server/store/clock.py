"""The store's clock: Unix microseconds that a jump of the wall clock does not move.

Leases and expiry are by this clock. It starts at the wall clock (never before the journal's last entry), runs with the
monotonic clock, and drifts towards the wall clock by at most one part in 200, so that a jump by hours expires nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_SLEW = 200


class Clock:
    def __init__(
        self,
        not_before: int = 0,
        wall: Callable[[], int] = lambda: time.time_ns() // 1000,
        mono: Callable[[], int] = lambda: time.monotonic_ns() // 1000,
    ) -> None:
        self._wall, self._mono = wall, mono
        self._lock = threading.Lock()
        self._at = max(wall(), not_before)
        self._mark = mono()

    def now(self) -> int:
        with self._lock:
            mono = self._mono()
            step = mono - self._mark
            self._mark = mono
            self._at += step
            ahead = self._wall() - self._at
            most = step // _SLEW
            self._at += max(-most, min(most, ahead))
            return self._at

    def jump(self) -> int:
        """How far the wall clock is ahead, in microseconds: a few milliseconds unless somebody moved it."""
        return self._wall() - self.now()
