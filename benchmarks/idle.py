"""A terminal that nobody works at, on a queue where nothing happens: what it takes of a core, what it sends to the tty,
and what passes between it and the server. Mails are older than an hour, as at night: no age is written in seconds.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.held import fill, subject
from benchmarks.relay import Relay
from benchmarks.screens import Screen, rcqueue, sign_in
from tests.demo_server import DemoServer

HELD, SECONDS, QUICK = 500, 60.0, 2.0
SETTLED = 5.0  #: after the first rows, what is only done once has been done


def core_seconds(pid: int) -> float:
    """What a process has used of a core so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(*, quick: bool = False) -> list[Figure]:
    seconds = QUICK if quick else SECONDS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rcqueue-bench-")))
        fill(folder, HELD)
        demo = stack.enter_context(DemoServer(data_dir=folder))
        relay = stack.enter_context(Relay(demo.http))
        screen = stack.enter_context(Screen(rcqueue("--server", relay.url)))
        sign_in(screen, "anna", demo.accounts["anna"]["password"])
        screen.when(lambda text: subject(0) in text)
        _read_for(screen, SETTLED / 5 if quick else SETTLED)
        began, used, shown, passed = time.monotonic(), core_seconds(screen.pid), len(screen.recorded), relay.passed
        _read_for(screen, seconds)
        took = time.monotonic() - began
        used, shown, passed = core_seconds(screen.pid) - used, len(screen.recorded) - shown, relay.passed - passed
    return [
        Figure("an idle terminal, of a core", 100 * used / took, "%", 1.0, f"{took:.0f} s, {HELD} held"),
        Figure("to the tty", shown / took, "B/s", 100),
        Figure("between it and the server, both ways", passed / took, "B/s", None),
    ]


def _read_for(screen: Screen, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        screen.read(left)
