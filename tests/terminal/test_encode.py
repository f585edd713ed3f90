"""Random pictures through `Picture` and `Encoder` into an emulated terminal (pyte): it must show what was wanted."""

import random

import pyte
import pytest
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual._cells import cell_len
from textual.strip import Strip

from rcqueue.terminal.caps import Caps
from rcqueue.terminal.encode import Encoder
from rcqueue.terminal.screen import Picture, Row
from rcqueue.terminal.styles import Styles

STYLES = [
    Style.parse(style)
    for style in (
        "white on blue",
        "bold red on blue",
        "dim bold",
        "underline green on black",
        "reverse white on red",
        "italic #112233 on #445566",
        "white on #445566",
        "strike yellow on blue",
        "none",
    )
]
LETTERS = "abc XYZ      日本語한é→─│ 12 "
# pyte has neither SU and SD nor REP.
CAPS = [
    Caps(regions=True, lines=True, erase=True),
    Caps(regions=True, lines=True),
    Caps(regions=True),
    Caps(erase=True),
    Caps(),
    Caps(diff=False),
]
COLOURS = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")


def colour(parameters: str) -> str:
    """SGR parameters as pyte names the colour."""
    if not parameters:
        return "default"
    kind, *rest = parameters.split(";")
    return "".join(f"{int(part):02x}" for part in rest[1:]) if rest else COLOURS[int(kind) % 10]


class Emulated:
    """A picture, its encoder and the terminal that they feed."""

    def __init__(self, width: int, height: int, caps: Caps) -> None:
        self.width, self.height = width, height
        self.styles = Styles(ColorSystem.TRUECOLOR)
        self.picture = Picture(self.styles)
        self.picture.resize(width, height)
        self.encoder = Encoder(caps, self.styles)
        self.terminal = pyte.Screen(width, height)
        self.terminal.reset_mode(7, private=True)
        self.stream = pyte.Stream(self.terminal)

    def show(self, cursor: tuple[int, int]) -> str:
        data = self.encoder.frame(self.picture.rows, self.picture.dirty, cursor)
        self.picture.dirty = set()
        self.stream.feed(data)
        return data

    def wrong(self) -> str | None:
        for y, row in enumerate(self.picture.rows):
            for x, cell in enumerate(row.cells):
                shown = self.terminal.buffer[y][x]
                foreground, background, attributes = self.styles.pens[row.pens[x]]
                want: tuple[object, ...] = (
                    cell,
                    colour(background),
                    bool(attributes & 8),
                    bool(attributes & 32),
                    bool(attributes & 64),
                )
                got: tuple[object, ...] = (
                    shown.data,
                    shown.bg,
                    shown.underscore,
                    shown.reverse,
                    shown.strikethrough,
                )
                if cell.strip():
                    want += (colour(foreground), bool(attributes & 1), bool(attributes & 4))
                    got += (shown.fg, shown.bold, shown.italics)
                if cell and want != got:
                    return f"row {y}, column {x}: {got} instead of {want}"
        return None


def strip(choose: random.Random, width: int) -> Strip:
    segments = []
    while width > 0:
        text = "".join(choose.choices(LETTERS, k=choose.randint(1, 12))) if choose.random() < 0.7 else " " * 9
        while cell_len(text) > width:
            text = text[:-1]
        segments.append(Segment(text or " ", choose.choice(STYLES)))
        width -= cell_len(text or " ")
    return Strip(segments)


@pytest.mark.parametrize("caps", CAPS, ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_random_pictures(seed: int, caps: Caps) -> None:
    choose = random.Random(seed)
    width, height = choose.choice([(40, 12), (70, 24), (17, 5)])
    emulated = Emulated(width, height, caps)
    lines = [strip(choose, width) for _ in range(height)]
    for frame in range(25):
        kind = choose.random()
        if kind < 0.4 and height > 5:  # a range of rows moves
            by, first, end = choose.choice([1, 1, 2, 3, -1, -2]), choose.randint(0, 2), height - choose.randint(0, 2)
            block = lines[first:end]
            new = [strip(choose, width) for _ in range(abs(by))]
            lines[first:end] = block[by:] + new if by > 0 else new + block[:by]
        if kind > 0.3:
            for _ in range(choose.randint(1, 4)):
                lines[choose.randrange(height)] = strip(choose, width)
        for y, line in enumerate(lines):
            emulated.picture.put(y, 0, width, line)
        if kind > 0.7:  # patches, which may cut wide glyphs in half
            for _ in range(4):
                x = choose.randrange(width - 3)
                end = choose.randint(x + 1, width)
                emulated.picture.put(choose.randrange(height), x, end, strip(choose, end - x))
        if choose.random() < 0.04:
            emulated.encoder.forget()
        cursor = (choose.randrange(width), choose.randrange(height))
        emulated.show(cursor)
        assert emulated.wrong() is None, f"frame {frame}"
        assert (emulated.terminal.cursor.x, emulated.terminal.cursor.y) == cursor
    if caps.regions and height > 5:
        assert emulated.encoder.scrolls


def test_nothing_changed_is_nothing_sent() -> None:
    emulated = Emulated(40, 5, CAPS[0])
    line = Strip([Segment("as it was", STYLES[0])])
    emulated.picture.put(2, 0, 40, line)
    assert emulated.show((0, 0))
    emulated.picture.put(2, 0, 40, line)
    assert emulated.show((0, 0)) == ""


def test_a_strip_cannot_spill() -> None:
    emulated = Emulated(20, 3, CAPS[0])
    for y, x, end in ((1, 5, 9), (-1, 0, 4), (3, 0, 4), (0, 18, 30), (0, 25, 30)):
        emulated.picture.put(y, x, end, Strip([Segment("日本語日本語日本語")]))
    assert emulated.picture.rows[1].cells == [" "] * 5 + ["日", "", "本", ""] + [" "] * 11
    assert emulated.picture.rows[0].cells == [" "] * 18 + ["日", ""]
    assert emulated.picture.rows[2].cells == [" "] * 20
    emulated.picture.put(1, 6, 8, Strip([Segment("xy")]))
    assert emulated.picture.rows[1].cells == [" "] * 6 + ["x", "y", " "] + [" "] * 11


def test_segments_with_control_codes_are_left_out() -> None:
    picture = Picture(Styles(ColorSystem.TRUECOLOR))
    picture.resize(10, 1)
    picture.put(0, 0, 10, Strip([Segment("\x1b[2J", None, [(1, 2)]), Segment("ok")]))  # type: ignore[list-item]
    assert picture.rows[0].text == "ok        "


def test_links_of_a_style_are_left_out() -> None:
    emulated = Emulated(10, 1, CAPS[0])
    emulated.picture.put(0, 0, 10, Strip([Segment("click", Style(link="http://evil.example/\x1b\\"))]))
    assert "\x1b]" not in emulated.show((0, 0))


def test_where_widths_are_disputed_the_cursor_is_placed_anew() -> None:
    emulated = Emulated(20, 1, CAPS[0])
    emulated.picture.put(0, 0, 20, Strip([Segment("👍 e\u0301 done")]))
    data = emulated.show((0, 0))
    assert "  \b\b👍\x1b[1;3H" in data and "e\u0301\x1b[1;5H" in data


def test_repeat_is_used_when_asked_for() -> None:
    emulated = Emulated(40, 1, Caps(repeat=True))
    emulated.picture.put(0, 0, 40, Strip([Segment("-" * 30)]))
    assert "-\x1b[29b" in emulated.show((0, 0))


@pytest.mark.parametrize("by", [1, 3, -2])
def test_su_and_sd(by: int) -> None:
    """pyte has none, so by the words: a full page scrolls without margins, a part within them."""
    emulated = Emulated(60, 20, Caps(regions=True, scroll=True))
    rows = [Row(list(f"row {n} {n * 7919 % 10007} text".ljust(60)), [0] * 60, False) for n in range(40)]
    emulated.encoder.frame(rows[10:30], set(), (0, 0))
    whole = emulated.encoder.frame(rows[10 + by : 30 + by], set(range(20)), (0, 0))
    count = "" if abs(by) == 1 else abs(by)
    assert whole.startswith(f"\x1b[{count}{'S' if by > 0 else 'T'}")
    part = [*rows[10 + by : 12 + by], *rows[12:28], *rows[28 + by : 30 + by]]
    emulated.encoder.frame(part, set(range(20)), (0, 0))
    moved = [*part[:2], *(rows[12 + by : 28 + by]), *part[18:]]
    assert f"\x1b[3;18r\x1b[{count}{'S' if by > 0 else 'T'}\x1b[r" in emulated.encoder.frame(
        moved, set(range(20)), (0, 0)
    )
