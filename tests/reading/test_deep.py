"""What is made of an opened mail: text, attachments, every field, and why it is degraded."""

from __future__ import annotations

import time
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcqueue.server.reading import caps
from rcqueue.server.reading.deep import Deep, read_deep
from rcqueue.server.reading.html_text import html_text
from rcqueue.server.reading.mime import parts
from rcqueue.server.reading.parameters import parameters
from tests.hostile_mail import hostile_messages
from tests.reading.sources import sample


def read(*lines: str, body: bytes = b"") -> Deep:
    return read_deep("\r\n".join((*lines, "", "")).encode() + body)


def names(deep: Deep) -> list[tuple[str, str]]:
    return [(attachment.name, attachment.type) for attachment in deep.attachments]


# -- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "source"),
    [
        ("iso-2022-jp", "会議は火曜日です。\n", "text/plain"),
        ("koi8-r", "Оплатите, пожалуйста, до пятницы.\n", "text/plain"),
        ("gb18030", "货物已发出。\n", "text/plain"),
        ("latin1-8bit", "Schöne Grüße - nein, ohne Strich.\n", "text/plain"),
        ("signed", "Unterschrieben in Zürich.\n", "text/plain"),
        ("newsletter", "Jetzt Bäume pflanzen.", "text/plain"),  # of alternatives the plain one
        ("related", "Look: [the new crane]", "text/html"),
        ("smime", "", ""),
        ("mbox-line", ">From here on it is body.\n", "text/plain"),
    ],
)
def test_text(name: str, text: str, source: str) -> None:
    deep = read_deep(sample(name))
    assert (deep.text, deep.source, deep.truncated, deep.degraded) == (text, source, False, None)


def test_html_as_text() -> None:
    assert read_deep(sample("html-only")).text.split("\n") == [
        "Your password expires today.",
        "",
        "Keep it: hxxps://portal[.]example[.]org [! goes to login[.]evil[.]example:8443]",
        "Ask us <helpdesk@evil[.]example>",
        "",
        "  kept",
        "    as is",
        "",
        "Price: “100” € <net>",
    ]


@pytest.mark.parametrize(
    ("href", "shown"),
    [
        ("http://www.evil.example/path?q=1", "x <www[.]evil[.]example>"),
        ("//evil.example/", "x"),
        ("HTTPS://bank.example@evil.example/", "x <evil[.]example>"),
        ("http:\\\\evil.example\\bank.example", "x <evil[.]example>"),
        ("ht\ntps://evil.exa\tmple/", "x <evil[.]example>"),
        ("&#104;ttp://evil.example", "x <evil[.]example>"),
        ("javascript:alert(1)", "x <javascript:>"),
        ("mailto:a@evil.example?subject=s", "x <a@evil[.]example>"),
        ("http://[::1", "x <[::1>"),
        ("#top", "x"),
        ("", "x"),
    ],
)
def test_links_are_defanged(href: str, shown: str) -> None:
    assert html_text(f'<a class=b href="{href}">x</a>').text == shown


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<script>b</script>c<style>d</style>e<!-- f -->g", "aceg"),
        ("a<script>never closed", "a"),
        ("a <!-- never closed", "a"),
        ("1 < 2 & 3 > 2 &lt;b&gt; &nosuch;", "1 < 2 & 3 > 2 <b> &nosuch;"),
        ("<p>one<p>two<br>three", "one\n\ntwo\nthree"),
        ("<td>a</td><td>b</td>", "a b"),
        ("<a href=http://x.example>a<a href=http://y.example>b", "a <x[.]example>b <y[.]example>"),
        ('<b title=">">bold</b>', "bold"),
    ],
)
def test_odd_html(html: str, text: str) -> None:
    assert html_text(html).text == text


def test_an_empty_alternative_gives_way() -> None:
    head = "Content-Type: multipart/alternative; boundary=b"
    body = b"--b\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--b--\r\n"
    assert read(head, body=body).text == "html"


def test_text_of_several_parts_is_joined() -> None:
    body = b"--b\r\nContent-Type: text/html\r\n\r\n<p>news</p>\r\n--b\r\n\r\nfooter\r\n--b--\r\n"
    assert read("Content-Type: multipart/mixed; boundary=b", body=body).text == "news\n\nfooter"


def test_long_text_is_cut_off_and_says_so() -> None:
    for line in (b"a line of text\r\n", b"x", "é".encode()):
        deep = read("Content-Type: text/plain; charset=utf-8", body=line * (6 * caps.TEXT // len(line)))
        assert deep.truncated and len(deep.text) <= caps.TEXT and deep.degraded is None


# -- attachments ------------------------------------------------------------------------------------------------------


def test_attachments_with_names_sizes_and_hashes() -> None:
    deep = read_deep(sample("attachment"))
    assert deep.text == "Zwei Dateien, für Dich."
    assert names(deep) == [("Angebot für Anna.pdf", "application/pdf"), ("Preise €.csv", "text/csv")]
    pdf = b"%PDF-1.4\n% a small file that only looks like one\n" + bytes(range(256))
    assert (deep.attachments[0].size, deep.attachments[0].sha256) == (len(pdf), sha256(pdf).hexdigest())


@pytest.mark.parametrize(
    ("name", "attachments"),
    [
        ("bounce", [("", "message/delivery-status"), ("", "message/rfc822")]),
        ("forwarded", [("Berth 12.eml", "message/rfc822")]),  # not opened: what is in it stays in it
        ("related", [("crane.png", "image/png")]),
        ("signed", [("signature.asc", "application/pgp-signature")]),
        ("smime", [("smime.p7m", "application/pkcs7-mime")]),
        ("banned", [("payroll-march.exe", "application/octet-stream")]),
        ("plain", []),
    ],
)
def test_what_is_an_attachment(name: str, attachments: list[tuple[str, str]]) -> None:
    assert names(read_deep(sample(name))) == attachments


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x; name=a", {"name": "a"}),
        ('x; NAME="a; b"; c=d', {"name": "a; b", "c": "d"}),
        (r'x; name="a\"b"', {"name": 'a"b'}),
        ("x; name*=utf-8'de'%C3%BC%20a", {"name": "ü a"}),
        ("x; name*1*=%BC; name*0*=utf-8''%C3; name*2=\".txt\"", {"name": "ü.txt"}),
        ("x; name==?utf-8?Q?=C3=BC?=", {"name": "ü"}),
        ("x; name=plain; name*=utf-8''better", {"name": "better"}),
        ("x; name=first; name=second", {"name": "first"}),
        ('x; name="never closed', {"name": "never closed"}),
        ("x;;; ; name=a;", {"name": "a"}),
        ("x; name=a\x00b", {"name": "a\ufffdb"}),
        ("x", {}),
    ],
)
def test_parameters(value: str, expected: dict[str, str]) -> None:
    assert parameters(value) == expected


# -- structure --------------------------------------------------------------------------------------------------------


def test_parts_end_where_they_should() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=a\r\n\r\npre\r\n"
    raw += b"--a\r\n\r\none\r\n--ab\r\n --a\r\n--a \t\r\n\r\n\r\n--a--x\r\ntwo"
    leaves, troubles, _ = parts(raw + b"\r\n--a--\r\n--a\r\n\r\nafter the end")
    ends = [(raw + b"\r\n--a--")[part.start : part.end] for part in leaves]
    assert ends == [b"one\r\n--ab\r\n --a", b"\r\n--a--x\r\ntwo"]
    assert troubles == []


def test_parts_are_numbered_as_they_are_nested() -> None:
    leaves, *_ = parts(sample("attachment"))
    assert [part.number for part in leaves] == ["1.1", "1.2", "2", "3"]
    assert [part.alternative for part in leaves] == ["1", "1", None, None]


@pytest.mark.parametrize(
    "content_type",
    ["multipart/mixed", 'multipart/mixed; boundary=""', "multipart/mixed; boundary=absent", "multipart/x; b=c"],
)
def test_a_multipart_that_is_none_is_shown_as_text(content_type: str) -> None:
    assert read(f"Content-Type: {content_type}", body=b"--real\r\n\r\nhello\r\n").text.startswith("--real")


@pytest.mark.parametrize(
    ("lines", "body", "reason"),
    [
        (["Content-Transfer-Encoding: base64"], b"QUJDR\r\n", "part 1: broken base64"),
        (["Content-Transfer-Encoding: x-uuencode"], b"begin 644 a\r\n~~~~\r\n", "part 1: broken uuencode"),
        (["Content-Transfer-Encoding: x-zip"], b"?", "part 1: unknown encoding"),
        (["Content-Type: text/plain; charset=x-none"], b"caf\xe9", "part 1: unknown charset"),
        (["Content-Type: text/plain; charset=utf-8"], b"\xff\xfe", "part 1: bytes that are not utf-8"),
        (["Subject: =?x-none?Q?=E9?="], b"", "Subject: unknown charset"),
        (["X-Secret: =?x-none?Q?=E9?="], b"", "a withheld field: unknown charset"),
    ],
)
def test_what_could_not_be_read_is_named(lines: list[str], body: bytes, reason: str) -> None:
    assert read(*lines, body=body).degraded == reason


def test_uuencoded_part() -> None:
    deep = read(
        "Content-Type: application/x",
        "Content-Transfer-Encoding: x-uuencode",
        body=b"begin 644 c\r\n#0V%T\r\n`\r\nend\r\n",
    )
    assert (deep.attachments[0].size, deep.attachments[0].sha256) == (3, sha256(b"Cat").hexdigest())


def test_every_field_is_there_decoded() -> None:
    deep = read_deep(sample("spamassassin-preview"))
    assert [name for name, _ in deep.headers_all] == [
        "X-Spam-Flag", "X-Spam-Status", "X-Spam-Report", "Date", "From", "To", "Subject", "Message-ID",
    ]  # fmt: skip
    assert "CANARY_WORD" in dict(deep.headers_all)["X-Spam-Report"]


# -- hostile mail -----------------------------------------------------------------------------------------------------


def test_hostile_mail_is_read_whole_or_says_why() -> None:
    reasons = {}
    for name, raw in hostile_messages():
        start = time.process_time()
        deep = read_deep(raw)
        assert time.process_time() - start < 1.5, name
        deep.model_dump_json().encode()
        assert "\0" not in deep.text and len(deep.text) <= caps.TEXT and len(deep.attachments) <= caps.PARTS
        reasons[name.partition("-")[2]] = deep.degraded
    assert reasons["depth-1000"] == "multiparts over 50 deep"
    assert reasons["50000-parts"] == "over 1,000 parts"
    assert reasons["header-of-300-kb"] == "header of over 2,000 fields"
    assert reasons["message-in-message"] is None


MARKUP = [
    "<",
    ">",
    "</",
    "<!--",
    "-->",
    "<a href=",
    "'",
    '"',
    "<p>",
    "<pre>",
    "</pre>",
    "<script>",
    "</script",
    "&#",
    "x",
    " ",
    "\n",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(MARKUP)))
def test_any_markup_becomes_text(pieces: list[str]) -> None:
    assert isinstance(html_text("".join(pieces)).text, str)


def test_markup_takes_linear_time() -> None:
    for piece in [*MARKUP, "<!", "<![CDATA[", "<?", "<a ", "<a b='", "&amp", "<script>x", "</a", "\n \n"]:
        start = time.process_time()
        html_text(piece * (400_000 // len(piece)))
        assert time.process_time() - start < 2, piece


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"--a", b"--a--", b"\r\n", b"\n", b"\r", b"x", b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"]
        )
    )
)
def test_any_structure_is_walked(pieces: list[bytes]) -> None:
    raw = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"".join(pieces)
    for part in parts(raw)[0]:
        assert 0 < part.start <= part.end <= len(raw)
