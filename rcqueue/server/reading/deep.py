"""What is made of a message when someone first opens it: text for the body pane, attachments, and every field.

Nothing is unpacked: an archive, a TNEF and a message within are one attachment each.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_qp, a2b_uu
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from rcqueue.model.mail import Attachment, Link, Wire
from rcqueue.server.reading import caps, magic
from rcqueue.server.reading.charsets import clean, from_charset, guess
from rcqueue.server.reading.fields import cut
from rcqueue.server.reading.html_text import Html, html_text
from rcqueue.server.reading.language import language_of
from rcqueue.server.reading.links import bare, listed, without_fangs
from rcqueue.server.reading.listed import LISTED
from rcqueue.server.reading.mime import Part, parts
from rcqueue.server.reading.parameters import parameters
from rcqueue.server.reading.words import base64, decode

_TEXT_TYPES = ("text/plain", "text/html")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_WORDS = re.compile(r"[^\W\d_]{4,30}")
_PLAIN_BITS = re.compile(r"[678][ -]?bits?")
# At the start of a line; the words come first, for which is looked fast.
_UUENCODED = (
    re.compile(rb"begin(?<![^\r\n]begin)(?:-base64)? [0-7]{3,4} "),
    re.compile(rb"=ybegin(?<![^\r\n]=ybegin) "),
)
_UUENCODE = ("x-uuencode", "uuencode", "x-uue", "uue")


class Deep(Wire):
    """Of class `body`: text, and the fields that are not listed. Of class `attachments`: the attachments."""

    text: str = ""
    source: str = ""  #: "text/plain" or "text/html": what `text` was made from; "" without any
    truncated: bool = False
    html: str = ""  #: the source of the HTML parts
    html_truncated: bool = False
    charset: str = ""  #: that the part names which `text` was made from
    encoding: str = ""  #: and its transfer encoding
    language: str = ""  #: ISO 639-1
    links: list[Link] = []  #: of all text parts, shown or not
    more_links: int = 0
    marks: list[str] = []  #: what the text does not show: hidden text, forms, remote images
    attachments: list[Attachment] = []
    heads: list[str] = []  #: the first bytes of each attachment in hexadecimal, for rules about them; shown to nobody
    spans: list[tuple[int, int]] = []  #: where each attachment is, with its header; shown to nobody
    doubts: str | None = None  #: why others may find other attachments; in our words, it quotes nothing
    unread: bool = True  #: there may be attachments beyond those listed
    headers_all: list[tuple[str, str]] = []  #: every field in order, decoded
    degraded: str | None = None  #: what could not be read, part by part, or None: in our words, it quotes nothing


def read_deep(raw: bytes) -> Deep:
    """Read a whole message. Linear in its bytes but for nesting, which is capped; run it in a child all the same."""
    headers, troubles = _headers(raw)
    leaves, structure, doubts = parts(raw)
    troubles += structure
    if _uuencoded(raw):
        doubts.append("uuencoded text")

    texts: list[_Text] = []
    attachments: list[Attachment] = []
    heads: list[str] = []
    spans: list[tuple[int, int]] = []
    truncated = False
    for part in leaves:
        data, trouble = _content(raw[part.start : part.end], part.encoding)
        if part.attached or part.media_type not in _TEXT_TYPES:
            digest = sha256(data).hexdigest()
            content, marks = magic.look(part.name, data)
            attachments.append(
                Attachment(
                    name=part.name, type=part.media_type, size=len(data), sha256=digest, content=content, marks=marks
                )
            )
            heads.append(data[: caps.HEAD].hex())
            spans.append((part.at, part.end))
        else:
            text, cut_off, undecoded = _text(data, part)
            trouble = trouble or undecoded
            read = html_text(text) if part.media_type == "text/html" else None
            if _uuencoded(data):
                doubts.append(f"part {part.number}: uuencoded text")
            truncated = truncated or cut_off
            texts.append(_Text(part, text, read))
        if trouble:
            troubles.append(f"part {part.number}: {trouble}")

    shown = _chosen(texts)
    text = without_fangs("\n\n".join(one.text for one in shown))
    source = "\n\n".join(one.source for one in texts if one.html is not None)
    links, more_links = listed(one for text in texts for one in text.links)
    first = shown[0].part if shown else None
    return Deep(
        text=text[: caps.TEXT],
        source=first.media_type if first else "",
        truncated=truncated or len(text) > caps.TEXT,
        html=source[: caps.TEXT],
        html_truncated=len(source) > caps.TEXT or (truncated and bool(source)),
        charset=clean(first.charset)[: caps.FILE_NAME] if first else "",
        encoding=clean(first.encoding)[: caps.FILE_NAME] if first else "",
        language=language_of(text),
        links=links,
        more_links=more_links,
        marks=_marks(texts, shown),
        attachments=attachments,
        heads=heads,
        spans=spans,
        doubts="; ".join(dict.fromkeys([*structure, *doubts]))[: caps.REASON] or None,
        unread=bool(structure),
        headers_all=headers,
        degraded="; ".join(dict.fromkeys(troubles))[: caps.REASON] or None,
    )


class _Text(NamedTuple):
    """A part that is text: as it stands, and what it is as HTML."""

    part: Part
    source: str
    html: Html | None

    @property
    def text(self) -> str:
        return self.source if self.html is None else self.html.text

    @property
    def links(self) -> Iterator[tuple[str, str]]:
        return ((url, "") for url in bare(self.source)) if self.html is None else iter(self.html.links)


def _marks(texts: list[_Text], shown: list[_Text]) -> list[str]:
    """What the text that is shown does not tell, or not loud enough."""
    pages = [one.html for one in texts if one.html is not None]
    marks = []
    if hidden := sum(page.hidden for page in pages):
        marks.append(f"hidden text: {hidden:,} piece{'s' * (hidden > 1)}")
    forms = dict.fromkeys(form for page in pages for form in page.forms)
    marks += [f"a form that sends to {where[: caps.URL]}" if where else "a form" for where in forms]
    if any(page.asks_password for page in pages):
        marks.append("asks for a password")
    if images := sum((page.images for page in pages), Counter[str]()):
        count, hosts = images.total(), [host[: caps.FILE_NAME] for host, _ in images.most_common(3)]
        more = f" and {len(images) - 3} more" if len(images) > 3 else ""
        marks.append(f"remote content, {count:,} of it, not fetched, from {', '.join(hosts)}{more}")
    if any(page.runs for page in pages):
        marks.append("has a script")
    if any(page.moves for page in pages):
        marks.append("leads elsewhere by itself")
    if any(_says_more(one, shown) for one in texts if one.html is not None and one not in shown):
        marks.append("its HTML says what this text does not")
    return marks[: caps.MARKS]


def _says_more(page: _Text, shown: list[_Text]) -> bool:
    """Whether much of what an HTML part says is not in the plain text that stands for it."""
    words = set(_WORDS.findall(page.text[: caps.COMPARED].lower()))
    plain = {word for one in shown for word in _WORDS.findall(one.text[: 2 * caps.COMPARED].lower())}
    return len(missing := words - plain) >= 10 and 3 * len(missing) > len(words)


def _headers(raw: bytes) -> tuple[list[tuple[str, str]], list[str]]:
    block = cut(raw)
    troubles = [block.trouble] if block.trouble else []
    content_type = next((value for name, value in block.fields if name.lower() == "content-type"), "")
    declared = parameters(content_type[: caps.FIELD]).get("charset", "")
    headers: list[tuple[str, str]] = []
    for name, value in block.fields:
        text, trouble = decode(value[: caps.FIELD], declared)
        if len(value) > caps.FIELD:
            trouble = f"over {caps.FIELD // 1024} KB"
        headers.append((name, text))
        if trouble:
            troubles.append(f"{name if name.lower() in LISTED else 'a withheld field'}: {trouble}")
    return headers, troubles


def _content(data: bytes, encoding: str) -> tuple[bytes, str | None]:
    """A part's bytes with the transfer encoding undone, and the trouble there was."""
    if encoding in ("", "binary") or _PLAIN_BITS.fullmatch(encoding):
        return data, None
    if encoding == "base64":
        decoded, whole = base64(data)
        return decoded, None if whole else "broken base64"
    if encoding in ("quoted-printable", "quoted printable"):
        return a2b_qp(data), None
    if encoding in _UUENCODE:
        return _uudecode(data)
    return data, "unknown encoding"


def _uudecode(data: bytes) -> tuple[bytes, str | None]:
    out: list[bytes] = []
    lines = iter(data.splitlines())
    for line in lines:
        if line.startswith(b"begin "):
            break
    for line in lines:
        if line.rstrip() in (b"end", b"`", b""):
            continue
        try:
            out.append(a2b_uu(line))
        except Error:
            return b"".join(out), "broken uuencode"
    return b"".join(out), None


def _uuencoded(data: bytes) -> bool:
    """Whether a file may stand in the middle of text, which some programs show as an attachment."""
    return any(encoded.search(data) for encoded in _UUENCODED)


def _text(data: bytes, part: Part) -> tuple[str, bool, str | None]:
    """A part decoded, whether it was cut off, and the trouble there was."""
    most = caps.TEXT if part.media_type == "text/html" else 4 * caps.TEXT
    cut_off = len(data) > most
    if cut_off:
        data = data[: data.rfind(b"\n", most // 2, most) + 1 or most]
    charset = part.charset
    if part.media_type == "text/html" and not charset and (meta := _META_CHARSET.search(data, 0, 4096)):
        charset = meta[1].decode("ascii", "replace")
    text, trouble = from_charset(data, charset) if charset else guess(data)
    return clean(text.replace("\r\n", "\n").replace("\r", "\n")), cut_off, trouble


def _chosen(texts: list[_Text]) -> list[_Text]:
    """Of alternatives the plain text, if it says anything; else all that is text, in order."""
    plain = {one.part.alternative for one in texts if one.html is None and one.text.strip()}
    return [
        one
        for one in texts
        if one.text.strip()
        and (one.part.alternative is None or (one.html is not None) != (one.part.alternative in plain))
    ]
