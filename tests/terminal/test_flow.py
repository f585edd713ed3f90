"""Flow control: nothing waits behind what is not seen any more, and the event loop never waits for the terminal."""

import asyncio
import os
import pty as unix_pty
import sys
import time
import tty
from collections.abc import Iterator

import pytest

from rcqueue.terminal import flow
from rcqueue.terminal.flow import FENCE, Link
from tests.ptyharness import KEYS, Pty, Terminal

BUSY = [sys.executable, "-m", "tests.terminal.apps", "busy"]


class SlowLink:
    """A link of `rate` bytes/s with `room` bytes of buffers before it, as ssh has, to a terminal."""

    def __init__(self, pty: Pty, rate: int, room: int, answers: bool) -> None:
        self.pty, self.rate, self.room, self.answers = pty, rate, room, answers
        self.waiting = bytearray()
        self.deepest = 0
        self.terminal = Terminal(pty.width, pty.height)
        self._last = b""
        self._credit, self._at = 0.0, time.monotonic()

    def step(self) -> None:
        while len(self.waiting) < self.room and (data := self.pty.read(0)):
            self.waiting += data
        self.deepest = max(self.deepest, len(self.waiting))
        now = time.monotonic()
        self._credit = min(self._credit + (now - self._at) * self.rate, self.rate / 10)
        self._at = now
        arrived = bytes(self.waiting[: int(self._credit)])
        self._credit -= len(arrived)
        del self.waiting[: len(arrived)]
        self.terminal.feed(arrived)
        if self.answers:
            for _ in range((self._last + arrived).count(FENCE.encode())):
                self.pty.send(b"\x1b[1;1R")
        self._last = (self._last + arrived)[-len(FENCE) + 1 :]
        time.sleep(0.005)

    def run(self, seconds: float, until: str | None = None) -> float:
        """Run until `until` is on the screen, at most `seconds`. Returns how long it took."""
        begin = time.monotonic()
        while (took := time.monotonic() - begin) < seconds and not (until and until in self.terminal.text):
            for _ in range(10):
                self.step()
        return took


@pytest.mark.parametrize("answers", [True, False], ids=["fence", "no fence"])
def test_a_slow_link_with_much_buffered_before_it(answers: bool) -> None:
    """1,000 changes/s, all in sight, 16 kB/s, 256 kB of buffers. With the fence a key is seen soon; without, what waits
    before it grows without end (which shows that the fence is what does it)."""
    with Pty(BUSY, answers=False, width=120, env={"RCQUEUE_CAPS": "-scroll"}) as pty:
        link = SlowLink(pty, 16_000, 262_144, answers)
        assert link.run(5.0, "QUEUE") < 5.0
        link.run(2.5)
        if answers:
            pty.send(KEYS["end"])
            assert link.run(6.0, "m00009999") < 4.0  # the last row of the new page
            assert link.deepest < 24_000
        else:
            for _ in range(30):  # on a busy machine the application itself is slow to fill the link
                if link.deepest > 60_000:
                    break
                link.run(1.0)
            assert link.deepest > 60_000


def test_a_terminal_that_stops_reading_does_not_stop_the_event_loop() -> None:
    with Pty(BUSY) as pty:
        pty.wait_for("QUEUE")
        pty.settle(limit=0.3)
        time.sleep(0.7)  # by now the kernel's buffer is full
        pty.send(KEYS["ctrl+q"])
        pty.reap(8.0)
        assert pty.status == 0


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """(the terminal's end, ours), raw and not blocking."""
    master, slave = unix_pty.openpty()
    tty.setraw(slave)
    os.set_blocking(slave, False)
    os.set_blocking(master, False)
    yield master, slave
    os.close(master)


def taken(master: int) -> bytes:
    data = b""
    while True:
        try:
            data += os.read(master, 65536)
        except BlockingIOError:
            return data


class Calls:
    def __init__(self) -> None:
        self.ready = self.lost = 0

    def on_ready(self) -> None:
        self.ready += 1

    def on_lost(self) -> None:
        self.lost += 1


async def test_what_is_under_way_is_bounded_by_answers(ends: tuple[int, int]) -> None:
    calls = Calls()
    link = Link(ends[1], asyncio.get_running_loop(), calls.on_ready, calls.on_lost)
    link.probe()
    for _ in range(10):
        link.frame("x" * 1000)
        taken(ends[0])
        assert link.ready  # not known yet to answer: only the kernel counts
    link.answered()
    frames = 0
    while link.ready:
        link.frame("x" * 1000)
        frames += 1
    assert frames * 1000 >= link.budget > (frames - 1) * 1000
    assert taken(ends[0]).count(FENCE.encode()) == frames
    budget = link.budget
    for _ in range(frames):
        link.answered()
    assert link.ready and link.budget > budget and calls.ready == frames + 1
    link.close()


async def test_small_frames_share_a_fence(ends: tuple[int, int]) -> None:
    link = Link(ends[1], asyncio.get_running_loop(), lambda: None, lambda: None)
    link.probe()
    link.answered()
    taken(ends[0])
    for _ in range(6):
        link.frame("x" * 100)
    assert taken(ends[0]).count(FENCE.encode()) == 1
    link.close()


async def test_a_terminal_that_falls_silent_is_not_waited_for(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "_SILENCE", 0.05)
    calls = Calls()
    link = Link(ends[1], asyncio.get_running_loop(), calls.on_ready, calls.on_lost)
    link.probe()
    link.answered()
    link.frame("x" * 5000)
    assert not link.ready
    await asyncio.sleep(0.08)
    assert link.ready and link.fenced
    link.frame("x" * 5000)
    await asyncio.sleep(0.08)
    assert link.ready and not link.fenced  # the second time: fences are given up
    link.answered()
    assert link.fenced  # it was only slow
    link.close()


async def test_a_full_kernel_buffer_makes_it_wait(ends: tuple[int, int]) -> None:
    calls = Calls()
    link = Link(ends[1], asyncio.get_running_loop(), calls.on_ready, calls.on_lost)
    began = time.monotonic()
    while link.ready:
        link.frame("x" * 20_000)
    assert time.monotonic() - began < 1.0 and calls.ready == 0
    while not link.ready:
        taken(ends[0])
        await asyncio.sleep(0.001)
    assert calls.ready == 1
    link.close()


async def test_leaving_a_stalled_terminal_takes_no_longer_than_said(ends: tuple[int, int]) -> None:
    link = Link(ends[1], asyncio.get_running_loop(), lambda: None, lambda: None)
    link.frame("x" * 200_000)
    began = time.monotonic()
    link.drain(0.3)
    assert 0.2 < time.monotonic() - began < 1.0
    link.close()


async def test_a_terminal_that_is_gone_is_told_once() -> None:
    master, slave = unix_pty.openpty()
    os.set_blocking(slave, False)
    calls = Calls()
    link = Link(slave, asyncio.get_running_loop(), calls.on_ready, calls.on_lost)
    assert not link.hung_up()
    os.close(master)
    assert link.hung_up()
    link.send("x")
    link.send("y")
    await asyncio.sleep(0)
    assert link.lost and not link.ready and calls.lost == 1
    link.close()
