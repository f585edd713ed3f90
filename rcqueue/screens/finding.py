"""Finding mail on the queue: the filter, facets that narrow it, the order and the columns, jumps."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from textual import on
from textual.screen import Screen

from rcqueue.client.view import View
from rcqueue.widgets.columns import TITLES, next_sort, sort_by
from rcqueue.widgets.facets import Facets
from rcqueue.widgets.filter_bar import FilterBar
from rcqueue.widgets.keymap import key
from rcqueue.widgets.queue_table import QueueTable

from . import frame, phrases
from .columns import Columns
from .dialogs import Ask
from .jump import jump_check, jump_target
from .narrowing import Narrowing

if TYPE_CHECKING:
    from rcqueue.app import RcqueueApp
    from rcqueue.client.desk import Desk

    from .acting import Acting
    from .reading import Reading

WIDE = 120  # cells from which there are two panes side by side
BROAD = 110  # cells from which the facets stand at the left; on fewer they take the place of the panes
CAMPAIGN = "a campaign"  # what the first line says of the mails of one
STRIP = 30  # cells that they have there


class Finding(Screen[None]):
    """What the queue's screen does to what its list shows."""

    app: RcqueueApp
    desk: Desk | None
    acting: Acting | None
    view: View
    table: QueueTable
    filter: FilterBar
    facets: Facets
    reading: Reading
    narrowing: Narrowing | None = None
    visiting = ""  #: what the first line says of a list that a page sent one to
    _from: tuple[str, str, str | None] | None = None  # filter, order and cursor to return to from there
    _back: Callable[[], object] | None = None  # opens the page again that sent one there

    def paint(self) -> None:
        raise NotImplementedError

    def changed(self) -> None:
        raise NotImplementedError

    def work(self, what: Coroutine[Any, Any, None]) -> None:
        self.app.work(what)

    # -- the filter ----------------------------------------------------------------------------------------------------

    @on(FilterBar.Asked)
    def _asked(self, event: FilterBar.Asked) -> None:
        self._from, self._back, self.visiting = None, None, ""  # whoever chooses another filter has come to stay
        if self._search(event.text):
            self.table.focus()

    @on(FilterBar.Left)
    def _left(self) -> None:
        self.filter.set(self.filter.filter)
        self.table.focus()
        self.changed()

    def _search(self, text: str, sort: str | None = None) -> bool:
        """Whether the filter could be read; if not, the answer says what would fit, and the cursor stands there."""
        from rcqueue.model.query import QueryError

        if self.desk is None:
            return False
        try:
            self.desk.search(text, sort or self.view.sort)
        except QueryError as error:
            self.app.flash(str(error), "bad")
            self.filter.field.cursor_position = error.place
            return False
        self.filter.set(text)
        self.reading.forget()
        self.paint()  # at once: no key acts on a row of the list before
        return True

    def do_mail_list(self) -> None:
        self.filter.open()

    def visit(self, text: str, sort: str, name: str, back: Callable[[], object] | None = None) -> None:
        """Shows another list, said in the first line as `name`, until one returns to this one, and by `back` to the
        page that one came from."""
        here = self._from or (self.filter.filter, self.view.sort, self.view.cursor)
        if self._search(text, sort):
            self._from, self._back, self.visiting = here, back, name
        self.paint()

    def do_view_expiring(self) -> None:
        from rcqueue.client.desk import EXPIRING

        self.visit(EXPIRING, "expiry", frame.EXPIRING)

    def do_view_return(self) -> None:
        if self._from is None:
            return
        back, self._back = self._back, None
        (text, sort, cursor), self._from, self.visiting = self._from, None, ""
        self._search(text, sort)
        if cursor is not None:
            self.view.jump("at", cursor)
        if back is not None:
            back()

    # -- facets --------------------------------------------------------------------------------------------------------

    def do_mail_facets(self) -> None:
        """Opens the facets and goes there."""
        if self.narrowing is not None:
            self.narrowing.open = True
            self.add_class("-facets")
            self._arrange()
            self.facets.focus()

    @on(Facets.Left)
    def _facets_left(self) -> None:
        if self.narrowing is not None:
            self.narrowing.open = False
            self.remove_class("-facets")
            self._arrange()
            self.table.focus()
            self.changed()

    @on(Facets.Chosen)
    def _chosen_facet(self, event: Facets.Chosen) -> None:
        if self.narrowing is not None:
            self.narrowing.narrow(event.term, without=event.without)

    @on(Facets.Widened)
    def _widened(self) -> None:
        if self.narrowing is not None:
            self.narrowing.widen()

    def _arrange(self) -> None:
        broad = self.size.width >= BROAD
        self.set_class(broad, "-broad")
        self.set_class(not broad, "-narrow")
        strip = STRIP if broad and self.has_class("-facets") else 0
        self.set_class(self.size.width - strip >= WIDE, "-wide")

    # -- the order, the columns, jumps ---------------------------------------------------------------------------------

    def do_view_sort(self) -> None:
        self._sort(next_sort(self.view.sort, self.table.columns))

    @on(QueueTable.Headed)
    def _headed(self, event: QueueTable.Headed) -> None:
        sort = sort_by(event.column, self.view.sort)
        if sort is None:
            self.app.flash(f"the list is not sorted by {TITLES[event.column]}")
        else:
            self._sort(sort)

    def _sort(self, sort: str) -> None:
        if self._search(self.filter.filter, sort):
            self.app.flash(f"sorted: {phrases.order(sort)}")

    def do_view_columns(self) -> None:
        self.work(self._columns())

    async def _columns(self) -> None:
        answer = await self.app.push_screen_wait(Columns(self.table.columns, self.view.sort))
        if answer is None:
            return
        self.table.columns, sort = answer
        self.table.lay_out()
        self.app.keep("columns", self.table.columns)
        if sort != self.view.sort:
            self._sort(sort)
        self.paint()

    def do_view_others(self) -> None:
        from rcqueue.model.query import ANY_STATUS

        assert self.desk is not None
        self._search(self.desk.query.with_statuses(ANY_STATUS.value).text)

    def do_view_jump(self) -> None:
        self.work(self._jump())

    async def _jump(self) -> None:
        sentence = "Jump to a time (14:30, 2026-03-14, 2026-03-14 14:30) or to an id."
        answer = await self.app.push_screen_wait(Ask(sentence, jump_check, does="jumps"))
        if answer is not None and self.desk is not None:
            self.view.jump(*jump_target(answer, self.app.clock()))
            self.desk.pump()
            self.paint()

    def do_view_letters(self) -> None:
        self.table.show_letters()

    @on(QueueTable.Lettered)
    def _lettered(self, event: QueueTable.Lettered) -> None:
        """The row that had the letter, wherever it is now; nothing moves when it is not in view any more."""
        at = next((n for n, line in enumerate(self.view.visible()) if line.id == event.message), None)
        if at is not None:
            self.view.point(at)
        if self.desk is not None:
            self.desk.pump()
        self.paint()

    def do_view_pause(self) -> None:
        if self.desk is not None and self.desk.paused_at is None:
            self.desk.pause()
            self.app.flash(f"the view holds still; acts check first; {key('view.pause')} goes on")
        elif self.desk is not None:
            self.desk.go_on()
            self.app.flash("live again")

    def take(self, text: str, sort: str) -> None:
        """Puts a filter and an order in force."""
        if self._search(text, sort):
            self.app.flash(f"sorted: {phrases.order(sort)}")
