"""Text that attacks whoever shows it, and mail that no parser likes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from rcqueue.demo import compose, files, places
from rcqueue.demo.compose import Draft
from rcqueue.demo.rules import Verdict

#: What each does when it reaches a terminal, a renderer or an eye: name -> text. All harmless as bytes.
PAYLOADS: dict[str, str] = {
    "clear screen": "\x1b[2J\x1b[Hinvoice",
    "red for ever": "\x1b[31;1mURGENT",
    "hidden": "\x1b[8msecret\x1b[0m",
    "cursor up, overwrite": "\x1b[1A\x1b[2Kanna released this",
    "scroll region": "\x1b[1;3r\x1b[3S",
    "title": "\x1b]0;owned\x07report",
    "title by ST": "\x1b]2;owned\x1b\\report",
    "clipboard": "\x1b]52;c;Y3VybCBldmlsLmV4YW1wbGU=\x07offer",
    "hyperlink": "\x1b]8;;https://evil.example/\x1b\\https://acme.example\x1b]8;;\x1b\\",
    "palette": "\x1b]4;1;rgb:00/00/00\x07",
    "answer back": "\x1b[c\x1b[6n\x1b[>q",
    "DCS request": "\x1bP$q\"p\x1b\\",
    "APC": "\x1b_Gf=24,s=1,v=1;AAAA\x1b\\",
    "PM": "\x1b^private\x1b\\",
    "SOS": "\x1bXstring\x1b\\",
    "eight bit CSI": "\x9b2Jclear",
    "eight bit OSC": "\x9d0;owned\x9c",
    "mouse on": "\x1b[?1000h\x1b[?1006h",
    "alternate screen": "\x1b[?1049l",
    "bracketed paste end": "\x1b[201~rm -rf\x1b[200~",
    "reset": "\x1bcreset",
    "charset": "\x0eline drawing\x0f\x1b(0",
    "backspaces": "good.exe\x08\x08\x08\x08.txt",
    "bell": "\x07\x07\x07ring",
    "tabs and vertical tabs": "a\tb\x0bc\x0cd",
    "delete": "pass\x7f\x7fword",
    "RLO": "invoice_\u202excod.exe",
    "LRO": "\u202d12345",
    "isolates": "\u2066user\u2069 \u2067admin",
    "arabic letter mark": "a\u061cb",
    "zero width": "pass\u200bword\u200c\u200d\ufeff expires",
    "word joiner": "in\u2060voi\u2063ce",
    "soft hyphen": "pay\u00adpal",
    "tags": "hello\U000e0041\U000e0042\U000e007f",
    "variation selectors": "a\ufe0f\ufe0e\U000e0100",
    "line separators": "first\u2028second\u2029third\u0085fourth",
    "combining": "Z" + "\u0300\u0301\u0302\u0303\u0489" * 12 + "algo",
    "wide": "\uff21\uff23\uff2d\uff25 \U0001f9d1\u200d\U0001f680 \u3000end",
    "filler": "\u3164\u115f\u1160\u2800blank",
    "homograph": "\u0430cme b\u0430nk",
    "private use": "\ue000\uf8ff\U0010fffd",
    "noncharacter": "\ufffe\U0001ffff",
    "markup close": "[/foo]",
    "markup open": "[bold red]Urgent[/]",
    "markup link": "[@click=app.quit]press[/]",
    "markup escape": "\\[b]x\\",
    "format": "%s%n{0.__class__}${HOME}$(id)`id`",
    "newline in a word": "first\r\nX-Injected: yes\r\n\r\nbody",
    "NUL": "before\x00after",
    "very long": "A" * 4000,
    "emptyish": " \t ",
}  # fmt: skip


def draft(rng: Random) -> Draft:
    """A mail with a payload in each place that is shown: subject, display name, attachment's name, text, preview."""
    payloads = [rng.choice(list(PAYLOADS.values())) for _ in range(4)]
    raw = rng.random() < 0.3
    subject, name = (_raw(payload) if raw else _encoded(payload) for payload in payloads[:2])
    sender = f"x{rng.randrange(9999)}@evil{rng.randrange(9)}.example"
    text = f"Look at this:\n{payloads[3]}\nand answer.\n"
    return Draft(
        kind="hostile",
        sender=sender,
        recipients=places.recipients(rng, rng.choice((1, 1, 1, 4))),
        from_=f'"{name}" <{sender}>' if raw else f"{name} <{sender}>",
        subject=subject,
        content=compose.multipart(
            rng,
            "mixed",
            compose.text(text),
            compose.attachment(payloads[2], "application/pdf", files.pdf(rng)),
        ),
        verdict=Verdict("SPAM", "", ("BAYES_99", "FROM_EXCESS_BASE64", "GAPPY_SUBJECT"), rng.uniform(6, 20)),
        client=places.dial_up(rng),
        auth=("none", "none", "none"),
        preview=text,
        smtputf8=raw and not (subject + name).isascii(),
    )


def _encoded(payload: str) -> str:
    words = compose.word(payload)
    # An encoded word even where there is no need: decoding must not be the step that makes it safe.
    return words if words.startswith("=?") else f"=?utf-8?Q?{''.join(f'={byte:02X}' for byte in payload.encode())}?="


def _raw(payload: str) -> str:
    """As it stands, but for what would end the field."""
    return payload.replace("\r\n", " ").replace('"', "'")


def broken(rng: Random, whole: bytes) -> bytes:
    """`whole` (a mail as `compose.finish` makes it) broken in one of many ways. The filter's fields stay readable."""
    return rng.choice(list(BREAKS.values()))(rng, whole)


def _cut(rng: Random, whole: bytes) -> bytes:
    return whole[: len(whole) * rng.randrange(60, 95) // 100] + b"\r\n"


def _no_end(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"--\r\n", b"\r\n")


def _no_blank_line(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"\r\n\r\n", b"\r\n")


def _no_sender_fields(rng: Random, whole: bytes) -> bytes:
    return whole[: whole.index(b"\r\nFrom:") + 2] + b"\r\nonly a body\r\n"


def _no_colon(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"\r\nFrom:", b"\r\nthis line is no field\r\n: nor this\r\nFrom:", 1)


def _twice(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"\r\nFrom:", b'\r\nFrom: "Real Boss" <boss@acme.example>\r\nSubject: first\r\nFrom:', 1)


def _bare_line_feeds(rng: Random, whole: bytes) -> bytes:
    head, blank, body = whole.partition(b"\r\n\r\n")
    return head + blank + body.replace(b"\r\n", b"\n") + b"\r\n"


def _bare_returns(rng: Random, whole: bytes) -> bytes:
    head, blank, body = whole.partition(b"\r\n\r\n")
    return head + blank + body.replace(b"\r\n", b"\r", 5)


def _nul(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"\r\nSubject: ", b"\r\nSubject: \x00", 1)


def _latin1(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"\r\nSubject: ", b"\r\nSubject: Gr\xfc\xdfe aus K\xf6ln \xff\xfe ", 1)


def _unknown_charset(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"charset=utf-8", b"charset=klingon-8").replace(
        b"\r\nSubject: ", b"\r\nSubject: =?x-no?B?////?= ", 1
    )


def _bad_base64(rng: Random, whole: bytes) -> bytes:
    head, blank, body = whole.partition(b"\r\n\r\n")
    head = head.replace(b"\r\nSubject: ", b"\r\nSubject: =?utf-8?B?4pyT4p!!=?= =?utf-8?Q?=E2=9 ?= ", 1)
    return head + blank + body.replace(b"A", b"*")


def _long_line(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"\r\nSubject: ", b"\r\nX-Long: " + b"l" * 20_000 + b"\r\nSubject: ", 1)


def _many_fields(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"\r\nFrom:", b"".join(b"\r\nX-Field-%d: v" % n for n in range(1_000)) + b"\r\nFrom:", 1)


def _nested(rng: Random, whole: bytes) -> bytes:
    head = whole[: whole.index(b"\r\nContent-Type:") + 2]
    inner = compose.text("deep down\n")
    for _ in range(60):
        inner = compose.multipart(rng, "mixed", inner)
    return head + inner


def _same_boundary(rng: Random, whole: bytes) -> bytes:
    head = whole[: whole.index(b"\r\nContent-Type:") + 2]
    part = b'--x\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n'
    return head + b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n' + part * 20 + b"--x--\r\n"


def _no_boundary(rng: Random, whole: bytes) -> bytes:
    head = whole[: whole.index(b"\r\nContent-Type:") + 2]
    return head + b"Content-Type: multipart/mixed\r\n\r\n--?\r\n\r\ntext\r\n"


def _folded(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"\r\nSubject: ", b"\r\nSubject:" + b"\r\n \r\n\t" * 200 + b" ", 1)


def _bad_date(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"\r\nDate: ", b"\r\nDate: Thu, 32 Foo 99999 25:61:61 +9999 ", 1)


def _bad_address(rng: Random, whole: bytes) -> bytes:
    return whole.replace(b"\r\nFrom: ", b'\r\nFrom: <<"a@b@c.example>, (((( \\ @.example,,;:', 1)


#: How mail comes in broken: name -> what does it.
BREAKS: dict[str, Callable[[Random, bytes], bytes]] = {
    "cut off": _cut,
    "no last boundary": _no_end,
    "no blank line": _no_blank_line,
    "no fields of the sender": _no_sender_fields,
    "lines that are no fields": _no_colon,
    "From and Subject twice": _twice,
    "bare LF": _bare_line_feeds,
    "bare CR": _bare_returns,
    "NUL in a field": _nul,
    "Latin-1 in a field": _latin1,
    "unknown charset": _unknown_charset,
    "bad base64": _bad_base64,
    "a line of 20,000": _long_line,
    "1,000 fields": _many_fields,
    "60 levels": _nested,
    "one boundary for all": _same_boundary,
    "multipart without boundary": _no_boundary,
    "folds of nothing": _folded,
    "a date that is none": _bad_date,
    "an address that is none": _bad_address,
}
