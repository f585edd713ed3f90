"""The picture that Textual wants to be shown, as rows of cells."""

from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

from rcqueue.terminal.cells import disputed, fit, split_cells
from rcqueue.terminal.styles import DEFAULT, Styles


class Row:
    """One row: `cells` (as `split_cells` makes them) and `pens` (a pen number a cell). Never changed once made."""

    __slots__ = ("_text", "cells", "disputed", "pens")

    def __init__(self, cells: list[str], pens: list[int], disputed: bool) -> None:
        self.cells = cells
        self.pens = pens
        self.disputed = disputed
        """Is there a cell of which terminals differ how wide it is?"""
        self._text: str | None = None

    @classmethod
    def blank(cls, width: int) -> "Row":
        return cls([" "] * width, [DEFAULT] * width, False)

    @property
    def text(self) -> str:
        if self._text is None:
            cells = self.cells
            self._text = "".join([cell or "\0" for cell in cells] if "" in cells else cells)
        return self._text

    def same(self, other: "Row") -> bool:
        return self is other or (self.pens == other.pens and self.cells == other.cells)


class Picture:
    """The rows that should be on the screen, and which of them changed since they were last taken."""

    def __init__(self, styles: Styles) -> None:
        self.styles = styles
        self.width = self.height = 0
        self.rows: list[Row] = []
        self.dirty: set[int] = set()
        # Most segments of a frame were in the one before.
        self._segments: dict[tuple[str, Style | None], tuple[list[str], list[int], bool]] = {}

    def resize(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.rows = [Row.blank(width)] * height
        self.dirty = set(range(height))

    def apply(self, update: CompositorUpdate) -> None:
        """Paint an update of Textual's compositor; of another kind than these two nothing is taken."""
        if isinstance(update, LayoutUpdate):
            for y, strips in enumerate(update.strips, update.region.y):
                x = update.region.x
                for strip in strips:
                    self.put(y, x, x + strip.cell_length, strip)
                    x += strip.cell_length
        elif isinstance(update, ChopsUpdate):
            for y, first, last in update.spans:
                for end, (x, chop) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                    if chop is not None and x < last and end > first:
                        self.put(y, x, end, chop)

    def put(self, y: int, x: int, end: int, strip: Strip) -> None:
        """Paint `strip` onto the cells x..end of row y. It can't spill over them."""
        width = min(end, self.width) - x
        if width <= 0 or not 0 <= y < self.height:
            return
        cells, pens, risk = self._cells(strip)
        if len(cells) != width:
            fit(cells, width)
            pens = pens[:width] + [DEFAULT] * (width - len(pens))
        old = self.rows[y]
        if width == self.width:
            row = Row(cells, pens, risk)
        else:
            end = x + width
            cells = old.cells[:x] + cells + old.cells[end:]
            pens = old.pens[:x] + pens + old.pens[end:]
            # No half of a wide glyph that was cut may stay.
            if x and old.cells[x] == "":
                cells[x - 1] = " "
            if end < self.width and cells[end] == "":
                cells[end] = " "
            row = Row(cells, pens, risk or (old.disputed and any(map(disputed, cells))))
        if not row.same(old):
            self.rows[y] = row
            self.dirty.add(y)

    def _cells(self, strip: Strip) -> tuple[list[str], list[int], bool]:
        cells: list[str] = []
        pens: list[int] = []
        risk = False
        for text, style, control in strip:
            if control or not text:  # control codes of a segment never go out
                continue
            known = self._segments.get((text, style))
            if known is None:
                known = self._segment(text, style)
                if len(self._segments) > 5_000:
                    self._segments.clear()
                self._segments[text, style] = known
            cells += known[0]
            pens += known[1]
            risk = risk or known[2]
        return cells, pens, risk

    def _segment(self, text: str, style: Style | None) -> tuple[list[str], list[int], bool]:
        cells = split_cells(text)
        pen = self.styles.pen(style)
        blank = self.styles.blank[pen]
        pens = [blank if cell == " " else pen for cell in cells]
        return cells, pens, not text.isascii() and any(map(disputed, cells))
