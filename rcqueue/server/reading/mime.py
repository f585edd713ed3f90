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
_DELIMITER_REST = re.compile(rb"(--)?[ \t]*+(?:\r\n?|\n|\Z)")


class Part(NamedTuple):
    """A part that holds no parts."""

    number: str  #: "1.2": the second part of the first
    media_type: str  #: lower case
    charset: str  #: "" if none is named
    encoding: str  #: Content-Transfer-Encoding, lower case
    attached: bool  #: it says that it is an attachment, or has a file name
    name: str  #: of the file, "" without
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


def parts(raw: bytes) -> tuple[list[Part], list[str]]:
    """Every part of a message in order, within the caps, and what could not be read of the structure."""
    leaves: list[Part] = []
    troubles: list[str] = []
    waiting = [_Branch("1", 0, 0, len(raw), "text/plain", None)]
    while waiting:
        branch = waiting.pop()
        if len(leaves) == caps.PARTS:
            troubles.append(f"over {caps.PARTS:,} parts")
            break
        part, boundary = _read(raw, branch)
        if not part.media_type.startswith("multipart/"):
            leaves.append(part)
            continue
        if branch.depth == caps.DEPTH:
            troubles.append(f"multiparts over {caps.DEPTH} deep")
            continue
        spans = _spans(raw, part.start, part.end, boundary)
        if not spans:  # not what it says: shown as the text that it then is
            leaves.append(part._replace(media_type="text/plain", attached=False))
            continue
        alternative = branch.number if part.media_type == "multipart/alternative" else branch.alternative
        default = "message/rfc822" if part.media_type == "multipart/digest" else "text/plain"
        prefix = "" if branch.depth == 0 else f"{branch.number}."
        waiting += [
            _Branch(f"{prefix}{index}", branch.depth + 1, start, end, default, alternative)
            for index, (start, end) in reversed(list(enumerate(spans, 1)))
        ]
    return leaves, troubles


def _read(raw: bytes, branch: _Branch) -> tuple[Part, bytes]:
    """The part that begins at a branch, as its own header describes it, and its boundary."""
    block = cut(raw, branch.start, branch.end)
    values: dict[str, str] = {}
    for name, value in block.fields:
        if name.lower() in ("content-type", "content-disposition", "content-transfer-encoding"):
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
        start=block.body_at,
        end=branch.end,
        alternative=branch.alternative,
    )
    return part, of_type.get("boundary", "").encode("utf-8", "replace")


def _spans(raw: bytes, start: int, end: int, boundary: bytes) -> list[tuple[int, int]]:
    """Where the parts of a multipart body begin and end. The line end before a delimiter belongs to the delimiter."""
    spans: list[tuple[int, int]] = []
    if not boundary:
        return spans
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
                return spans
        opened = rest.end()
        if rest[1]:
            return spans
    if opened >= 0:
        spans.append((opened, end))  # its end is missing
    return spans
