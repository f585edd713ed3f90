"""How the real terminal ends, or does not begin; and how it goes on when the server was gone."""

from __future__ import annotations

import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcqueue.demo.ports import bind
from tests.app.terminals import COMMAND, Screen, sign_in
from tests.demo_server import DemoServer
from tests.ptyharness import Pty
from tests.vt_oracle import find_foreign_controls

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoServer]:
    with DemoServer(mails=5) as demo:
        yield demo


def send(demo: DemoServer, *subjects: str) -> None:
    with smtplib.SMTP("127.0.0.1", demo.smtp_port, timeout=30) as client:
        for subject in subjects:
            raw = f"From: ada@sender.example\r\nSubject: {subject}\r\n\r\nA body.\r\n"
            client.sendmail("ada@sender.example", ["sales@acme.example"], raw)


# -- it does not begin


@pytest.mark.parametrize(
    ("environ", "size", "why"),
    [
        ({"TERM": "dumb"}, (80, 24), "TERM is dumb: "),
        ({"TERM": None}, (80, 24), "TERM is not set: "),
        ({"PYTHONIOENCODING": "latin-1"}, (80, 24), "output is encoded as iso8859-1, UTF-8 is needed: "),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            (80, 24),
            "output is encoded as ascii, UTF-8 is needed: ",
        ),
        ({}, (50, 10), "the terminal has 50x10 cells, at least 60x16 are needed"),
    ],
    ids=["dumb", "no TERM", "latin-1", "ASCII", "small"],
)
@pytest.mark.parametrize("command", ["", "demo"], ids=["terminal", "demo"])
def test_a_terminal_that_can_t_draw(
    command: str, environ: dict[str, str | None], size: tuple[int, int], why: str
) -> None:
    with Pty([*COMMAND, *command.split()], env=environ, width=size[0], height=size[1]) as pty:
        assert pty.wait_for_end(20) == 2
        said = pty.recorded.decode()
    assert said.startswith(f"rcqueue{' demo' * bool(command)}: {why}")
    assert said.endswith("\r\n") and said.count("\n") == 1 and said.strip().isprintable()


def test_no_terminal() -> None:
    ended = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("rcqueue: standard input is not a terminal; ") and ended.stderr.count("\n") == 1


# -- it ends


def test_it_ends_when_the_terminal_goes_away(demo: DemoServer) -> None:
    with sign_in(demo) as screen:
        screen.hang_up()
        lost = time.monotonic()
        assert screen.wait_for_end(5) == 128 + signal.SIGHUP
        assert time.monotonic() - lost < 4


BREAKING = (  # (place, the key that leads there)
    ("rcqueue.app:Network.load", ""),
    ("rcqueue.screens.queue:QueueScreen.paint", ""),
    ("rcqueue.widgets.queue_table:QueueTable.render_line", ""),
    ("rcqueue.terminal.encode:Encoder.frame", ""),
    ("rcqueue.client.view:View.answer", ""),
    ("rcqueue.client.desk:Desk._take", ""),  # the feed has begun
    ("rcqueue.screens.reading:Reading.show", ""),
    ("rcqueue.client.view:View.move", "j"),
    ("rcqueue.screens.acting:Acting.do", "c"),
)


@pytest.mark.parametrize(("place", "key"), BREAKING)
def test_whatever_breaks_is_said_in_one_line_without_a_word_of_the_mail(place: str, key: str, demo: DemoServer) -> None:
    command = [sys.executable, "-m", "tests.app.broken", place]
    with Screen(demo.http, demo.accounts["anna"]["token_file"], command=command) as screen:
        if key:
            screen.wait_until(lambda: screen.live and bool(screen.cursor_row), 20, "the queue")
            screen.send(key)
        assert screen.wait_for_end(20) == 1
        recorded = bytes(screen.recorded)
    for word in ("money", "owned", "4711", "body_of_a_mail", "could not read", "Traceback"):
        assert word.encode() not in recorded
    line = recorded[recorded.rindex(b"rcqueue: stopped") :]
    assert line.startswith(b"rcqueue: stopped by an internal error: ValueError in ")
    assert line.endswith(b"\r\n") and line.count(b"\n") == 1
    assert find_foreign_controls(recorded.removesuffix(b"\r\n")) == []


# -- it goes on


def free_address() -> str:
    with bind() as sock:
        return f"127.0.0.1:{sock.getsockname()[1]}"


def test_after_the_server_was_gone_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    at = ("--http", free_address(), "--smtp", free_address())
    with DemoServer(*at, data_dir=tmp_path) as first:
        send(first, *(f"subject {n:02}" for n in range(20)))
        with sign_in(first, "anna", width=120, height=70) as screen:
            screen.wait_for("subject 00")
            screen.send("c")  # the newest
            screen.wait_until(lambda: screen.cursor_row[3:7] == "anna", 10, "the claim")
            first.process.kill()
            first.process.wait()
            screen.wait_until(lambda: "feed lost at" in screen.banner, 10, "the banner")
            assert " old" in screen.line(0)
            screen.send("r")
            screen.wait_until(lambda: "can't be reached" in screen.flash, 15, "why nothing is done")

            with DemoServer(*at, data_dir=tmp_path) as second:
                ids = {row["subject"]: row["id"] for row in second.get("otto", "/mails")["rows"]}
                assert second.run("otto", "claim", ids["subject 05"]).returncode == 0
                assert second.run("otto", "delete", ids["subject 06"]).returncode == 0
                send(second, *(f"subject {n:02}" for n in range(20, 30)))
                screen.wait_live()
                assert screen.banner.strip() == ""
                screen.send("g")
                screen.wait_for("subject 29")
                screen.wait_until(lambda: screen.held == 29, 10, "the count")
                shown = [screen.line(y) for y in range(screen.height)]
                rows = {n: [row for row in shown[3:40] if f"subject {n:02}" in row] for n in range(30)}
                assert {n: len(found) for n, found in rows.items()} == {n: int(n != 6) for n in range(30)}
                assert rows[19][0][3:7] == "anna" and rows[5][0][3:7] == "otto"
                assert [n for n, found in rows.items() if found and found[0][3:14].strip()] == [5, 19]
                screen.send("\x11")
                assert screen.wait_for_end(15) == 0
