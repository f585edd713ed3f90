"""The columns of the queue: which are shown, in which order, and which one the list is sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from rcqueue.widgets.columns import TITLES, sort_by, sorted_column
from rcqueue.widgets.line import Line, Piece
from rcqueue.widgets.plain_table import PlainTable

from .phrases import order

_SAYS = {
    "who": "who holds it, or its status",
    "age": "how long it is here",
    "score": "points of the spam filter",
    "kind": "verdict",
    "from": "address of its sender",
    "to": "recipient, or how many",
    "subject": "subject",
    "expiry": "when it expires",
    "customer": "customer",
    "size": "size",
    "rules": "rules that fired",
    "campaign": "what it belongs to",
}


class Columns(ModalScreen[tuple[tuple[str, ...], str] | None]):
    """Gives (columns, sort), or None when the person left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", show=False),
        Binding("enter", "take", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("space,v", "choose", show=False),
        Binding("right,J", "shift(1)", show=False),
        Binding("left,K", "shift(-1)", show=False),
        Binding("o,s", "sort", show=False),
    ]

    CSS = """
    Columns { align: center middle; background: $queue-veil; }
    Columns > Vertical {
        width: 76; max-width: 98%; height: auto; padding: 1 2;
        border: solid $queue-dim; background: $queue-background;
    }
    Columns PlainTable { height: 12; margin: 1 0; }
    """

    def __init__(self, chosen: Sequence[str], sort: str) -> None:
        super().__init__()
        self.chosen, self.sort = set(chosen), sort
        self.names = [*chosen, *(name for name in TITLES if name not in self.chosen)]

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Line(id="title")
            yield PlainTable(("", "", "", ""))
            yield Line(id="said")

    def on_mount(self) -> None:
        self.table = self.query_one(PlainTable)
        self.query_one("#title", Line).say([("Columns of the queue. The narrower the screen, the fewer.", "")])
        self._show()

    def _show(self, wrong: str = "") -> None:
        self.table.show([(name, self._row(name)) for name in self.names])
        keys = "space shows   left right moves   o sorts   enter keeps   esc leaves"
        self.query_one("#said", Line).say([(wrong or keys, "bad" if wrong else "dim")])

    def _row(self, name: str) -> list[Piece]:
        style = "" if name in self.chosen else "dim"
        sorted_so = order(self.sort) if sorted_column(self.sort) == name else ""
        return [
            ("x" if name in self.chosen else "-", style),
            (TITLES[name], style),
            (_SAYS[name], style),
            (sorted_so, ""),
        ]

    def action_move(self, rows: int) -> None:
        self.table.move(rows)

    def action_choose(self) -> None:
        self.chosen ^= {self.names[self.table.at]}
        self._show()

    def action_shift(self, by: int) -> None:
        at = self.table.at
        to = min(max(0, at + by), len(self.names) - 1)
        self.names.insert(to, self.names.pop(at))
        self._show()  # the cursor stays on its key

    def action_sort(self) -> None:
        name = self.names[self.table.at]
        sort = sort_by(name, self.sort)
        if sort is not None:
            self.sort = sort
        self._show("" if sort is not None else f"the list is not sorted by {TITLES[name]}")

    def action_take(self) -> None:
        if not self.chosen:
            self._show("one column at least")
        else:
            self.dismiss((tuple(name for name in self.names if name in self.chosen), self.sort))

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        event.stop()
