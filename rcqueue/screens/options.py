"""How else to release or delete: one sentence and a few fields. Enter does it, esc leaves without doing anything."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from rcqueue.widgets.choice import Choice
from rcqueue.widgets.field import Field
from rcqueue.widgets.line import Line

FORMS = ("usual", "as it came", "attachment", "tagged", "stripped")
_FORM_OF = dict(zip(FORMS, (None, "original", "attachment", "tagged", "stripped"), strict=True))
SCOPES = {"no": None, "for this recipient": "recipient", "for the whole customer": "customer"}
DAYS = 30
_MOST_DAYS = 366
_MOST_TO = 20


class Options(ModalScreen[dict[str, Any] | None]):
    """Gives the fields of the act that differ from the usual, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    CSS = """
    Options { align: center middle; background: $queue-veil; }
    Options > Vertical {
        width: 76; max-width: 98%; height: auto; padding: 1 2;
        border: solid $queue-dim; background: $queue-background;
    }
    Options Static { height: auto; width: 1fr; margin-bottom: 1; }
    Options Horizontal { height: 1; }
    Options Horizontal > Line { width: 9; }
    Options #said { margin-top: 1; }
    """

    def __init__(self, verb: str, sentence: str, *, administers: bool, others: bool) -> None:
        """`others`: the mail may be released to others than its recipients."""
        super().__init__()
        self.verb, self.sentence, self.others = verb, sentence, others
        scopes = list(SCOPES)[: 3 if administers else 2]
        self.form = Choice(FORMS, id="form")
        self.to = Field(
            placeholder="its recipient, or addresses" if others else "its recipient, or postmaster", id="to"
        )
        self.learn = Choice(("no", f"yes, as {'ham' if verb == 'release' else 'spam'}"), id="learn")
        self.sender = Choice(scopes, id="sender")
        self.days = Field(str(DAYS), id="days")

    def compose(self) -> ComposeResult:
        release = self.verb == "release"
        rows: list[tuple[str, Widget]] = [("Form", self.form), ("To", self.to)] if release else []
        rows += [("Learn", self.learn), ("Allow" if release else "Block", self.sender), ("Days", self.days)]
        with Vertical():
            yield Static(Content(self.sentence))
            for name, widget in rows:
                label = Line()
                label.say([(name, "dim")])
                with Horizontal():
                    yield label
                    yield widget
            yield Line(id="said")

    def on_mount(self) -> None:
        self._say("")

    def _say(self, wrong: str) -> None:
        does = "releases" if self.verb == "release" else "deletes"
        keys = f"enter {does}   tab next   left right choose   esc leaves"
        self.query_one("#said", Line).say([(wrong, "bad")] if wrong else [(keys, "dim")])

    @on(Input.Changed)
    def _typed(self) -> None:
        self._say("")

    @on(Input.Submitted)
    @on(Choice.Submitted)
    def _done(self) -> None:
        try:
            self.dismiss(self.given())
        except ValueError as error:
            self._say(str(error))

    def given(self) -> dict[str, Any]:
        """The fields of the act. Raises ValueError, saying what was expected."""
        from rcqueue.model.act import SenderWish

        given: dict[str, Any] = {}
        if self.verb == "release":
            if (form := _FORM_OF[FORMS[self.form.chosen]]) is not None:
                given["form"] = form
            if to := addresses(self.to.value, others=self.others):
                given["to"] = to
        if self.learn.chosen:
            given["learn"] = True
        if (scope := SCOPES[self.sender.words[self.sender.chosen]]) is not None:
            given["sender"] = SenderWish(scope=scope, days=days(self.days.value))
        return given

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        event.stop()


def addresses(text: str, *, others: bool) -> list[str]:
    """`a@b.example, postmaster`. Raises ValueError, saying what was expected. The server has the last word."""
    found = list(dict.fromkeys(text.replace(",", " ").split()))
    for one in found:
        if one != "postmaster" and not others:
            raise ValueError("who may not read bodies may choose no address: postmaster, or nothing")
        local, at, domain = one.rpartition("@")
        if one != "postmaster" and not (local and at and domain):
            raise ValueError(f"{one}: an address or postmaster was expected")
    if len(found) > _MOST_TO:
        raise ValueError(f"{len(found)} addresses: at most {_MOST_TO} were expected")
    return found


def days(text: str) -> int:
    text = text.strip()
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST_DAYS:
        raise ValueError(f"days: a number from 1 to {_MOST_DAYS} was expected")
    return int(text)
