"""Saved filters: one's own and those that are shared at a customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from rcqueue.widgets.keymap import bindings
from rcqueue.widgets.line import Piece

from . import phrases
from .dialogs import Ask, exactly, some
from .page import Page

if TYPE_CHECKING:
    from rcqueue.model.saved import SavedFilter


class SavedScreen(Page):
    CONTEXT = "filters"
    TITLE_TEXT = "Saved filters"
    COLUMNS = ("NAME", "SHARED AT", "BY", "ORDER", "FILTER")
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("filters")]

    def on_mount(self) -> None:
        super().on_mount()
        self.found: dict[str, SavedFilter] = {}
        self.app.work(self._read())

    async def _read(self) -> None:
        filters = await self.app.call(self.desk.api.filters())
        if filters is None or not self.is_mounted:
            return
        self.found = {f"{one.customer or ''} {one.name}": one for one in filters}
        self.table.empty = "None yet. s saves the filter that is in force, under a name."
        self.table.show([(key, self._row(one)) for key, one in self.found.items()])
        self.changed()

    @staticmethod
    def _row(one: SavedFilter) -> list[Piece]:
        return [
            (one.name, ""),
            (one.customer or "", ""),
            (one.by, "dim"),
            (phrases.order(one.sort), "dim"),
            (one.query or "status:onhold", ""),
        ]

    def do_view_take(self) -> None:
        if (one := self.found.get(self.table.key or "")) is not None:
            self.dismiss()
            self.app.queue.take(one.query, one.sort)

    def do_filter_save(self) -> None:
        self.app.work(self._save())

    async def _save(self) -> None:
        query, sort = self.desk.query.text, self.desk.view.sort
        ask = Ask(f"Save {query or 'status:onhold'} under which name?", some("a name"), does="goes on")
        name = await self.app.push_screen_wait(ask)
        if name is None:
            return
        where = await self.app.push_screen_wait(
            Ask("Share it at which customer? Nothing: it is yours alone.", does="saves")
        )
        if where is None:
            return
        call, arguments = self.desk.api.save_filter(name, query, sort, where or None), {"filter": query, "sort": sort}
        await self.change(call, f"saved: {name}", "filter.save", name=name, customer=where or None, **arguments)
        await self._read()

    def do_filter_delete(self) -> None:
        if (one := self.found.get(self.table.key or "")) is not None:
            self.app.work(self._delete(one))

    async def _delete(self, one: SavedFilter) -> None:
        shared = f", shared at {one.customer}" if one.customer else ""
        question = Ask(f"Delete the filter {one.name}{shared}? Type y.", exactly("y"), does="deletes")
        if await self.app.push_screen_wait(question) is not None:
            call = self.desk.api.delete_filter(one.name, one.customer)
            await self.change(
                call, f"deleted: {one.name}", "filter.delete", name=one.name, customer=one.customer or None
            )
            await self._read()
