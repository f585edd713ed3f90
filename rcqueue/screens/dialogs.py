"""A question: one sentence and one field. Esc leaves without doing anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from rcqueue.widgets.field import Field
from rcqueue.widgets.line import Line

#: What is wrong with an answer, in a few words; "" when it will do.
Check = Callable[[str], str]


class Ask(ModalScreen[str | None]):
    """Gives the answer typed, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    CSS = """
    Ask { align: center middle; background: $queue-veil; }
    Ask > Vertical {
        width: 72; max-width: 96%; height: auto; padding: 1 2;
        border: solid $queue-dim; background: $queue-background;
    }
    Ask Static { height: auto; width: 1fr; margin-bottom: 1; }
    """

    def __init__(
        self,
        sentence: str,
        check: Check = lambda _: "",
        *,
        value: str = "",
        hint: str = "",
        password: bool = False,
        does: str = "confirms",
    ) -> None:
        super().__init__()
        self.sentence, self.check = sentence, check
        self.value, self.hint, self.password, self.does = value, hint, password, does

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(self.sentence))
            yield Field(self.value, self.hint, password=self.password)
            yield Line(id="said")

    def on_mount(self) -> None:
        self._say("")

    def _say(self, wrong: str) -> None:
        keys = f"enter {self.does}   esc leaves"
        self.query_one("#said", Line).say([(wrong, "bad")] if wrong else [(keys, "dim")])

    def on_input_changed(self, _: Input.Changed) -> None:
        self._say("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        answer = event.value.strip()
        if wrong := self.check(answer):
            self._say(wrong)
        else:
            self.dismiss(answer)

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        event.stop()


class Told(ModalScreen[None]):
    """A sentence, and paragraphs under it; any of enter, esc and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "leave", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]

    CSS = """
    Told { align: center middle; background: $queue-veil; }
    Told > Vertical {
        width: 110; max-width: 98%; height: auto; max-height: 90%; padding: 1 2;
        border: solid $queue-dim; background: $queue-background;
    }
    Told Static { height: auto; width: 1fr; }
    Told VerticalScroll { height: auto; max-height: 50vh; margin: 1 0; scrollbar-size: 0 0; }
    """

    def __init__(self, sentence: str, paragraphs: Sequence[str]) -> None:
        super().__init__()
        self.sentence, self.told = sentence, paragraphs

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(self.sentence))
            with VerticalScroll(can_focus=False):
                yield Static(Content("\n\n".join(self.told)))
            yield Line(id="said")

    def on_mount(self) -> None:
        self._say()
        self.call_after_refresh(self._say)

    def on_resize(self) -> None:
        self.call_after_refresh(self._say)

    def _say(self) -> None:
        more = "   up down show the rest" if self.query_one(VerticalScroll).max_scroll_y else ""
        self.query_one("#said", Line).say([(f"enter goes on{more}", "dim")])

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_leave(self) -> None:
        self.dismiss()

    def on_click(self, event: events.Click) -> None:
        event.stop()


def exactly(word: str) -> Check:
    """The answer must be this word (a count may be typed with its thousands divided)."""
    return lambda answer: "" if answer.replace(",", "") == word else f"type {word}, or esc leaves"


def some(what: str) -> Check:
    return lambda answer: "" if answer else f"{what} is needed, or esc leaves"


def settle_check(text: str) -> str:
    return "" if text in ("arrived", "again", "hold") else "expected arrived, again or hold"
