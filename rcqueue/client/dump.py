"""Stored bytes as lines of text: in hexadecimal, and as they read. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rcqueue.safe_text import safe_text

_WIDE = 16  # bytes a line


def hex_lines(data: bytes, at: int) -> Iterator[str]:
    """`00000010  48 65 6c 6c ...  Hello...`, 76 cells a line; `at` is the offset of the first byte."""
    for start in range(0, len(data), _WIDE):
        some = data[start : start + _WIDE]
        shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in some)
        yield f"{at + start:08x}  {some[:8].hex(' '):<23}  {some[8:].hex(' '):<23}  {shown}"


def raw_text(data: bytes) -> str:
    """Bytes of a message as they read: UTF-8, and what is none as `\\xNN`. Safe to show; line ends are LF."""
    return safe_text(data.decode("utf-8", "backslashreplace").replace("\r\n", "\n"), multiline=True)
