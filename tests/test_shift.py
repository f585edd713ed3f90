"""A shift by keys alone, at 80x24 in a real terminal: sign in, narrow by facets, take the next 20, release a campaign,
recall it, hand over with a note, sign out. With RCQUEUE_RECORD=FILE it is filed as a moving picture (`make recording`).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from .demo_server import DemoServer
from .recording import Recorder, write
from .tmux import Tmux

pytestmark = pytest.mark.slow

RECORD = os.environ.get("RCQUEUE_RECORD")


class Shift:
    """A person at a terminal. Where it is recorded the keys come at a pace that can be followed."""

    def __init__(self, screen: Tmux) -> None:
        self.screen = screen
        self.recorder = Recorder(screen) if RECORD else None

    def press(self, *keys: str, says: str = "") -> None:
        """Presses keys, by tmux's names; `says`: what is shown of it in the recording."""
        for key in keys:
            if self.recorder is not None:
                self.recorder.typed = says or key
                time.sleep(0.35)
            self.screen.keys(key)

    def type(self, text: str, says: str = "") -> None:
        if self.recorder is not None:
            self.recorder.typed = says or text
        self.screen.type(text)

    def sees(self, wanted: str | Callable[[str], object]) -> str:
        shown = self.screen.wait(wanted)
        if self.recorder is not None:
            time.sleep(1.6)
        return shown

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.recorder is not None:
            self.recorder.close()
            write(self.recorder, Path(os.environ["RCQUEUE_RECORD"]), 80, 24)


def listed(demo: DemoServer, name: str, *terms: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in demo.run(name, "list", "--json", *terms).stdout.splitlines()]


def test_a_shift_by_keys_alone():
    with (
        DemoServer(mails=240, rate=2, colleagues=2) as demo,
        Tmux([sys.executable, "-m", "rcqueue", "--server", demo.http], 80, 24, name="shift") as screen,
        Shift(screen) as anna,
    ):
        anna.sees("assword")
        anna.type("anna", says="sign in as anna")
        anna.press("Tab")
        anna.type(demo.accounts["anna"]["password"], says="(password)")
        anna.press("Enter")
        anna.sees("live")

        anna.press("f", says="f   what does it have in common?")
        anna.sees(lambda shown: re.search(r"^> \S+@\S+ +\d+$", shown, re.MULTILINE))
        anna.press("Enter", says="enter   only this sender")
        anna.sees(lambda shown: re.search(r"/ .*from:\S+ +\d+ of \d+", shown))
        anna.press("BSpace", says="backspace   all again")
        anna.sees(lambda shown: "from:" not in shown.splitlines()[1])
        anna.press("Escape")
        anna.sees(lambda shown: "narrows" not in shown)

        anna.press("w", says="w   what is next for me?")
        anna.sees("how many of the next")
        anna.press("Enter", says="enter   20")
        anna.sees("claim:me")
        assert len(listed(demo, "anna", "claim:anna")) == 20

        anna.press("m", says="m   what belongs together")
        anna.sees(re.compile(r"^> +[\d,]+ ", re.MULTILINE).search)
        anna.press("j", "j", says="j")
        anna.press("r", says="r   release all of this campaign")
        (count,) = re.findall(r"Type ([\d,]+) to confirm", anna.sees("to confirm"))
        anna.type(count, says=f"{count}   the count, typed")
        anna.press("Enter")
        anna.sees(re.compile(rf"{count} mails? released").search)

        anna.press("Escape")
        anna.sees("/ claim:me")
        anna.press("A", says="A   acts on many")
        anna.sees("Acts on many")
        anna.press("u", says="u   no: recall them")
        anna.sees(re.compile(rf"{count} mails? recalled").search)
        anna.press("Escape")
        anna.sees("/ claim:me")

        mine = listed(demo, "anna", "claim:anna")  # what was released and recalled is nobody's
        anna.press("*", says="*   all that are mine")
        anna.press("a", says="a   hand over")
        anna.sees("to whom")
        anna.type("otto")
        anna.press("Enter")
        anna.sees("note")
        anna.type("my shift ends: please go on", says="a note to it")
        anna.press("Enter")
        anna.sees(re.compile(r"\d+ mails handed over").search)
        assert [row["id"] for row in listed(demo, "otto", "claim:otto")] == [row["id"] for row in mine]
        assert listed(demo, "anna", "claim:anna") == []

        anna.press("C-q", says="ctrl+q   good night")
        anna.sees("exit-status 0")
        done = [json.loads(line) for line in demo.run("anna", "history", "--json").stdout.splitlines()]
    kinds = {entry["kind"] for entry in done}
    assert {"mail.claim", "mail.release", "mail.recall", "mail.assign"} <= kinds
