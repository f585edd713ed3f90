"""Canaries: words planted where people without bodies may not look, and the search for them in all that came over.

`planted()` makes the mails, `Wire` keeps each byte that the server says, `leaks` looks for them in every form in which
they could travel.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import email
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from types import TracebackType
from typing import Self

from rcqueue.demo.ports import bind

#: In each canary. In capitals, so that what takes it for the name of a rule is found out too.
MARK = "QZKANARI"
#: What the subjects hold: everybody of these tests may see it, so each channel must show it.
CONTROL = "PLAINTOSEE"


def word(place: str) -> str:
    return MARK + "".join(c for c in place.upper() if c.isalnum()) + "Q"  # so that none begins as another does


def canary(text: str) -> str:
    """`text` with `{place}` replaced by the canary of that place."""
    return re.sub(r"\{([a-z0-9-]+)\}", lambda match: word(match[1]), text)


@dataclass(frozen=True)
class Planted:
    """A mail, the places where it has canaries, and what else would tell of it: SHA-256 of what is in it, by name."""

    raw: bytes
    places: tuple[str, ...]
    digests: tuple[tuple[str, bytes], ...]


def _plant(number: int, text: str) -> Planted:
    """The mail of this text, whose `<<FORM:...>>` are encoded once the canaries are in."""
    places = tuple(dict.fromkeys(re.findall(r"\{([a-z0-9-]+)\}", text)))
    body = re.sub(r"<<(\w+):(.*?)>>", lambda match: _ENCODE[match[1]](match[2]), canary(text), flags=re.DOTALL)
    head = f"From: Ada <ada@sender.example>\nTo: x@example.org\nSubject: {CONTROL} {number}\nMIME-Version: 1.0\n"
    raw = (head + body).replace("\n", "\r\n").encode()
    secrets = {"the message": raw, "its body": raw.partition(b"\r\n\r\n")[2]}
    secrets |= {f"the word of {place}": word(place).encode() for place in places}
    for index, part in enumerate(email.message_from_bytes(raw).walk()):
        if isinstance(content := part.get_payload(decode=True), bytes):
            secrets[f"part {index}"] = content
    return Planted(
        raw, places, tuple((f"{name} {number}", sha256(octets).digest()) for name, octets in secrets.items())
    )


_ENCODE = {
    "b64": lambda text: base64.encodebytes(text.encode()).decode().strip(),
    "utf16": lambda text: base64.encodebytes(text.encode("utf-16-le")).decode().strip(),
    "qp": lambda text: "".join(f"={ord(c):02X}" for c in text),
    "url": lambda text: "".join(f"%{ord(c):02X}" for c in text),
    "html": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "word": lambda text: f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?=",
}

_TEXTS = [
    # Every kind of part, and what a part says of itself.
    """\
X-Spam-Flag: YES
X-Spam-Status: Yes, score=9.1 required=5.0 tests=BAYES_99=3.5,URIBL_BLACK=1.7
  autolearn=no {status-comment} version=3.4.6
X-Spam-Report: Spam detection software, running on the system "mx2.example.org",
  has identified this incoming email as possible spam.
  Content preview:  {report-preview} and so on
     9.9 {report-rule} this line was in the body [...]
  Content analysis details:   (9.1 points, 5.0 required)
   3.5 BAYES_99      BODY: {report-description}
   1.7 URIBL_BLACK   Contains an URL [URIs: {report-bracket}]
X-Unlisted: {unlisted}
Comments: {comments}
Content-MD5: {md5}
DKIM-Signature: v=1; a=rsa-sha256; d=sender.example; s=x; h=from; bh={bodyhash}; b={signature}
Content-Type: multipart/mixed; boundary="{boundary}"

{preamble}
--{boundary}
Content-Type: text/plain
Content-Description: {part-description}
Content-ID: <{part-id}>
X-Of-The-Part: {part-field}

The text says {text}.
--{boundary}
Content-Type: text/plain; charset=utf-16le
Content-Transfer-Encoding: base64

<<utf16:wide {text-utf16}>>
--{boundary}
Content-Type: application/pdf; name="{type-name}.pdf"
Content-Disposition: attachment; filename="{file-name}.pdf"
Content-Transfer-Encoding: base64

<<b64:%PDF of {attachment}>>
--{boundary}
Content-Type: application/zip; name="<<word:{word-name}.zip>>"
Content-Disposition: attachment; filename*=utf-8''<<url:{extended-name}>>.zip

PK
--{boundary}
Content-Type: message/rfc822

Subject: {inner-subject}

{inner-text}
--{boundary}--
{epilogue}
""",
    # Text in its encodings.
    """\
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable
X-Spam-Report: * 1.0 A_RULE {list-description}
  * 2.0 OTHER_RULE BODY: quotes ["{list-bracket}"]

<<qp:text {text-qp}>>
""",
    """\
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64
X-Rcq-Verdict: SPAM; it says {verdict-reason}

<<b64:the text, which is longer than one line of base64 would be, says {text-base64}, and that is all of it>>
""",
    """\
Content-Type: text/html
X-Spamd-Result: default: True [16.20 / 15.00];
  PHISHING(6.00)[bank.example->{rspamd-option}.example];
  ABUSE_SURBL(9.00)[{rspamd-symbol}(9.00);{rspamd-symbol}(1.00)]

<p>It says {html} and <<html:{html-entities}>> <a href="http://<<url:{html-link}>>.example/">there</a>
""",
    # One part, which is an attachment; a filter that names it.
    """\
Content-Type: application/octet-stream; name="{top-name}.exe"
Content-Disposition: attachment; filename="{top-file}.exe"
X-Amavis-Alert: BANNED, message contains .exe,{banned-name}.exe

MZ {top-attachment}
""",
    """\
Content-Type: application/octet-stream; name="x.bin"
X-Virus-Status: Infected ({virus-file}.exe)

MZ {virus-attachment}
""",
]


def planted() -> list[Planted]:
    return [_plant(number, text) for number, text in enumerate(_TEXTS)]


PLACES = tuple(place for mail in planted() for place in dict.fromkeys(mail.places))


# -- the search -----------------------------------------------------------------------------------------------------


def forms(text: str) -> dict[str, bytes]:
    """`text` in each form in which it could travel and that does not care for case, in lower case."""
    hexed = [f"{ord(c):02x}" for c in text]
    shapes = {
        "raw": text,
        "hex": "".join(hexed),
        "quoted-printable": "".join(f"={h}" for h in hexed),
        "URL": "".join(f"%{h}" for h in hexed),
        "JSON": "".join(rf"\u00{h}" for h in hexed),
        "HTML": "".join(f"&#{ord(c)};" for c in text),
        "HTML in hex": "".join(f"&#x{h};" for h in hexed),
        "UTF-16 in JSON": "".join(rf"{c}\u0000" for c in text),
    }
    octets = {name: shape.lower().encode() for name, shape in shapes.items()}
    return octets | {charset: text.lower().encode(charset) for charset in ("utf-16-le", "utf-16-be")}


def base64_forms(text: str) -> dict[str, bytes]:
    """`text` in base64 at each of three alignments, as far as its neighbours don't change it."""
    shapes = {}
    for charset in ("utf-8", "utf-16-le"):
        octets = text.encode(charset)
        for shift in range(3):
            coded = base64.b64encode(bytes(shift) + octets)
            shapes[f"base64 of {charset} at {shift}"] = coded[-(-shift * 8 // 6) : (shift + len(octets)) * 8 // 6]
    return shapes


_BREAKS = re.compile(rb"=?(?:\\r|\\n|\r|\n)+|[ \t\"]+")
_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")


class Haystack:
    """Bytes to be searched, as they are and with line breaks and spaces taken out."""

    def __init__(self, data: bytes) -> None:
        self._views = (data, _BREAKS.sub(b"", data))
        self._lower = tuple(view.lower() for view in self._views)

    def has(self, text: str) -> set[str]:
        """The forms in which `text` is in it."""
        seen = {name for name, form in forms(text).items() if any(form in view for view in self._lower)}
        for name, form in base64_forms(text).items():
            if any(form in view or form.translate(_TO_URLSAFE) in view for view in self._views):
                seen.add(name)
        return seen

    def has_digest(self, digest: bytes) -> bool:
        hexed, coded = digest.hex().encode(), base64.b64encode(digest).rstrip(b"=")
        there = digest in self._views[0] or hexed in self._lower[0]
        return there or any(form in self._views[0] for form in (coded, coded.translate(_TO_URLSAFE)))

    def lacks(self, places: Iterable[str]) -> set[str]:
        """The places whose canary is in it in no form."""
        return {place for place in places if not self.has(word(place))}


def leaks(data: bytes, mails: Iterable[Planted] = ()) -> set[str]:
    """What of the canaries, and of the digests that would tell these mails, is in `data`."""
    hay = Haystack(data)
    told = {f"a digest of {name}" for mail in mails for name, digest in mail.digests if hay.has_digest(digest)}
    if anywhere := hay.has(MARK):
        places = {f"{place} as {form}" for place in PLACES for form in hay.has(word(place))}
        told |= places or {f"some place as {form}" for form in anywhere}
    return told


# -- the wire -------------------------------------------------------------------------------------------------------


@dataclass
class Wire:
    """A way to the server that keeps each byte that it says: `async with Wire(port) as wire`, then `wire.url`.

    It takes the offer to deflate out of what clients say, so that what is kept can be searched.
    """

    to: int
    said: list[bytearray] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        sock = bind()
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self._server = await asyncio.start_server(self._connection, sock=sock)
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def heard(self) -> bytes:
        return b"\0\0\0\0".join(self.said)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        kept = bytearray()
        self.said.append(kept)
        both = [asyncio.create_task(self._ask(reader, back)), asyncio.create_task(self._tell(there, writer, kept))]
        self._tasks.update(both)
        await asyncio.gather(*both, return_exceptions=True)

    async def _ask(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with contextlib.closing(back):
            while data := await reader.read(1 << 16):
                back.write(re.sub(rb"(?i)\r\nsec-websocket-extensions:[^\r]*", b"", data))
                await back.drain()

    async def _tell(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
        with contextlib.closing(writer):
            while data := await there.read(1 << 16):
                kept += data
                writer.write(data)
                await writer.drain()
