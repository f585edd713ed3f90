"""How things are written on the screen: ages, numbers, addresses, and text cut to a number of cells. Pure."""

from __future__ import annotations

from datetime import datetime

from rich.cells import cell_len, set_cell_size

ELLIPSIS = ".."


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: cut at its end with `..`, or padded (`right`: at its left)."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        if width <= 4:
            return set_cell_size(text, width)
        return set_cell_size(text, width - len(ELLIPSIS)) + ELLIPSIS
    return " " * (width - length) + text if right else text + " " * (width - length)


def address(text: str, width: int) -> str:
    """An address in at most `width` cells: cut in the middle of its local part; the domain stays whole if it can.

    A domain that does not fit is cut at its left: what it ends in says whose it is."""
    if cell_len(text) <= width:
        return text
    local, at, domain = text.rpartition("@")
    room = width - cell_len(domain) - 1 - len(ELLIPSIS)
    if at and room >= 0:
        head = (room + 1) // 2
        return _cells(local, head) + ELLIPSIS + _cells_end(local, room - head) + "@" + domain
    return ELLIPSIS + _cells_end(domain or local, width - len(ELLIPSIS))


def _cells(text: str, width: int) -> str:
    return set_cell_size(text, width) if cell_len(text) > width else text


def _cells_end(text: str, width: int) -> str:
    while text and cell_len(text) > width:  # never half of a wide character
        text = text[1:]
    return text


def age(seconds: float) -> str:
    """`40s`, `3m`, `2h`, `4d`: at most four cells."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    if seconds < 86400 * 2:
        return f"{seconds // 3600}h"
    return f"{min(seconds // 86400, 999)}d"


def ago(seconds: float) -> str:
    """How old mail is: the same, but no second is counted, or the screen would never be still."""
    return age(seconds) if seconds >= 60 else "<1m"


def size(octets: int) -> str:
    """`900 B`, `14 KB`, `2.1 MB`."""
    if octets < 1000:
        return f"{octets} B"
    if octets < 1_000_000:
        return f"{octets / 1000:.0f} KB"
    return f"{octets / 1_000_000:.1f} MB"


def number(n: int) -> str:
    return f"{n:,}"


def plural(n: int, word: str) -> str:
    """`1 mail`, `812 mails`."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def moment(at: datetime) -> str:
    """The exact time, in the time zone of this terminal: `2026-03-14 04:09:31 +0100`."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def clock(at: datetime) -> str:
    return at.astimezone().strftime("%H:%M:%S")


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken at spaces where there are any; LF begins a new line."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines += _wrap(paragraph, max(1, width))
    return lines


def _wrap(text: str, width: int) -> list[str]:
    """One pass: a line may be a megabyte long."""
    lines: list[str] = []
    start = 0
    while (end := _fits(text, start, width)) < len(text):
        space = text.rfind(" ", start, end + 1)
        if space - start > width // 3:
            lines.append(text[start:space])
            start = space + 1
        else:
            lines.append(text[start:end])
            start = end
    lines.append(text[start:])
    return lines


def _fits(text: str, start: int, width: int) -> int:
    """Where what fits into `width` cells from `start` on ends; at least one character does."""
    if text[start : start + width].isascii():
        return min(start + width, len(text))
    end, cells = start, 0
    while end < len(text) and (cells := cells + cell_len(text[end])) <= width:
        end += 1
    return max(end, start + 1)
