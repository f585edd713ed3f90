"""The last gate: text -> cells. What is no printable glyph does not get through, whatever the widgets were given."""

import re
import unicodedata
from functools import lru_cache

from textual._cells import cell_len

from rcqueue.safe_text import MARKS_A_CELL, combining, forbidden
from rcqueue.terminal import widths

widths.install()
_ZWJ = "\u200d"


def split_cells(text: str) -> list[str]:
    """One string a cell: a glyph with its marks, or "" for the right half of a wide one.

    There are as many cells as Textual laid the text out for, so that what follows stays in its column: in place of a
    forbidden character stand as many "?" as Textual counted cells for it, often none. (Text that passed `safe_text` has
    none; this is the second gate.)
    """
    if text.isascii() and text.isprintable():
        return list(text)
    cells: list[str] = []
    glyph = -1  # the cell that marks would go on; -1: none
    marks = 0
    measured = ""
    joined = False
    for char in text:
        if joined:  # Textual counts no cell for what a joiner joins to the glyph before
            joined = False
        elif char == _ZWJ:
            joined = True
        elif char == "\ufe0f":  # "as a picture" makes some narrow glyphs wide
            cells += " " * (cell_len(measured + char) - cell_len(measured))
            glyph, measured = -1, ""
        elif forbidden(char):
            cells += "?" * cell_len(char)
            glyph = -1
        elif combining(char) and cell_len(char):  # a vowel sign with a column of its own: one glyph, two cells wide
            beside = glyph >= 0 and glyph == len(cells) - 1 and marks < MARKS_A_CELL
            if beside:
                cells[glyph] += char
            marks += 1
            cells.append("" if beside else " ")
        elif combining(char):
            if glyph >= 0 and marks < MARKS_A_CELL:
                cells[glyph] += char
            marks += 1
        else:
            glyph, marks, measured = len(cells), 0, char
            cells.append(char)
            if cell_len(char) == 2:
                cells.append("")
            if char.isspace():
                glyph = -1
    fit(cells, cell_len(text))
    return cells


def fit(cells: list[str], width: int) -> None:
    """Make it exactly `width` cells: cut, never leaving half a wide glyph, or padded with blanks."""
    if len(cells) > width:
        if cells[width] == "" and width:
            cells[width - 1] = " "
        del cells[width:]
    else:
        cells += " " * (width - len(cells))


_SURE = re.compile(
    "[\u00a1-\u00ac\u00ae-\u024f\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2190-\u21ff\u2500-\u25f7]"
).match


@lru_cache(4096)
def disputed(cell: str) -> bool:
    """Whether terminals differ on how many columns this cell's text takes (emoji, marks, scripts that combine)."""
    if not cell or cell.isascii():
        return False
    if len(cell) > 1:
        return True
    # Letters and punctuation of the CJK scripts are two columns everywhere.
    wide = unicodedata.east_asian_width(cell) in "WF" and unicodedata.category(cell)[0] in "LP"
    return not (wide or _SURE(cell))
