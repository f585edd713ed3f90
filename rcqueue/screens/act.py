"""One act on many: how far it is, whom it reaches, and the mails that it was not done to, with why."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from rcqueue.widgets.keymap import Situation, bindings
from rcqueue.widgets.line import Line, Piece
from rcqueue.widgets.text import number, plural

from . import phrases
from .page import Page

if TYPE_CHECKING:
    from rcqueue.model.act import ActProgress, MailResult

AHEAD = 100  #: rows below the cursor that are read before it gets there


class ActScreen(Page):
    CONTEXT = "act"
    COLUMNS = ("NOT DONE", "WHY", "MAIL")
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("act")]
    CSS = """
    ActScreen #title { margin-bottom: 0; }
    ActScreen #progress { margin-bottom: 1; }
    """

    def __init__(self, act: ActProgress) -> None:
        super().__init__()
        self.act = act
        self.left: list[MailResult] = []
        self.rate = 0.0

    def compose(self) -> ComposeResult:
        title, *rest = super().compose()
        yield title
        yield Line(id="progress")
        yield from rest

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(1.0, self._look)
        self._look()

    def situation(self) -> Situation:
        return Situation(super().situation().rights, running=self.act.state == "running")

    def heading(self) -> list[Piece]:
        act = self.act
        undoes = f", takes back {act.undoes}" if act.undoes else ""
        return [(f" {act.verb} of {plural(act.count, 'mail')}", "strong"), (f"  by {act.who}{undoes}", "dim")]

    def changed(self) -> None:
        super().changed()
        if self.is_mounted:
            running = self.act.state == "running"
            said = phrases.progress(self.act, self.rate, self.size.width) if running else self._ended()
            self.lines["progress"].say([(said, "" if running else "dim")])

    def _ended(self) -> str:
        return f" {phrases.state(self.act)}: {phrases.finished(self.act)}{self.act.reach.words}"

    def _look(self) -> None:
        self.app.work(self._read())

    async def _read(self) -> None:
        act = await self.app.call(self.desk.api.act_progress(self.act.id), quiet=True)
        if act is None or not self.is_mounted:
            return
        took = act.tried - self.act.tried
        self.rate = took if not self.rate else 0.7 * self.rate + 0.3 * took  # a look a second
        self.act = act
        left = act.tried - act.done if act.purged is None else 0
        while len(self.left) - self.table.at < AHEAD and len(self.left) < left:
            after = self.left[-1].id if self.left else None
            found = await self.app.call(self.desk.api.act_results(act.id, after, left=True), quiet=True)
            if found is None or not found.results or not self.is_mounted:
                break
            self.left += found.results
        self.table.empty = phrases.nothing_left(act)
        self.table.show([(one.id, self._row(one)) for one in self.left])
        self.changed()

    def _row(self, one: MailResult) -> list[Piece]:
        return [(one.result, ""), (one.detail, "dim"), (one.mail or one.id, "")]

    def do_act_stop(self) -> None:
        self.app.work(self._stop())

    async def _stop(self) -> None:
        said = f"stopping; {number(self.act.done)} done"
        await self.change(self.desk.api.stop_act(self.act.id), said, "act.stop", id=self.act.id)
        await self._read()

    def do_act_undo(self) -> None:
        if (acting := self.app.queue.acting) is not None:
            self.app.work(acting.undo(self.act))
