"""The whole way: applications in a real pseudo terminal, with an emulated screen at the other end."""

import os
import random
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.ptyharness import KEYS, Pty


def run(kind: str, *how: str, **options: object) -> Pty:
    return Pty([sys.executable, "-m", "tests.terminal.apps", kind, *how], **options)  # type: ignore[arg-type]


def same(one: Pty, other: Pty, what: str) -> None:
    """Both show the same, now or as soon as both are done."""
    for _ in range(40):
        if one.cells == other.cells and one.cursor == other.cursor:
            return
        one.settle(0.05)
        other.settle(0.05)
    for y, (row, other_row) in enumerate(zip(one.cells, other.cells, strict=True)):
        assert row == other_row, f"{what}: row {y}"
    assert one.cursor == other.cursor, what


@pytest.mark.parametrize("caps", ["", "-scroll", "-regions -erase"])
def test_the_picture_is_that_of_plain_textual_after_any_keys(caps: str) -> None:
    choose = random.Random(caps)
    names = ["up", "down", "pageup", "pagedown", "home", "end", "tab", "left", "right", "backspace"]
    keys = {name: KEYS[name] for name in names} | {"f2": b"\x1bOQ", "f3": b"\x1bOR", "a": b"a", "text": "é日".encode()}
    with (
        run("mixed", "stock", width=110, height=36) as plain,
        run("mixed", width=110, height=36, env={"RCQUEUE_CAPS": caps}) as frugal,
    ):
        plain.wait_for("dialog")
        frugal.wait_for("dialog")
        pressed: list[str] = []
        for _ in range(22):
            name = choose.choice([*keys, "down", "down", "down", "pagedown", "escape"])
            pressed.append(name)
            for pty in (plain, frugal):
                pty.send(keys.get(name, KEYS["escape"]))
            for pty in (plain, frugal):
                pty.settle(0.04)
            if "f3" not in pressed[-4:]:  # a note goes away by itself, at a moment of its own
                same(plain, frugal, f"after {pressed}")
        plain.settle(0.5)
        frugal.settle(0.5)
        same(plain, frugal, f"at the end of {pressed}")
        assert len(frugal.recorded) < len(plain.recorded) / 2


def test_bytes() -> None:
    """At 160x45, true colour; a scroll and a page are of whole rows that all differ."""
    with run("queue") as pty:
        pty.wait_for(f"m{43:08}")
        pty.settle()
        assert len(pty.recorded) < 9_000

        def bytes_for(key: str) -> int:
            pty.send(KEYS[key])
            return pty.settle(0.08)

        def most(key: str) -> int:
            return max(bytes_for(key) for _ in range(4))

        assert 0 < most("down") < 450
        for _ in range(40):
            pty.send(KEYS["down"])
        pty.settle()
        assert 0 < most("down") < 550  # the cursor is in the last row: each scrolls by one
        bytes_for("pagedown")
        assert 2_000 < most("pagedown") < 5_500
        assert f"m{48 + 5 * 44:08}" in pty.text


def test_whole_rows_when_asked_for_plain_output() -> None:
    with (
        run("queue", "stock", height=20) as plain,
        run("queue", height=20, env={"RCQUEUE_PLAIN": "1"}) as frugal,
    ):
        for key in ("down", "pagedown", "pagedown", "up", "end"):
            for pty in (plain, frugal):
                pty.wait_for("QUEUE")
                pty.send(KEYS[key])
                pty.settle()
            same(plain, frugal, key)
        assert not re.search(rb"\x1b\[\d+;\d+r|\x1b\[\d*[STLM]|\x1b\[6n", frugal.recorded)


def test_what_something_else_wrote_is_painted_over() -> None:
    with run("queue", width=80, height=20) as pty:
        pty.wait_for("QUEUE")
        pty.settle()
        before = pty.cells
        junk = os.open(os.readlink(f"/proc/{pty.pid}/fd/0"), os.O_WRONLY | os.O_NOCTTY)
        os.write(junk, b"\x1b[5;9Hthe system is going down\x1b[31;44m\x1b[3;6r")
        os.close(junk)
        pty.wait_for("going down")
        pty.send(KEYS["ctrl+l"])
        pty.settle()
        assert pty.cells == before

        pty.resize(100, 24)
        pty.wait_for(f"m{22:08}")
        pty.resize(80, 20)
        pty.wait_until(lambda: pty.cells == before, what="the old picture at the old size")


def test_stopped_and_continued() -> None:
    with run("queue", width=80, height=20) as pty:
        pty.wait_for("QUEUE")
        pty.settle()
        before = pty.cells
        os.kill(pty.pid, signal.SIGTSTP)
        pty.wait_until(lambda: b"\x1b[?1049l" in pty.recorded, what="the normal screen")
        pty.settle()
        assert Path(f"/proc/{pty.pid}/stat").read_text().split(") ")[1][0] == "T"
        stopped_at = len(pty.recorded)
        os.kill(pty.pid, signal.SIGCONT)
        pty.wait_until(lambda: b"\x1b[2J" in pty.recorded[stopped_at:], what="a repaint")
        pty.settle()
        assert pty.cells == before
        pty.send(KEYS["down"])
        pty.settle()
        assert pty.cells != before
        pty.send(KEYS["ctrl+q"])
        assert pty.wait_for_end() == 0
