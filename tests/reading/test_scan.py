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
from tests.reading.sources import sample


def header(*lines: str) -> Scan:
    return scan("\r\n".join((*lines, "", "body\r\n")).encode())


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
        ("=?x-none?Q?caf=E9?=", "café", "unknown charset 'x-none'"),
        ("=?utf-8?Q?=FF?=", "\ufffd", "bytes that are not utf-8"),
        ("=?utf-8?B?Y?=", "=?utf-8?B?Y?=", "broken encoded word"),
        ("=?idna?Q?a?=", "a", "unknown charset 'idna'"),
        ("\xf0\xd2\xc9\xd7\xc5\xd4", "ðÒÉ×ÅÔ", "8-bit text in no known charset"),
    ],
)
def test_what_could_not_be_decoded_is_named(value: str, text: str, trouble: str) -> None:
    assert decode(value) == (text, trouble)


def test_8_bit_text_is_in_the_charset_of_the_body() -> None:
    koi8 = "Привет".encode("koi8-r")
    assert scan(b"Subject: " + koi8 + b"\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n").subject == "Привет"


# -- what may be shown ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('Content-Type: application/pdf; name="CANARY.pdf"; charset=utf-8', "application/pdf; charset=utf-8"),
        ("Content-Type: text/plain; name*0*=utf-8''CANARY; format=flowed", "text/plain; format=flowed"),
        ("Content-Type: CANARY", ""),
        ("DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=n; bh=CANARY; b=CANARY", "a=rsa-sha256; d=b.example; s=n"),
        ("X-Spam-Status: Yes, score=7.1 required=5.0 tests=A_B=1,C_D hammy=CANARY autolearn=no",
         "Yes score=7.1 required=5.0 tests=A_B=1,C_D autolearn=no"),
        ("X-Spamd-Result: default: True [9.0 / 5.0]; AB(9.00)[CANARY.example,x]; CD(0.0)[]",
         "default: True [9.0 / 5.0]; AB(9.00); CD(0.0)"),
        ("X-Amavis-Alert: BANNED, message contains .exe,CANARY.exe", "BANNED"),
        ("X-Amavis-Alert: BAD HEADER SECTION, Non-encoded 8-bit data: CANARY", "BAD HEADER SECTION"),
        ("X-Amavis-Alert: INFECTED, message contains virus: Eicar", "INFECTED, message contains virus: Eicar"),
        ("X-Virus-Status: Infected (CANARY.exe)", "Infected"),
        ("X-Virus-Status: Infected (Win.Test.EICAR_HDB-1)", "Infected Win.Test.EICAR_HDB-1"),
        ("X-Virus-Status: Clean", "Clean"),
        ("X-Spam-Flag: YES CANARY", "YES"),
        ("X-Spam-Score: 5.1 CANARY", "5.1"),
    ],
)  # fmt: skip
def test_listed_fields_are_built_from_what_quotes_nothing(line: str, shown: str) -> None:
    mail = header(line)
    assert mail.headers == [(line.partition(":")[0], shown)]
    assert "CANARY" not in repr(mail)


@pytest.mark.parametrize(
    "name",
    ["X-Spam-Report", "X-Spam-Preview", "X-Spam-Content-Preview", "X-Spam-Hammy", "Content-Disposition", "Content-MD5",
     "Content-Description", "Content-ID", "Thread-Topic", "Comments", "Keywords", "Summary", "ARC-Message-Signature",
     "X-Microsoft-Antispam-Message-Info", "X-Anything", "List-Anything"],
)  # fmt: skip
def test_all_other_fields_are_withheld_and_counted(name: str) -> None:
    mail = header("From: a@b.example", f"{name}: CANARY 9.9 CANARY CANARY")
    assert (mail.headers, mail.withheld) == ([("From", "a@b.example")], 1)
    assert "CANARY" not in repr(mail)


def test_a_spam_report_gives_descriptions_and_no_preview() -> None:
    mail = scan(sample("spamassassin-preview"))
    assert [rule.name for rule in mail.rules] == ["ADVANCE_FEE_2", "SUBJ_ALL_CAPS"]
    assert mail.rules[0].description == "Appears to be advance fee fraud"
    assert "CANARY" not in repr(mail) and "friend, I am" not in repr(mail)
    bare = header(
        "X-Spam-Flag: YES", "X-Spam-Report: Vorschau: Hallo", "\t 9.9 CANARY steht im Text", "\t 1.0 A_RULE text"
    )
    assert bare.rules == []  # a report in some other language: no telling where the preview ends


# -- verdicts ---------------------------------------------------------------------------------------------------------


def test_spamassassin() -> None:
    mail = scan(sample("spamassassin"))
    assert (mail.verdict, mail.score, mail.required, mail.reason) == (VerdictKind.SPAM, 11.6, 5.0, "spam: 11.6 of 5")
    rules = {rule.name: rule for rule in mail.rules}
    assert len(rules) == 6 and round(sum(rule.points or 0 for rule in mail.rules), 3) == 11.6
    assert rules["RCVD_IN_XBL"].points == 3.649  # the report rounds it to 3.6
    assert rules["URIBL_BLACK"].description == "Contains an URL listed in the URIBL blacklist"
    assert rules["HTML_IMAGE_ONLY_08"].description == "BODY: HTML: images with 400-800 bytes of words"
    assert "quick-pills" not in repr(mail.rules)  # [URIs: ...] quotes the body
    assert [field.name for field in mail.filters] == [
        "X-Spam-Flag",
        "X-Spam-Level",
        "X-Spam-Status",
        "X-Spam-Checker-Version",
    ]


def test_rspamd() -> None:
    mail = scan(sample("rspamd"))
    assert (mail.verdict, mail.score, mail.required, mail.reason) == (
        VerdictKind.PHISH,
        16.2,
        15.0,
        "phishing: PHISHING",
    )
    assert [(rule.name, rule.points) for rule in mail.rules][:2] == [("PHISHING", 6.0), ("MIME_HTML_ONLY", 0.2)]
    assert "login.evil.example" not in repr(mail)


@pytest.mark.parametrize(
    ("lines", "verdict", "reason"),
    [
        (["X-Amavis-Alert: INFECTED, message contains virus: Eicar-Test"], "VIRUS", "virus: Eicar-Test"),
        (["X-Virus-Status: Infected with Heuristics.Phishing.Email"], "PHISH", "phishing: Heuristics.Phishing.Email"),
        (["X-Virus-Status: Yes"], "VIRUS", "virus"),
        (["X-Amavis-Alert: BANNED, message contains x.exe", "X-Spam-Flag: YES"], "ATTACHMENT", "forbidden attachment"),
        (["X-Amavis-Alert: BAD HEADER SECTION, x"], "POLICY", "bad header"),
        (["X-Spam-Flag: YES", "X-Spam-Level: *******"], "SPAM", "spam: 7"),
        (["X-Spam: Yes"], "SPAM", "spam"),
        (["X-Spam-Status: No, score=1.0 required=5.0 tests=none"], "POLICY", "no filter says why it is held"),
        (["X-Spam-Flag: NO"], "POLICY", "no filter says why it is held"),
        (["X-Rcq-Verdict: manual; put here by hand", "X-Spam-Flag: YES"], "MANUAL", "put here by hand"),
        (["X-Rcq-Verdict: RELEASED; nonsense", "X-Spam-Flag: YES"], "SPAM", "spam"),
        (["X-Spam-Flag: YES", "X-Spam-Flag: NO"], "SPAM", "spam"),  # the upper one is the filter's
        ([], "POLICY", "no filter says why it is held"),
    ],
)
def test_verdicts(lines: list[str], verdict: str, reason: str) -> None:
    mail = header(*lines, "Subject: s")
    assert (mail.verdict.value, mail.reason) == (verdict, reason)


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
