"""A pane of text: fields with their names at the left, wrapped to the width, scrolled by whole lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual import events
from textual.strip import Strip

from . import keymap
from .line import Piece, Styled
from .text import fit, wrap

NAME = 9  # cells for the name of a field


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a pane: a field with its name, or (no name) text over the whole width. `columns` are cells of fixed
    widths before the text: (text, width)."""

    text: str
    name: str = ""
    style: str = ""
    columns: tuple[tuple[str, int], ...] = ()
    indent: int = 0


class Pane(Styled):
    DEFAULT_CSS = """
    Pane { width: 1fr; height: 1fr; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.entries: tuple[Entry, ...] = ()
        self.top = 0
        self.more = "view.page_down"  # the action whose key shows what is below
        self._lines: list[list[Piece]] = []

    def show(self, entries: Iterable[Entry], *, keep_place: bool = False, more: str = "view.page_down") -> None:
        """`more` is the action that shows what is below; where it is cut the pane names its key."""
        new = tuple(entries)
        if more != self.more:
            self.more = more
            self.refresh()
        if new == self.entries:
            return
        self.entries = new
        if not keep_place:
            self.top = 0
        self._lay_out()

    @property
    def text(self) -> str:
        """What is shown, as plain lines."""
        return "\n".join("".join(text for text, _ in line).rstrip() for line in self._lines)

    def scroll(self, lines: int) -> bool:
        """Whether it went anywhere."""
        top = min(max(0, self.top + lines), max(0, len(self._lines) - self.size.height))
        if top == self.top:
            return False
        self.top = top
        self.refresh()
        return True

    def on_resize(self, _: events.Resize) -> None:
        self._lay_out()

    def on_mouse_scroll_down(self, _: events.MouseScrollDown) -> None:
        self.scroll(3)

    def on_mouse_scroll_up(self, _: events.MouseScrollUp) -> None:
        self.scroll(-3)

    def _lay_out(self) -> None:
        width = max(10, self.size.width)
        self._lines = [line for entry in self.entries for line in _lay_out(entry, width)]
        self.top = min(self.top, max(0, len(self._lines) - self.size.height))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        at = self.top + y
        if y == self.size.height - 1 and at + 1 < len(self._lines):
            more = f" +{len(self._lines) - at} lines ({keymap.key(self.more)}) "
            line = self.strip(self._lines[at], self.size.width - len(more))
            return Strip.join([line, self.strip([(more, "dim")], len(more))])
        return self.strip(self._lines[at] if at < len(self._lines) else [], self.size.width)


def _lay_out(entry: Entry, width: int) -> list[list[Piece]]:
    before: list[Piece] = [
        (fit(text, cells) + " ", "dim" if entry.style == "dim" else "") for text, cells in entry.columns
    ]
    margin = sum(cells + 1 for _, cells in entry.columns) + entry.indent
    if entry.name:
        before = [(fit(entry.name, NAME - 1) + " ", "dim")]
        margin = NAME
    elif entry.indent:
        before.append((" " * entry.indent, ""))
    first, *rest = wrap(entry.text, width - margin)
    return [[*before, (first, entry.style)], *([(" " * margin, ""), (line, entry.style)] for line in rest)]
