"""How soon the terminal is there, against a Textual application with one word on it; and a script's one request,
against the import of the HTTP library alone.

Each pair is started in turn, so that load on the machine falls on both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from benchmarks.figures import Figure
from benchmarks.screens import Screen, rcqueue
from tests.demo_server import DemoServer

ROUNDS = 9
HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("hello")
Hello().run()
"""
REQUEST = '{ "startTime":0, "endTime":2147483647, "fromDomain":"gmail.com", "status":"ONHOLD" }'


def first_paint(command: list[str], word: str) -> float:
    """Milliseconds from the start of the process to the word on its screen."""
    with Screen(command) as screen:
        return 1000 * (screen.when(lambda text: word in text) - screen.began)


def whole(command: list[str], env: dict[str, str] | None = None) -> float:
    """Milliseconds from the start of the process to its end."""
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | (env or {}))
    return 1000 * (time.monotonic() - began)


def in_turn(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """The median of each, once more asked before for what is only slow the first time."""
    for measure in measures:
        measure()
    asked = [[measure() for measure in measures] for _ in range(rounds)]
    return [median(values) for values in zip(*asked, strict=True)]


def run(*, quick: bool = False) -> list[Figure]:
    rounds = 1 if quick else ROUNDS
    mine, hello = in_turn(
        rounds,
        lambda: first_paint(rcqueue("--server", "http://127.0.0.1:9"), "rcqueue"),
        lambda: first_paint([sys.executable, "-c", HELLO], "hello"),
    )
    with DemoServer(mails=20) as demo:
        environ = demo.environ("anna")
        acpi, httpx, nothing = in_turn(
            rounds,
            lambda: whole(rcqueue("acpi", REQUEST), environ),
            lambda: whole([sys.executable, "-c", "import httpx"]),
            lambda: whole([sys.executable, "-c", "pass"]),
        )
    return [
        Figure("first paint / a bare Textual hello", mine / hello, "x", 1.4, f"{mine:.0f} ms, hello {hello:.0f} ms"),
        Figure(
            "rcqueue acpi / import httpx",
            acpi / httpx,
            "x",
            3.0,
            f"{acpi:.0f} ms, import httpx {httpx:.0f} ms, pass {nothing:.0f} ms",
        ),
    ]
