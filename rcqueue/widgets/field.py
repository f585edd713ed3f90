"""A field to type in: one line, no frame; what is pasted is made safe to show before it is shown. What stands in it
when one comes there is marked whole: typing replaces it (without `whole` typing goes on behind it)."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

from rcqueue.safe_text import safe_text


class Field(Input):
    DEFAULT_CSS = """
    Field, Field:focus {
        border: none;
        height: 1;
        padding: 0;
        background: $queue-cursor;
        color: $queue-text;
        text-style: $queue-field-weight;
        &>.input--placeholder { color: $queue-dim; text-style: none; }
        &:ansi {
            background: $queue-cursor;
            color: $queue-text;
            &>.input--placeholder { color: $queue-dim; text-style: none; }
            &>.input--cursor { background: $queue-background; color: $queue-text; text-style: reverse; }
        }
    }
    """

    def __init__(
        self,
        value: str = "",
        placeholder: str = "",
        *,
        password: bool = False,
        whole: bool = True,
        id: str | None = None,
    ) -> None:
        super().__init__(
            value, placeholder=placeholder, password=password, id=id, select_on_focus=whole, highlighter=None
        )
        self.cursor_blink = False  # a cursor that blinks costs bytes all night

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        if lines := event.text.splitlines():
            line = lines[0] if self.password else safe_text(lines[0])
            self.replace(line, *self.selection)
