"""The line to the terminal: never blocks, and knows how much of what was sent has arrived."""

import asyncio
import os
import select
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

FENCE = "\x1b[6n"
"""Asks for the cursor's position. The answer says that everything before it has been taken by the terminal itself,
which no kernel can say when a relay (ssh, mosh, a serial line) keeps buffers of its own."""

_FENCE_EVERY = 512  # bytes
_LEAST, _MOST = 2_048, 262_144  # bytes that may be under way
_SILENCE = 3.0  # seconds after which an answer is not waited for any longer
_QUICK, _SLOW = 0.05, 0.15  # seconds above the quickest answer


class Link:
    """Writes to a terminal's own, non-blocking file descriptor, in the thread of `loop`.

    Control strings go out by `send` whatever the traffic. Frames should be made only when `ready`, and go out by
    `frame`; `on_ready` is called when there may be room again, `on_lost` once when the terminal is gone.
    """

    def __init__(
        self, fd: int, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], None], on_lost: Callable[[], None]
    ) -> None:
        self._fd = fd
        self._loop = loop
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._unsent = b""
        self._writing = False
        self.lost = False
        self.fenced = False
        """Does the terminal answer?"""
        self.budget = _LEAST
        self._under_way = 0  # bytes of frames not yet known to have arrived
        self._since_fence = 0
        self._fences: deque[tuple[float, int]] = deque()  # sent at, bytes since the one before
        self._quickest = 1.0
        self._silent = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def ready(self) -> bool:
        return not self._unsent and not self.lost and not (self.fenced and self._under_way >= self.budget)

    def probe(self) -> None:
        """Find out whether the terminal answers; until it does, only the kernel's word is had."""
        self.fenced = False
        self._forget_fences()
        self._fence(0)

    def send(self, data: str) -> None:
        """Queue a control string."""
        if not self.lost:
            self._unsent += data.encode(errors="replace")
            self._push()

    def frame(self, data: str) -> None:
        """Queue a frame, with a fence behind it when enough has gone out since the last."""
        size = len(data.encode(errors="replace"))
        self.send(data)
        if self.fenced:
            self._under_way += size
            self._since_fence += size
            if self._since_fence >= _FENCE_EVERY:
                self._fence(self._since_fence)
                self._since_fence = 0

    def answered(self) -> None:
        """The terminal answered the oldest fence."""
        if not self._fences:
            return
        sent, size = self._fences.popleft()
        took = time.monotonic() - sent
        self._quickest = min(self._quickest, took)
        self._silent = False
        if self.fenced:
            self._under_way = max(0, self._under_way - size)
            if took < self._quickest + _QUICK:
                self.budget = min(_MOST, self.budget * 2)
            elif took > self._quickest + _SLOW:
                self.budget = max(_LEAST, self.budget // 2)
        self.fenced = True
        self._stop_timer()
        if self._fences:
            self._start_timer()
        self._on_ready()

    def drain(self, seconds: float) -> None:
        """Block until all is written, at most `seconds`; after that the terminal counts as lost."""
        end = time.monotonic() + seconds
        while self._unsent and (left := end - time.monotonic()) > 0:
            select.select([], [self._fd], [], min(left, 0.1))
            self._push()
        if self._unsent:
            self._unsent, self.lost = b"", True
            self._watch(False)

    def hung_up(self) -> bool:
        """Whether the other end of the terminal is gone (seen without reading or writing)."""
        poll = select.poll()
        poll.register(self._fd, 0)
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))

    def close(self) -> None:
        self._watch(False)
        self._stop_timer()
        with suppress(OSError):
            os.close(self._fd)
        self._unsent, self.lost = b"", True

    def _fence(self, size: int) -> None:
        self.send(FENCE)
        self._fences.append((time.monotonic(), size))
        self._start_timer()

    def _forget_fences(self) -> None:
        self._fences.clear()
        self._under_way = self._since_fence = 0
        self.budget = _LEAST
        self._stop_timer()

    def _no_answer(self) -> None:
        """Go on with the least; after a second silence without fences, until an answer comes or `probe` is called."""
        again = self._silent
        self._forget_fences()
        self._silent = True
        if again:
            self.fenced = False
        self._fence(0)
        self._on_ready()

    def _start_timer(self) -> None:
        if self.fenced and self._timer is None:
            self._timer = self._loop.call_later(_SILENCE, self._no_answer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _push(self) -> None:
        while self._unsent:
            try:
                written = os.write(self._fd, self._unsent)
            except BlockingIOError:
                self._watch(True)
                return
            except OSError:
                self._unsent = b""
                self.lost = True
                self._loop.call_soon(self._on_lost)
                break
            self._unsent = self._unsent[written:]
        self._watch(False)

    def _watch(self, watch: bool) -> None:
        if watch and not self._writing:
            self._loop.add_writer(self._fd, self._writable)
        elif self._writing and not watch:
            self._loop.remove_writer(self._fd)
        self._writing = watch

    def _writable(self) -> None:
        self._push()
        if not self._unsent:
            self._on_ready()
