"""The last gate by itself."""

import random
import sys
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.style import Style
from textual._cells import cell_len

from rcqueue.terminal.cells import disputed, split_cells
from rcqueue.terminal.styles import Styles
from tests.payloads import PAYLOADS

texts = st.lists(
    st.one_of(
        st.characters(codec=None),
        st.sampled_from("\x1b\x9b\u200d\ufe0f\u0301\u202e\u3164❤👩👍🏽日e \U000e0041\ud83d"),
        st.sampled_from([text for _, text in PAYLOADS]),
    ),
    max_size=20,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(texts)
def test_only_glyphs_get_through_and_each_stays_in_its_column(text: str) -> None:
    cells = split_cells(text)
    assert len(cells) == cell_len(text)
    for at, cell in enumerate(cells):
        for char in cell:
            assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me")
        assert len(cell) <= 1 + 4
        if not cell:
            assert cell_len(cells[at - 1]) == 2
        elif cell_len(cell[0]) == 2:
            assert cells[at + 1 : at + 2] == [""]


def test_every_code_point() -> None:
    """(Of the planes that are empty or private, the ends.)"""
    for char in map(chr, (*range(0x10000), *range(0x1D000, 0x1FC00), *range(0xE0000, 0xE0200), sys.maxunicode)):
        cells = split_cells(f"A{char}B")
        assert len(cells) == cell_len(f"A{char}B")
        assert cells[-1] == ("B" if char != "\u200d" else "A")  # Textual gives what is joined no cell
        assert all(unicodedata.category(char)[0] in "LMNPSZ" for cell in cells for char in cell)


def test_emoji_sequences_keep_what_follows_in_its_column() -> None:
    assert split_cells("👩\u200d👩\u200d👧x") == ["👩", "", "x"]
    assert split_cells("❤\ufe0fx") == ["❤", " ", "x"]
    assert split_cells("👍🏽x") == ["👍", "", "x"]


def test_what_is_disputed() -> None:
    assert not any(map(disputed, ["", "a", "é", "Ж", "─", "→", "日", "한", "、"]))
    assert all(map(disputed, ["👍", "e\u0301", "❤", "ก", "\u2648"]))


def test_every_way_between_pens_is_as_good_as_a_fresh_start() -> None:
    """The short way from one pen to another leaves a terminal as the long way does (parameters interpreted here)."""
    choose = random.Random(1)
    styles = Styles(ColorSystem.TRUECOLOR)
    names = ("bold", "dim", "italic", "underline", "reverse", "strike", "underline2", "overline", "blink")
    pens = [
        styles.pen(
            Style(
                color=choose.choice([None, "red", "#102030"]),
                bgcolor=choose.choice([None, "blue", "#405060"]),
                **{name: True for name in names if choose.random() < 0.3},
            )
        )
        for _ in range(60)
    ]
    for old in pens:
        for new in pens:
            state = interpret(styles.sgr(None, old), {})
            assert interpret(styles.sgr(old, new), state) == interpret(styles.sgr(None, new), {})


ON = {1: "bold", 2: "dim", 3: "italic", 4: "line", 5: "blink", 7: "reverse", 9: "strike", 21: "line 2", 53: "over"}
OFF = {22: "bold dim", 23: "italic", 24: "line,line 2", 25: "blink", 27: "reverse", 29: "strike", 55: "over"}


def interpret(sequence: str, state: dict[str, object]) -> dict[str, object]:
    state = dict(state)
    numbers = [int(part or 0) for part in sequence[2:-1].split(";")] if sequence else []
    while numbers:
        number = numbers.pop(0)
        if number == 0:
            state = {}
        elif number in ON:
            state[ON[number]] = True
        elif number in OFF:
            for name in ("bold", "dim") if number == 22 else OFF[number].split(","):
                state.pop(name, None)
        elif number in (38, 48):
            state[str(number)] = (numbers.pop(0), numbers.pop(0), numbers.pop(0), numbers.pop(0))
        elif number in (39, 49):
            state.pop(str(number - 1), None)
        else:
            state["38" if number < 40 else "48"] = number
    return state
