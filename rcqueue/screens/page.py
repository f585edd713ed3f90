"""What the pages over the queue have in common: a title, a table, the flash line, the keys."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.screen import Screen

from rcqueue.widgets import keymap
from rcqueue.widgets.line import Line, Piece
from rcqueue.widgets.plain_table import PlainTable

from . import acpi, frame

if TYPE_CHECKING:
    from rcqueue.app import RcqueueApp
    from rcqueue.client.desk import Desk


class Page(Screen[None]):
    """A page names its `CONTEXT` in the registry, its `TITLE_TEXT` and its `COLUMNS`, and has its bindings."""

    CONTEXT: ClassVar[str]
    TITLE_TEXT: ClassVar[str] = ""
    COLUMNS: ClassVar[Sequence[str]] = ()
    CURSOR: ClassVar[bool] = True

    AUTO_FOCUS = "PlainTable"
    app: RcqueueApp

    CSS = """
    Page #title { margin-bottom: 1; }
    """

    def compose(self) -> ComposeResult:
        yield Line(id="title")
        yield PlainTable(self.COLUMNS, cursor=self.CURSOR)
        yield Line(id="flash")
        yield Line(id="footer")

    def on_mount(self) -> None:
        self.lines = {line.id: line for line in self.query_children(Line)}
        self.table = self.query_one(PlainTable)
        self.set_interval(1.0, self.changed)
        self.changed()

    @property
    def desk(self) -> Desk:
        assert self.app.desk is not None
        return self.app.desk

    def situation(self) -> keymap.Situation:
        acting = self.app.queue.acting
        return acting.situation(None) if acting is not None else keymap.Situation(frozenset())

    def heading(self) -> list[Piece]:
        return [(f" {self.TITLE_TEXT}", "strong")]

    def changed(self) -> None:
        if not self.is_mounted:
            return
        self.lines["title"].say(self.heading(), [(self._state(), "dim")])
        self.lines["flash"].say(self.app.flash_pieces())
        self.lines["footer"].say(*frame.footer(self.CONTEXT, self.situation(), self.size.width))

    def on_resize(self) -> None:
        self.changed()

    def _state(self) -> str:
        desk = self.app.desk
        return (
            ""
            if desk is None
            else f"{desk.whoami.name}  {'paused' if desk.paused_at else 'live' if desk.live else 'not live'} "
        )

    def action_do(self, name: str) -> None:
        handler: Any = getattr(self, "do_" + name.replace(".", "_"), None)
        if handler is not None:
            handler()
            self.changed()  # other keys may work there
        else:
            self.app.open(name)

    async def change(self, call: Awaitable[object], said: str, cmd: str, **arguments: Any) -> None:
        """Makes a change, which `/acpi` calls `cmd`; what the server refuses stands in the flash line."""
        from rcqueue.client.http import ApiProblem, Unreachable

        try:
            await call
        except (ApiProblem, Unreachable) as error:
            self.app.flash(str(error), "bad")
        else:
            self.app.flash(said)
            self.app.queue.did(acpi.of(cmd, **arguments))

    def do_view_back(self) -> None:
        self.dismiss()

    def do_view_down(self) -> None:
        self.table.move(1)

    def do_view_up(self) -> None:
        self.table.move(-1)

    def do_view_page_down(self) -> None:
        self.table.move(self.table.room)

    def do_view_page_up(self) -> None:
        self.table.move(-self.table.room)

    def do_view_top(self) -> None:
        self.table.move(-len(self.table.rows))

    def do_view_bottom(self) -> None:
        self.table.move(len(self.table.rows))
