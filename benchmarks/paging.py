"""The real terminal on 100,000 mails on hold: how soon there are rows, how soon a key shows the page it asks for, and
what the terminal weighs; against Textual's DataTable holding the same rows.

A page is there when the row that is to be its last is on the emulated screen, by its numbered subject.
"""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure
from benchmarks.held import fill, subject
from benchmarks.relay import Relay
from benchmarks.screens import Screen, rcqueue, sign_in
from tests.demo_server import DemoServer
from tests.ptyharness import KEYS

HELD, QUICK = 100_000, 1_000
PAGES, FAR, BURSTS = 20, 10, 5
KEYS_IN_BURST = 12  #: more pages than the terminal holds rows for


def numbers(text: str) -> list[int]:
    """The numbers of the messages on a screen's table."""
    return [int(n) for n in re.findall(r"Message (\d{7})", text)]


class Table:
    """A screen with a table on it. `step` is how many rows a page-down goes."""

    def __init__(self, screen: Screen, top: bytes, bottom: bytes) -> None:
        self.screen, self.top, self.bottom = screen, top, bottom
        self.find_step()

    def find_step(self) -> None:
        for _ in range(4):  # the first ones lay out what later ones find done
            before = self.last
            self.screen.send(KEYS["pagedown"])
            self.screen.settle(1.0)
        self.step = self.last - before
        assert self.step > 0, self.screen.text

    @property
    def last(self) -> int:
        return max(numbers(self.screen.text)[-3:])

    def turn(self, pages: int = 1) -> float:
        """Milliseconds from so many page-downs, sent at once, to the last row of the page."""
        wanted = subject(self.last + pages * self.step)
        return 1000 * self.screen.after(KEYS["pagedown"] * pages, lambda text: wanted in text)

    def go(self, key: bytes, number: int) -> float:
        return 1000 * self.screen.after(key, lambda text: subject(number) in text, quiet=0.6)


def peak(pid: int) -> float:
    """The most resident memory it had so far, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024 / 1e6


def run(*, quick: bool = False) -> list[Figure]:
    held = QUICK if quick else HELD
    pages, far, bursts = (2, 1, 1) if quick else (PAGES, FAR, BURSTS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rcqueue-bench-")))
        peer_screen = stack.enter_context(Screen([sys.executable, "-m", "benchmarks.datatable", str(held)]))
        fill(folder, held)
        peer_rows = 1000 * (peer_screen.when(lambda text: subject(0) in text, 300) - peer_screen.began)
        peer = Table(peer_screen, b"\x1b[1;5H", b"\x1b[1;5F")

        demo = stack.enter_context(DemoServer(data_dir=folder))
        password = demo.accounts["anna"]["password"]
        first = []
        with Relay(demo.http) as relay:
            for _ in range(1 if quick else 3):
                with Screen(rcqueue("--server", relay.url)) as screen:
                    sign_in(screen, "anna", password)
                    first.append(1000 * (screen.when(lambda text: subject(0) in text) - relay.signed_in))

        screen = stack.enter_context(Screen(rcqueue("--server", demo.http)))
        sign_in(screen, "anna", password)
        screen.when(lambda text: subject(0) in text)
        screen.settle(0.5)
        mine = Table(screen, KEYS["home"], KEYS["end"])

        warm, theirs = [], []
        for _ in range(pages):
            warm.append(mine.turn())
            theirs.append(peer.turn())
        step = mine.step
        cold = []
        for _ in range(far):
            cold.append(mine.go(mine.bottom, held - 1))
            cold.append(mine.go(mine.top, 0))
        ends = [peer.go(peer.bottom, held - 1), peer.go(peer.top, 0)]
        burst, their_burst = [], []
        for _ in range(bursts):
            burst.append(mine.turn(KEYS_IN_BURST))
            their_burst.append(peer.turn(KEYS_IN_BURST))
        screen.send("p")
        mine.find_step()
        alone = [mine.turn() for _ in range(pages)]
        mine_mb, peer_mb = peak(screen.pid), peak(peer_screen.pid)

    page, their_page = median(warm), median(theirs)
    return [
        Figure(
            f"{held:,} held: login's answer to first rows",
            median(first),
            "ms",
            500,
            f"DataTable: {peer_rows / 1000:.1f} s from its start",
        ),
        Figure(
            "page-down / DataTable",
            page / their_page,
            "x",
            0.2,
            f"{page:.1f} ms, {step} rows and panes; DataTable {their_page:.1f} ms, {peer.step} rows",
        ),
        Figure(
            "page-down without panes / DataTable",
            median(alone) / their_page,
            "x",
            0.2,
            f"{median(alone):.1f} ms, {mine.step} rows",
        ),
        Figure(
            "to a page that is not held (end, home) / DataTable page-down",
            median(cold) / their_page,
            "x",
            0.5,
            f"{median(cold):.1f} ms; DataTable's end and home {median(ends):.1f} ms",
        ),
        Figure(
            f"{KEYS_IN_BURST} page-downs at once, past what is held",
            median(burst),
            "ms",
            None,
            f"{KEYS_IN_BURST * step} rows; DataTable {median(their_burst):.0f} ms, {KEYS_IN_BURST * peer.step} rows",
        ),
        Figure("terminal, the most memory it had", mine_mb, "MB", 80, f"DataTable {peer_mb:.0f} MB"),
    ]
