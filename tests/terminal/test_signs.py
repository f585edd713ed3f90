"""Vowel signs with a column of their own: laid out, and seen, with the letter that they belong to."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from rich.color import ColorSystem
from textual._cells import cell_len

from rcqueue.terminal.caps import Caps
from rcqueue.terminal.cells import split_cells
from rcqueue.terminal.encode import Encoder
from rcqueue.terminal.screen import Row
from rcqueue.terminal.styles import DEFAULT, Styles
from tests.tmux import Tmux

TEXTS = ["आपका खाता आज समाप्त हो रहा है", "হিসাব বন্ধ হবে", "உங்கள் கணக்கு", "മലയാളം ഇവിടെ", "ಖಾತೆ ಮುಕ್ತಾಯ", "keep this too"]
WIDTH = 60


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("कि", ["कि", ""]),
        ("हिन्दी", ["हि", "", "न्", "दी", ""]),
        ("ाx", [" ", "x"]),  # with nothing to stand on
        ("किी", ["कि", "", " "]),  # two signs: there is room for one
    ],
)
def test_letter_and_sign_are_one_glyph_of_two_cells(text: str, cells: list[str]) -> None:
    assert split_cells(text) == cells
    assert cell_len(text) == len(cells)


def test_they_are_seen_in_a_terminal_after_any_change(tmp_path: Path) -> None:
    """Through the encoder into tmux, frame upon frame, the texts in other places each time."""
    styles = Styles(ColorSystem.TRUECOLOR)
    encoder = Encoder(Caps(erase=True), styles)
    choose = random.Random(4)
    said = ""
    for _ in range(20):
        lines = choose.sample(TEXTS, len(TEXTS))
        rows = []
        for line in lines:
            cells = split_cells(line + " |")
            cells += [" "] * (WIDTH - len(cells))
            rows.append(Row(cells, [DEFAULT] * WIDTH, True))
        said += encoder.frame(rows, set(range(len(rows))), (0, 8))
    frames = tmp_path / "frames"
    frames.write_text(said)
    with Tmux(["sh", "-c", f"cat {frames}; sleep 60"], WIDTH, 12) as screen:
        shown = screen.wait(lambda shown: "keep this too" in shown and lines[-1] in shown)
    assert [line.rstrip() for line in shown.splitlines()[: len(lines)]] == [line + " |" for line in lines]
