"""A small table for pages that list a few things: rows of cells, a cursor, and the keys of the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from textual import events
from textual.strip import Strip

from .line import Piece, Styled
from .text import fit

GAP = 2
MORE = " more v "
_RIGHT = frozenset({"AGO", "LAST", "SINCE", "MAILS", "REL", "DEL", "TRIED"})  # columns of figures

#: How a row is painted that is not of the list any more.
Left = Callable[[Sequence[Piece]], list[Piece]]


class PlainTable(Styled, can_focus=True):
    """`columns` are titles; the last column takes what is left, none of the others more than half. A cell is
    (text, style). Of a row with fewer cells the last takes what is left."""

    DEFAULT_CSS = """
    PlainTable { width: 1fr; height: 1fr; }
    """

    def __init__(self, columns: Sequence[str], *, cursor: bool = True, id: str | None = None) -> None:
        super().__init__(id=id)
        self.columns = list(columns)
        self.rows: list[list[Piece]] = []
        self.keys: list[str] = []
        self.at = 0
        self.top = 0
        self.gone = False  #: the row under the cursor is not of the list any more: it has no key
        self.has_cursor = cursor
        self.empty = ""  #: what to say when there is no row

    def show(self, rows: Sequence[tuple[str, Sequence[Piece]]], *, left: Left | None = None) -> None:
        """Rows with their keys; the cursor stays on its key, on the same line of the screen where it can. When that key
        is not there any more it goes to what took its place. With `left` the row stays as `left` makes it, and no key
        acts on it or on another in its place until the cursor moves."""
        here, was = self.keys[self.at] if self.keys else None, self.at
        keys, cells = [k for k, _ in rows], [list(c) for _, c in rows]
        if here is None or here in keys or left is None:
            self.gone = False
            self.at = keys.index(here) if here in keys else min(was, max(0, len(rows) - 1))
        else:
            after = next((k for k in self.keys[was + 1 :] if k in keys), None)
            self.at = len(keys) if after is None else keys.index(after)
            keys.insert(self.at, here)
            cells.insert(self.at, self.rows[was] if self.gone else left(self.rows[was]))
            self.gone = True
        self.keys, self.rows = keys, cells
        if self.top:
            self.top = max(0, self.top + self.at - was)
        self.move(0)
        self.refresh()

    @property
    def key(self) -> str | None:
        """The key of the row under the cursor."""
        return self.keys[self.at] if self.at < len(self.keys) and not self.gone else None

    def go(self, key: str) -> None:
        """To the row of that key, if there is one."""
        if key in self.keys:
            self.move(self.keys.index(key) - self.at)

    @property
    def room(self) -> int:
        return max(1, self.size.height - (1 if any(self.columns) else 0))

    def move(self, rows: int) -> None:
        if rows and self.gone:
            del self.keys[self.at], self.rows[self.at]
            self.gone, rows = False, rows - (rows > 0)  # what comes after it stands in its place now
        last = max(0, len(self.rows) - 1)
        if not self.has_cursor:
            self.top = min(max(0, self.top + rows), max(0, len(self.rows) - self.room))
        else:
            self.at = min(max(0, self.at + rows), last)
            most = max(0, len(self.rows) - self.room)  # no blank line below while there are rows above
            self.top = min(max(self.top, self.at - self.room + 1), self.at, most)
        self.refresh()

    def on_resize(self) -> None:
        self.move(0)

    def on_click(self, event: events.Click) -> None:
        self.move(event.y - (self.size.height - self.room) + self.top - self.at)

    def on_mouse_scroll_down(self) -> None:
        self.move(3)

    def on_mouse_scroll_up(self) -> None:
        self.move(-3)

    def _widths(self) -> list[int]:
        table = [[(title, "") for title in self.columns], *self.rows]
        half = self.size.width // 2
        whole = len(self.columns)
        return [
            min(max(cell_len(row[n][0]) for row in table if len(row) == whole or n < len(row) - 1), half)
            for n in range(whole)
        ]

    def render_line(self, y: int) -> Strip:
        width, titles = self.size.width, self.size.height - self.room
        widths = self._widths()
        if y < titles:
            return self.strip(self._cells([(title, "dim") for title in self.columns], widths, cursor=False), width)
        at = self.top + y - titles
        if not self.rows and self.empty and y == titles:
            return self.strip([(f"  {self.empty}", "")], width)
        if at >= len(self.rows):
            return self.strip([], width)
        cursor = self.has_cursor and at == self.at
        pieces = self._cells(self.rows[at], widths, cursor=cursor)
        if cursor:
            pieces = [(text, f"cursor {style}".strip()) for text, style in [*pieces, (" " * width, "")]]
        if y == self.size.height - 1 and at + 1 < len(self.rows):  # as the queue says it
            more = self.strip([(MORE, "cursor dim" if cursor else "dim")], len(MORE))
            return Strip.join([self.strip(pieces, width - len(MORE)), more])
        return self.strip(pieces, width)

    def _cells(self, cells: Sequence[Piece], widths: list[int], *, cursor: bool) -> list[Piece]:
        pieces: list[Piece] = [("> " if cursor else "  ", "")]
        for n, (text, style) in enumerate(cells[:-1]):
            cell = fit(text, widths[n], right=self.columns[n] in _RIGHT) + " " * GAP
            pieces.append((cell, style if text else ""))  # on the cursor's row a colour alone would say something
        if cells:
            text, style = cells[-1]
            rest = self.size.width - sum(cell_len(before) for before, _ in pieces)
            pieces.append((text if cell_len(text) <= rest else fit(text, max(0, rest)), style))
        return pieces
