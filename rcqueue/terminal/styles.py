"""Styles as small numbers (pens), and the shortest way from one to another."""

from rich.color import Color, ColorSystem
from rich.style import Style

_ATTRIBUTES = (  # name, on, off; the place is the bit
    ("bold", "1", "22"),
    ("dim", "2", "22"),
    ("italic", "3", "23"),
    ("underline", "4", "24"),
    ("blink", "5", "25"),
    ("reverse", "7", "27"),
    ("strike", "9", "29"),
    ("underline2", "21", "24"),
    ("overline", "53", "55"),
)
_ON = {1 << bit: on for bit, (_, on, _) in enumerate(_ATTRIBUTES)}
_OFF = {1 << bit: off for bit, (_, _, off) in enumerate(_ATTRIBUTES)}
_SEEN_ON_BLANKS = sum(
    1 << bit
    for bit, (name, _, _) in enumerate(_ATTRIBUTES)
    if name in ("underline", "reverse", "strike", "underline2", "overline")
)

DEFAULT = 0
"""The terminal's own colours, no attributes."""


class Styles:
    """Pen numbers for one terminal. A pen is (foreground, background, attributes): SGR parameters and a bit set."""

    def __init__(self, system: ColorSystem) -> None:
        self.system = system
        self.pens: list[tuple[str, str, int]] = [("", "", 0)]
        self.blank: list[int] = [DEFAULT]
        """blank[pen]: the pen that paints a space the same and has nothing else."""
        self._numbers = {self.pens[DEFAULT]: DEFAULT}
        self._of: dict[Style, int] = {}
        self._sgr: dict[tuple[int | None, int], str] = {}

    def pen(self, style: Style | None) -> int:
        """The pen that draws `style`; links and other metadata of the style are not part of it."""
        if style is None:
            return DEFAULT
        pen = self._of.get(style)
        if pen is None:
            if len(self._of) > 20_000:
                self._of.clear()
            attributes = sum(1 << bit for bit, (name, _, _) in enumerate(_ATTRIBUTES) if getattr(style, name))
            pen = self._number(self._colour(style.color, True), self._colour(style.bgcolor, False), attributes)
            self._of[style] = pen
        return pen

    def only_background(self, pen: int) -> bool:
        return not self.pens[pen][2]

    def sgr(self, old: int | None, new: int) -> str:
        """The shortest sequence that makes a terminal with pen `old` (None: unknown) draw with pen `new`."""
        if old == new:
            return ""
        sequence = self._sgr.get((old, new))
        if sequence is None:
            foreground, background, attributes = self.pens[new]
            anew = ["0", *_each(attributes, _ON), foreground, background]
            sequence = _sequence(anew) if any(anew[1:]) else "\x1b[m"
            if old is not None:
                sequence = min(self._delta(old, new), sequence, key=len)
            self._sgr[old, new] = sequence
        return sequence

    def _number(self, foreground: str, background: str, attributes: int) -> int:
        pen = (foreground, background, attributes)
        number = self._numbers.get(pen)
        if number is None:
            number = self._numbers[pen] = len(self.pens)
            self.pens.append(pen)
            self.blank.append(number)
            if not attributes & _SEEN_ON_BLANKS and (foreground or attributes):
                self.blank[number] = self._number("", background, 0)
        return number

    def _colour(self, colour: Color | None, foreground: bool) -> str:
        if colour is None or colour.is_default:
            return ""
        return ";".join(colour.downgrade(self.system).get_ansi_codes(foreground))

    def _delta(self, old: int, new: int) -> str:
        foreground, background, attributes = self.pens[old]
        to_foreground, to_background, to_attributes = self.pens[new]
        off = list(dict.fromkeys(_each(attributes & ~to_attributes, _OFF)))
        on = to_attributes & ~attributes
        for bit in _OFF:  # what goes off may take along a neighbour that shares its "off" (bold and dim)
            if to_attributes & bit and _OFF[bit] in off:
                on |= bit
        return _sequence(
            [
                *off,
                *_each(on, _ON),
                (to_foreground or "39") if to_foreground != foreground else "",
                (to_background or "49") if to_background != background else "",
            ]
        )


def _each(attributes: int, codes: dict[int, str]) -> list[str]:
    return [code for bit, code in codes.items() if attributes & bit]


def _sequence(parameters: list[str]) -> str:
    return f"\x1b[{';'.join(filter(None, parameters))}m"
