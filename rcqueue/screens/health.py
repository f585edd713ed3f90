"""Health: the server, its scanners, next hops and ways in, and what is amiss."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType

from rcqueue.widgets import health
from rcqueue.widgets.keymap import bindings
from rcqueue.widgets.line import Piece
from rcqueue.widgets.plain_table import GAP
from rcqueue.widgets.text import wrap

from .page import Page

EVERY = 5.0  #: seconds between two looks
MARGIN = 2  #: cells at the left of the table


class HealthScreen(Page):
    CONTEXT = "health"
    TITLE_TEXT = "Health"
    COLUMNS = ("", "")
    CURSOR = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("health")]

    def on_mount(self) -> None:
        super().on_mount()
        self.said: list[health.Said] = []
        self.set_interval(EVERY, self._look)
        self._look()

    def _look(self) -> None:
        self.app.work(self._read())

    async def _read(self) -> None:
        found = await self.app.call(self.desk.look_at_health())
        if found is not None and self.is_mounted:
            self.said = health.lines(found, blocks=self.app.blocks)
            self._show()

    def _show(self) -> None:
        """What is too long for one line goes on in the next."""
        labels = max((cell_len(line.label) for line in self.said), default=0)
        rows: list[list[Piece]] = []
        for label, what, text, style in self.said:
            first, *more = wrap(text, self.size.width - MARGIN - labels - GAP - cell_len(what))
            rows.append([(label, "dim"), (what + first, style)])
            rows += [[("", ""), (" " * cell_len(what) + rest, style)] for rest in more]
        self.table.show([(str(n), row) for n, row in enumerate(rows)])

    def on_resize(self) -> None:
        super().on_resize()
        self._show()
