"""The panes below the queue: the mail under the cursor, read when the cursor rests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcqueue.widgets.line import Line
from rcqueue.widgets.pane import Pane

from .finding import Finding
from .reading import AGAIN, NOT_OPEN, tab_line

if TYPE_CHECKING:
    from textual.timer import Timer

    from rcqueue.client.window import Line as Row

REST = 0.12  # seconds that the cursor rests before the mail under it is read
PRESENT = 0.5  # seconds that it rests before colleagues are told
LONG = "timeline"  # the tab whose lines are so long that it has no other pane beside it
TABS = ("headers", "verdict", "receipt", "body", "timeline")


class Panes(Finding):
    """What the queue's screen shows of the mail under the cursor."""

    lines: dict[str | None, Line]
    first: Pane
    second: Pane
    tab = "headers"  #: the one that is chosen, of TABS
    _rest: Timer | None = None
    _present: Timer | None = None
    _again: Timer | None = None

    def _turn_to_cursor(self) -> None:
        """The panes follow the cursor: the row's own fields at once, the rest when it rests."""
        line = self.view.current
        if self.reading.turn_to(line.id if line is not None else None):
            self.first.top = self.second.top = 0
            for timer in (self._rest, self._present):
                if timer is not None:
                    timer.stop()
            self._rest = self.set_timer(REST, self._read)
            self._present = self.set_timer(PRESENT, self._tell)
        self._paint_panes(line)

    def _paint_panes(self, line: Row | None) -> None:
        assert self.desk is not None
        if self._no_panes:  # to paint what is hidden makes the compositor arrange the whole screen
            return
        panes = (self.first, self.second)
        if line is None:
            for pane in panes:
                pane.show([])
            self.lines["tabs"].say()
            return
        self.set_class(self.tab == LONG, "-long")
        locked = not self.desk.may_read(line.row)
        tabs = self._tabs_shown()
        for pane, tab in zip(panes, tabs, strict=False):
            entries = self.reading.show(tab, line.row, locked=locked, brief=True)
            pane.show(entries, keep_place=True, more=self._shows_more(tab))
        shown = tab_line(TABS, self.tab, locked=locked, open=self.reading.body_open)
        self.lines["tabs"].say(shown)

    @property
    def _no_panes(self) -> bool:
        return self.has_class("-alone") or (self.has_class("-facets") and self.has_class("-narrow"))

    def _tabs_shown(self) -> tuple[str, ...]:
        """Two panes: the one chosen at the left and the verdict at the right."""
        if not self.has_class("-wide") or self.tab == LONG:
            return (self.tab,)
        return ("headers" if self.tab == "verdict" else self.tab, "verdict")

    def _shows_more(self, tab: str) -> str:
        """The action that shows more of a pane: it scrolls if its tab is chosen, else it goes towards that tab."""
        away = TABS.index(tab) - TABS.index(self.tab)
        return "view.pane_next" if away > 0 else "view.pane_previous" if away else "view.pane_down"

    def _read(self, *, body: bool = False) -> None:
        if self.desk is not None:
            self.work(self._read_now(body))

    async def _read_now(self, body: bool) -> None:
        assert self.desk is not None
        await self.reading.read(self.desk, self._tabs_shown(), body=body)
        self.changed()

    def _tell(self) -> None:
        if self.desk is not None:
            pane = "body" if self.reading.body_open else self.tab
            self.work(self.desk.present(self.view.cursor, pane))

    def _came(self, messages: set[str]) -> None:
        """The feed spoke of these: what was read of one of them may be old."""
        if self.reading.message in messages:
            self.reading.outdate()
            if self._again is None:
                self._again = self.set_timer(AGAIN, self._read_again)
        self.app.came(messages)

    def _read_again(self) -> None:
        self._again = None
        self._read()

    def _rights_changed(self) -> None:
        """What was opened under a right that may be gone is closed, and read again as far as it may be."""
        self.reading.forget()
        self._read()
        self.app.rights_changed()

    # -- keys -------------------------------------------------------------------------------------------------------

    def do_view_pane_next(self) -> None:
        self._turn_tab(1)

    def do_view_pane_previous(self) -> None:
        self._turn_tab(-1)

    def _turn_tab(self, by: int) -> None:
        self.remove_class("-alone")
        self.tab = TABS[(TABS.index(self.tab) + by) % len(TABS)]
        self.first.top = 0
        self._read()
        self._tell()

    def do_view_pane_down(self) -> None:
        self._scroll_pane(3)

    def do_view_pane_up(self) -> None:
        self._scroll_pane(-3)

    def _scroll_pane(self, rows: int) -> None:
        if not self._chosen.scroll(rows) and self.tab == "body" and self.reading.page(1 if rows > 0 else -1):
            self._read(body=True)
            self.first.top = 0

    def do_view_form(self) -> None:
        if self.tab == "body" and self.reading.next_form():
            self.first.top = 0
            self._read(body=True)
        else:
            self.app.flash(NOT_OPEN)

    @property
    def _chosen(self) -> Pane:
        """The pane that shows the tab which is chosen."""
        return self.second if self._tabs_shown()[0] != self.tab else self.first

    def do_view_panes(self) -> None:
        self.toggle_class("-alone")

    def do_mail_body(self) -> None:
        line = self.view.current
        if line is None or self.desk is None:
            return
        self.remove_class("-alone")
        self.tab = "body"
        if self.desk.may_read(line.row):
            self._read(body=True)
        self._tell()
