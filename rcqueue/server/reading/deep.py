"""What is made of a message when someone first opens it: text for the body pane, attachments, and every field.

Nothing is unpacked: an archive, a TNEF and a message within are one attachment each.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_qp, a2b_uu
from hashlib import sha256

from rcqueue.model.mail import Attachment, Wire
from rcqueue.server.reading import caps
from rcqueue.server.reading.charsets import clean, from_charset, guess
from rcqueue.server.reading.fields import cut
from rcqueue.server.reading.html_text import html_text
from rcqueue.server.reading.listed import LISTED
from rcqueue.server.reading.mime import Part, parts
from rcqueue.server.reading.parameters import parameters
from rcqueue.server.reading.words import base64, decode

_TEXT_TYPES = ("text/plain", "text/html")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
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

    texts: list[tuple[Part, str]] = []
    attachments: list[Attachment] = []
    heads: list[str] = []
    spans: list[tuple[int, int]] = []
    truncated = False
    for part in leaves:
        data, trouble = _content(raw[part.start : part.end], part.encoding)
        if part.attached or part.media_type not in _TEXT_TYPES:
            digest = sha256(data).hexdigest()
            attachments.append(Attachment(name=part.name, type=part.media_type, size=len(data), sha256=digest))
            heads.append(data[: caps.HEAD].hex())
            spans.append((part.at, part.end))
        else:
            text, cut_off, undecoded = _text(data, part)
            trouble = trouble or undecoded
            if _uuencoded(data):
                doubts.append(f"part {part.number}: uuencoded text")
            truncated = truncated or cut_off
            texts.append((part, text))
        if trouble:
            troubles.append(f"part {part.number}: {trouble}")

    shown = _chosen(texts)
    text = "\n\n".join(text for _, text in shown)
    return Deep(
        text=text[: caps.TEXT],
        source=shown[0][0].media_type if shown else "",
        truncated=truncated or len(text) > caps.TEXT,
        attachments=attachments,
        heads=heads,
        spans=spans,
        doubts="; ".join(dict.fromkeys([*structure, *doubts]))[: caps.REASON] or None,
        unread=bool(structure),
        headers_all=headers,
        degraded="; ".join(dict.fromkeys(troubles))[: caps.REASON] or None,
    )


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
    """The text of a part, whether it was cut off, and the trouble there was."""
    most = caps.TEXT if part.media_type == "text/html" else 4 * caps.TEXT
    cut_off = len(data) > most
    if cut_off:
        data = data[: data.rfind(b"\n", most // 2, most) + 1 or most]
    charset = part.charset
    if part.media_type == "text/html" and not charset and (meta := _META_CHARSET.search(data, 0, 4096)):
        charset = meta[1].decode("ascii", "replace")
    text, trouble = from_charset(data, charset) if charset else guess(data)
    text = clean(text.replace("\r\n", "\n").replace("\r", "\n"))
    return (html_text(text) if part.media_type == "text/html" else text), cut_off, trouble


def _chosen(texts: list[tuple[Part, str]]) -> list[tuple[Part, str]]:
    """Of alternatives the plain text, if it says anything; else all that is text, in order."""
    plain = {part.alternative for part, text in texts if part.media_type == "text/plain" and text.strip()}
    return [
        (part, text)
        for part, text in texts
        if text.strip()
        and (part.alternative is None or (part.media_type == "text/html") != (part.alternative in plain))
    ]
