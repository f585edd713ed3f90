"""How it ends: by an error, by a signal, by the loss of the terminal."""

import os
import signal
import sys
import time

import pytest

from tests.ptyharness import Pty
from tests.vt_oracle import find_foreign_controls

NORMAL_SCREEN = b"\x1b[?1049l"


def run(kind: str, **options: object) -> Pty:
    return Pty([sys.executable, "-m", "tests.terminal.apps", kind], width=80, height=20, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "kind"), [("a", "ValueError"), ("w", "ValueError"), ("r", "Pretty"), ("c", "TokenError")]
)
def test_a_fatal_error_is_one_line_and_a_status(key: str, kind: str) -> None:
    with run("crash") as pty:
        pty.wait_for("ready")
        pty.send(key)
        assert pty.wait_for_end() == 1
        left = bytes(pty.recorded).rpartition(NORMAL_SCREEN)[2]
        assert b"\x1b[?1000l" in left and b"\x1b[?25h" in left  # the terminal is as it was
        line = left[left.index(b"rcqueue") :]
        assert line.startswith(f"rcqueue: stopped by an internal error: {kind} in ".encode())
        assert line.endswith(b"\r\n") and line.count(b"\n") == 1
        assert b"body text" not in pty.recorded and b"subject_in_a_local" not in pty.recorded
        assert find_foreign_controls(bytes(pty.recorded).removesuffix(b"\r\n")) == []


def test_an_error_before_anything_is_drawn() -> None:
    with run("unstyled") as pty:
        assert pty.wait_for_end() == 1
        assert pty.recorded.startswith(b"rcqueue: stopped by an internal error: ")
        assert pty.recorded.count(b"\n") == 1


def test_a_task_that_failed_unseen_says_where_not_what() -> None:
    with run("crash") as pty:
        pty.wait_for("ready")
        pty.send("t")
        pty.wait_for_end()
        left = bytes(pty.recorded).rpartition(NORMAL_SCREEN)[2]
        assert b"ValueError in " in left and b"body text" not in left


def test_a_normal_end() -> None:
    with run("crash") as pty:
        pty.wait_for("ready")
        pty.send("q")
        assert pty.wait_for_end() == 0
        assert b"rcqueue" not in pty.recorded


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_restores_the_terminal(number: signal.Signals) -> None:
    with run("queue") as pty:
        pty.wait_for("QUEUE")
        os.kill(pty.pid, number)
        assert pty.wait_for_end(5) == 128 + number
        assert NORMAL_SCREEN in pty.recorded


@pytest.mark.parametrize(("kind", "ignored"), [("queue", True), ("busy", True), ("queue", False)])
def test_the_terminal_is_lost(kind: str, ignored: bool) -> None:
    """(With SIGHUP ignored, as under nohup, plain Textual runs at full speed for ever.)"""

    def on_start() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)

    with run(kind, on_start=on_start) as pty:
        pty.wait_for("QUEUE")
        pty.settle(limit=0.3)
        lost = time.monotonic()
        pty.hang_up()
        assert pty.wait_for_end(3.0) == 128 + signal.SIGHUP
        assert time.monotonic() - lost < 3.0
