"""Over a slow line keys come many at once: each does what it would have done alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.terminals import COMMAND, sign_in
from tests.demo_server import DemoServer
from tests.ptyharness import Pty

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoServer]:
    with DemoServer(mails=12) as demo:
        yield demo


def all_on_hold(demo: DemoServer) -> bool:
    counts = demo.get("anna", "/counts")["status"]
    return bool(counts["ONHOLD"] >= 12 and counts["ONHOLD"] == sum(counts.values()))


@pytest.mark.parametrize("next_field", ["\t", "\r"], ids=["tab", "enter"])
def test_a_password_typed_ahead_is_shown_nowhere(demo: DemoServer, next_field: str) -> None:
    password = demo.accounts["otto"]["password"]
    with Pty([*COMMAND, "--server", demo.http], width=80, height=24) as pty:
        pty.wait_for("password", 20)
        pty.settle()
        pty.send(f"otto{next_field}{password}\r")
        pty.wait_for("live", 20)
        assert password.encode() not in pty.recorded and password[-6:].encode() not in pty.recorded


def test_what_is_typed_behind_the_key_for_the_filter_is_the_filter(demo: DemoServer) -> None:
    with sign_in(demo) as screen:
        screen.wait_until(lambda: bool(screen.cursor_row), 10, "the rows")
        screen.send("/drcdd.example")  # d deletes, r releases, c claims
        screen.wait_until(lambda: "/ drcdd.example" in screen.line(1), 10, "the filter")
        screen.settle()
        assert screen.flash.strip() == ""
    assert all_on_hold(demo)
    assert not any(row.get("claim") for row in demo.get("anna", "/mails")["rows"])


def test_a_question_is_answered_by_what_was_typed_before_it_was_there(demo: DemoServer) -> None:
    with sign_in(demo) as screen:
        screen.wait_until(lambda: bool(screen.cursor_row), 10, "the rows")
        screen.send("ndear reader: dd\r")
        screen.wait_until(lambda: "noted" in screen.flash, 10, "the note")
    message = demo.get("anna", "/mails", limit=1)["rows"][0]["id"]
    entries = demo.get("anna", f"/mails/{message}/history")["entries"]
    assert [entry["note"] for entry in entries if entry["kind"] == "mail.note"] == ["dear reader: dd"]
    assert all_on_hold(demo)


def test_keys_that_move_are_all_counted(demo: DemoServer) -> None:
    with sign_in(demo, height=40) as screen:
        screen.wait_until(lambda: bool(screen.cursor_row), 10, "the rows")
        screen.send("j" * 9 + "k" * 4)
        screen.wait_until(lambda: screen.line(3 + 5).startswith(">"), 10, "the cursor five rows down")
