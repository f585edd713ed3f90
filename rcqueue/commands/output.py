"""What a command prints: one object of JSON a line, columns on a terminal, values between tabs into a pipe."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress
from typing import TYPE_CHECKING, Any, TextIO

from rcqueue.safe_text import safe_text

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Column:
    """`width` in cells; 0: a share of what is left of the line. A negative one aligns to the right.

    `least`: on a terminal of fewer cells the column is not shown.
    """

    title: str
    width: int
    least: int = 0


class Out:
    """One stream to print on. Everything passes `safe_text`, or is JSON in which nothing of the kind is left."""

    def __init__(self, stream: TextIO | None = None, *, as_json: bool = False) -> None:
        self.stream = stream or sys.stdout
        self.as_json = as_json
        self.tty = self.stream.isatty()
        #: Whether block glyphs can be shown; else there are digits.
        self.blocks = (self.stream.encoding or "").lower().replace("-", "") == "utf8"

    def line(self, text: str = "") -> None:
        self.stream.write(safe_text(text) + "\n")

    def json(self, value: BaseModel | dict[str, Any]) -> None:
        """One object, on one line. What the viewer may not see is absent, as on the wire."""
        from rcqueue.client.safe import safe_json

        data = value if isinstance(value, dict) else value.model_dump(mode="json", exclude_none=True)
        self.stream.write(safe_json(json.dumps(data, ensure_ascii=False)) + "\n")

    def done(self, **what: object) -> None:
        """Of a command that has nothing to tell but that it was done: nothing, or an object that says of what."""
        if self.as_json:
            self.json({"done": True} | what)

    def table(self, columns: Sequence[Column]) -> Table:
        return Table(self, columns)

    def when(self, at: datetime | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
        """A time as its reader wants it: local in this `form` for a person, RFC 3339 UTC for a script."""
        if at is None:
            return ""
        if self.tty:
            return at.astimezone().strftime(form)
        return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def flush(self) -> None:
        self.stream.flush()


class Table:
    """Rows as they come. On a terminal under a line of titles, cut to the width of the screen; else whole values."""

    def __init__(self, out: Out, columns: Sequence[Column]) -> None:
        self._out = out
        screen = shutil.get_terminal_size().columns
        self._shown = [column.least <= screen for column in columns]
        self._titles = [column.title for column in columns] if out.tty else []
        widths = [column.width for column, shown in zip(columns, self._shown, strict=True) if shown]
        left = screen - sum(map(abs, widths)) - 2 * (len(widths) - 1)
        share = max(left // max(widths.count(0), 1), 8)
        self._widths = [width or share for width in widths]

    def row(self, values: Iterable[object]) -> None:
        cells = [safe_text("" if value is None else str(value)) for value in values]
        if not self._out.tty:
            self._out.stream.write("\t".join(cells) + "\n")
            return
        if self._titles:
            self._put(self._titles)
            self._titles = []
        self._put(cells)

    def _put(self, cells: Sequence[str]) -> None:
        fitted = map(fit, compress(cells, self._shown), self._widths)
        self._out.stream.write("  ".join(fitted).rstrip() + "\n")


def fit(text: str, width: int) -> str:
    """`text` cut or filled to `width` cells; to the right if that is negative. The text is safe already."""
    room = abs(width)
    used = 0
    for at, char in enumerate(text):
        used += cells_of(char)
        if used > room:
            return fit(_cut(text[:at], room - 1) + "…", width)
    gap = " " * (room - used)
    return gap + text if width < 0 else text + gap


def _cut(text: str, room: int) -> str:
    while sum(map(cells_of, text)) > room:
        text = text[:-1]
    return text


def cells_of(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def size(octets: int) -> str:
    """Bytes for a person: 812, 4.1k, 12M."""
    value = float(octets)
    for unit in ("", "k", "M"):
        if value < 1000:
            return f"{value:.0f}{unit}" if value >= 10 or not unit else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}G"


def complain(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"rcqueue: {safe_text(text, limit=2000)}\n")
