"""The display on a wall: counts alone. It asks again and again, and goes on by itself when the server is back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from rcqueue.widgets import keymap
from rcqueue.widgets.keymap import bindings
from rcqueue.widgets.line import Line, Piece
from rcqueue.widgets.text import age, clock
from rcqueue.widgets.wall import Board, lines

from . import frame

if TYPE_CHECKING:
    from rcqueue.app import RcqueueApp
    from rcqueue.client.api import Api
    from rcqueue.model.health import Wall

EVERY = 5.0  #: seconds between two looks


class WallScreen(Screen[None]):
    CONTEXT = "wall"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("wall")]
    app: RcqueueApp

    def __init__(self, api: Api) -> None:
        super().__init__()
        self.api = api
        self.found: Wall | None = None
        self.lost: datetime | None = None  #: since when the server is not there
        self.ended = ""  #: why it is asked no more
        self._asking = False

    def compose(self) -> ComposeResult:
        yield Line(id="status")
        yield Board()
        yield Line(id="flash")
        yield Line(id="footer")

    def on_mount(self) -> None:
        self.lines = {line.id: line for line in self.query_children(Line)}
        self.board = self.query_one(Board)
        self.set_interval(EVERY, self._look)
        self.set_interval(1.0, self.changed)
        self._look()
        self.changed()

    def _look(self) -> None:
        if not self._asking and not self.ended:
            self._asking = True
            self.app.work(self._read())

    async def _read(self) -> None:
        from rcqueue.client.http import ApiProblem, Unreachable

        try:
            self.found = await self.api.wall()
            self.lost = None
        except ApiProblem as problem:
            if problem.status in (401, 403):
                self.found, self.ended = None, str(problem)
            else:
                self.lost = self.lost or self.app.clock()
        except Unreachable:
            self.lost = self.lost or self.app.clock()
        self._asking = False
        self.changed()

    def changed(self) -> None:
        if not self.is_mounted:
            return
        now, width = self.app.clock(), self.size.width
        state: Piece = ("live ", "")
        if self.ended:
            state = ("signed out ", "bad")
        elif self.lost is not None:
            state = (f"{age((now - self.lost).total_seconds())} old, trying again ", "warn")
        elif self.found is None:
            state = ("asking ", "dim")
        name: list[Piece] = [(" rcqueue", "strong"), (f"  {self.app.start.queue}", "")]
        self.lines["status"].say(name, [(f"{clock(now)}  ", "dim"), state])
        said = self.app.flash_pieces()
        if self.ended:
            said = [(f" {self.ended}: {keymap.key('view.quit')} leaves; sign in again", "bad")]
        self.lines["flash"].say(said)
        context = self.CONTEXT if self.app.desk is not None else "app"  # there is nowhere to go back to
        self.lines["footer"].say(*frame.footer(context, self.situation(), width))
        size, found = self.board.size, self.found
        shown = lines(found, size.width, size.height, blocks=self.app.blocks) if found is not None else []
        self.board.show(shown)

    def on_resize(self) -> None:
        self.call_after_refresh(self.changed)

    def situation(self) -> keymap.Situation:
        return keymap.Situation(frozenset())

    def action_do(self, name: str) -> None:
        if name == "view.back":
            self.do_view_back()
        else:
            self.app.open(name)

    def do_view_back(self) -> None:
        if self.app.desk is not None:
            self.dismiss()
        else:
            self.app.flash(f"{keymap.key('view.quit')} signs out and quits")

    def came(self, _: Any) -> None:
        """Counts do not follow the feed."""
