"""Contrast of two colours (WCAG 2.2), also of those that a terminal has by name, as terminals have them."""

from __future__ import annotations

from rich.color import Color

RGB = tuple[int, int, int]


def _palette(*colors: str) -> tuple[RGB, ...]:
    return tuple((int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c in colors)


#: The sixteen, black to bright white, as their terminals' documentation has them.
PALETTES = {
    "VGA": _palette(
        *("000000", "aa0000", "00aa00", "aa5500", "0000aa", "aa00aa", "00aaaa", "aaaaaa"),
        *("555555", "ff5555", "55ff55", "ffff55", "5555ff", "ff55ff", "55ffff", "ffffff"),
    ),
    "xterm": _palette(
        *("000000", "cd0000", "00cd00", "cdcd00", "0000ee", "cd00cd", "00cdcd", "e5e5e5"),
        *("7f7f7f", "ff0000", "00ff00", "ffff00", "5c5cff", "ff00ff", "00ffff", "ffffff"),
    ),
    "Windows": _palette(
        *("0c0c0c", "c50f1f", "13a10e", "c19c00", "0037da", "881798", "3a96dd", "cccccc"),
        *("767676", "e74856", "16c60c", "f9f1a5", "3b78ff", "b4009e", "61d6d6", "f2f2f2"),
    ),
}


def rgb(color: Color, palette: str | None) -> RGB:
    """`palette`: of PALETTES, for a colour that has a name."""
    if color.triplet is not None:
        return tuple(color.triplet)
    assert palette is not None and color.number is not None, color
    return PALETTES[palette][color.number]


def contrast(one: RGB, other: RGB) -> float:
    """1 (none) to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(color: RGB) -> float:
    def part(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4

    r, g, b = map(part, color)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
