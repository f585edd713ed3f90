"""The rows held around the view, the cursor on one of them, and how both move. Pure: no I/O, no clock, no Textual.

Rows stay where they are on the screen unless the person at it moves: what is added above pushes the index of the first
row in view, not the view; a row that left the list keeps its place until the next move sweeps it away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .looked import Looked

if TYPE_CHECKING:
    from rcqueue.model.mail import Row


@dataclass(slots=True, eq=False)
class Line:
    """One row of the window. `seq` is the journal sequence that it is true at: an act on it names that as `as_of`."""

    row: Row
    seq: int
    gone: str = ""  #: what became of a row that left the list
    new: bool = False  #: came in since the list was last looked at from its top
    stamp: int = 0  #: goes up whenever something painted changes
    before: str | None = None  #: cursor to the rows before this one, where a page began
    after: str | None = None  #: cursor to the rows after this one, where a page ended

    @property
    def id(self) -> str:
        return self.row.id


@dataclass(slots=True)
class Edge:
    """How to go on from an end of the window: by a page's cursor, or ("tail") from the last row's id on."""

    kind: Literal["before", "after", "tail"]
    value: str


@dataclass(slots=True)
class Window:
    """`height` is the view's, in rows. `head` and `tail` are None where the list itself begins or ends."""

    height: int = 10
    cursor: str | None = None  #: id of the row under the cursor
    marks: dict[str, None] = field(default_factory=dict)  #: ids marked, in the order of marking
    all_marked: bool = False  #: every mail of the list is, also those that are not held
    lines: list[Line] = field(default_factory=list)
    index: dict[str, Line] = field(default_factory=dict)
    first: int = 0  #: index of the first row in view
    head: Edge | None = None
    tail: Edge | None = None
    stamps: int = 0
    looked: Looked = field(default_factory=Looked)

    def visible(self) -> list[Line]:
        """The rows in view, from the top: at most `height`."""
        return self.lines[self.first : self.first + self.height]

    @property
    def current(self) -> Line | None:
        """The row under the cursor."""
        return self.index.get(self.cursor) if self.cursor else None

    @property
    def position(self) -> int:
        """Index of the row under the cursor (0 when there is none)."""
        line = self.current
        return self.lines.index(line) if line is not None else 0

    @property
    def above(self) -> bool:
        return self.first > 0 or self.head is not None

    @property
    def below(self) -> bool:
        return self.first + self.height < len(self.lines) or self.tail is not None

    def mark(self, message: str) -> None:
        """Marks a row that is held and in the list, or unmarks it."""
        self.all_marked = False
        line = self.index.get(message)
        if line is None or line.gone:
            return
        if line.id in self.marks:
            del self.marks[line.id]
        else:
            self.marks[line.id] = None
        self.touch(line)

    def mark_all(self) -> None:
        self.unmark()
        self.all_marked = True

    def unmark(self) -> None:
        self.all_marked = False
        for line in map(self.index.get, self.marks):
            if line is not None:
                self.touch(line)
        self.marks.clear()

    def touch(self, line: Line) -> None:
        self.stamps += 1
        line.stamp = self.stamps

    # -- what is held -----------------------------------------------------------------------------------------------

    def replace(self, lines: list[Line], head: Edge | None, tail: Edge | None) -> None:
        self.lines, self.head, self.tail, self.first = lines, head, tail, 0
        self.index = {line.id: line for line in lines}
        if self.cursor not in self.index:
            self.cursor = None

    def append(self, lines: list[Line], tail: Edge | None) -> None:
        self.lines += lines
        self.index |= {line.id: line for line in lines}
        self.tail = tail
        if self.cursor is None and self.lines:
            self.cursor = self.lines[0].id

    def prepend(self, lines: list[Line], head: Edge | None) -> None:
        self.lines[:0] = lines
        self.index |= {line.id: line for line in lines}
        self.first += len(lines)
        self.head = head

    def trim(self, far: int) -> None:
        """Lets go of whole pages that are more than `far` rows from the view."""
        cut = next((i for i in range(self.first - far, 0, -1) if self.lines[i].before is not None), 0)
        if cut and (before := self.lines[cut].before) is not None:
            self._forget(self.lines[:cut])
            del self.lines[:cut]
            self.first -= cut
            self.head = Edge("before", before)
        start = self.first + self.height + far
        end = next((i for i in range(start, len(self.lines) - 1) if self.lines[i].after is not None), None)
        if end is not None and (after := self.lines[end].after) is not None:
            self._forget(self.lines[end + 1 :])
            del self.lines[end + 1 :]
            self.tail = Edge("after", after)

    def _forget(self, lines: list[Line]) -> None:
        for line in lines:
            del self.index[line.id]

    # -- moves ------------------------------------------------------------------------------------------------------

    def step(self, rows: int, screen_row: int | None) -> int:
        """The cursor goes `rows` down (up, when negative), to the nearest row that is still in the list, as far as
        there are rows held; returns how many it could not go. The view moves with it so that it stands on
        `screen_row`; None: no more than it must."""
        at, last = self.position, len(self.lines) - 1
        target = at + rows
        short = target - last if target > last else min(target, 0)
        target = min(max(target, 0), last)
        direction = 1 if rows > 0 else -1
        found = self.live(target, direction)
        if found is None:
            found = self.live(target, -direction)
        if found is None:
            self.replace([], self.head, self.tail)
        else:
            self.settle(found, found - self.first if screen_row is None else screen_row)
        return short

    def live(self, start: int, step: int) -> int | None:
        """Index of the nearest row, from `start` on in steps of `step`, that is still in the list."""
        while 0 <= start < len(self.lines):
            if not self.lines[start].gone:
                return start
            start += step
        return None

    def settle(self, at: int, screen_row: int) -> None:
        """Puts the cursor on the row with index `at`, on that line of the view or as near as can be; rows that have
        left the list go."""
        line, was = self.lines[at], self.current
        if was is not None and was is not line:
            was.new = False
            self.touch(was)
        self.cursor = line.id
        self.touch(line)
        at = self._sweep(line, at)
        self.first = self._fit(at - min(max(screen_row, 0), self.height - 1))

    def resize(self, height: int) -> None:
        height = max(1, height)
        if height == self.height:
            return
        at = self.position
        self.height = height
        self.first = min(self._fit(max(self.first, at - height + 1)), at)

    def _fit(self, top: int) -> int:
        return min(max(top, 0), max(0, len(self.lines) - self.height))

    def _sweep(self, keep: Line, at: int) -> int:
        """Drops the rows that have left, but for `keep`; returns its index, which was `at`."""
        if not any(line.gone and line is not keep for line in self.lines):
            return at
        kept: list[Line] = []
        before: str | None = None
        for line in self.lines:
            if line.gone and line is not keep:
                # What lies beyond a row that goes is reached from its neighbour.
                if kept and line.after is not None:
                    kept[-1].after = line.after
                before = before or line.before
                del self.index[line.id]
            else:
                line.before = before or line.before
                before = None
                kept.append(line)
        if self.tail is not None and self.tail.kind == "tail":
            self.tail.value = kept[-1].id
        self.lines = kept
        return kept.index(keep)
