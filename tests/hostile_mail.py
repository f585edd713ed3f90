"""Hostile mail, made up: every way we know to hurt a reader, a list, a terminal or a log with one message.

    for name, raw in hostile_messages(n=320, seed=7): ...

Each message is empty or ends with CRLF, so that SMTP carries exactly these bytes. The same `n` and `seed` make the
same messages. A handful are of a megabyte, all the others small.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from random import Random

from tests.payloads import PAYLOADS

#: Beside what terminals must not take: what lists, logs, scripts and databases must not.
_MORE_TEXT = [
    ("header", "x\r\nBcc: everyone@example.org\r\n\r\nbody"),
    ("markup", "[bold red]x[/] [link=http://evil.example]y[/link] [@click=app.quit]z[/]"),
    ("formula", '=HYPERLINK("http://evil.example")'),
    ("format", "%s%n%00{0.__class__}"),
    ("json", '"},"status":"RELEASED",{"'),
    ("homoglyph", "раypаl.example"),
    ("wide", "全角" * 30),
    ("right-to-left", "שלום مرحبا"),
    ("spaces", "  lots   of\t\ttabs  "),
    ("long", "A" * 3000),
]

_DATE = "Date: Tue, 24 Nov 2026 08:15:00 +0100"
_BODY = "This is the body.\r\n"


def hostile_messages(n: int = 320, seed: int = 7) -> Iterator[tuple[str, bytes]]:
    """`n` messages, each with a name of its own: every kind once, then the small kinds again with other chances."""
    random = Random(seed)
    once = [*_LARGE.items(), *_SMALL.items(), *_TEXTS.items()]
    again = [*_SMALL.items(), *_TEXTS.items()]
    for index in range(n):
        kind, make = once[index] if index < len(once) else again[(index - len(once)) % len(again)]
        raw = make(random)
        yield f"{index:03}-{kind}", raw if not raw or raw.endswith(b"\r\n") else raw + b"\r\n"


def _b(text: str, charset: str = "utf-8") -> str:
    return f"=?{charset}?B?{base64.b64encode(text.encode('utf-8', 'surrogatepass')).decode()}?="


def _q(text: str, charset: str = "utf-8") -> str:
    octets = "".join(f"={octet:02X}" for octet in text.encode("utf-8", "surrogatepass"))
    return f"=?{charset}?Q?{octets}?="


def _mail(*lines: str | bytes, body: str | bytes = _BODY, eol: bytes = b"\r\n", sender: bool = True) -> bytes:
    """A message of these header lines; text is UTF-8, bytes stay as they are."""
    first = ["From: Mallory <mallory@evil.example>", "To: anna@example.org", _DATE] if sender else []
    octets = [line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass") for line in (*first, *lines)]
    return eol.join(octets) + eol * 2 + (body if isinstance(body, bytes) else body.encode())


def _word(random: Random) -> str:
    return "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(3, 9)))


def _nested(depth: int) -> bytes:
    head, foot = [], []
    for level in range(depth):
        head.append(f'Content-Type: multipart/mixed; boundary="b{level}"\r\n\r\n--b{level}\r\n')
        foot.append(f"\r\n--b{level}--\r\n")
    inner = "Content-Type: text/plain\r\n\r\nthe innermost\r\n"
    return ("From: m@evil.example\r\nSubject: nested\r\n" + "".join(head) + inner + "".join(reversed(foot))).encode()


def _many_parts(count: int) -> bytes:
    part = b"--x\r\n\r\np\r\n"
    return _mail("Subject: many parts", "Content-Type: multipart/mixed; boundary=x", body=part * count + b"--x--\r\n")


def _attached(name: str, octets: bytes, media_type: str = "application/octet-stream") -> bytes:
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return _mail(
        "Subject: see attachment",
        'Content-Type: multipart/mixed; boundary="sep"',
        body=(
            "--sep\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
            f'--sep\r\nContent-Type: {media_type}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
        ).encode()
        + encoded
        + b"--sep--\r\n",
    )


def _received(random: Random, count: int) -> list[str]:
    return [f"Received: from {_word(random)} ({'(' * (i % 7)}x) by {_word(random)} id {i}; never" for i in range(count)]


_LARGE: dict[str, Callable[[Random], bytes]] = {
    "10000-encoded-words": lambda r: _mail("Subject: " + "\r\n ".join(["=?utf-8?Q?a?="] * 10_000)),
    "50000-encoded-words": lambda r: _mail("Subject: " + " ".join(["=?utf-8?B?YQ==?="] * 50_000)),
    "100000-addresses": lambda r: _mail("To: " + ",\r\n ".join(["a@b.example"] * 100_000), sender=False),
    "20000-senders": lambda r: _mail("From: " + ",".join(["a@b.example"] * 20_000), "Subject: many", sender=False),
    "depth-1000": lambda r: _nested(1000),
    "50000-parts": lambda r: _many_parts(50_000),
    "header-of-300-kb": lambda r: _mail(*[f"X-Pad-{i}: {'p' * 90}" for i in range(3000)], "Subject: late"),
    "field-of-200-kb": lambda r: _mail("Subject: " + "s" * 200_000),
    "references-of-120-kb": lambda r: _mail("Subject: refs", "References: " + " ".join(["<a@b.example>"] * 8000)),
    "300000-newlines": lambda r: _mail("Subject: empty lines", body="\r\n" * 300_000),
    "line-of-1-mb": lambda r: _mail("Subject: one line", body="x" * 1_000_000 + "\r\n"),
    "html-of-unclosed-comments": lambda r: _mail(
        "Subject: html", "Content-Type: text/html", body="<!--" * 100_000 + "\r\n"
    ),
    "html-of-unclosed-tags": lambda r: _mail("Subject: html", "Content-Type: text/html", body="<a " * 150_000 + "\r\n"),
    "html-nested": lambda r: _mail("Subject: html", "Content-Type: text/html", body="<div>" * 100_000 + "deep\r\n"),
    "html-of-entities": lambda r: _mail("Subject: html", "Content-Type: text/html", body="&#x1b;&" * 60_000 + "\r\n"),
    "quoted-printable-of-1-mb": lambda r: _mail(
        "Subject: qp", "Content-Transfer-Encoding: quoted-printable", body="=" * 1_000_000 + "\r\n"
    ),
    "5000-fields": lambda r: _mail(*[f"X-F: {i}" for i in range(5000)], "Subject: late"),
    "spaces-of-60-kb": lambda r: _mail("Subject: a" + " " * 60_000 + "\r\n b", "X-Spam-Status: Yes," + " " * 60_000),
    "semicolons-of-60-kb": lambda r: _mail("Subject: ;", "Content-Type: text/plain" + ";" * 60_000 + "\r\n ;x"),
    "quotes-of-60-kb": lambda r: _mail("From: " + '"' * 60_001 + " <m@evil.example>", "Subject: quotes", sender=False),
    "parens-of-60-kb": lambda r: _mail("From: " + "(" * 60_000 + " m@evil.example", "Subject: parens", sender=False),
    "angles-of-60-kb": lambda r: _mail("From: " + "<" * 60_000 + "m@evil.example", "Subject: angles", sender=False),
    "backslashes-of-60-kb": lambda r: _mail("From: " + '"\\' * 30_000 + "m@evil.example", "Subject: \\", sender=False),
    "brackets-in-result": lambda r: _mail("X-Spamd-Result: default: True [1.0 / 2.0]; A(1.0)" + "[" * 60_000),
    "open-encoded-words": lambda r: _mail("Subject: " + "=?a?q?" * 10_000),
    "1000-received": lambda r: _mail(*_received(r, 1000), "Subject: trace"),
    "3000-rules": lambda r: _mail("X-Spam-Status: Yes, tests=" + ",\r\n\t".join(f"RULE_{i}=1.0" for i in range(3000))),
    "1000-parameters": lambda r: _mail(
        "Subject: p", "Content-Type: text/plain" + "".join(f"; p*{i}*=x%41" for i in range(1000))
    ),
    "20000-html-links": lambda r: _mail(
        "Subject: links", "Content-Type: text/html", body="<a href=//evil.example/x>y</a>" * 20_000 + "\r\n"
    ),
}

_SMALL: dict[str, Callable[[Random], bytes]] = {
    "empty": lambda r: b"",
    "only-crlf": lambda r: b"\r\n" * r.randint(1, 4),
    "no-header": lambda r: b"Just text, and no header at all\r\nwith a second line: it has a colon\r\n",
    "only-header": lambda r: b"From: m@evil.example\r\nSubject: that is all\r\n",
    "blank-first": lambda r: b"\r\n" + _mail("Subject: below a blank line"),
    "no-colon": lambda r: _mail("Subject: before", "this line has no colon", "X-After: after"),
    "nameless-field": lambda r: _mail(": no name", "Subject: nameless"),
    "fold-first": lambda r: b" folded onto nothing\r\n" + _mail("Subject: fold first"),
    "space-before-colon": lambda r: _mail("Subject  : obsolete but legal", "Cc\t: x@example.org"),
    "fold-of-blanks": lambda r: _mail("Subject: folded\r\n \t \r\n  \r\n\tthrice"),
    "field-names": lambda r: _mail("X-\x7f\x01: control", "Sübject: not ASCII", "Subject: names"),
    "envelope-line": lambda r: b"From mallory@evil.example Tue Nov 24 08:15:00 2026\r\n" + _mail("Subject: mbox"),
    "quoted-envelope-line": lambda r: b">From nobody\r\n" + _mail("Subject: mbox quoted", body=">From >>From x\r\n"),
    "dots": lambda r: _mail("Subject: dots", body=".\r\n..\r\n...\r\n.leading\r\n. \r\nend\r\n"),
    "smuggling": lambda r: _mail("Subject: smuggle", body=b"a\n.\nMAIL FROM:<x@y>\r\nb\r.\rc\n.\r\nd\r\n"),
    "bare-cr": lambda r: _mail("Subject: bare CR", body=b"one\rtwo\rthree\r\n", eol=b"\r"),
    "bare-lf": lambda r: _mail("Subject: bare LF", body=b"one\ntwo\r\n", eol=b"\n"),
    "mixed-eol": lambda r: b"From: m@evil.example\nTo: a@b.example\rSubject: mixed\r\nX: 1\n\r\nbody\rbody\n\r\n",
    "cr-cr-lf": lambda r: _mail("Subject: doubled", eol=b"\r\r\n"),
    "nul": lambda r: _mail(b"Subject: n\0u\0l", b"From: \0 <n\0@evil.example>", body=b"bo\0dy\r\n", sender=False),
    "nul-only": lambda r: b"\0" * 500,
    "noise": lambda r: r.randbytes(r.randint(100, 4000)).replace(b"\r\n.", b"xxx"),
    "noise-in-header": lambda r: _mail(b"Subject: " + r.randbytes(300).replace(b"\n", b"").replace(b"\r", b"")),
    "latin1-header": lambda r: _mail("Subject: Grüße aus Köln".encode("latin-1"), "X: 1"),
    "koi8-header": lambda r: _mail("Subject: Привет, это письмо".encode("koi8-r"), "Content-Type: text/plain"),
    "utf8-header": lambda r: _mail("Subject: Žluťoučký kůň ✓", "Cc: Ольга <ольга@почта.example>"),
    "broken-utf8": lambda r: _mail(b"Subject: \xc3\x28 \xf0\x9f \xed\xa0\x80 \xfe\xff \xc0\xaf"),
    "surrogates": lambda r: _mail("Subject: " + _b("\ud800 alone \udfff"), b"Cc: \xed\xa0\x80 <x@example.org>"),
    "utf7": lambda r: _mail("Subject: =?utf-7?Q?+2AA-_+AGE-_+/-?=", "Content-Type: text/plain; charset=utf-7"),
    "utf16": lambda r: _mail("Subject: =?utf-16?B?//492Enc?= =?utf-16?B?AA==?="),
    "unknown-charset": lambda r: _mail(
        f"Subject: =?x-{_word(r)}?Q?caf=E9?=", f"Content-Type: text/plain; charset=x-{_word(r)}", body=b"caf\xe9\r\n"
    ),
    "python-codecs": lambda r: _mail(
        f"Subject: =?{r.choice(_NO_CHARSETS)}?Q?=5Cud800?=",
        "Content-Type: text/plain; charset=raw_unicode_escape",
    ),
    "charset-path": lambda r: _mail("Subject: =?../../etc/passwd?Q?x?= =?os.system?B?eA==?="),
    "split-character": lambda r: _mail("Subject: =?utf-8?B?4pw=?= =?utf-8?B?kw==?= =?utf-8?Q?=E2=9C?= x"),
    "broken-base64-word": lambda r: _mail("Subject: =?utf-8?B?Y?= =?utf-8?B?@@@@?= =?utf-8?B?YWJj=?="),
    "broken-qp-word": lambda r: _mail("Subject: =?utf-8?Q?=ZZ=4?= =?utf-8?Q?a b?= =?utf-8?X?x?="),
    "nested-words": lambda r: _mail("Subject: " + _b(_b(_b("thrice encoded")))),
    "word-with-newline": lambda r: _mail("Subject: " + _q("one\r\nBcc: x@evil.example\r\n\r\nbody")),
    "word-in-address": lambda r: _mail("From: =?utf-8?Q?ceo=40bank=2Eexample_=3C?= <m@evil.example>", sender=False),
    "word-as-address": lambda r: _mail("From: " + _b("Boss <boss@bank.example>"), "Subject: whole", sender=False),
    "spoofed-name": lambda r: _mail('From: "ceo@bank.example" <m@evil.example>', "Subject: pay", sender=False),
    "spoofed-bare-name": lambda r: _mail("From: ceo@bank.example <m@evil.example>", "Subject: pay", sender=False),
    "two-ats": lambda r: _mail("From: a@bank.example@evil.example", "Subject: two", sender=False),
    "group": lambda r: _mail("From: Board: a@x.example, b@y.example;", "To: undisclosed:;", sender=False),
    "route": lambda r: _mail("From: <@a.example,@b.example:c@d.example>", "Subject: route", sender=False),
    "comments": lambda r: _mail("From: (a(b(c))) x (y) @ (z) evil.example (end)", "Subject: c", sender=False),
    "1000-nested-comments": lambda r: _mail("From: " + "(" * 1000 + ")" * 1000 + " <m@evil.example>", sender=False),
    "open-quote": lambda r: _mail('From: "Mallory <m@evil.example>', "Subject: open", sender=False),
    "open-angle": lambda r: _mail("From: Mallory <m@evil.example", "Subject: open", sender=False),
    "empty-sender": lambda r: _mail("From: <>", "To: <>", "Subject: nobody", sender=False),
    "no-sender": lambda r: _mail("Subject: from nobody", sender=False),
    "malformed-addresses": lambda r: _mail(
        "From: " + r.choice(_MALFORMED),
        "Subject: malformed",
        sender=False,
    ),
    "long-address": lambda r: _mail("From: " + "a" * 400 + "@" + "b" * 400 + ".example", sender=False),
    "address-of-8-bit": lambda r: _mail(b"From: \xff\xfe <\xe9@\xe8.example>", "Subject: x", sender=False),
    "duplicates": lambda r: _mail(
        "From: Second <second@evil.example>",
        "To: b@example.org",
        "Subject: one",
        "Subject: two",
        "Message-ID: <1>",
        "Message-ID: <2>",
        "Content-Type: text/plain",
        "Content-Type: text/html",
        body="<b>which?</b>\r\n",
    ),
    "dates": lambda r: b"\r\n".join(
        [b"From: m@evil.example", b"Subject: when", b"Date: " + r.choice(_DATES).encode("latin-1"), b"", b"x\r\n"]
    ),
    "long-lines": lambda r: _mail("Subject: " + "w" * 5000, "X: " + "v" * 5000, body="z" * 5000 + "\r\n"),
    "no-boundary": lambda r: _mail("Subject: b", "Content-Type: multipart/mixed", body="--x\r\n\r\nhi\r\n--x--\r\n"),
    "empty-boundary": lambda r: _mail('Content-Type: multipart/mixed; boundary=""', body="--\r\n\r\nhi\r\n----\r\n"),
    "boundary-absent": lambda r: _mail("Content-Type: multipart/mixed; boundary=zzz", body="no such line\r\n"),
    "boundary-never-ends": lambda r: _mail(
        "Content-Type: multipart/mixed; boundary=z", body="--z\r\n\r\nhi\r\n--z\r\n"
    ),
    "boundary-prefix": lambda r: _mail(
        "Content-Type: multipart/mixed; boundary=a", body="--a\r\n\r\n--ab\r\n--a b\r\nstill\r\n--a--\r\nepilogue\r\n"
    ),
    "boundary-of-parent": lambda r: _mail(
        "Content-Type: multipart/mixed; boundary=q",
        body="--q\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nwhose?\r\n--q--\r\n--q--\r\n",
    ),
    "boundary-of-8-bit": lambda r: _mail(
        b'Content-Type: multipart/mixed; boundary="\xff\0\xfe"', body=b"--\xff\0\xfe\r\n"
    ),
    "boundary-regex": lambda r: _mail('Content-Type: multipart/mixed; boundary="(a+)+$"', body="--(a+)+$\r\n\r\nx\r\n"),
    "two-content-types": lambda r: _mail("Content-Type: text/plain, text/html; charset=a; charset=b", body="<i>x\r\n"),
    "broken-base64": lambda r: _mail("Content-Transfer-Encoding: base64", body="QUJ\r\n=D*&^\r\nA\r\n"),
    "base64-of-nothing": lambda r: _mail("Content-Transfer-Encoding: base64", body="====\r\n"),
    "broken-qp": lambda r: _mail("Content-Transfer-Encoding: quoted-printable", body="=G1=\r\n=4\r\n=E2=9C=\r\n"),
    "unknown-encoding": lambda r: _mail(f"Content-Transfer-Encoding: x-{_word(r)}", body="what?\r\n"),
    "uuencode": lambda r: _mail("Subject: uu", body="begin 644 evil.exe\r\n#0V%T\r\n`\r\nend\r\n"),
    "uuencode-part": lambda r: _mail(
        "Content-Transfer-Encoding: x-uuencode", body="begin 644 a\r\n~~broken\r\nend\r\n"
    ),
    "yenc": lambda r: _mail("Subject: y", body=b"=ybegin line=128 size=3 name=x\r\n\x8b\x8c\x8d\r\n=yend size=3\r\n"),
    "zip-as-text": lambda r: _attached("readme.txt", b"PK\3\4" + r.randbytes(200), "text/plain"),
    "zip-bomb": lambda r: _attached("bomb.zip", b"PK\3\4\x14\0\0\0\x08\0" + bytes(400), "application/zip"),
    "tnef": lambda r: _attached("winmail.dat", b"\x78\x9f\x3e\x22" + r.randbytes(200), "application/ms-tnef"),
    "attachment-path": lambda r: _attached(
        r.choice(["../../etc/passwd", "C:\\x.exe", "a/b", ".", "\x1b]0;x\x07", "CON"]), b"x"
    ),
    "attachment-bidi": lambda r: _attached("invoice\u202efdp.exe", b"MZ"),
    "attachment-long-name": lambda r: _attached("n" * 5000 + ".pdf", b"%PDF"),
    "attachment-2231": lambda r: _mail(
        "Content-Type: application/x; name*0*=utf-8'en'%E2%9C%93; name*1=\".exe\"; name*99999*=x; name*=a'b'c",
        "Content-Disposition: attachment; filename*=zip'x'%ff%fe; filename*1*=y",
        body="x\r\n",
    ),
    "message-in-message": lambda r: _mail(
        "Content-Type: message/rfc822",
        body=b"Content-Type: message/rfc822\r\n\r\n" * 60 + b"Subject: inner\r\n\r\nx\r\n",
    ),
    "partial-message": lambda r: _mail('Content-Type: message/partial; id="x"; number=1; total=3', body="half\r\n"),
    "external-body": lambda r: _mail("Content-Type: message/external-body; access-type=local-file; name=/etc/passwd"),
    "html-script": lambda r: _mail(
        "Content-Type: text/html",
        body="<script>alert(1)//<p>unseen</p></scr<p>after<a href='javascript:x'>j</a>"
        "<a href=data:text/html,x>d</a>\r\n",
    ),
    "html-links": lambda r: _mail(
        "Content-Type: text/html",
        body="<a href='http://bank.example@evil.example\\@x/'>bank</a><a href=\"ht\ttps:/\\evil.example\">b</a>"
        "<a href='mailto:m@evil.example?subject=x'>c</a><a href='http://[::1'>d</a><a href=#>e</a><a>f\r\n",
    ),
    "html-control": lambda r: _mail(
        "Content-Type: text/html", body="&#27;]52;c;eA==&#7;&#x9b;31m&#0;&#xd800;&#8238;x\r\n"
    ),
    "html-charset": lambda r: _mail("Content-Type: text/html", body=b"<meta charset=x-evil>\xff\xfe<p>\xe9\r\n"),
    "rules-from-body": lambda r: _mail(
        "X-Spam-Report: Content preview: * 9.9 SECRET from the body\r\n\t* 1.0 TOKEN also\r\n"
        "\tContent analysis details: (9.9 points)\r\n\t* 1.0 REAL_RULE BODY: real [URIs: token.example]"
    ),
    "forged-verdict": lambda r: _mail(
        "X-Rcq-Verdict: RELEASED; let it go", "X-Spam-Status: No, score=nan required=inf"
    ),
    "odd-scores": lambda r: _mail(
        f"X-Spam-Status: Yes, score={r.choice(['1e999', '-', '9' * 400, '0x10', '--5', '5.5.5'])} required=",
        "X-Spam-Level: " + "*" * 5000,
        "X-Spam-Score: " + "9" * 5000,
    ),
    "forged-receipt": lambda r: _mail(*_received(r, 5), "Authentication-Results: evil; spf=pass dkim=pass dmarc=pass"),
    "listed-but-leaky": lambda r: _mail(
        'Content-Type: application/pdf; name="secret-plan.pdf"; x=y',
        "X-Amavis-Alert: BANNED, message contains .exe,secret-plan.exe",
        "X-Virus-Status: Infected (secret-plan.exe)",
        "DKIM-Signature: v=1; d=evil.example; s=x; a=rsa-sha256; bh=c2VjcmV0; h=from; b=c2VjcmV0",
    ),
}

_NO_CHARSETS = ["idna", "punycode", "rot13", "zip", "unicode_escape", "undefined", "mbcs"]
_MALFORMED = ["@", "@@", "a@", "@b", "a b c", "<<>>", ",,,", "a@[", "[", ";:;", "a@b@", '""@', "<a@b> c@d"]
_DATES = [
    "",
    "yesterday",
    "Tue, 99 Foo 99999 99:99:99 +9999",
    "Thu, 1 Jan 1970 00:00:00 +0000",
    "31 Feb 2026 25:61:61",
    "-1",
    "9" * 300,
    "\xff\x00",
    "Tue, 24 Nov 2026 08:15:00 " + "(" * 500,
]


def _text_maker(payload: str) -> Callable[[Random], bytes]:
    """The payload in every field that a screen shows, in each of the ways in which a field can carry it."""

    def make(random: Random) -> bytes:
        carried = random.choice([_b, _q])(payload)
        bare = payload.replace("\r", " ").replace("\n", " ")
        return _mail(
            f"From: {carried} <mallory@evil.example>",
            f"To: {carried} <anna@example.org>",
            f"Subject: {random.choice([carried, bare])}",
            f"Date: {bare}",
            f"X-Mailer: {bare}",
            f"Message-ID: <{bare}@evil.example>",
            f"Received: from {bare} by {carried}; {bare}",
            f"X-Rcq-Verdict: SPAM; {bare}",
            f"X-Spam-Report: * 1.0 A_RULE {bare}",
            "Content-Type: text/plain; charset=utf-8",
            body=payload.encode("utf-8", "surrogatepass") + b"\r\n",
            sender=False,
        )

    return make


_TEXTS = {f"text-{name}": _text_maker(payload) for name, payload in (*PAYLOADS, *_MORE_TEXT)}
