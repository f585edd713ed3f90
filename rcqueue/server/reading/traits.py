"""What tells that messages belong together: marks of a message, cheap enough for each one that comes in.

Marks come in two sets. Those of the envelope, the sending network and the subject are known to everybody who works the
queue; those of links, attachments and text come from the body, and only who may see bodies learns what they tell.
"""

from __future__ import annotations

import logging
import re
import struct
from binascii import a2b_qp
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import ip_address, ip_network
from itertools import groupby

from rensa import RMinHash

from rcqueue.model.folding import domain_of, fold_ascii

from .charsets import clean, from_charset, guess
from .html_text import html_text
from .mime import Part, parts
from .scan import Scan
from .words import base64

log = logging.getLogger(__name__)

READ = 1 << 20  #: bytes of a message that are looked at
TEXT = 16 << 10  #: bytes of a part of text
TEXTS = 4  #: parts of text
WORDS = 2_000  #: of the text
SHORT = 12  #: a text of fewer words says too little to compare
HOSTS = 4  #: hosts of links, and attachments, that are marks
SMALL = 1024  #: bytes, as encoded: what is attached and smaller is a logo, not a mark
SLOTS = 64  #: of a sketch

# A character where words are written without spaces, else a run of letters and digits.
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
# Figures that are the same in all mails of a sending, as they are compared: a word with a digit in it; not one of four
# digits or more, which names a document; none.
_ANY = re.compile(r"\w*\d\w*")
_BRIEF = re.compile(r"(?!\d{4,}\Z)\w*\d\w*")
_LISTS = re.compile(r"(?!)")
_LINK = re.compile(r"https?://(?:[^/\s\"'<>@?#]{0,100}@)?([^/\s\"'<>?#:]{1,200})", re.IGNORECASE)
_URL = re.compile(r"https?://\S+|<[^<>\s]{1,300}>", re.IGNORECASE)  # also as html_text writes where a link leads
# Text that nobody sees, as spam carries it against digests. What is never closed goes to the end: this is linear.
_UNSEEN = re.compile(
    r"<(div|span|p|td|font)\b"
    r"(?=[^>]{0,300}?(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*[01](?:px|pt)?\b))"
    r"[^>]*+>.*?(?:</\1>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_COMMON = ("w3.org", "schemas.microsoft.com")  #: hosts that stand in HTML without anybody having written them


@dataclass(frozen=True, slots=True)
class Traits:
    """Marks are 8 bytes each, by what they are marks of; a sketch is `SLOTS` numbers of 16 bits, b"" of no text."""

    open: tuple[bytes, ...] = ()  #: from envelope, network and subject alone: the same mark, the same campaign
    whole: tuple[tuple[str, bytes], ...] = ()  #: (kind, mark); kinds are sender, subject, link, file
    sketch: bytes = b""
    listed: bool = False  #: a mailing list's: what one sends under one subject belongs together, and no more


def traits(raw: bytes, scan: Scan, sender: str, recipients: Sequence[str], client: str) -> Traits:
    """Never raises; linear in the bytes, of which only so many are looked at."""
    try:
        return _traits(raw, scan, sender, recipients, client)
    except Exception:  # of a message that nobody thought of: it is in a campaign of its own
        log.exception("the marks of a message could not be read")
        return Traits()


def alike(one: bytes, other: bytes) -> float:
    """How much of two texts is the same, 0 to 1, by their sketches: an estimate, good to 0.06."""
    if not one or len(one) != len(other):
        return 0.0
    a, b = (struct.unpack(f"<{SLOTS}H", sketch) for sketch in (one, other))
    return sum(map(int.__eq__, a, b)) / SLOTS


def _traits(raw: bytes, scan: Scan, sender: str, recipients: Sequence[str], client: str) -> Traits:
    own = {word for address in recipients[:5] for word in _WORD.findall(address.casefold()) if len(word) > 2}
    listed = any(name.lower().startswith("list-") for name, _ in scan.headers)
    shape = _shape(scan.subject, own, _LISTS if listed else _ANY)
    # Nobody looks at the text here, so what tells one invoice of a sender from the next must differ.
    close = _shape(scan.subject, own, _LISTS if listed else _BRIEF)
    domain = domain_of(sender)  # of a bounce none: one reads like another, whatever it is about
    network = _network(client)
    texts, files = _read(raw)
    words: list[str] = []
    for plain, _ in texts:
        words += _words(_URL.sub(" ", plain), own, _ANY)[: WORDS - len(words)]
    hosts = dict.fromkeys(host for _, source in texts for host in map(fold_ascii, _LINK.findall(source)))
    links = [host for host in hosts if not host.endswith(_COMMON) and fold_ascii(host) not in _domains(recipients)]

    marks = [("sender", domain)] if domain else []
    marks += [("subject", shape)] if shape else []
    marks += [("link", host) for host in links[:HOSTS]] + [("file", digest) for digest in files[:HOSTS]]
    together = [(kind, value, close) for kind, value in (("sender", domain), ("network", network)) if value and close]
    return Traits(
        open=tuple(_mark("open", *what) for what in together),
        whole=tuple((kind, _mark(kind, value)) for kind, value in marks),
        sketch=_sketch(words),
        listed=listed,
    )


def _mark(*what: str) -> bytes:
    return blake2b("\0".join(what).encode("utf-8", "replace"), digest_size=8).digest()


def _domains(recipients: Iterable[str]) -> set[str]:
    return {domain_of(recipient) for recipient in recipients}


def _network(client: str) -> str:
    """The network that a client of the Internet is in; "" of one of our own."""
    try:
        address = ip_address(client)
    except ValueError:
        return ""
    if not address.is_global:
        return ""
    return str(ip_network((address, 24 if address.version == 4 else 48), strict=False))


def _words(text: str, own: set[str], figures: re.Pattern[str]) -> list[str]:
    """Its words as they are compared: what differs from mail to mail of one sending (names of recipients, and these
    `figures`) is the same in all, however many words it is in one of them."""
    found = _WORD.findall(text.casefold())[:WORDS]
    said = ["@" if word in own else "0" if figures.fullmatch(word) else word for word in found]
    return [word for word, _ in groupby(said)]


def _shape(subject: str, own: set[str], figures: re.Pattern[str]) -> str:
    """A subject as it is compared; "" of one that says too little."""
    words = _words(subject, own, figures)
    said = [word for word in words if word not in ("@", "re", "fwd", "fw", "aw", "wg") and not word.isdigit()]
    return " ".join(words) if len(said) > 1 else ""


def _sketch(words: Sequence[str]) -> bytes:
    """Of which words there are. What is filled in is left out, and would count double or more in runs of words."""
    said = [word for word in words if word not in ("@", "0")]
    if len(said) < SHORT:
        return b""
    sketch = RMinHash(SLOTS, 1)
    sketch.update(said)
    return struct.pack(f"<{SLOTS}H", *(value & 0xFFFF for value in sketch.digest()))


def _read(raw: bytes) -> tuple[list[tuple[str, str]], list[str]]:
    """Of each part of text what it says and its source; and what is attached, by digest. Of alternatives the plain
    text is what it says, but links are looked for in all of them."""
    some = raw[:READ]
    texts: list[tuple[str, str]] = []
    files: list[str] = []
    plain: set[str | None] = set()
    for part in parts(some).leaves:
        if part.attached or not part.media_type.startswith("text/"):
            if len(raw) > READ and part.end == len(some):
                continue  # cut off
            data = some[part.start : part.end].translate(None, b"\r\n \t")
            if len(data) >= SMALL:
                files.append(blake2b(data, digest_size=16).hexdigest())
        elif len(texts) < TEXTS:
            source = _source(some, part)
            html = part.media_type == "text/html"
            seen_already = html and part.alternative in plain
            said = "" if seen_already else html_text(_UNSEEN.sub(" ", source)).text if html else source
            if part.alternative is not None and not html and said.strip():
                plain.add(part.alternative)
            texts.append((said, source))
    return texts, files


def _source(raw: bytes, part: Part) -> str:
    data = raw[part.start : min(part.end, part.start + TEXT)]
    if part.encoding == "base64":
        data = base64(data)[0]
    elif part.encoding == "quoted-printable":
        data = a2b_qp(data)
    return clean((from_charset(data, part.charset) if part.charset else guess(data))[0])
