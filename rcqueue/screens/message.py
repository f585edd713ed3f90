"""One mail, the whole screen: its parts one at a time. The keys of the queue act on it here too."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from rcqueue.widgets import keymap
from rcqueue.widgets.columns import SOON
from rcqueue.widgets.line import Line
from rcqueue.widgets.pane import Pane
from rcqueue.widgets.parts import RECIPIENTS, TABS, recipients
from rcqueue.widgets.plain_table import PlainTable
from rcqueue.widgets.text import age

from . import frame, phrases
from .acting import HOW, Target
from .reading import AGAIN, NOT_OPEN, Reading, tab_line

if TYPE_CHECKING:
    from textual.timer import Timer

    from rcqueue.app import RcqueueApp
    from rcqueue.client.desk import Desk
    from rcqueue.client.window import Line as Row


class MessageScreen(Screen[None]):
    """The mail under the cursor of the queue, when it was opened; the cursor goes along with `next` and `previous`."""

    CONTEXT = "message"
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("message")]
    CSS = """
    MessageScreen Pane, MessageScreen PlainTable { margin-top: 1; }
    """
    app: RcqueueApp

    def __init__(self, tab: str) -> None:
        super().__init__()
        self.tab = tab
        self.reading = Reading(lambda: self.app.clock())  # the feed may speak of the mail before the screen is there
        self.painted: Target | None = None
        self._again: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Line(id="status")
        yield Line(id="title")
        yield Line(id="tabs")
        yield Pane()
        yield PlainTable(RECIPIENTS)
        yield Line(id="banner")
        yield Line(id="flash")
        yield Line(id="footer")

    def on_mount(self) -> None:
        self.lines = {line.id: line for line in self.query_children(Line)}
        self.pane = self.query_one(Pane)
        self.table = self.query_one(PlainTable)
        self.set_interval(1.0, self.changed)
        self._turn()

    @property
    def desk(self) -> Desk:
        assert self.app.desk is not None
        return self.app.desk

    @property
    def line(self) -> Row | None:
        return self.desk.view.current

    def situation(self) -> keymap.Situation:
        assert self.app.queue.acting is not None
        line = self.painted.row if self.painted is not None else self.line.row if self.line else None
        return self.app.queue.acting.situation(line)

    # -- painting

    def changed(self) -> None:
        line, acting = self.line, self.app.queue.acting
        if not self.is_mounted or line is None or acting is None:
            return
        if self.reading.turn_to(line.id):
            self._read()
        row = line.row
        mine = self.desk.is_mine(row)
        self.pane.display, self.table.display = not self._unfolded, self._unfolded
        if self._unfolded and "envelope" in self.reading.parts:
            envelope = self.reading.parts["envelope"]
            self.table.show(recipients(envelope, self.desk.whoami.name, self.desk.whoami.session, self.app.clock()))
        self.painted = self._one_mail(line) if self._unfolded else acting.target(line)
        width = self.size.width
        self.lines["status"].say(*self.app.queue.status_sides(width))
        state = line.gone or ("on hold" if row.status == "ONHOLD" else row.status)
        said = [(f"   {state}", "dim")]
        if row.claim:
            said.append((f"   held by {'you' if mine else row.claim.who}", "mine" if mine else "dim"))
        if row.expiry and row.status == "ONHOLD":
            left = (row.expiry - self.app.clock()).total_seconds()
            said.append((f"   expires in {age(left)}", "warn" if left < SOON else "dim"))
        self.lines["title"].say([(f" {phrases.name(row)}", "strong")], [*said, (" ", "")])
        locked = not self.desk.may_read(row)
        self.lines["tabs"].say(tab_line(TABS, self.tab, locked=locked, open=self.reading.body_open))
        self.pane.show(self.reading.show(self.tab, row, locked=locked), keep_place=True)
        self.lines["banner"].say(frame.banner(self.desk, acting, self.desk.view, width))
        self.lines["flash"].say(self.app.flash_pieces())
        self.lines["footer"].say(*frame.footer(self.CONTEXT, self.situation(), width))

    @property
    def _unfolded(self) -> bool:
        return self.tab == "recipients" and "envelope" not in self.reading.problems

    def _one_mail(self, line: Row) -> Target | None:
        """Where each recipient has a row, keys act on the mail of that one alone."""
        envelope = self.reading.parts.get("envelope")
        mail = next((m for m in envelope.mails if m.id == self.table.key), None) if envelope is not None else None
        if mail is None:
            return None
        fields = {"toEmail": mail.toEmail, "status": mail.status, "claim": mail.claim, "expiry": mail.expiry}
        row = line.row.model_copy(update=fields | {"matching": 1})
        fence = mail.claim.fence if mail.claim is not None and self.desk.is_mine(row) else None
        return Target(mail.id, self.reading.seqs["envelope"], fence, row, listed=False)

    def on_resize(self) -> None:
        self.changed()

    def _turn(self) -> None:
        """Another mail, or another part of it."""
        self.pane.top = 0
        self.changed()
        self._read()
        self.app.work(self.desk.present(self.desk.view.cursor, "body" if self.reading.body_open else self.tab))

    def _read(self, *, body: bool = False) -> None:
        self.app.work(self._read_now(body))

    async def _read_now(self, body: bool) -> None:
        await self.reading.read(self.desk, (self.tab,), body=body)
        self.changed()

    def came(self, messages: set[str]) -> None:
        if self.reading.message in messages:
            self.reading.outdate()
            if self._again is None:
                self._again = self.set_timer(AGAIN, self._read_again)

    def _read_again(self) -> None:
        self._again = None
        self._read()

    def rights_changed(self) -> None:
        self.reading.forget()
        self._read()

    # -- keys

    def action_do(self, name: str) -> None:
        handler = getattr(self, "do_" + name.replace(".", "_"), None)
        if handler is not None:
            handler()
        elif (name.startswith("mail.") or name in HOW) and self.app.queue.acting is not None:
            self.app.work(self.app.queue.acting.do(name, self.painted, one=True))
        else:
            self.app.open(name)

    def do_view_back(self) -> None:
        self.dismiss()

    def _scroll(self, rows: int) -> None:
        if self._unfolded:
            self.table.move(rows)
            self.changed()
        elif not self.pane.scroll(rows) and self.tab == "body" and self.reading.page(1 if rows > 0 else -1):
            self.pane.top = 0
            self._read(body=True)

    def do_view_down(self) -> None:
        self._scroll(1)

    def do_view_up(self) -> None:
        self._scroll(-1)

    def do_view_page_down(self) -> None:
        self._scroll(max(1, self.pane.size.height, self.table.room))

    def do_view_page_up(self) -> None:
        self._scroll(-max(1, self.pane.size.height, self.table.room))

    def do_view_top(self) -> None:
        self._scroll(-1_000_000)

    def do_view_bottom(self) -> None:
        self._scroll(1_000_000)

    def do_view_next(self) -> None:
        self._move(1)

    def do_view_previous(self) -> None:
        self._move(-1)

    def _move(self, rows: int) -> None:
        self.desk.view.move(rows)
        self.desk.pump()
        self._turn()

    def do_view_pane_next(self) -> None:
        self._turn_tab(1)

    def do_view_pane_previous(self) -> None:
        self._turn_tab(-1)

    def _turn_tab(self, by: int) -> None:
        self.tab = TABS[(TABS.index(self.tab) + by) % len(TABS)]
        self._turn()

    def do_view_unfold(self) -> None:
        self.tab = "recipients"
        self._turn()

    def do_view_form(self) -> None:
        if self.tab == "body" and self.reading.next_form():
            self.pane.top = 0
            self._read(body=True)
        else:
            self.app.flash(NOT_OPEN)

    def do_mail_body(self) -> None:
        self.tab = "body"
        self._turn()
        if self.line is not None and self.desk.may_read(self.line.row):
            self._read(body=True)
