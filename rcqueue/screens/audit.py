"""The audit log: who did what, newest last, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from rcqueue.widgets.keymap import bindings
from rcqueue.widgets.line import Piece
from rcqueue.widgets.text import number

from .page import Page

if TYPE_CHECKING:
    from rcqueue.model.journal import Entry

LIMIT = 500  # entries in a page


class AuditScreen(Page):
    CONTEXT = "audit"
    TITLE_TEXT = "Audit log"
    COLUMNS = ("ENTRY", "AT", "WHO", "WHAT", "MESSAGE", "NOTE")
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("audit")]

    def on_mount(self) -> None:
        super().on_mount()
        self.app.work(self._read())

    async def _read(self) -> None:
        """The last entries: the journal's end is where the page of the queue was true at."""
        last = max((line.seq for line in self.desk.view.lines), default=0)
        page = await self.app.call(self.desk.api.audit(since=max(0, last - LIMIT), limit=LIMIT))
        if page is None or not self.is_mounted:
            return
        self.table.show([(str(entry.seq), self._row(entry)) for entry in page.entries])
        self.table.move(len(page.entries))

    @staticmethod
    def _row(entry: Entry) -> list[Piece]:
        return [
            (number(entry.seq), "dim"),
            (entry.at.astimezone().strftime("%m-%d %H:%M:%S"), ""),
            (entry.actor, ""),
            (entry.kind, "warn" if entry.kind == "denied" else ""),
            (entry.message or "", "dim"),
            (entry.said, ""),
        ]
