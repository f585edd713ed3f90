"""The queue: the screen that an operator works in all night."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from rcqueue.client.view import View
from rcqueue.widgets import keymap
from rcqueue.widgets.facets import Facets
from rcqueue.widgets.filter_bar import FilterBar
from rcqueue.widgets.line import Line
from rcqueue.widgets.pane import Pane
from rcqueue.widgets.queue_table import QueueTable

from . import frame
from .acting import HOW, Acting
from .narrowing import Narrowing
from .panes import Panes
from .place import Place
from .reading import Reading
from .together import Together

if TYPE_CHECKING:
    from textual.timer import Timer

    from rcqueue.client.desk import Desk

BEAT = 0.1  # seconds between paintings while there is much to paint; the first one is at once
PATIENCE = 0.3  # seconds before it is said that something is not here yet
MOVES: dict[str, Callable[[View], None]] = {
    "view.down": lambda view: view.move(1),
    "view.up": lambda view: view.move(-1),
    "view.page_down": lambda view: view.turn(1),
    "view.page_up": lambda view: view.turn(-1),
    "view.top": View.top,
    "view.bottom": View.bottom,
    "view.select_all": View.mark_all,
    "view.select_none": View.unmark,
}


class QueueScreen(Panes):
    CONTEXT = "queue"
    DEFAULT_CSS = """
    QueueScreen { layout: vertical; }
    QueueScreen #main { height: 2fr; }
    QueueScreen QueueTable { height: 2fr; }
    QueueScreen #panes { height: 1fr; }
    QueueScreen.-alone #panes, QueueScreen.-alone #tabs { display: none; }
    QueueScreen Facets { display: none; }
    QueueScreen.-facets Facets { display: block; }
    QueueScreen.-facets.-broad Facets { dock: left; width: 30; height: 100%; }
    QueueScreen.-facets.-narrow #panes, QueueScreen.-facets.-narrow #tabs { display: none; }
    QueueScreen #second { display: none; }
    QueueScreen.-wide #second { display: block; }
    QueueScreen.-long #second { display: none; }
    """

    AUTO_FOCUS = "QueueTable"

    def __init__(self) -> None:
        super().__init__()
        self.desk: Desk | None = None
        self.acting: Acting | None = None
        self.view = View(lambda _: None)
        self._due: Timer | None = None
        self._painted_at = 0.0
        self._waiting_since: float | None = None

    def compose(self) -> ComposeResult:
        yield Line(id="status")
        yield FilterBar(self.app.start.filter)
        with Vertical():
            with Vertical(id="main"):
                yield QueueTable(self.view, self.app.clock, self.app.settings.columns)
                yield Line(id="tabs")
                with Horizontal(id="panes"):
                    yield Pane(id="first")
                    yield Pane(id="second")
            yield Facets()
        yield Line(id="banner")
        yield Line(id="flash")
        yield Line(id="footer")

    def on_mount(self) -> None:
        self.reading = Reading(self.app.clock)
        self.lines = {line.id: line for line in self.query(Line)}
        self.first, self.second = self.query_one("#first", Pane), self.query_one("#second", Pane)
        self.table = self.query_one(QueueTable)
        self.filter = self.query_one(FilterBar)
        self.facets = self.query_one(Facets)
        self.set_interval(1.0, self.paint)
        self.paint()

    def attach(self, desk: Desk, place: Place | None = None) -> None:
        """Signed in: from now on there is a queue to show; at `place`, where there is one to go back to."""
        from .bell import Bell

        self.desk = desk
        self.acting = Acting(self.app, desk)
        self.narrowing = Narrowing(self.app, desk, self.facets, self._search)
        self.together = Together(self.app, desk, self._search)
        desk.handed, desk.moved = self.together.handed, self.together.moved
        self.table.session, self.table.me = desk.whoami.session, desk.whoami.name
        desk.came = self._came
        desk.arrived = Bell(self.app, desk).hears
        desk.rights_changed = self._rights_changed
        desk.refused = lambda why: self.app.flash(why, "bad")
        if place is not None:
            place.restore(desk)
            self.filter.set(place.filter)
            self.tab = place.tab
        desk.start()
        self.work(self.acting.resume())
        if place is None and self.app.start.filter:
            self._search(self.app.start.filter)
        self.paint()

    def leave(self) -> Place | None:
        """Nobody is signed in any more: nothing of the mail stays. Returns where they were; None: nobody was."""
        if self.desk is None:
            return None
        place = Place.of(self.desk, self.tab)
        self.desk = self.acting = self.narrowing = None
        self.view.search(lambda _: None, self.view.sort)
        self.reading.turn_to(None)
        for pane in (self.first, self.second):
            pane.show([])
        for name in ("tabs", "banner", "footer"):
            self.lines[name].say()
        self.filter.say_matching("")
        self.remove_class("-facets")
        self.facets.show([])
        self.table.focus()
        self.paint()
        return place

    # -- painting ---------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Something is to be painted: at once, or at the next beat when there was a painting just now."""
        if self.app.screen is not self and (changed := getattr(self.app.screen, "changed", None)) is not None:
            changed()  # what is over the queue shows some of it too
        came = self._waiting_since is not None and not self.view.waiting  # what a key asked for
        if self.is_mounted and came:
            self.paint()
        elif self.is_mounted and self._due is None:
            wait = max(0.001, BEAT - (time.monotonic() - self._painted_at))
            self._due = self.set_timer(wait, self.paint)

    def paint(self) -> None:
        if self._due is not None:
            self._due.stop()
            self._due = None
        self._painted_at = time.monotonic()
        desk, app, width = self.desk, self.app, self.size.width
        self.lines["status"].say(*self.status_sides(width))
        self.table.empty = frame.empty(desk, self.view, self.visiting)
        self.table.looking = frame.looking(desk)
        self.table.paint()
        self.lines["flash"].say(app.flash_pieces())
        if desk is None or self.acting is None:
            return
        self.filter.say_matching(frame.matching(desk, waiting=self._waits()))
        self.lines["banner"].say(frame.banner(desk, self.acting, self.view, width))
        self._turn_to_cursor()
        if self.narrowing is not None:
            self.narrowing.look()
        self.lines["footer"].say(*frame.footer(self.context, self.situation(), width))

    def status_sides(self, width: int) -> frame.Sides:
        """The first line, which other screens show too."""
        return frame.status(self.desk, self.visiting or self.app.start.queue, self.app.state, width, time.monotonic())

    def situation(self) -> keymap.Situation:
        if self.acting is None:
            return keymap.Situation(frozenset())
        row = self.view.current
        now = self.acting.situation(row.row if row is not None else None)
        return replace(now, visiting=self._from is not None)

    def _waits(self) -> bool:
        """Whether what was asked for is not here after a while; sooner, it would only flicker."""
        if not self.view.waiting:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = time.monotonic()
            self.set_timer(PATIENCE, self.changed)
        return self._waiting_since is not None and time.monotonic() - self._waiting_since >= PATIENCE

    @property
    def context(self) -> str:
        """Where keys go now."""
        return "filter" if self.filter.field.has_focus else "facets" if self.facets.has_focus else self.CONTEXT

    def on_resize(self) -> None:
        self._arrange()
        self.paint()

    def on_descendant_focus(self) -> None:
        self.changed()

    def on_descendant_blur(self) -> None:
        self.changed()

    @on(QueueTable.Resized)
    def _resized(self) -> None:
        if self.desk is not None:
            self.desk.pump()
        self.paint()

    # -- keys -------------------------------------------------------------------------------------------------------

    def action_do(self, name: str) -> None:
        """A key of the registry was pressed."""
        if self.desk is None or self.acting is None:
            return
        kind, _, verb = name.partition(".")
        handler = getattr(self, f"do_{kind}_{verb}", None)
        if handler is not None or name in MOVES:
            handler() if handler is not None else MOVES[name](self.view)
            self.desk.pump()
            self.paint()
        elif kind == "mail" or name in HOW:
            self.view.hold_still()
            self.work(self.acting.do(name, self.acting.target(self.table.painted)))
        else:
            self.app.open(name)

    def did(self, request: str) -> None:
        """An act was done that is no act on mail; `request` is how a script would do it."""
        if self.acting is not None:
            self.acting.request = request

    def do_view_select(self) -> None:
        if self.table.painted is not None:
            self.view.mark(self.table.painted.id)
        self.view.move(1)

    def do_view_leaving(self) -> None:
        self.app.flash(f"{keymap.key('view.quit')} signs out and quits")

    def do_mail_show(self) -> None:
        if self.view.current is not None:
            self.app.open("mail.show")

    def do_view_unfold(self) -> None:
        if self.view.current is not None:
            self.app.open("view.unfold")

    def do_mail_next(self) -> None:
        self.work(self.together.next())

    def do_claim_stand(self) -> None:
        self.work(self.together.stand())

    def do_view_follow(self) -> None:
        self.work(self.together.follow())

    def do_act_stop(self) -> None:
        assert self.acting is not None
        self.work(self.acting.stop())

    # -- the mouse --------------------------------------------------------------------------------------------------

    @on(QueueTable.Pointed)
    def _pointed(self, event: QueueTable.Pointed) -> None:
        if event.rows:
            self.view.move(event.rows)
        else:
            self.view.point(event.line)
        if self.desk is not None:
            self.desk.pump()
        self.paint()
