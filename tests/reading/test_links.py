"""Links, and what a page has beside its text: said in words, and nothing that opens."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rcqueue.server.reading import caps
from rcqueue.server.reading.deep import read_deep
from rcqueue.server.reading.html_text import html_text
from rcqueue.server.reading.links import defanged, link, without_fangs

HEAD = b"Content-Type: text/html; charset=utf-8\r\n\r\n"
OPENS = re.compile(r"(?i)\b(?:https?|ftp)://|\bwww\.\w")


def page(html: str) -> bytes:
    return HEAD + html.encode()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/b.html?c=http://d.example/", "hxxps://a[.]example/b.html?c=http[:]//d.example/"),
        ("HTTP://bank.example@evil.example:8080/", "hxxp://bank[.]example@evil[.]example:8080/"),
        ("ftp://a.example", "fxp://a[.]example"),
        ("ht\ntp:\\\\a.example\\x", "hxxp:\\\\a[.]example\\x"),
        ("mailto:a@b.example?cc=c@d.example", "mailto:a@b[.]example?cc=c@d.example"),
        ("javascript:alert(1)", "javascript:alert(1)"),
    ],
)
def test_a_url_opens_nowhere_and_reads_the_same(url: str, shown: str) -> None:
    assert defanged(url) == shown


def test_what_stands_in_a_text_opens_nowhere() -> None:
    text = "see https://a.example/x, (http://b.example) www.c.example and d.example; ann@e.example"
    shown = "see hxxps://a[.]example/x, (hxxp://b[.]example) www[.]c[.]example and d.example; ann@e.example"
    assert without_fangs(text) == shown
    assert without_fangs(shown) == shown
    deep = read_deep(b"\r\n" + text.encode())
    assert deep.text == shown and [one.host for one in deep.links] == ["a[.]example", "b[.]example"]


@pytest.mark.parametrize("lead", ["http://a.", "http://a/", "ftp://" + 300 * "a", "www.a."])
def test_however_long_what_stands_before_it_no_link_is_left_whole(lead):
    for n in range(2400):
        for end in (".http://evil.example", ".www.evil.example"):
            assert not OPENS.search(without_fangs(lead + n * "b" + end)), (n, end)


@example(["<a href='", "www.", "http://", "http://"])
@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["http://", "HTTPS://", "www.", "a", ".", "/", "?", "@", "[", " ", "<a href='", "'>"])))
def test_no_text_holds_a_link_that_opens(pieces: list[str]) -> None:
    deep = read_deep(page("".join(pieces)))
    assert not re.search(r"(?i)\b(?:https?|ftp)://\w", deep.text)
    assert all(not OPENS.search(one.to) for one in deep.links)


@pytest.mark.parametrize(
    ("label", "url", "says"),
    [
        ("acme.example", "http://acrne.example/login", "acme.example"),
        ("https://www.acme.example/login", "http://acme.example.evil.example/", "www.acme.example"),
        ("log in at acme.example today", "http://evil.example/", "acme.example"),
        ("ceo@acme.example", "mailto:ceo@evil.example", "acme.example"),
        ("acme.example", "http://acme.example@evil.example/", "acme.example"),
        ("bücher.example", "http://xn--bcher-kva.example/", ""),
        ("www.acme.example", "https://acme.example/", ""),
        ("acme.example", "https://login.acme.example/", ""),
        ("invoice.pdf", "https://evil.example/", ""),
        ("www.report.zip", "https://evil.example/", "report.zip"),
        ("click here", "https://evil.example/", ""),
        ("1.5 million", "https://evil.example/", ""),
        ("acme.example", "#top", None),
    ],
)
def test_a_label_that_names_another_place(label: str, url: str, says: str | None) -> None:
    html = html_text(f'<a href="{url}">{label}</a>')
    found = link(url, label)
    if says is None:
        assert found is None and html.text == label
        return
    assert found is not None and found.label.replace("[.]", ".") == says
    assert ("[! goes to" in html.text) == bool(says)
    assert bool(says) == any(mark.startswith("says ") for mark in found.marks)


def test_what_is_said_against_a_link() -> None:
    assert link("http://bank.example@evil.example/").marks == ["bank[.]example stands before its host"]  # type: ignore[union-attr]
    for number in ("203.0.113.7", "0xcb007107", "3405803783", "[2001:db8::1]"):
        assert "a number for a host" in link(f"http://{number}/").marks, number  # type: ignore[union-attr]
    assert link("http://xn--80ak6aa92e.example/").marks[0].startswith("reads ")  # type: ignore[union-attr]
    assert link("data:text/html,x").marks == ["no web address"]  # type: ignore[union-attr]


def test_those_with_something_against_them_come_first_and_the_rest_is_counted() -> None:
    good = "".join(f'<a href="http://h{i}.example/">x</a>' for i in range(caps.LINKS + 50))
    deep = read_deep(page(good + '<a href="http://evil.example">bank.example</a>'))
    assert deep.links[0].host == "evil[.]example" and deep.links[0].label == "bank[.]example"
    assert len(deep.links) == caps.LINKS and deep.more_links == 51


def test_links_of_the_html_are_listed_though_the_plain_text_is_shown() -> None:
    body = (
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: text/html\r\n"
    )
    body += b'\r\n<p style="display:none">x</p><form action="http://evil.example/">'
    body += b"<a href='http://evil.example'>bank.example</a>" + b" ".join(b"word%c" % (97 + i) for i in range(20))
    deep = read_deep(body + b"\r\n--b--\r\n")
    assert deep.text == "hello" and deep.links[0].label == "bank[.]example"
    assert deep.marks == [
        "hidden text: 1 piece",
        "a form that sends to evil[.]example",
        "its HTML says what this text does not",
    ]


@pytest.mark.parametrize(
    "style",
    [
        'style="display:none"',
        "style='color:red; DISPLAY : none !important'",
        'style="visibility:hidden"',
        'style="font-size:0"',
        'style="font-size: 1px"',
        'style="max-height:0px;overflow:hidden"',
        'style="opacity:0"',
        'style="mso-hide:all"',
        'style="color:#fff"',
        'style="color:#fefefe"',
        'style="color:rgb(255,255,255)"',
        'style="background:#222;color:#222222"',
        "hidden",
    ],
)
def test_text_that_nobody_sees_is_marked(style: str) -> None:
    html = html_text(f"<div>seen <span {style}>not <b>at</b> all</span> again</div>")
    assert html.text == "seen [hidden: not at all]  again" and html.hidden == 1


@pytest.mark.parametrize(
    "html",
    [
        '<td style="font-size:0px"><div style="font-size:13px">text</div></td>',
        '<td bgcolor="#000000"><font color="white">text</font></td>',
        '<div style="background:url(x.png)"><p style="color:white">text</p></div>',
        '<p style="display:none"><p>text',
        '<div style="max-width:600px;opacity:0.9">text</div>',
        '<a title="hidden" href="#">text</a>',
    ],
)
def test_text_that_is_seen_is_not(html: str) -> None:
    assert html_text(html).text == "text"


def test_what_fills_the_preview_is_left_out() -> None:
    assert html_text('<div style="display:none">&zwnj;&nbsp;&zwnj;&nbsp;</div>hello').text == "hello"


def test_remote_content_scripts_and_what_asks_for_a_password_are_said() -> None:
    images = '<img src="https://track.example/p.gif" alt="logo">' * 3 + '<img src="cid:a"><iframe src="//x.example">'
    rest = '<script>x</script><input type="password"><meta http-equiv=refresh content="0; url=http://y.example/">'
    deep = read_deep(page(f"<form>{images}{rest}</form>"))
    assert deep.marks == [
        "a form",
        "asks for a password",
        "remote content, 3 of it, not fetched, from track[.]example",
        "has a script",
        "leads elsewhere by itself",
    ]


def test_a_page_of_nothing_but_links_or_styles_takes_linear_time() -> None:
    for piece in (
        '<a href="http://xn--80ak6aa92e.example/{}">bank.example</a>',
        '<div style="display:none;color:#fff">x{}',
        '<div style="{}',
        "http://a{}.example ",
        '<form action="http://a{}.example">',
    ):
        html = "".join(piece.format(i) for i in range(400_000 // len(piece)))
        start = time.process_time()
        read_deep(page(html))
        read_deep(b"\r\n" + html.encode())
        assert time.process_time() - start < 3, piece
