"""One line of the screen: pieces of text at its left and right, each with a style. Repainted only when it changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

#: (text, style): a style is "" or some of dim, mine, bad, warn, strong, cursor, divided by spaces.
Piece = tuple[str, str]

STYLES = ("dim", "mine", "bad", "warn", "strong", "cursor", "tab")


class Styled(Widget):
    """A widget that paints text in the few styles that have a meaning; markup is never read."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"is-{style}" for style in STYLES}

    DEFAULT_CSS = """
    Styled {
        & > .is-dim { color: $queue-dim; }
        & > .is-mine { color: $queue-mine; }
        & > .is-bad { color: $queue-bad; }
        & > .is-warn { color: $queue-warn; }
        & > .is-strong { text-style: bold; }
        & > .is-tab { text-style: bold underline; }
        & > .is-cursor { background: $queue-cursor; text-style: bold; }
    }
    """

    def segment(self, text: str, style: str = "") -> Segment:
        names = [f"is-{name}" for name in style.split()]
        return Segment(text, self.get_component_rich_style(*names) if names else self.rich_style)

    def strip(self, pieces: Iterable[Piece], width: int) -> Strip:
        """The pieces in exactly `width` cells; what is too long is cut."""
        segments: list[Segment] = []
        room = width
        for text, style in pieces:
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
