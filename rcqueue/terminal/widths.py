"""How wide Textual lays out vowel signs that have a place of their own (general category Mc, as in Hindi): one cell.

Textual takes all marks for nothing wide, so that the letter after such a sign was drawn over it: terminals that go by
the system's tables (tmux, xterm, those of GNOME and many more) give it a column. Where a terminal draws letter and sign
in one column, a blank one follows, as after any glyph that terminals differ on.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import rich._unicode_data
import rich.cells

_load = rich._unicode_data.load
_SIGNS = sorted(c for c in range(0x900, 0x11FFF) if unicodedata.category(chr(c)) == "Mc")


@lru_cache
def _with_signs(unicode_version: str = "auto") -> rich.cells.CellTable:
    """Rich's table of (first, last, width); what it does not have is one cell wide."""
    table = _load(unicode_version)
    widths: list[tuple[int, int, int]] = []
    for first, last, width in table.widths:
        for sign in _SIGNS if width == 0 else ():
            if first <= sign <= last:
                if first < sign:
                    widths.append((first, sign - 1, width))
                first = sign + 1
        if first <= last:
            widths.append((first, last, width))
    return table._replace(widths=widths)


def install() -> None:
    """From now on; before anything is laid out."""
    vars(rich.cells)["load_cell_table"] = _with_signs
    rich.cells.get_character_cell_size.cache_clear()
    rich.cells.cached_cell_len.cache_clear()
