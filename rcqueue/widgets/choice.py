"""One of a few words, chosen by the arrow keys: one line, no frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from .line import Piece, Styled

_BETWEEN = 1  # cells between two words, beside those of their brackets


class Choice(Styled, can_focus=True):
    """`[usual]  as it came   attachment`: what is chosen stands in brackets."""

    DEFAULT_CSS = """
    Choice { height: 1; width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", show=False),
        Binding("right,space", "turn(1)", show=False),
        Binding("enter", "submit", show=False),
    ]

    class Submitted(Message):
        """Enter was pressed."""

    def __init__(self, words: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.words = tuple(words)
        self.chosen = 0

    def action_turn(self, by: int) -> None:
        self.choose((self.chosen + by) % len(self.words))

    def choose(self, at: int) -> None:
        self.chosen = at
        self.refresh()

    def action_submit(self) -> None:
        self.post_message(self.Submitted())

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        start = 0
        for at, word in enumerate(self.words):
            start += len(word) + 2 + _BETWEEN
            if event.x < start:
                self.choose(at)
                return

    def render_line(self, y: int) -> Strip:
        pieces: list[Piece] = []
        for at, word in enumerate(self.words):
            text, style = (f"[{word}]", "strong") if at == self.chosen else (f" {word} ", "dim")
            pieces += [(text, style), (" " * _BETWEEN, "")]
        if self.has_focus:
            pieces = [(text, f"cursor {style}".strip()) for text, style in [*pieces, (" " * self.size.width, "")]]
        return self.strip(pieces, self.size.width)
