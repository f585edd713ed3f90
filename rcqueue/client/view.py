"""The view of the queue: a pure core that is fed (pages, entries, keys) and asked (what to paint, what to fetch).

It holds the rows around the view, in the server's order, and nothing else: memory does not grow with the queue. The
cursor is bound to a message's id. New mail above is counted (:attr:`View.badge`) and comes in when the person goes to
the top; a row that leaves stays in its place, with what became of it, until the cursor moves.

No I/O, no clock, no Textual, and no import beyond the standard library at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

from .fetch import Fetch, Goto, Pending
from .outcome import outcome, place, returns
from .window import Edge, Line, Window

if TYPE_CHECKING:
    from rcqueue.model.journal import Entry
    from rcqueue.model.mail import Page, Row

PAGE = 100  #: rows asked for at a time; at least so many are held on each side of the view
KEPT = 3  #: pages kept on each side of the view
NEW_LIMIT = 10_000  #: messages counted one by one in the badge; beyond, it says "more"

#: Whether a row still belongs to the list; None: the row cannot tell, ask the server.
Matches = Callable[["Row"], "bool | None"]


class View(Window):
    """`me` is the name of the account, so that what became of a row can say "you"; `page` is in rows."""

    def __init__(self, matches: Matches, me: str = "", sort: str = "-time", *, height: int = 10, page: int = PAGE):
        super().__init__(height=height)
        self.matches, self.me, self.sort, self.page = matches, me, sort, page
        self.partial = False  #: the server ran out of time looking: what is shown is not all of it
        self._horizon = ""  # the newest id there was when the top of the list was last looked at
        self._head_seq = 0  # the sequence at which that was
        self._fresh: dict[str, int] = {}  # messages that came in and are not in the window: how many mails
        self._fresh_more = False
        self._pending = Pending()
        self._peek = False
        self._holes = False  # entries were missed: there may be rows between those held that are not
        self._owed = 0  # rows that the cursor still has to go, once they are here
        self._owed_row: int | None = None  # the line of the screen that it is to stand on then

    @property
    def badge(self) -> int:
        """Mails that came in and are not in the window."""
        return sum(self._fresh.values())

    @property
    def badge_more(self) -> bool:
        """There are more new ones than `badge` counts."""
        return self._fresh_more

    @property
    def _news(self) -> bool:
        return bool(self._fresh) or self._fresh_more or self._holes

    @property
    def loaded(self) -> bool:
        """The list has been read since the last search."""
        return bool(self.lines) or (self._pending.goto is None and self.tail is None)

    @property
    def waiting(self) -> bool:
        """What the person asked to see is not here yet."""
        return self._pending.goto is not None or self._owed != 0 or self._owed_row is not None or not self.loaded

    @property
    def limit(self) -> int:
        """Rows to ask for in a page: never fewer than the view shows."""
        return max(self.page, self.height)

    # -- keys -------------------------------------------------------------------------------------------------------

    def search(self, matches: Matches, sort: str) -> None:
        """Another filter or order: a new list, from its top. Marks are dropped."""
        self.matches, self.sort = matches, sort
        self.replace([], None, None)
        self.all_marked = False
        self._pending.restart(Goto("first"))
        for pending in (self.marks, self._fresh, self._pending.ask, self._pending.candidates):
            pending.clear()
        self._fresh_more = self._peek = self._holes = self.partial = False
        self._head_seq = 0
        self.hold_still()

    def move(self, rows: int) -> None:
        """The cursor goes `rows` down (up, when negative), to the nearest row that is still in the list."""
        self._go(rows, None)

    def turn(self, pages: int) -> None:
        """The view goes so many of its heights down, and the cursor stays on its line of the screen."""
        screen_row = self.position - self.first if self._owed_row is None else self._owed_row
        self._go(pages * self.height, screen_row)

    def _go(self, rows: int, screen_row: int | None) -> None:
        if not self.lines:
            return
        if rows * self._owed > 0:  # the same way again, before the rows are here: no key is lost
            rows += self._owed
        top = self.lines[0].id
        short = self.step(rows, screen_row)
        self.hold_still()
        if (self.tail if short > 0 else self.head) is not None:
            self._owed = short
        elif short < 0 and self._news:
            self._pending.restart(Goto("first", land=top))
        if screen_row is not None and (self._owed or (self.tail and self.position - self.first > screen_row)):
            self._owed_row = screen_row

    def point(self, screen_row: int) -> None:
        """The cursor goes to the row on this line of the view (0 is the first)."""
        self.hold_still()
        if 0 <= screen_row < len(self.visible()):
            self.settle(self.first + screen_row, screen_row)

    def top(self) -> None:
        """To the first row of the list, and the new ones with it."""
        self.hold_still()
        first = self.live(0, 1)
        if self.head is None and not self._news and first is not None:
            self.settle(first, 0)
        else:
            self._pending.restart(Goto("first"))

    def bottom(self) -> None:
        self.hold_still()
        last = self.live(len(self.lines) - 1, -1)
        if self.tail is None and not self._holes and last is not None:
            self.settle(last, self.height - 1)
        else:
            self._pending.restart(Goto("last"))

    def jump(self, kind: Literal["at", "time"], value: str) -> None:
        """To a message's id, or to the first row at or after a time (RFC 3339), in the order of the list."""
        self.hold_still()
        self._pending.restart(Goto(kind, value))

    def hold_still(self) -> None:
        """An act is about to be made on the row under the cursor: moves that are still owed are not made."""
        self._owed, self._owed_row = 0, None

    # -- fed --------------------------------------------------------------------------------------------------------

    def next_fetch(self) -> Fetch | None:
        """What to ask the server for now. Each fetch given out must come back by `answer` or `failed`."""
        if self._pending.page is None and (fetch := self._want()) is not None:
            return self._pending.begin(fetch)
        return self._pending.begin_rows()

    def answer(self, fetch: Fetch, page: Page) -> None:
        if fetch.generation != self._pending.generation:
            return
        if fetch.kind == "rows":
            self._told(page)
            return
        self._pending.page = None
        log, overflow = self._pending.take_log()
        match fetch.kind:
            case "after" | "tail":
                self.append(self._admit(page), Edge("after", page.next) if page.next else None)
                self.partial = page.partial
            case "before":
                self.prepend(self._admit(page), Edge("before", page.previous) if page.previous else None)
                if self.head is None:
                    self._head_seq = page.seq
            case "peek":
                self._count(page)
            case _:
                self._arrive(fetch, page)
        for message, entry in log:
            if entry.seq > page.seq or (entry.row is not None and self._where(entry.row) < 0):
                self._apply(message, entry)
        if overflow:
            self.refresh(row.id for row in page.rows)
        if self._owed or self._owed_row is not None:
            owed, screen_row = self._owed, self._owed_row
            self.hold_still()
            self._go(owed, screen_row)
        self.trim(KEPT * self.limit)

    def failed(self, fetch: Fetch) -> None:
        """The server did not answer. The same is wanted again by the next `next_fetch`."""
        if fetch.generation != self._pending.generation:
            return
        self._pending.failed(fetch)
        self._peek |= fetch.kind == "peek"

    def refused(self, fetch: Fetch) -> None:
        """The server will not answer this, however often it is asked (no such id): stay where we are."""
        self.failed(fetch)
        if fetch.generation == self._pending.generation and fetch.kind != "rows":
            self._pending.goto, self._peek = None, False
            if not self.lines and fetch.kind in ("at", "time"):
                self._pending.restart(Goto("first"))
            self.hold_still()
            if self.tail is not None and self.tail.kind == fetch.kind:
                self.tail = None
            if self.head is not None and self.head.kind == fetch.kind:
                self.head = None

    def entries(self, entries: Iterable[Entry]) -> None:
        """What the feed brought, in order."""
        for entry in entries:
            if entry.message is None:
                continue
            self._pending.keep(entry.message, entry)
            self._apply(entry.message, entry)

    def refresh(self, messages: Iterable[str]) -> None:
        """Asks for these rows again, where they are held or marked."""
        self._pending.ask |= dict.fromkeys(m for m in messages if m in self.index or m in self.marks)

    def resync(self, *, new_journal: bool = False) -> None:
        """Entries were missed: every row held or marked is asked for again, in its place, and the top is looked at for
        new ones.

        With `new_journal` sequences begin anew, and none of the old ones says anything. Marks are dropped."""
        if new_journal:
            self.unmark()
            for line in self.lines:
                line.seq = 0
            self._head_seq = 0
        self._pending.restart(self._pending.goto)
        self._pending.ask = dict.fromkeys((*self.index, *self.marks))
        self._pending.candidates.clear()
        self._fresh.clear()
        self._fresh_more = False
        self._peek = self._holes = True
        if self.lines and self.tail is None:
            self.tail = Edge("tail", self.lines[-1].id)

    # -- entries ----------------------------------------------------------------------------------------------------

    def _apply(self, message: str, entry: Entry) -> None:
        row, line = entry.row, self.index.get(message)
        if line is None:
            if message in self.marks and not self._belongs(row):
                self._pending.ask[message] = entry  # marked, and beyond the window: does it still belong to the list?
            if row is not None:
                self._newcomer(message, row, entry)
        elif entry.seq > line.seq:
            belongs = self._belongs(row)
            if row is None or belongs is None:
                self._pending.ask[message] = entry
            else:
                self._pending.ask.pop(message, None)
                self._update(line, row, entry.seq, belongs, entry)
        elif line.gone and row is not None and row.version > line.row.version:
            line.row = row  # it had been asked for: the answer was newer than this entry, but says nothing of what left
            self.touch(line)

    def _belongs(self, row: Row | None) -> bool | None:
        # A row of many recipients says how all of them are; which of them match, only the server knows.
        return self.matches(row) if row is not None and row.recipients == 1 else None

    def _update(self, line: Line, row: Row | None, seq: int, belongs: bool, entry: Entry | None) -> None:
        line.seq = seq
        if row is not None:
            line.row = row
        if belongs:
            line.gone = ""
        else:
            self.marks.pop(line.id, None)
            # "bob released it" says more than that it then went out; that it may not have arrived says most.
            if not line.gone or (entry is not None and (entry.actor != "system" or entry.kind == "mail.uncertain")):
                line.gone = outcome(entry, self.me)
        self.touch(line)

    def _newcomer(self, message: str, row: Row, entry: Entry) -> None:
        """An entry about a message that is not in the window: is it new to the list, and above the view?"""
        if self._pending.goto is not None:
            return  # where it stands will be known when the page is here: it is in the log
        belongs = self._belongs(row)
        if message in self._fresh:
            if belongs is None:
                self._consider(message, entry)
            elif not belongs:
                del self._fresh[message]
        elif self._may_be_new(message, row, entry):
            if belongs is None:
                self._consider(message, entry)
            elif belongs:
                self._welcome(message, row)

    def _consider(self, message: str, entry: Entry) -> None:
        if message in self._pending.candidates or len(self._pending.candidates) < NEW_LIMIT:
            self._pending.ask[message] = entry
            self._pending.candidates.add(message)
        else:
            self._fresh_more = True

    def _may_be_new(self, message: str, row: Row, entry: Entry) -> bool:
        match self._where(row):
            case 1:
                return self.tail is None
            case -1:
                known = self.head is not None and message <= self._horizon and not returns(entry)
                return entry.seq > self._head_seq and not known
        return True  # between rows that are held: it was not there when they came

    def _where(self, row: Row) -> int:
        """-1: above the first row held, 1: below the last, 0: between."""
        return place(row, self.lines[0].row, self.lines[-1].row, self.sort) if self.lines else -1

    def _welcome(self, message: str, row: Row) -> None:
        if self.lines and self._where(row) > 0:
            self.tail = self.tail or Edge("tail", self.lines[-1].id)  # it is below: no news, only more to come
        elif message in self._fresh or len(self._fresh) < NEW_LIMIT:
            self._fresh[message] = row.matching
        else:
            self._fresh_more = True
        if not self.lines and self._pending.goto is None:  # nothing is under the cursor that could move
            self._pending.restart(Goto("first"))

    def limit_of(self, fetch: Fetch) -> int:
        """Rows to ask for: in a jump about those that are seen first, so that they are here soon; the rest follows."""
        lands = self._pending.goto is not None and self._pending.goto.land is not None
        jump = fetch.kind in ("first", "last", "at", "time") and not lands
        return min(2 * self.height, self.limit) if jump else self.limit

    # -- pages ------------------------------------------------------------------------------------------------------

    def _want(self) -> Fetch | None:
        generation = self._pending.generation
        if (goto := self._pending.goto) is not None:
            return Fetch(goto.kind, generation, goto.value)
        if (tail := self.tail) is not None and (
            len(self.lines) - self.first - self.height < self.limit or self._owed > 0
        ):
            return Fetch(tail.kind, generation, tail.value)
        if (head := self.head) is not None and (self.first < self.limit or self._owed < 0):
            return Fetch(head.kind, generation, head.value)
        if self._peek:
            self._peek = False
            return Fetch("peek", generation)
        return None

    def _arrive(self, fetch: Fetch, page: Page) -> None:
        """The page that a jump asked for takes the place of what was there."""
        goto = self._pending.goto
        self._pending.goto, self._holes = None, False
        old, screen_row = self.index, self.position - self.first
        head = Edge("before", page.previous) if page.previous else None
        self.cursor = None
        self.replace(self._lines_of(page, old), head, Edge("after", page.next) if page.next else None)
        kept = self._pending.candidates | self.marks.keys()
        self._pending.ask = {m: entry for m, entry in self._pending.ask.items() if m in kept}
        self.partial = page.partial
        if self.head is None:
            self._head_seq = page.seq
            self._fresh.clear()
            self._fresh_more = self._peek = False
        if not self.lines:
            if fetch.kind in ("at", "time"):  # all there is comes before
                self._pending.restart(Goto("last"))
            return
        at = 0
        if goto is not None and goto.land is not None:
            at = max(0, next((i for i, line in enumerate(self.lines) if line.id == goto.land), len(self.lines)) - 1)
        elif fetch.kind == "last":
            at, screen_row = len(self.lines) - 1, self.height - 1
        elif fetch.kind == "at":
            at = next((i for i, line in enumerate(self.lines) if line.id == fetch.value), 0)
        self.settle(at, screen_row)

    def _admit(self, page: Page) -> list[Line]:
        """Lines for the rows that are not held yet; those that are held are brought up to date where they stand."""
        for row in page.rows:
            if (held := self.index.get(row.id)) is not None and page.seq > held.seq:
                self._update(held, row, page.seq, True, None)
        return [line for line in self._lines_of(page, {}) if line.id not in self.index]

    def _lines_of(self, page: Page, old: dict[str, Line]) -> list[Line]:
        lines = []
        for row in page.rows:
            was = old.get(row.id)
            self.stamps += 1
            new = row.id in self._fresh or (was is not None and was.new)
            lines.append(Line(row, page.seq, new=new, stamp=self.stamps))
            self._fresh.pop(row.id, None)
            self._horizon = max(self._horizon, row.id)
        if lines:
            lines[0].before, lines[-1].after = page.previous, page.next
        return lines

    def _count(self, page: Page) -> None:
        """What a look at the top of the list found, after entries were missed."""
        self._head_seq = max(self._head_seq, page.seq)
        unknown = [row for row in page.rows if row.id not in self.index]
        for row in unknown:
            if self.head is None or row.id > self._horizon:
                self._welcome(row.id, row)
        self._fresh_more |= bool(page.next) and bool(unknown) and len(unknown) == len(page.rows) == len(self._fresh)

    def _told(self, page: Page) -> None:
        """The rows that were asked for one by one; those that are missing no longer match."""
        asked, self._pending.asked = self._pending.asked, {}
        rows = {row.id: row for row in page.rows}
        for message, entry in asked.items():
            line, row = self.index.get(message), rows.get(message)
            candidate = message in self._pending.candidates
            self._pending.candidates.discard(message)
            if line is not None:
                if page.seq >= line.seq:
                    last = entry.row if entry is not None else None  # how it is, though it is not of the list
                    self._update(line, row or last, page.seq, row is not None, entry)
            elif row is None:
                self._fresh.pop(message, None)
                self.marks.pop(message, None)
            elif candidate and (page.seq > self._head_seq or self._where(row) >= 0):
                self._welcome(message, row)
