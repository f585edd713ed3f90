"""One operator presses the key that claims; when does the other's terminal show the name? With mail coming in, with
more feeds open, and every commit synced to disk before anybody is told (the server's own setting, synchronous=FULL).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles

from benchmarks.figures import Figure
from benchmarks.held import fill, subject
from benchmarks.screens import Screen, rcqueue, sign_in
from tests.demo_server import DemoServer
from tests.ptyharness import KEYS

HELD = 200
SAMPLES, READERS, RATE = 120, 18, 50.0
QUICK = 4, 3, 10.0
ROWS = 20  #: rows of the screen that are claimed in turn
CLAIM, UNCLAIM = "c", "C"


def row(text: str, number: int) -> str:
    return next((line for line in text.splitlines() if subject(number) in line), "")


def who(text: str, number: int) -> str:
    """The column WHO: a name, "anna 3/500"; "(anna)" when she is only there."""
    return row(text, number)[2:14].strip()


def held_by(name: str, number: int) -> Callable[[str], bool]:
    return lambda text: who(text, number).startswith(name)


def free(number: int) -> Callable[[str], bool]:
    return lambda text: who(text, number)[:1] in ("", "(")


class Company:
    """The process with the senders and the readers, as long as the samples are taken."""

    def __init__(self, demo: DemoServer, readers: int, rate: float) -> None:
        command = [sys.executable, "-m", "benchmarks.company", demo.http, demo.accounts["vera"]["token_file"]]
        command += [str(demo.smtp_port), str(readers), str(rate)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def end(self) -> dict[str, object]:
        said, _ = self._process.communicate(timeout=30)
        found: dict[str, object] = json.loads(said)
        return found


def run(*, quick: bool = False) -> list[Figure]:
    samples, readers, rate = QUICK if quick else (SAMPLES, READERS, RATE)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rcqueue-bench-")))
        fill(folder, HELD)
        demo = stack.enter_context(DemoServer(data_dir=folder))
        screens = []
        for name in ("anna", "otto"):
            screen = stack.enter_context(Screen(rcqueue("--server", demo.http)))
            sign_in(screen, name, demo.accounts[name]["password"])
            screen.wait_for("live", 30)
            screen.wait_for(subject(ROWS))
            screens.append(screen)
        anna, otto = screens
        company = Company(demo, readers, rate)
        seen, pressed = [], []
        number, step = 0, 1
        for _ in range(samples):
            at = anna.press(CLAIM)
            pressed.append(at)
            seen.append(1000 * (otto.when(held_by("anna", number), beside=[anna]) - at))
            anna.when(held_by("anna", number), beside=[otto])
            anna.press(UNCLAIM)
            otto.when(free(number), beside=[anna])
            anna.when(free(number), beside=[otto])
            if not 0 <= number + step < ROWS:
                step = -step
            anna.press(KEYS["down" if step > 0 else "up"])
            number += step
            anna.when(cursor_on(number), beside=[otto])
        told = company.end()
    claims = told["claims"]
    assert isinstance(claims, list) and len(claims) == samples, f"{samples} claims, told of {told}"
    assert not told["gaps"], "entries are missing in a feed"
    server = [1000 * (at - press) for (_, at), press in zip(claims, pressed, strict=True)]
    detail = f"median {median(seen):.0f}, most {max(seen):.0f} ms; a bare reader: p95 {p95(server):.0f} ms"
    conditions = f"{samples} claims, {readers + 2} feeds, {told['rate']:.1f} mails/s"
    return [Figure("a claim seen on another's screen, p95", p95(seen), "ms", 250, f"{detail}; {conditions}")]


def cursor_on(number: int) -> Callable[[str], bool]:
    return lambda text: row(text, number).startswith(">")


def p95(values: list[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1]
