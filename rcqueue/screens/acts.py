"""Acts on many: what runs and what ran, how far it is, and the key that stops one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from rcqueue.widgets.keymap import Situation, bindings
from rcqueue.widgets.line import Piece
from rcqueue.widgets.text import age, number

from . import phrases
from .page import Page

if TYPE_CHECKING:
    from rcqueue.model.act import ActProgress


class ActsScreen(Page):
    CONTEXT = "acts"
    TITLE_TEXT = "Acts on many"
    COLUMNS = ("WHO", "AGO", "VERB", "STATE", "DONE", "NOT DONE")
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("acts")]

    def on_mount(self) -> None:
        super().on_mount()
        self.found: list[ActProgress] = []
        self.set_interval(1.0, self._look)
        self._look()

    def situation(self) -> Situation:
        running = any(a.id == self.table.key and a.state == "running" for a in getattr(self, "found", ()))
        now = super().situation()
        return Situation(now.rights, running=running)

    def _look(self) -> None:
        self.app.work(self._read())

    async def _read(self) -> None:
        acts = await self.app.call(self.desk.api.acts(), quiet=True)
        if acts is None or not self.is_mounted:
            return
        self.found = sorted(acts, key=lambda act: act.created, reverse=True)
        self.table.empty = "None yet. On the queue v marks, * marks all that match; r, d or c then acts on them."
        self.table.show([(act.id, self._row(act)) for act in self.found])
        self.changed()

    def _row(self, act: ActProgress) -> list[Piece]:
        style = "" if act.state == "running" else "dim"
        return [
            (act.who, style),
            (age((self.app.clock() - act.created).total_seconds()), style),
            (act.verb, style),
            (phrases.state(act), style),
            (f"{number(act.done)} of {number(act.count)}", style),
            (", ".join(phrases.not_done(act)), style),
        ]

    @property
    def chosen(self) -> ActProgress | None:
        return next((act for act in self.found if act.id == self.table.key), None)

    def do_act_show(self) -> None:
        from .act import ActScreen

        if (act := self.chosen) is not None:
            self.app.push_screen(ActScreen(act))

    def do_act_undo(self) -> None:
        if (act := self.chosen) is not None and (acting := self.app.queue.acting) is not None:
            self.app.work(acting.undo(act))

    def do_act_stop(self) -> None:
        if (act := self.table.key) is not None:
            self.app.work(self._stop(act))

    async def _stop(self, act: str) -> None:
        await self.change(self.desk.api.stop_act(act), "stopping", "act.stop", id=act)
        await self._read()
