"""What a notice says, whatever is in the mail that it tells of: nothing of it ends a line, is HTML, or is a link."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rcqueue.safe_text import forbidden
from rcqueue.server.config_values import Mailbox
from rcqueue.server.notices import digest as made
from rcqueue.server.notices.digest import Letter, digest
from rcqueue.server.notices.held import HeldFor, HeldMail

from .canary import CONTROL, leaks, planted
from .live import mail
from .noticing import links, noticing, notified, texts

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OURS = ("https://queue.example/r/" + "a" * 32, "https://queue.example/r/" + "b" * 32)
HOSTILE = (
    "Hi\r\nBcc: everyone@acme.example\r\n\r\n<script>alert(1)</script>",
    "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\u202c \x00\x85\u2028X-Evil: 1",
    'a"><img src=http://evil.example/x.png><a href="http://evil.example">click</a>',
    "Log in at https://evil.example/login, http://1.2.3.4/ or www.evil.example now; mail evil@evil.example",
    "//evil.example/ ftp://evil.example evil.example/login BANK.EXAMPLE bücher.example",
    "=?utf-8?q?=0d=0aBcc:_x?= &lt;b&gt; &amp; </td></tr></table></html>",
    "." * 3 + "\n.\r\n" + "x" * 3000,
)
text = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=200))
#: What mail programs make a link of.
LINKLIKE = re.compile(r"\w://|\bwww\.\w|[\w-]\.[a-z]{2,}\b", re.IGNORECASE)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= set(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def sent(subject: str, sender: str, to: str) -> bytes:
    held = HeldFor([HeldMail(1, 0, 1_790_000_000_000_000, sender, subject, "SPAM", False)], 0, 1)
    letter = Letter(Mailbox("Quarantine", "postmaster@acme.example"), to, "Mail on hold", "notice-1", NOON, NOON)
    return digest(letter, held, OURS[:1], OURS[1])


def judged(raw: bytes) -> set[str]:
    """What is wrong with a notice that was made of hostile text."""
    wrong = set()
    if not raw.isascii() or raw.count(b"\r\n") != raw.count(b"\n") or raw.count(b"\r\n") != raw.count(b"\r"):
        wrong.add("line ends")
    if max(map(len, raw.split(b"\r\n"))) > 998 or len(raw) > 20_000:
        wrong.add("length")
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    names = [name.lower() for name in parsed.keys()]  # noqa: SIM118 - a header is no dict
    fields = ["from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type"]
    if names != fields or parsed.defects or len(parsed["to"].addresses) > 1:
        wrong.add("header")
    plain, html = (part.get_content().replace("\r\n", "\n") for part in parsed.iter_parts())
    tags = Tags()
    tags.feed(html)
    if tags.seen - {"html", "head", "meta", "body", "p", "table", "tr", "td", "a"}:
        wrong.add("tags")
    if tags.attributes - {("charset", "utf-8"), *(("href", url) for url in OURS)}:
        wrong.add("attributes")
    for shown in (plain, tags.text):
        if any(forbidden(char) for char in shown.replace("\n", "")):
            wrong.add("characters")
        rest = re.sub("|".join(map(re.escape, (*OURS, "ada@sender.example", "carl@acme.example"))), "", shown)
        if LINKLIKE.search(rest):
            wrong.add("links")
    if plain.count("\n") != sent_lines:
        wrong.add("lines")
    return wrong


def _lines() -> int:
    parsed = email.message_from_bytes(
        sent("Hello", "ada@sender.example", "carl@acme.example"), policy=email.policy.default
    )
    part = next(iter(parsed.iter_parts()))
    return int(part.get_content().replace("\r\n", "\n").count("\n"))


sent_lines = _lines()


@settings(max_examples=60, deadline=None)
@given(text, st.one_of(st.just("ada@sender.example"), text), st.one_of(st.just("carl@acme.example"), text))
@example(HOSTILE[3], "www.evil.example/login@x.example", "a,b@acme.example")
@example(HOSTILE[2], 'x"<http://evil.example/>@evil.example', '"a b\r\nBcc: y@x.example"@acme.example')
def test_no_text_gets_out_of_its_place(subject: str, sender: str, to: str):
    assert judged(sent(subject, sender, to)) == set()


@pytest.mark.parametrize(
    ("without", "wrong"),
    [
        ("safe_text", {"characters"}),
        ("_LINKS", {"links"}),
        ("escape", {"tags", "attributes"}),
        ("_PLAIN", {"header"}),
    ],
)
def test_each_guard_is_needed(without: str, wrong: set[str], monkeypatch: pytest.MonkeyPatch):
    out: dict[str, Callable[..., object]] = {
        "safe_text": lambda text, limit=0: text,
        "escape": lambda text: text,
    }
    monkeypatch.setattr(made, without, out.get(without, re.compile("(?!)" if without == "_LINKS" else "(?s).*")))
    found: set[str] = set()
    for hostile in HOSTILE:
        try:
            found |= judged(sent(hostile, "ada@sender.example", "a,b@acme.example,c@d.example"))
        except ValueError:  # the library's own guard
            found.add("header")
    assert found & wrong, found


async def test_of_a_mail_a_notice_tells_envelope_and_subject_alone(tmp_path: Path):
    """Whatever is in it, of bodies, attachments and rules, in any form."""
    async with noticing(tmp_path) as live:
        for canary in planted():
            await live.send(canary.raw, "ada@sender.example", "carl@acme.example")
        notice = await notified(live, "carl@acme.example")
        plain, html = texts(notice)
    assert leaks(notice.raw, planted()) == leaks(plain.encode(), planted()) == leaks(html.encode(), planted()) == set()
    listed = len(links(notice)) - 1
    assert plain.count(CONTROL) == html.count(CONTROL) == listed >= 3
    assert f"not listed: {len(planted()) - listed}." in plain  # the virus among them, and the phish


async def test_hostile_mail_through_a_running_server(tmp_path: Path):
    subjects = "".join(c for c in HOSTILE[2] + HOSTILE[3] if c.isprintable())
    sender = '"http://evil.example <b>" <ada@sender.example>'
    async with noticing(tmp_path) as live:
        await live.send(mail(subjects, sender=sender), "ada@sender.example", "carl@acme.example")
        plain, html = texts(await notified(live, "carl@acme.example"))
    for shown in (plain, html):
        assert "evil[.]example" in shown and "evil.example" not in shown and "ada@sender.example" in shown
    assert "<img" not in html and "&lt;img" in html
