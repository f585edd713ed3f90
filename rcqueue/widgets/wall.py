"""A display on a wall: one big figure and the rest around it, to be read from afar. Pure, but for the widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.strip import Strip

from . import health
from .line import Piece, Styled
from .text import age, fit, number, wrap

if TYPE_CHECKING:
    from rcqueue.model.health import Wall

#: Digits as a segment display has them, three cells by three: any terminal can show them.
_DIGITS = {
    "0": (" _ ", "| |", "|_|"),
    "1": ("   ", "  |", "  |"),
    "2": (" _ ", " _|", "|_ "),
    "3": (" _ ", " _|", " _|"),
    "4": ("   ", "|_|", "  |"),
    "5": (" _ ", "|_ ", " _|"),
    "6": (" _ ", "|_ ", "|_|"),
    "7": (" _ ", "  |", "  |"),
    "8": (" _ ", "|_|", "|_|"),
    "9": (" _ ", "|_|", " _|"),
    ",": ("  ", "  ", " ,"),
}
_MARGIN = 3
TALL = 28  #: lines from which the figure is taller
_OTHERS = (("RELEASING", ""), ("UNCERTAIN", "warn"), ("RELEASED", ""), ("DELETED", ""), ("EXPIRED", ""))


def big(n: int, *, tall: bool = False) -> list[str]:
    """A number in three lines, or in five."""
    digits = [_DIGITS[sign] for sign in number(n)]
    return [" ".join(line) for line in zip(*(map(_tall, digits) if tall else digits), strict=True)]


def _tall(digit: tuple[str, str, str]) -> list[str]:
    """The same digit, with each stroke twice as long."""
    if len(digit[0]) < 3:  # the comma
        return ["  ", "  ", "  ", *digit[1:]]
    top, *halves = digit
    found = [f" {top[1] * 3} "]
    for half in halves:
        found += [f"{half[0]}   {half[2]}", f"{half[0]}{half[1] * 3}{half[2]}"]
    return found


def lines(wall: Wall, width: int, height: int, *, blocks: bool = True) -> list[list[Piece]]:
    """What fits into so many cells and lines: alerts first to stay, customers first to go."""
    left = " " * _MARGIN
    top: list[list[Piece]] = [[]]
    held = wall.status.get("ONHOLD", 0)
    beside = ["on hold", "" if wall.oldest is None else f"the oldest {age((wall.now - wall.oldest).total_seconds())}"]
    figures = big(held, tall=height >= TALL)
    for figure, said in zip(figures, [*[""] * (len(figures) - 2), *beside], strict=True):
        top.append([(f"{left}{figure}", "strong"), (f"    {said}" if said else "", "dim")])
    top.append([])
    others = [(f"{number(n)} {name.lower()}", style) for name, style in _OTHERS if (n := wall.status.get(name, 0))]
    if others:
        top += [[(left, ""), *((text + "    ", style) for text, style in others)], []]
    flow: list[list[Piece]] = [
        [(f"{left}{fit(line.label, 6)}", "dim"), (f"{line.what}{line.text}", "")]
        for line in health.flow_lines(wall.flow, blocks)
    ]
    alerts: list[list[Piece]] = [] if wall.alerts else [[(f"{left}no alert", "dim")]]
    for alert in wall.alerts:
        first, *more = wrap(alert.text, width - 2 * _MARGIN - 6)
        alerts.append([(f"{left}{age((wall.now - alert.since).total_seconds()):>4}  {first}", "warn")])
        alerts += [[(f"{left}      {rest}", "warn")] for rest in more]
    room = max(0, height - len(top) - len(flow) - len(alerts) - 3)
    half = (width - 2 * _MARGIN) // 2
    tables = _beside(
        _table("VERDICT", wall.verdict, half - 4, room), _table("CUSTOMER", wall.customers, half - 4, room), half
    )
    return [*top, *([(left + text, style)] for text, style in tables), [], *flow, [], *alerts]


def _table(title: str, counts: dict[str, int], width: int, room: int) -> list[Piece]:
    """A title and the greatest; what does not fit is summed up in the last line."""
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    most = max(0, room - 1)
    if len(found) > most > 0:
        found = [*found[: most - 1], (f"{len(found) - most + 1} others", sum(n for _, n in found[most - 1 :]))]
    wide = min(24, max(0, width - 12))
    rows = [(f"{fit(name, wide)}{number(n):>10}", "") for name, n in found[:most]]
    return [(title, "dim"), *rows] if rows else []


def _beside(first: Sequence[Piece], second: Sequence[Piece], width: int) -> list[Piece]:
    lines: list[Piece] = []
    for at in range(max(len(first), len(second))):
        a = first[at][0] if at < len(first) else ""
        b = second[at][0] if at < len(second) else ""
        lines.append((fit(a, width) + b, "dim" if at == 0 else ""))
    return lines


class Board(Styled):
    """Lines of pieces, painted as they are."""

    DEFAULT_CSS = """
    Board { width: 1fr; height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[Piece]] = []

    def show(self, rows: list[list[Piece]]) -> None:
        if rows != self.rows:
            self.rows = rows
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return self.strip(self.rows[y] if y < len(self.rows) else [], self.size.width)
