"""Hostile text in every field of the screen, from a real server and from one that lies: the real terminal writes no
control code of anybody else's. With either gate left out it still writes none; with both left out it writes plenty."""

from __future__ import annotations

import re
import smtplib
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from rcqueue.safe_text import safe_text
from tests.app.hostile_server import ROUNDS, TEXTS, VISITED, HostileServer, batch, group
from tests.app.terminals import COMMAND, Screen
from tests.client.standin import TOKEN
from tests.demo_server import DemoServer
from tests.ptyharness import KEYS
from tests.vt_oracle import find_foreign_controls

pytestmark = pytest.mark.slow

GATES = ("all", "edge", "terminal")  # all there; or this one left out
WIDTH, HEIGHT = 240, 100  # room for all rows at once
MESSAGE_TABS = ("headers-end", "verdict-end", "receipt-end", "body-end", "attachments-end", "timeline-end", "REPLY")


class Walk:
    """A terminal on a hostile queue. `blind`: with no gate at all the screen is not what it seems, so nothing on it is
    waited for, only that it comes to rest."""

    def __init__(self, url: str, token_file: Path | str, without: str) -> None:
        command = COMMAND if without == "all" else (sys.executable, "-m", "tests.app.ungated", without)
        self.screen = Screen(url, token_file, width=WIDTH, height=HEIGHT, command=command)
        self.blind = without == "both"

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *_: object) -> None:
        self.screen.close()

    def keys(self, *names: str) -> None:
        self.screen.send(b"".join(KEYS.get(name, name.encode()) for name in names))

    def see(self, seen: Callable[[], object], what: str) -> None:
        if self.blind:
            self.screen.settle(0.1, 0.4)
        else:
            self.screen.wait_until(lambda: bool(seen()), 20, what)

    def shows(self, text: str) -> None:
        self.see(lambda: text in self.screen.text, repr(text))

    def scroll_to(self, text: str, key: str) -> None:
        """Press `key` until `text` is there: a pane may be longer than it is high, and its content not yet here."""

        def there() -> bool:
            if text in self.screen.text:
                return True
            self.keys(key)
            return False

        if self.blind:
            self.screen.settle(0.1, 0.4)
            self.keys(*[key] * 10)
        self.see(there, repr(text))

    def start(self) -> None:
        if self.blind:
            self.screen.wait_until(lambda: b"ead" in self.screen.recorded, 20, "the panes")
        self.see(lambda: self.screen.live and self.screen.cursor_row, "the queue")

    def rows(self, count: int) -> None:
        """The cursor on each row in turn, and back at the top."""
        if self.blind:
            self.keys("j" * count)
            count = 0
        for row in range(count):
            self.see(lambda row=row: self.screen.line(3 + row).startswith(">"), f"the cursor on row {row}")
            self.keys("j")
        self.keys("g")
        self.see(lambda: self.screen.line(3).startswith(">"), "the cursor at the top")

    def options(self) -> None:
        """The dialog that names the mail under the cursor."""
        for key in ("\x12", "\x04"):
            self.keys(key)
            self.shows("and how?")
            self.keys("escape")
            self.see(lambda: "and how?" not in self.screen.text, "no dialog")

    def panes(self) -> None:
        """Each pane below the table, and the body by its key."""
        for tab in (tab for tab in MESSAGE_TABS[:6] if tab != "attachments-end"):
            if tab == "body-end":
                self.keys("b")
            self.scroll_to(tab, "]")
            self.keys("tab")

    def messages(self, count: int) -> None:
        """Each part of the first `count` mails, on the whole screen."""
        self.keys("enter")
        for _ in range(count):
            for tab in MESSAGE_TABS:
                if tab == "body-end":
                    self.keys("b")
                self.scroll_to(tab, "pagedown")
                if tab == "body-end":
                    self.forms()
                self.keys("tab")
            self.keys("J")
        self.keys("q", "g")
        self.see(lambda: self.screen.line(3).startswith(">"), "the queue again")

    def forms(self) -> None:
        """An open body as the source of its HTML, as it reads and in hexadecimal."""
        for form in ("html", "raw", "hex"):
            self.keys("i")
            self.shows(f"{form}   ")
            self.keys("pagedown", "pageup")

    def end(self) -> bytes:
        self.keys("ctrl+q")
        assert self.screen.wait_for_end(15) == 0
        return bytes(self.screen.recorded)


def shown(text: str) -> str:
    """What of a payload is plain to read on the screen when it went through the gates, up to where columns cut it."""
    safe = safe_text(text)
    return safe[:10].rstrip() if safe[:10].isascii() else ""


# -- a server that lies


@pytest.fixture
def liar() -> Iterator[HostileServer]:
    server = HostileServer()
    server.start(ws="websockets-sansio")
    yield server
    server.stop()


def walk_lies(server: HostileServer, token_file: Path, without: str) -> bytes:
    with Walk(server.url, token_file, without) as walk:
        screen = walk.screen
        walk.start()
        walk.rows(len(TEXTS))
        if without == "all":
            assert [n for n, text in enumerate(TEXTS) if f"{n:02} {shown(text)}" not in screen.text] == []
        walk.options()
        walk.panes()
        walk.messages(VISITED)
        for n in range(ROUNDS):  # what is said of an act, in the server's words
            walk.keys("c")
            walk.see(lambda n=n: f"{n:02} " in screen.flash, f"the answer to claim {n}")
            walk.keys("j")
        for key in ("P", "A"):
            walk.keys(key)
            walk.shows("50 ")
            walk.keys("q")
        walk.keys("\x10", *"audit log", "enter")
        walk.shows("Audit log")
        walk.keys("q", "g", "/", *"refused", "enter")
        walk.see(lambda: "refused:" in screen.flash, "the filter refused")
        walk.keys("/", "\x15", "enter")
        walk.see(lambda: screen.cursor_row, "the rows again")
        for n in range(ROUNDS):  # who did what, and where they are now
            server.delete(n)
            walk.see(lambda n=n: f"{batch(n)[-1]:02} " in screen.banner, f"presence of batch {n}")
        if without == "all":
            rows = [screen.line(3 + n) for n in range(len(TEXTS))]
            assert [n for n, row in enumerate(rows) if "DELETED" not in row or f"{n:02} " not in row] == []
        server.why, server.kick = TEXTS[-1][:40], 1011
        walk.see(lambda: "feed lost" in screen.banner, "the feed lost")
        walk.see(lambda: screen.live, "the feed again")
        server.kick = 4401
        walk.shows("password")  # signed out: one may sign in again
        return walk.end()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("without", GATES)
def test_lies_of_a_server_do_nothing(without: str, liar: HostileServer, token_file: Path) -> None:
    assert find_foreign_controls(walk_lies(liar, token_file, without)) == []


def test_without_gates_the_lies_are_seen(liar: HostileServer, token_file: Path) -> None:
    found = find_foreign_controls(walk_lies(liar, token_file, "both"))
    assert len(found) > 500
    assert len({line.split()[0] for line in found}) > 40


# -- real mail


_CONTROL = re.compile('[\x00-\x1f\x7f\ud800-\udfff<>"]+')  # SMTP has no way to say these in an address


def word(text: str) -> str:
    return f"=?utf-8?B?{b64encode(text.encode('utf-8', 'surrogatepass')).decode()}?="


def raw(text: str) -> bytes:
    """As it stands, but for what would end the field."""
    return re.sub('[\r\n"<>]+', " ", text).encode("utf-8", "surrogatepass")


def hostile_mail(n: int) -> bytes:
    """Payload `n` in the fields of the list, and a group of them in all that is read of one mail."""
    text, many = TEXTS[n], group(n)
    person = raw(f'"{text}"') + b" <" + raw(_CONTROL.sub("", text)) + b"@evil.example>"
    if n % 2:
        person = word(text).encode() + b" <" + raw(_CONTROL.sub("", text)) + b"@evil.example>"
    folded = raw(many)
    head = [
        b"X-Spam-Status: Yes, score=9.1 required=5.0 tests=BAYES_99=3.5,VERDICT_END=1.0," + raw(text),
        b"X-Spam-Report: \r\n\t*  3.5 BAYES_99 " + folded + b"\r\n\t*  1.0 VERDICT_END verdict-end",
        b"X-Virus-Scanned: " + folded + b" receipt-end",
        b"X-Rcq-Verdict: SPAM; " + folded,
        b"Authentication-Results: mx.example; spf=fail (" + folded + b"); dkim=none",
        b"Received: from " + folded + b" by " + folded + b" with " + folded + b"; never",
        b"From: " + person,
        b"Reply-To: " + folded,
        b"To: " + person,
        b"Cc: " + word(many).encode(),
        b"Subject: " + (word(f"{n:02} {text}").encode() if n % 3 else b"%02d " % n + raw(text)),
        b"Message-ID: <" + folded + b">",
        b"List-Id: " + folded,
        b"Feedback-ID: headers-end",
        b'Content-Type: multipart/mixed; boundary="sep"',
    ]
    body = many.encode("utf-8", "surrogatepass").replace(b" | ", b"\r\n")
    name = raw(text)
    return b"\r\n".join(
        [
            *head,
            b"\r\n--sep\r\nContent-Type: text/plain; charset=utf-8\r\n",
            body + b"\r\nbody-end",
            b'--sep\r\nContent-Type: application/pdf; name="' + name + b'"',
            b'Content-Disposition: attachment; filename="' + name + b'"\r\n\r\nx',
            b'--sep\r\nContent-Type: text/html; name="attachments-end"\r\n\r\nx',
            b"--sep--\r\n",
        ]
    )


def send(demo: DemoServer, n: int) -> str:
    """Mail `n` in over SMTP, its payload in HELO and envelope too; the id that it is held under."""
    text = _CONTROL.sub("", TEXTS[n]).replace(" ", "")
    with smtplib.SMTP("127.0.0.1", demo.smtp_port, timeout=30) as client:
        client.command_encoding = "utf-8"
        assert client.ehlo(_CONTROL.sub("", TEXTS[n]) or "x")[0] == 250
        assert client.docmd(f"MAIL FROM:<{text}@evil.example> SMTPUTF8 BODY=8BITMIME")[0] == 250
        assert client.docmd(f"RCPT TO:<{text}@acme.example>")[0] == 250
        if n >= len(TEXTS) - VISITED:
            assert client.docmd("RCPT TO:<recipients-end@acme.example>")[0] == 250
        code, said = client.data(hostile_mail(n))
        assert code == 250
        return said.decode().rpartition(" ")[2]


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoServer]:
    """A real server with a mail of each payload, and a note on those that are looked at."""
    with DemoServer() as demo:
        token = Path(demo.accounts["otto"]["token_file"]).read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=demo.http, headers=headers, trust_env=False) as client:
            for n in range(len(TEXTS)):
                id = send(demo, n)
                note = group(n).encode("utf-8", "replace").decode() + " timeline-end"
                key = {"Idempotency-Key": f"note-{n}"}
                client.post(f"/api/v1/mails/{id}/note", json={"note": note}, headers=key).raise_for_status()
        yield demo


def walk_mail(demo: DemoServer, without: str) -> bytes:
    with Walk(demo.http, demo.accounts["anna"]["token_file"], without) as walk:
        walk.start()
        walk.rows(len(TEXTS))
        if without == "all":
            assert [n for n in range(len(TEXTS)) if f"{n:02} " not in walk.screen.text] == []
            assert walk.screen.text.count("[U+") > 50  # what was there is spelled out
        walk.panes()
        walk.messages(VISITED)
        return walk.end()


@pytest.mark.parametrize("without", GATES)
def test_hostile_mail_does_nothing(without: str, demo: DemoServer) -> None:
    assert find_foreign_controls(walk_mail(demo, without)) == []


def test_without_gates_the_hostile_mail_is_seen(demo: DemoServer) -> None:
    found = find_foreign_controls(walk_mail(demo, "both"))
    assert len(found) > 500
    assert len({line.split()[0] for line in found}) > 40
