"""The tolerant cutter: the bytes of a header block to fields, without decoding any.

A line ends at CRLF, at a bare LF and at a bare CR alike, as it will once the message is released. The header ends at
the first empty line, or before the first line that can't be part of one, where mail servers end it too: what they
take for body must not be read as fields.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rcqueue.server.reading import caps

# Possessive throughout: a line is looked at once, whatever is in it.
_FIELD = re.compile(r"([!-9;-~]++)[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)")
_SKIPPED = re.compile(r"(?:From |>From |:|[ \t])[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)")
_TOO_LONG = f"header block over {caps.HEADER_BLOCK // 1024} KB"
_LINE_END = re.compile(rb"\r\n?|\n")


class Block(NamedTuple):
    """A header cut into fields; `body_at` is the offset in the raw bytes at which the body begins."""

    fields: list[tuple[str, str]]  #: name as written, value: one character a byte (Latin-1), folds as "\n"
    body_at: int
    trouble: str | None  #: why fields are missing, or None


def cut(raw: bytes, start: int = 0, end: int | None = None) -> Block:
    """Cut the header that begins at `start`, of a message or of a part of one. Linear, and raises nothing."""
    end = len(raw) if end is None else end
    limit = min(end, start + caps.HEADER_BLOCK)
    header_end, body_at = _header_end(raw, start, limit, end)
    text = raw[start:header_end].replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode("latin-1")

    fields: list[tuple[str, str]] = []
    at, length, trouble = 0, len(text), None
    while at < length:
        field = _FIELD.match(text, at)
        if field:
            if len(fields) == caps.FIELDS:
                trouble = f"header of over {caps.FIELDS:,} fields"
                break
            fields.append(field.groups())  # type: ignore[arg-type]
            at = field.end()
        elif skipped := _SKIPPED.match(text, at):  # an mbox line, a nameless field, a fold of nothing
            at = skipped.end()
        elif body_at is None and "\n" not in text[at:]:  # a name that the cap cut off
            trouble = _TOO_LONG
            break
        else:
            return Block(fields, _raw_offset(raw, start, end, text.count("\n", 0, at)), None)
    if trouble is None and body_at is None:
        trouble = _TOO_LONG
        if fields:
            fields.pop()  # it may go on past the cap
    return Block(fields, end if body_at is None else min(end, body_at), trouble)


def _header_end(raw: bytes, start: int, limit: int, end: int) -> tuple[int, int | None]:
    """Where the header's last line ends, and where the body begins: None when the cap came first."""
    if raw[start : start + 1] in (b"\r", b"\n"):
        return start, start + (2 if raw[start : start + 2] == b"\r\n" else 1)
    # Two line ends in a row hold one of these three, whichever forms they have.
    found = -1
    for pair in (b"\n\r", b"\n\n", b"\r\r"):
        at = raw.find(pair, start, limit if found < 0 else found + 1)
        if at >= 0:
            found = at
    if found < 0:
        return limit, (end if limit == end else None)
    body_at = found + 2
    if raw[found + 1 : found + 3] == b"\r\n":
        body_at += 1
    return found + 1, body_at


def _raw_offset(raw: bytes, start: int, end: int, lines: int) -> int:
    """The offset of the line that `lines` line ends precede."""
    at = start
    for _ in range(lines):
        line_end = _LINE_END.search(raw, at, end)
        if line_end is None:
            return end
        at = line_end.end()
    return at
