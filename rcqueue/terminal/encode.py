"""What is shown -> what is wanted, in as few bytes as will do."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import ne, or_

from rcqueue.terminal.caps import Caps
from rcqueue.terminal.cells import disputed
from rcqueue.terminal.screen import Row
from rcqueue.terminal.styles import DEFAULT, Styles

# Up to four unchanged cells are cheaper to send again than to step over.
_NEAR = re.compile(b"\1+(?:\0{1,4}\1+)*")
_GAPS = re.compile(b"\0+")
_REPEATED = 8  # so many more of the same cell are cheaper to ask for than to send
_SAME = re.compile(rf"(.)\1{{{_REPEATED},}}")
_CLEAR = "\x1b[r\x1b[m\x1b[H\x1b[2J"


class Encoder:
    """Knows what the terminal shows, where its cursor is and what pen it has; None is "not known"."""

    def __init__(self, caps: Caps, styles: Styles) -> None:
        self.caps = caps
        self.styles = styles
        self.scrolls = 0
        self.forget()

    def forget(self) -> None:
        """The terminal's content is not known any more: the next frame clears the screen and paints all of it."""
        self._shown: list[Row] | None = None
        self._pen: int | None = None
        self._y: int | None = None
        self._x: int | None = None
        self._out: list[str] = []

    def frame(self, want: Sequence[Row], dirty: set[int], cursor: tuple[int, int]) -> str:
        """The sequence after which the screen shows `want`, with the cursor at `cursor` (x, y).

        `dirty` are the rows that may differ from what the last call was given.
        """
        if self._shown is None:
            self._out.append(_CLEAR)
            self._pen, self._y, self._x = DEFAULT, 0, 0
            blank = Row.blank(len(want[0].cells) if want else 0)
            self._shown = [blank] * len(want)
            dirty = set(range(len(want)))
        shown = self._shown
        rows = [y for y in sorted(dirty) if not want[y].same(shown[y])]
        if self.caps.regions and (move := find_scroll(shown, want, rows)):
            self._scroll(*move)
            rows = sorted({*rows, *range(move[0], move[1])})
        for y in rows:
            self._row(y, shown[y], want[y])
            shown[y] = want[y]
        self._move(cursor[1], cursor[0])
        data = "".join(self._out)
        self._out.clear()
        return data

    def _move(self, y: int, x: int) -> None:
        if self._y == y and self._x == x:
            return
        best = f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H" if y else "\x1b[H"
        if self._y is not None:
            down = _steps(y - self._y, "B", "A")
            ways = [down + "\r"] if x == 0 else []
            if self._x is not None:
                left = self._x - x
                ways.append(down + ("\b" * left if 0 < left < 4 else _steps(-left, "C", "D")))
            best = min(best, *ways, key=len) if ways else best
        self._out.append(best)
        self._y, self._x = y, x

    def _use(self, pen: int) -> None:
        if pen != self._pen:
            self._out.append(self.styles.sgr(self._pen, pen))
            self._pen = pen

    def _paints_blank(self, pen: int) -> bool:
        """Does a blank come out as with `pen` when drawn with the pen in use?"""
        return self._pen is not None and self.styles.blank[self._pen] == pen

    def _scroll(self, top: int, end: int, by: int) -> None:
        """Scroll rows top..end-1 up by `by` (down if negative). What comes in is blank, in the default style: whether
        an exposed row takes the pen's background is what terminals differ on."""
        assert self._shown is not None
        shown, count = self._shown, abs(by)
        self._use(DEFAULT)
        out = self._out
        partial = top > 0 or end < len(shown)
        if partial:
            out.append(f"\x1b[{top + 1};{end}r")
            self._y = self._x = None
        if self.caps.scroll:
            out.append(f"\x1b[{count if count > 1 else ''}{'S' if by > 0 else 'T'}")
        elif self.caps.lines and count > 1:
            self._move(top, 0)
            out.append(f"\x1b[{count}{'M' if by > 0 else 'L'}")
        else:
            self._move(end - 1 if by > 0 else top, 0)
            out.append(("\x1bD" if by > 0 else "\x1bM") * count)
        if partial:
            out.append("\x1b[r")
            self._y = self._x = None
        blank = [Row.blank(len(shown[0].cells))] * count
        shown[top:end] = shown[top + count : end] + blank if by > 0 else blank + shown[top : end - count]
        self.scrolls += 1

    def _row(self, y: int, old: Row, new: Row) -> None:
        width = len(new.cells)
        changed = bytearray(b"\1") * width  # a byte a cell, 0 or 1
        if self.caps.diff:
            changed = bytearray(map(or_, map(ne, new.cells, old.cells), map(ne, new.pens, old.pens)))
        if new.disputed or old.disputed:
            # Where the terminal put what comes after such a cell is its own affair: paint anew from there.
            first = next((x for x in range(width) if disputed(new.cells[x]) or disputed(old.cells[x])), width)
            if changed.rfind(1) >= first:
                changed[first:] = b"\1" * (width - first)
        tail = self._tail(new)
        erased = changed.find(1, tail) if changed.count(1, tail) > 4 else -1
        if erased >= 0:
            changed[tail:] = bytes(width - tail)
        for first, end in _runs(changed, new):
            self._run(y, first, end, new)
        if erased >= 0:
            self._move(y, erased)
            pen = new.pens[-1]
            if not (self._paints_blank(pen) and self._pen is not None and self.styles.only_background(self._pen)):
                self._use(pen)
            self._out.append("\x1b[K")

    def _tail(self, row: Row) -> int:
        """From which cell on the row is blank, in one style that EL can paint."""
        tail = width = len(row.cells)
        pen = row.pens[-1]
        if pen == DEFAULT or (self.caps.erase and self.styles.only_background(pen)):
            while tail and row.cells[tail - 1] == " " and row.pens[tail - 1] == pen:
                tail -= 1
        return tail if tail < width else width

    def _run(self, y: int, x: int, end: int, row: Row) -> None:
        """Draw the cells x..end-1."""
        self._move(y, x)
        if row.text.isascii():
            self._plain(x, end, row)
        else:
            self._glyphs(y, x, end, row)
        if self._y is not None:
            # In the last column terminals differ on where the cursor is.
            self._x = end if end < len(row.cells) else None

    def _plain(self, x: int, end: int, row: Row) -> None:
        """Draw cells of ASCII: each is a character of the row's text, and most keep the pen of the one before."""
        text, pens, blank, out = row.text, row.pens, self.styles.blank, self._out
        pen, as_blank, begun = self._pen, -1 if self._pen is None else blank[self._pen], x
        for at, wanted in enumerate(pens[x:end], x):
            if wanted != pen and (wanted != as_blank or text[at] != " "):
                out.append(self._repeated(text[begun:at]))
                self._use(wanted)
                pen, as_blank, begun = wanted, blank[wanted], at
        out.append(self._repeated(text[begun:end]))

    def _repeated(self, text: str) -> str:
        if self.caps.repeat and len(text) > _REPEATED:
            return _SAME.sub(lambda found: f"{found[1]}\x1b[{len(found[0]) - 1}b", text)
        return text

    def _glyphs(self, y: int, x: int, end: int, row: Row) -> None:
        """Draw cells of any kind, one by one."""
        cells, pens, out = row.cells, row.pens, self._out
        while x < end:
            cell, pen = cells[x], pens[x]
            if not (cell == " " and self._paints_blank(pen)):
                self._use(pen)
            after = x + (2 if x + 1 < end and cells[x + 1] == "" else 1)
            if row.disputed and disputed(cell):
                if after - x == 2:
                    out.append("  \b\b")  # a terminal that draws it one cell wide must not show what was there before
                out.append(cell)
                self._y = self._x = None
                if after < end:
                    self._move(y, after)
            elif self.caps.repeat and cell.isascii() and (more := _repeats(row, x, end)) >= _REPEATED:
                out.append(f"{cell}\x1b[{more}b")
                after = x + 1 + more
            else:
                out.append(cell)
            x = after


def find_scroll(shown: Sequence[Row], want: Sequence[Row], rows: Sequence[int]) -> tuple[int, int, int] | None:
    """Whether a range of rows moved: (top, end, by) such that want[y] is much like shown[y + by] within top..end-1.

    `rows` are those that differ, in order. None unless scrolling saves a good deal of cells.
    """
    if len(rows) < 4:
        return None
    first, end, width = rows[0], rows[-1] + 1, len(want[0].cells)
    votes: Counter[int] = Counter()
    step = max(8, width // 4)
    for x in range(0, width, step):
        places: dict[str, list[int]] = {}
        for y in range(first, end):
            part = shown[y].text[x : x + step]
            if not part.isspace():
                places.setdefault(part, []).append(y)
        for y in rows:
            found = places.get(want[y].text[x : x + step], ())
            if len(found) <= 2:  # what stands everywhere says nothing
                votes.update(place - y for place in found)
    votes.pop(0, None)
    by, count = votes.most_common(1)[0] if votes else (0, 0)
    if count < 4:
        return None
    gains = {
        y: _cost(want[y], shown[y]) - _cost(want[y], shown[y + by]) for y in range(first, end) if first <= y + by < end
    }
    gaining = [y for y, gain in gains.items() if gain > 0]
    if not gaining or sum(gains[y] for y in range(gaining[0], gaining[-1] + 1)) <= 30:
        return None
    top, last = gaining[0], gaining[-1]
    return (top, last + by + 1, by) if by > 0 else (top + by, last + 1, by)


def _cost(new: Row, old: Row) -> int:
    return 0 if new.same(old) else sum(map(str.__ne__, new.cells, old.cells)) + 8


def _runs(changed: bytearray, row: Row) -> Iterator[tuple[int, int]]:
    """The changed cells as ranges (first, end) that are worth drawing in one go; whole glyphs."""
    for near in _NEAR.finditer(changed):
        first, last = near.span()
        for gap in _GAPS.finditer(changed, first, last):
            if len(set(row.pens[gap.start() - 1 : gap.end() + 1])) > 2:
                yield _whole(first, gap.start(), row)
                first = gap.end()
        yield _whole(first, last, row)


def _whole(first: int, end: int, row: Row) -> tuple[int, int]:
    """With the other half of a wide glyph at either end."""
    cells = row.cells
    if cells[first] == "":
        first -= 1
    while end < len(cells) and cells[end] == "":
        end += 1
    return first, end


def _repeats(row: Row, x: int, end: int) -> int:
    """How many cells after x, before end, are the same as it."""
    at = x + 1
    while at < end and row.cells[at] == row.cells[x] and row.pens[at] == row.pens[x]:
        at += 1
    return at - x - 1


def _steps(by: int, forward: str, back: str) -> str:
    if by == 0:
        return ""
    return f"\x1b[{abs(by) if abs(by) > 1 else ''}{forward if by > 0 else back}"
