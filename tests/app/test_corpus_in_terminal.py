"""Mail that hurts and mail as it comes, each opened in the real terminal: it lives, it shows the mail that the cursor
is on, and it writes nothing of theirs. `RCQUEUE_CORPUS` adds real mail, `RCQUEUE_FULL=1` all of it."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

import pytest

from rcqueue.safe_text import safe_text
from tests.app.terminals import Screen, sign_in
from tests.demo_server import DemoServer
from tests.hostile_mail import hostile_messages
from tests.reading.sources import sources
from tests.vt_oracle import find_foreign_controls

pytestmark = pytest.mark.slow

BODIES = 15  #: of so many mails, one has its body opened
LARGE = 300_000  #: bytes; the body of a mail of more is always opened
_LANES = 4


def messages() -> list[tuple[str, bytes]]:
    """(name, raw), the same each time. SMTP carries whole lines only."""
    real = [(path.name, path.read_bytes()) for paths in sources().values() for path in paths]
    return [*hostile_messages(), *((name, raw if raw.endswith(b"\r\n") else raw + b"\r\n") for name, raw in real)]


@dataclass(frozen=True)
class Loaded:
    """A server with all of it on hold; the rows from the newest on, and by id the number that HELO told."""

    demo: DemoServer
    rows: list[dict[str, Any]]
    numbers: dict[str, int]


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
    mails = list(enumerate(messages()))
    with DemoServer() as demo:

        def send(lane: int) -> dict[str, int]:
            numbers = {}
            with smtplib.SMTP("127.0.0.1", demo.smtp_port, timeout=30) as client:
                for n, (name, raw) in islice(mails, lane, None, _LANES):
                    client.ehlo(f"mail{n:05}.example")
                    client.docmd("MAIL FROM:<sender@mail.example>")
                    client.docmd("RCPT TO:<anna@acme.example>")
                    assert client.docmd("DATA")[0] == 354
                    stuffed = (b"\r\n" + raw).replace(b"\r\n.", b"\r\n..")[2:]
                    client.send(stuffed + b".\r\n")
                    code, said = client.getreply()
                    assert code == 250, name
                    numbers[said.decode().rpartition(" ")[2]] = n
            return numbers

        with ThreadPoolExecutor(_LANES) as pool:
            numbers = {id: n for found in pool.map(send, range(_LANES)) for id, n in found.items()}
        rows: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            page = demo.get("anna", "/mails", limit=500, **({"after": page["next"]} if page["next"] else {}))
            rows += page["rows"]
        assert len(rows) == len(mails) >= 300
        yield Loaded(demo, rows, numbers)


def plain_start(text: str) -> str:
    """What of a text every terminal shows alike, at its beginning."""
    return "".join(takewhile(str.isascii, safe_text(text)))[:20].rstrip()


def is_open(screen: Screen, row: dict[str, Any], number: int) -> bool:
    """Whether the screen shows this mail, with all that was asked for of it."""
    lines = [screen.line(y) for y in range(screen.height)]
    title = row["fromEmail"] or row["sender"] or row["subject"] or row["id"]
    if not lines[1].startswith(" " + plain_start(title)) or any(line.strip() == "..." for line in lines):
        return False
    # A header that is longer than the screen may push the client's name below it.
    return any(f"helo mail{number:05}.example" in line for line in lines) or " lines " in lines[-4]


def test_each_is_opened_in_the_terminal(loaded: Loaded) -> None:
    with sign_in(loaded.demo, width=120, height=50) as screen:
        screen.wait_until(lambda: bool(screen.cursor_row), 20, "the rows")
        screen.send("\r")
        for at, row in enumerate(loaded.rows):
            number = loaded.numbers[row["id"]]
            what = f"mail {number} ({row['fromEmail']!r}, {row['subject']!r})"
            screen.wait_until(lambda row=row, number=number: is_open(screen, row, number), 20, what)
            if at % BODIES == 0 or row["size"] > LARGE:
                screen.send("b")
                screen.wait_until(lambda: "Body(open)" in screen.line(2), 20, f"the body of {what}")
                screen.send("\x1b[Z" * 3)
                screen.wait_until(lambda row=row, number=number: is_open(screen, row, number), 20, what)
            screen.send("J")
        screen.send("q")
        screen.wait_until(lambda: bool(screen.cursor_row), 20, "the queue")
        assert screen.held == len(loaded.rows)
        screen.send("\x11")
        assert screen.wait_for_end(15) == 0
    assert find_foreign_controls(bytes(screen.recorded)) == []
