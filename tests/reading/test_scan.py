"""The header scan: what a list shows, what a viewer without bodies may see, and what no mail may do to it."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcqueue.model.mail import VerdictKind
from rcqueue.server.reading import addresses, caps
from rcqueue.server.reading.fields import cut
from rcqueue.server.reading.scan import Scan, scan
from rcqueue.server.reading.words import decode
from tests.hostile_mail import hostile_messages
from tests.reading.sources import header, sample

# -- ordinary mail ----------------------------------------------------------------------------------------------------


def test_an_ordinary_mail() -> None:
    mail = scan(sample("plain"))
    assert (mail.from_email, mail.from_domain, mail.display_name) == (
        "olga@harbour.example",
        "harbour.example",
        "Olga Berg",
    )
    assert mail.to == "Anna Lind <anna@example.org>"
    assert (mail.subject, mail.has_subject) == ("Berth 12 is free from Thursday", True)
    assert mail.message_id == "<20261124081455.88C1D40@mail.harbour.example>"
    assert parsedate_to_datetime(mail.date).hour == 8
    assert mail.degraded is None and mail.withheld == 0
    assert (mail.verdict, mail.rules, mail.filters) == (VerdictKind.POLICY, [], [])
    assert ("Cc", '"Stock, Warehouse 2" <stock@example.org>') in mail.headers


def test_hops_are_cut_into_clauses() -> None:
    first, second = scan(sample("plain")).trace
    assert first.from_ == "mail.harbour.example (mail.harbour.example [192.0.2.25])"
    assert first.by == "mx1.example.org (Postfix)"
    assert (first.with_, first.id, first.for_) == ("ESMTPS", "4Tz1pQ2x", "<anna@example.org>")
    assert first.at == "Tue, 24 Nov 2026 08:14:58 +0100 (CET)"
    assert second.from_ == "[10.0.0.7] (unknown [10.0.0.7])" and second.for_ == ""
    assert second.raw.startswith("from [10.0.0.7]")


def test_words_in_a_comment_are_no_clauses() -> None:
    (hop,) = header(
        "Received: from a.example (by b.example with c) by d.example id 1; Tue, 24 Nov 2026 08:00:00 +0100"
    ).trace
    assert (hop.from_, hop.by, hop.with_) == ("a.example (by b.example with c)", "d.example", "")


def test_authentication_stands_as_it_is() -> None:
    assert scan(sample("plain")).authentication == [
        "Authentication-Results: mx1.example.org; spf=pass smtp.mailfrom=harbour.example; dkim=none; "
        "dmarc=pass header.from=harbour.example"
    ]
    assert scan(sample("rspamd")).authentication[0].startswith("Received-SPF: Fail")


@pytest.mark.parametrize(
    ("name", "sender", "subject"),
    [
        ("iso-2022-jp", "山田太郎", "来週の会議について"),
        ("koi8-r", "Ольга", "Счёт за ноябрь"),
        ("gb18030", "王小明", "訂單確認 朱镕基"),  # named GB2312, which lacks three of these
        ("latin1-8bit", "Jürgen Müller", "Grüße aus Köln"),
        ("utf8-headers", "Žofie Černá", "Kůň ve 4. doku ✓"),
        ("newsletter", "Garten für alle", "Im November: Bäume pflanzen, Rosen schneiden und Äpfel lagern"),
    ],
)
def test_scripts(name: str, sender: str, subject: str) -> None:
    mail = scan(sample(name))
    assert (mail.display_name, mail.subject, mail.degraded) == (sender, subject, None)


def test_all_senders_are_there_and_the_first_field_counts() -> None:
    mail = scan(sample("two-senders"))
    assert mail.from_email == "olga@harbour.example"
    assert mail.from_addresses == ["olga@harbour.example", "bo@example.org", "third@evil.example"]
    assert (mail.subject, mail.has_subject) == ("", False)


# -- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("a@B.Example", [("", "a@b.example")]),
        ("<a@b.example>", [("", "a@b.example")]),
        ("Ann <a@b.example>", [("Ann", "a@b.example")]),
        ('"Lee, Ann" <a@b.example>, c@d.example', [("Lee, Ann", "a@b.example"), ("", "c@d.example")]),
        ("Lee, Ann <a@b.example>", [("Ann", "a@b.example")]),
        ("a@b.example (Ann)", [("Ann", "a@b.example")]),
        ("Ann Lee a@b.example", [("", "a@b.example")]),
        ('"boss@bank.example" <m@evil.example>', [("boss@bank.example", "m@evil.example")]),
        ("boss@bank.example <m@evil.example>", [("boss@bank.example", "m@evil.example")]),
        ("=?utf-8?Q?boss=40bank.example_=3C?= <m@evil.example>", [("boss@bank.example <", "m@evil.example")]),
        ('"a b"@c.example', [("", '"a b"@c.example')]),
        ("Board: a@b.example, c@d.example;", [("", "a@b.example"), ("", "c@d.example")]),
        ("<@relay.example:a@b.example>", [("", "a@b.example")]),
        ("(x(y)z) a (1) @ (2) b . example", [("x(y)z", "a@b.example")]),
        ('"Ann <a@b.example>', [("Ann", "a@b.example")]),
        ("Ann <a@b.example", [("Ann", "a@b.example")]),
        ("<<a@b.example>>", [("", "a@b.example")]),
        ("a@[192.0.2.1]", [("", "a@[192.0.2.1]")]),
        ("MAILER-DAEMON", [("", "MAILER-DAEMON")]),
        ("MAILER-DAEMON, a@b.example", [("", "a@b.example")]),
        ("undisclosed-recipients:;", []),
        ("<>", []),
        ("", []),
    ],
)
def test_readable_addresses(field: str, expected: list[tuple[str, str]]) -> None:
    found, trouble = addresses.read(field)
    assert ([tuple(address) for address in found], trouble) == (expected, None)


@pytest.mark.parametrize(
    "field", ["a@b@c.example", "two words", "@", "a@", "@b.example", "a@b <c d>", "x" * 400 + "@b.example"]
)
def test_an_unreadable_sender_is_degraded_and_none(field: str) -> None:
    mail = header(f"From: {field}", "Subject: s")
    assert (mail.from_email, mail.degraded) == ("", "From: unreadable address")


def test_caps_of_one_field() -> None:
    assert len(header("From: " + ",".join(["a@b.example"] * 1500)).from_addresses) == caps.ADDRESSES
    assert header("From: " + ",".join(["a@b.example"] * 1500)).degraded == "From: over 1,000 addresses"
    assert header("From: " + "(" * 51 + ")" * 51 + "a@b.example").degraded == "From: comments over 50 deep"
    assert header("From: a@b.example", "Subject: " + "s" * 70_000).degraded == "Subject: over 64 KB"
    many = header("From: a@b.example", "Subject: " + " ".join(["=?utf-8?Q?a?="] * 300))
    assert many.degraded == "Subject: over 200 encoded words" and many.subject.startswith("a" * 200 + " =?")
    assert len(header("Subject: " + "s" * 5000).subject) == caps.SUBJECT


def test_caps_of_the_header() -> None:
    assert header(*["X-A: b"] * 2001).degraded == "header of over 2,000 fields"
    big = header("From: a@b.example", *["X-A: " + "b" * 90] * 2900, "Subject: late")
    assert big.degraded == "header of over 2,000 fields" and big.from_email == "a@b.example"
    wide = header("From: a@b.example", *["X-A: " + "b" * 900] * 300, "Subject: late")
    assert wide.degraded == "header block over 256 KB" and not wide.has_subject


# -- cutting and decoding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eol", [b"\r\n", b"\n", b"\r"])
def test_every_line_end_is_one(eol: bytes) -> None:
    raw = eol.join([b"From: a@b.example", b"Subject: two", b" lines", b"", b"Subject: body"])
    block = cut(raw)
    assert block.fields == [("From", "a@b.example"), ("Subject", "two\n lines")]
    assert raw[block.body_at :] == b"Subject: body"


def test_a_line_that_is_no_field_ends_the_header() -> None:
    raw = b"Subject: s\r\nno field\r\nFrom: in@the.body\r\n\r\nx"
    block = cut(raw)
    assert block.fields == [("Subject", "s")]
    assert raw[block.body_at :].startswith(b"no field")


def test_what_only_looks_odd_is_read() -> None:
    mail = scan(b"From m@x Tue Nov 24 2026\n folded onto it\nSubject \t: obsolete\n: nameless\nFrom: a@b.example\n\n")
    assert (mail.subject, mail.from_email, mail.degraded) == ("obsolete", "a@b.example", None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?Q?a?= =?utf-8?Q?b?= c", "ab c"),
        ("=?utf-8?B?4pw=?= =?utf-8?B?kw==?=", "✓"),  # a character split between two words
        ("=?utf-8?Q?How_are_you??=", "How are you?"),
        ("x=?utf-8?Q?=41?=y", "xAy"),
        ("=?iso-8859-1*de?Q?=FC?=", "ü"),
        ("=?iso-8859-1?Q?=93q=94?=", "“q”"),
        ("=?utf-8?Q?one=0D=0ABcc:_x?=", "one Bcc: x"),
        ("=?utf-8?Q?a=00b?=", "a\ufffdb"),
        ("=?utf-8?B?YWI?=", "ab"),  # without its padding
        ("=?utf-8?Q?not closed", "=?utf-8?Q?not closed"),
        ("  a\n\tb\n c ", "a b c"),
    ],
)
def test_decoding(value: str, text: str) -> None:
    assert decode(value) == (text, None)


@pytest.mark.parametrize(
    ("value", "text", "trouble"),
    [
        ("=?x-none?Q?caf=E9?=", "café", "unknown charset"),
        ("=?utf-8?Q?=FF?=", "\ufffd", "bytes that are not utf-8"),
        ("=?utf-8?B?Y?=", "=?utf-8?B?Y?=", "broken encoded word"),
        ("=?idna?Q?a?=", "a", "unknown charset"),
        ("\xf0\xd2\xc9\xd7\xc5\xd4", "ðÒÉ×ÅÔ", "8-bit text in no known charset"),
    ],
)
def test_what_could_not_be_decoded_is_named(value: str, text: str, trouble: str) -> None:
    assert decode(value) == (text, trouble)


def test_8_bit_text_is_in_the_charset_of_the_body() -> None:
    koi8 = "Привет".encode("koi8-r")
    assert scan(b"Subject: " + koi8 + b"\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n").subject == "Привет"


# -- hostile mail -----------------------------------------------------------------------------------------------------


def test_hostile_mail_is_scanned_fast_and_whole() -> None:
    slow = []
    for name, raw in hostile_messages():
        start = time.process_time()
        mail = scan(raw)
        seconds = time.process_time() - start
        if seconds > 0.5:
            slow.append((name, seconds))
        assert "scan failed" not in (mail.degraded or ""), name
        _storable(mail)
    assert not slow


def test_work_is_linear_in_the_header() -> None:
    """Four times the header takes about four times as long, not sixteen, whatever some step of it looks for."""
    for filler in (
        " ",
        "\t",
        "(",
        '"',
        "<",
        ",",
        ";",
        "=?",
        "=?a?q?",
        "[",
        "\\",
        "a@",
        " :",
        "\r\n ",
        "=?a?q?b?= ",
        "by ",
        "infected ",
    ):
        seconds = []
        for size in (12_000, 48_000):
            value = filler * (size // len(filler))
            names = ("From", "Subject", "Received", "X-Spam-Status", "X-Spamd-Result", "Content-Type", "X-Virus-Status")
            raw = "\r\n".join([*(f"{name}: x{value}y" for name in names), "X-\xe9: 1", "", ""]).encode()
            start = time.process_time()
            scan(raw)
            seconds.append(time.process_time() - start)
        assert seconds[1] < 9 * seconds[0] + 0.05, (filler, seconds)


PIECES = [
    *("From: ", "To: ", "Subject: ", "Received: ", "X-Spam-Status: ", "Content-Type: ", "tests=", "=41"),
    *(
        "\r\n",
        "\n",
        "\r",
        " ",
        "=?utf-8?Q?",
        "=?gb2312?B?",
        "?=",
        '"',
        "(",
        ")",
        "<",
        ">",
        "@",
        ",",
        ";",
        ":",
        "\\",
        "\0",
    ),
    *("é", "a"),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES)))
def test_any_header_is_scanned(pieces: list[str]) -> None:
    mail = scan("".join(pieces).encode())
    assert "scan failed" not in (mail.degraded or "")
    _storable(mail)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=500))
def test_any_bytes_are_scanned(raw: bytes) -> None:
    for octets in (raw, b"From: " + raw, b"Subject: " + raw + b"\r\n\r\n"):
        mail = scan(octets)
        assert "scan failed" not in (mail.degraded or "")
        _storable(mail)


def _storable(mail: Scan) -> None:
    texts = [mail.from_email, mail.display_name, mail.to, mail.subject, mail.date, mail.message_id, mail.reason]
    texts += [text for field in mail.headers for text in field] + mail.authentication + mail.from_addresses
    texts += [hop.raw for hop in mail.trace] + [f"{rule.name}{rule.description}" for rule in mail.rules]
    for text in [*texts, mail.degraded or ""]:
        text.encode()  # no lone surrogate
        assert "\0" not in text and "\n" not in text and "\r" not in text
    assert len(mail.subject) <= caps.SUBJECT and all(len(address) <= caps.ADDRESS for address in mail.from_addresses)
