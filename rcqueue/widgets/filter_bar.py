"""The filter: one line, typed over in place. Enter searches, esc leaves it as it was."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from .field import Field
from .line import Line


class _FilterField(Field):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    DEFAULT_CSS = """
    _FilterField { background: $queue-background; width: 1fr; }
    _FilterField:focus { background: $queue-cursor; width: 1fr; }
    """

    def action_leave(self) -> None:
        self.post_message(FilterBar.Left())


class FilterBar(Horizontal):
    DEFAULT_CSS = """
    FilterBar { height: 1; }
    FilterBar > #slash { width: 3; }
    FilterBar > #matching { width: 24; }
    """

    class Asked(Message):
        """Enter was pressed on this text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """Esc was pressed."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.filter = text  #: the filter in force

        self.field = _FilterField(text, "status:onhold", whole=False, id="filter")
        self._matching = Line(id="matching")

    def compose(self) -> ComposeResult:
        slash = Line(id="slash")
        slash.say([(" / ", "dim")])
        yield slash
        yield self.field
        yield self._matching

    def say_matching(self, text: str) -> None:
        self._matching.say(right=[(text + " ", "dim")])

    def open(self) -> None:
        self.field.focus()
        self.field.cursor_position = len(self.field.value)

    def set(self, text: str) -> None:
        """This filter is in force now."""
        self.filter = text
        self.field.value = text

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Asked(event.value.strip()))
