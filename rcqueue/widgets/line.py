"""One line of the screen: pieces of text at its left and right, each with a style. Repainted only when it changes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget

#: (text, style): a style is "" or some of PENS, divided by spaces; each adds to the ones before it.
Piece = tuple[str, str]

#: What a style adds: the theme's colour of the text, of what is behind it, and the weight; the theme may add to that.
PENS = {
    "dim": ("queue-dim", "", ""),
    "mine": ("queue-mine", "", ""),
    "bad": ("queue-bad", "", ""),
    "warn": ("queue-warn", "", ""),
    "strong": ("", "", "bold"),
    "tab": ("", "", "bold underline"),
    "cursor": ("", "queue-cursor", ""),
}


class Styled(Widget):
    """A widget that paints text in the few styles that have a meaning; markup is never read.

    No component classes: each would be matched against all rules, for each widget, whenever rules are applied.
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        self._pens: dict[str, Style] = {}
        super().__init__(id=id, classes=classes)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._pens.clear()

    def segment(self, text: str, style: str = "") -> Segment:
        pen = self._pens.get(style)
        if pen is None:
            pen = self.rich_style
            for name in style.split():
                pen += self._added(*PENS[name])
            self._pens[style] = pen
        return Segment(text, pen)

    def _added(self, color: str, behind: str, weight: str) -> Style:
        colors = self.app.theme_variables
        front, back = (Color.parse(colors[name]).rich_color if name else None for name in (color, behind))
        own = colors.get(f"{color or behind}-weight", "none")
        return Style(color=front, bgcolor=back) + Style.parse(weight) + Style.parse("" if own == "none" else own)

    def strip(self, pieces: Iterable[Piece], width: int) -> Strip:
        """The pieces in exactly `width` cells; what is too long is cut."""
        segments: list[Segment] = []
        room = width
        for style, run in groupby(pieces, itemgetter(1)):  # what comes after is done once a segment
            text = "".join(text for text, _ in run)
            length = cell_len(text)
            if length > room:
                text, length = set_cell_size(text, room), room
            if text:
                segments.append(self.segment(text, style))
            room -= length
        if room:
            segments.append(self.segment(" " * room))
        return Strip(segments, width)


class Line(Styled):
    """`say` sets it. When both sides do not fit, the left one is cut."""

    DEFAULT_CSS = """
    Line { height: 1; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.left: list[Piece] = []
        self.right: list[Piece] = []

    def say(self, left: Iterable[Piece] = (), right: Iterable[Piece] = ()) -> None:
        new = list(left), list(right)
        if new != (self.left, self.right):
            self.left, self.right = new
            self.refresh()

    @property
    def text(self) -> str:
        return "".join(text for text, _ in [*self.left, *self.right])

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        right = min(width, sum(cell_len(text) for text, _ in self.right))
        left = self.strip(self.left, width - right)
        return Strip.join([left, self.strip(self.right, right)]) if right else left
