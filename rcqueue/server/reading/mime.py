"""The parts of a message, found in its bytes: offsets, not copies, and no recursion. Messages inside of messages are
parts like any other and stay closed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rcqueue.server.reading import caps
from rcqueue.server.reading.charsets import clean
from rcqueue.server.reading.fields import cut
from rcqueue.server.reading.parameters import parameters

_MEDIA_TYPE = re.compile(r"[ \t\n]*+([\w!#$&^.+-]{1,80})[ \t]*+/[ \t]*+([\w!#$&^.+*-]{1,120})", re.ASCII)
# Whatever else a header holds, somebody may read it another way, or end it elsewhere.
_PLAIN_HEADER = re.compile(r"(?:[!-9;-~]++[ \t]*+:[^\n\0]*+\n(?:[ \t][^\n\0]*+\n)*+)*+(?:\n|\Z)")
_BOUNDARY = re.compile(r"boundary\s*+(?:\*[\d*]*+)?\s*+=", re.IGNORECASE)
_BOUNDARIES = re.compile(r";\s*+boundary\s*+(?:\*[\d*]*+)?\s*+=", re.IGNORECASE)
_PLAIN_BOUNDARY = re.compile(
    r"boundary[ \t]*+=[ \t]*+(?:\"([^\"\\\n]{0,69}[^\"\\\s])\"|([\w'+./:=?-]{1,70}))(?=[\s;]|\Z)",
    re.ASCII | re.IGNORECASE,
)
_PLAIN_ENCODING = re.compile(r"|7bit|8bit|binary")
_DELIMITER_REST = re.compile(rb"(--)?[ \t]*+(?:\r\n?|\n|\Z)")


class Part(NamedTuple):
    """A part that holds no parts."""

    number: str  #: "1.2": the second part of the first
    media_type: str  #: lower case
    charset: str  #: "" if none is named
    encoding: str  #: Content-Transfer-Encoding, lower case
    attached: bool  #: it says that it is an attachment, or has a file name
    name: str  #: of the file, "" without
    at: int  #: its header's first byte
    start: int  #: its body's first byte
    end: int
    alternative: str | None  #: number of the nearest multipart/alternative around it


class _Branch(NamedTuple):
    number: str
    depth: int
    start: int
    end: int
    default: str
    alternative: str | None
    around: tuple[bytes, ...] = ()  #: boundaries of the multiparts that it is in


class Parts(NamedTuple):
    leaves: list[Part]  #: in order, within the caps
    troubles: list[str]  #: what could not be read of the structure
    doubts: list[str]  #: what others may read another way: they may find parts that are not among the leaves


def parts(raw: bytes) -> Parts:
    """Every part of a message."""
    leaves: list[Part] = []
    troubles: list[str] = []
    doubts: list[str] = []
    waiting = [_Branch("1", 0, 0, len(raw), "text/plain", None)]
    while waiting:
        branch = waiting.pop()
        if len(leaves) == caps.PARTS:
            troubles.append(f"over {caps.PARTS:,} parts")
            break
        part, boundary, doubt = _read(raw, branch)
        doubts += doubt
        if not part.media_type.startswith("multipart/"):
            leaves.append(part)
            continue
        if branch.depth == caps.DEPTH:
            troubles.append(f"multiparts over {caps.DEPTH} deep")
            continue
        spans, whole = _spans(raw, part.start, part.end, boundary)
        if not whole:
            doubts.append(f"part {branch.number}: a multipart without its end")
        if not spans:  # not what it says: shown as the text that it then is
            leaves.append(part._replace(media_type="text/plain", attached=False))
            continue
        alternative = branch.number if part.media_type == "multipart/alternative" else branch.alternative
        default = "message/rfc822" if part.media_type == "multipart/digest" else "text/plain"
        prefix = "" if branch.depth == 0 else f"{branch.number}."
        waiting += [
            _Branch(f"{prefix}{index}", branch.depth + 1, start, end, default, alternative, (*branch.around, boundary))
            for index, (start, end) in reversed(list(enumerate(spans, 1)))
        ]
    return Parts(leaves, troubles, doubts)


def _read(raw: bytes, branch: _Branch) -> tuple[Part, bytes, list[str]]:
    """The part that begins at a branch, as its own header describes it, its boundary, and doubts of it."""
    block = cut(raw, branch.start, branch.end)
    values: dict[str, str] = {}
    plain_header = _is_plain(raw[branch.start : block.body_at], block.body_at == branch.end)
    doubts = [] if plain_header and not block.trouble else ["a header that can be read in several ways"]
    for name, value in block.fields:
        if name.lower() in ("content-type", "content-disposition", "content-transfer-encoding"):
            if name.lower() in values:
                doubts.append(f"{name} twice")
            values.setdefault(name.lower(), value[: caps.FIELD])
    content_type, disposition = values.get("content-type", ""), values.get("content-disposition", "")
    media_type = _MEDIA_TYPE.match(content_type)
    of_type, of_disposition = parameters(content_type), parameters(disposition)
    name = of_disposition.get("filename") or of_type.get("name") or ""
    part = Part(
        number=branch.number,
        media_type=f"{media_type[1]}/{media_type[2]}".lower() if media_type else branch.default,
        charset=of_type.get("charset", ""),
        encoding=values.get("content-transfer-encoding", "").partition(";")[0].strip().lower(),
        attached=bool(name) or disposition.strip().lower().startswith("attachment"),
        name=clean(name)[: caps.FILE_NAME],
        at=branch.start,
        start=block.body_at,
        end=branch.end,
        alternative=branch.alternative,
    )
    boundary = of_type.get("boundary", "").encode("utf-8", "replace")
    if content_type and not media_type:
        doubts.append("a type that is none")
    if part.media_type.startswith("multipart/"):
        if not _PLAIN_ENCODING.fullmatch(part.encoding):
            doubts.append("a multipart that is encoded")
        if not _is_sure(content_type, of_type.get("boundary", "")):
            doubts.append("a boundary that can be read in several ways")
        if any(boundary.startswith(outer) or outer.startswith(boundary) for outer in branch.around):
            doubts.append("a boundary that begins as another")
    return part, boundary, [f"part {branch.number}: {doubt}" for doubt in doubts]


def _is_sure(content_type: str, boundary: str) -> bool:
    """Whether everybody finds this boundary in the field: it stands there once, first and whole."""
    first = _BOUNDARY.search(content_type)
    found = _PLAIN_BOUNDARY.match(content_type, first.start()) if first else None
    return found is not None and boundary in found.groups() and len(_BOUNDARIES.findall(content_type)) == 1


def _is_plain(header: bytes, all_of_it: bool) -> bool:
    """`all_of_it`: there is no body, so that no empty line has to end the header."""
    text = header.replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode("latin-1")
    ended = text == "\n" or text.endswith("\n\n")
    return (ended or all_of_it) and _PLAIN_HEADER.fullmatch(text) is not None


def _spans(raw: bytes, start: int, end: int, boundary: bytes) -> tuple[list[tuple[int, int]], bool]:
    """Where the parts of a multipart body begin and end, and whether its own end is there. The line end before a
    delimiter belongs to the delimiter."""
    spans: list[tuple[int, int]] = []
    if not boundary:
        return spans, False
    marker = b"--" + boundary
    opened, at = -1, start
    while (hit := raw.find(marker, at, end)) >= 0:
        at = hit + len(marker)
        if hit > start and raw[hit - 1] not in b"\r\n":
            continue
        rest = _DELIMITER_REST.match(raw, at, end)
        if rest is None:
            continue
        if opened >= 0:
            before = hit - (2 if raw[hit - 2 : hit] == b"\r\n" else 1)
            spans.append((opened, max(opened, before)))
            if len(spans) > caps.PARTS:
                return spans, False
        opened = rest.end()
        if rest[1]:
            return spans, bool(spans)
    if opened >= 0:
        spans.append((opened, end))  # its end is missing
    return spans, False
