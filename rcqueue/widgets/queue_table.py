"""The queue: one line a message, painted from the view; no row is laid out, kept or painted that is not in view.

What is on the screen is the view as it was at the last `paint`, whenever Textual asks for the lines again: a key that
acts means the row that was under the cursor then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.filter import ANSIToTruecolor
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from .columns import DEFAULT, TITLES, Layout, Look, cells, sorted_column
from .keymap import bindings, key
from .line import Piece, Styled
from .text import ago, number

if TYPE_CHECKING:
    from textual.binding import BindingType

    from rcqueue.client.view import View
    from rcqueue.client.window import Line as Row


#: Beside the rows, those of the home row first.
LETTERS = "asdfghjklqwertyuiopzxcvbnmASDFGHJKLQWERTYUIOPZXCVBNM"


class QueueTable(Styled, can_focus=True):
    """Titles, rows, and a line that says what is above and below. `paint` repaints the rows that changed.

    Keys come from the registry and go to the screen (`screen.do`); they work while the table has the focus.
    """

    DEFAULT_CSS = """
    QueueTable { width: 1fr; height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("queue")]

    class Resized(Message):
        """The view has another height: more rows may be wanted."""

    class Pointed(Message):
        """A row was clicked (`rows` 0), or the wheel turned by `rows`."""

        def __init__(self, line: int, rows: int) -> None:
            super().__init__()
            self.line, self.rows = line, rows

    class Lettered(Message):
        """The letter of a row was typed; None: another key."""

        def __init__(self, message: str | None) -> None:
            super().__init__()
            self.message = message

    class Headed(Message):
        """The heading of a column was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(
        self,
        view: View,
        clock: Callable[[], datetime],
        columns: Sequence[str] = DEFAULT,
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.view = view
        self.clock = clock
        self.columns = columns
        self.session = ""  #: the mark of my own session
        self.me = ""  #: my name
        self.looking: dict[str, str] = {}  #: by message: colleagues whose cursor is on it
        self.empty: list[list[Piece]] = []  #: what to say when there is no row
        self.painted: Row | None = None  #: the row under the cursor, as it was last painted
        self.letters: dict[str, str] = {}  #: by message: the letter that goes there, while they are shown
        self._layout_now = Layout.at(80)
        self._rows: list[Row] = []  # the rows that were in view then
        self._cursor_at = 0  # and which of them the cursor was on
        self._painted: list[object] = []  # what each line of the screen was painted from
        self._keys: dict[str, tuple[object, ...]] = {}  # by message: what `paint` last found
        self._strips: dict[str, tuple[object, Strip]] = {}  # by message: what it was painted from, and the strip

    @property
    def layout_now(self) -> Layout:
        return self._layout_now

    def on_resize(self, event: events.Resize) -> None:
        self.lay_out()
        self.view.resize(event.size.height - 2)
        self.post_message(self.Resized())

    def lay_out(self) -> None:
        """The width, or the columns, are others."""
        self._layout_now = Layout.at(self.size.width, self.columns)
        self._strips.clear()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    # -- painting

    def paint(self) -> None:
        """Repaints the lines that are not as they were last painted."""
        current = self.view.current
        self.painted = None if current is None else replace(current)
        if current is not None:
            self.view.looked.at(current.id, current.row.version)
        now = self._lines()
        changed = [y for y, key in enumerate(now) if y >= len(self._painted) or self._painted[y] != key]
        # Lines that follow each other are one region: each costs the compositor a pass.
        for _, run in groupby(enumerate(changed), lambda at: at[1] - at[0]):
            lines = [y for _, y in run]
            self.refresh(Region(0, lines[0], self.outer_size.width, len(lines)))
        self._painted = now

    def _lines(self) -> list[object]:
        """For each line of the widget what it is painted from; two that are equal look the same."""
        keys: list[object] = [(self.view.sort, self._layout_now)]
        rows = self._rows = self.view.visible()
        self._cursor_at = next((at for at, row in enumerate(rows) if row.id == self.view.cursor), 0)
        self._keys = {row.id: self._key(row) for row in rows}
        keys += self._keys.values()
        keys += [("empty", str(self.empty), not rows)] * (self.view.height - len(rows))
        keys.append(tuple(map(tuple, self._foot())))
        return keys

    # -- letters

    def show_letters(self) -> None:
        """Each row in view has a letter, until a key is typed."""
        self.letters = {row.id: letter for row, letter in zip(self.view.visible(), LETTERS, strict=False)}

    def on_key(self, event: events.Key) -> None:
        """While letters are shown no key does anything else."""
        if self.letters:
            event.stop()
            event.prevent_default()
            wanted = next((id for id, letter in self.letters.items() if letter == event.character), None)
            self.letters = {}
            self.post_message(self.Lettered(wanted))

    def on_blur(self) -> None:
        self.letters = {}

    def _key(self, row: Row) -> tuple[object, ...]:
        now = self.clock()
        seconds = (now - row.row.timestamp).total_seconds()
        soon = row.row.expiry and (row.row.expiry - now).total_seconds() < 86400
        marked = self.view.all_marked or row.id in self.view.marks
        # The age is written in minutes or more, so a row is seldom painted for its age alone.
        return (
            row.id,
            row.stamp,
            row.id == self.view.cursor,
            marked,
            ago(seconds),
            soon,
            self.session,
            self.looking.get(row.id),
            self._layout_now,
            self.letters.get(row.id, ""),
        )

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines as `render_line` makes them. Textual would put borders, padding and ANSI colours into each of them:
        here are none, and it takes longer than the lines."""
        strips = [self.render_line(y) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            if not isinstance(line_filter, ANSIToTruecolor):
                strips = [strip.apply_filter(line_filter, self.background_colors[1]) for strip in strips]
        if crop.column_span != (0, self.outer_size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        width, height = self.outer_size  # there is no border; Widget.size looks into the compositor each time
        if y == 0:
            return self.strip(self._layout_now.head(self.view.sort), width)
        if y == height - 1:
            return self._foot_strip(width)
        rows = self._rows
        skipped = max(0, self._cursor_at - (height - 3))  # become smaller, it still shows the cursor's row
        at = y - 1 + skipped
        if at < len(rows):
            return self._row(rows[at])
        if not rows and y - 2 < len(self.empty) and y >= 2:
            return self.strip(self.empty[y - 2], width)
        return self.strip([], width)

    def _row(self, row: Row) -> Strip:
        key = self._keys[row.id]
        known = self._strips.get(row.id)
        if known is not None and known[0] == key:
            return known[1]
        marked = self.view.all_marked or row.id in self.view.marks
        changed = self.view.looked.changed(row.id, row.row.version)
        look = Look(
            self.painted is not None and row.id == self.painted.id,
            marked,
            self.session,
            self.clock(),
            changed,
            self.me,
            self.looking.get(row.id, ""),
        )
        look = replace(look, letter=self.letters.get(row.id, ""))
        strip = self.strip(cells(row, self._layout_now, look), self._layout_now.width)
        if len(self._strips) > 400:
            self._strips.clear()
        self._strips[row.id] = (key, strip)
        return strip

    def _foot(self) -> tuple[list[Piece], list[Piece]]:
        view = self.view
        left: list[Piece] = [("  ", "")]
        if view.badge or view.badge_more:
            above = " above" if view.sort == "-time" else ""
            left.append(
                (f"^ {number(view.badge)}{'+' if view.badge_more else ''} new{above} ({key('view.top')})", "strong")
            )
        elif view.above:
            left.append(("^ more", "dim"))
        if view.all_marked:
            left.append(("   all that match are marked", "strong"))
        elif view.marks:
            left.append((f"   {number(len(view.marks))} marked", "strong"))
        right: list[Piece] = []
        by = sorted_column(view.sort)
        if by is not None and by not in self._layout_now.widths:
            right.append((f"by {TITLES[by]}{view.sort[0] if view.sort.startswith('-') else '+'}  ", "dim"))
        if view.partial:
            right.append(("not all was looked at in time: go down for more  ", "dim"))
        if view.below:
            right.append(("more v ", "dim"))
        return left, right

    def _foot_strip(self, width: int) -> Strip:
        left, right = self._foot()
        room = sum(len(text) for text, _ in right)
        return Strip.join([self.strip(left, max(0, width - room)), self.strip(right, min(room, width))])

    # -- the mouse

    def on_click(self, event: events.Click) -> None:
        if event.y > 0:
            self.post_message(self.Pointed(event.y - 1, 0))
        elif (column := self._layout_now.column_at(event.x)) is not None:
            self.post_message(self.Headed(column))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.post_message(self.Pointed(0, 3))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.post_message(self.Pointed(0, -3))
