"""Themes: the packaged ones are whole, and a mistake in one's own is named by file, key and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color

from rcqueue import theme

from .contrast import contrast

GOOD = (theme.packaged() / "dark.toml").read_text().replace('name = "dark"', 'name = "mine"')


@pytest.mark.parametrize("name", ["dark", "light", "high-contrast"])
def test_each_colour_can_be_read_on_the_background_and_under_the_cursor(name: str) -> None:
    made = theme.load(name, [theme.packaged()])
    colors = {key: Color.parse(made.variables[f"queue-{key}"]).rgb for key in theme.COLORS}
    for key in ("text", "dim", "mine", "bad", "warn"):
        for behind in ("background", "cursor"):
            assert contrast(colors[key], colors[behind]) >= (7 if name == "high-contrast" else 4.5), (key, behind)


def test_one_s_own_takes_the_place_of_a_packaged_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD)
    (tmp_path / "dark.toml").write_text(GOOD.replace('"mine"', '"dark"').replace("#14171a", "#000000"))
    where = (tmp_path, theme.packaged())
    assert theme.names(where) == ["16-colours", "dark", "high-contrast", "light", "mine", "mono"]
    assert theme.load("dark", where).background == "#000000"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("#14171a", "red-ish"), "colors.background: 'red-ish'; expected a colour such as"),
        (('cursor = "#2b333b"', ""), "colors.cursor: missing; expected a colour"),
        (('dim = "#949ca4"', "dim = 7"), "colors.dim: no text; expected a colour"),
        (('mine = "', 'mein = "'), "colors.mein: unknown; expected one of text, background"),
        (("dark = true", 'dark = "yes"'), "dark: expected true or false"),
        (('name = "mine"', 'name = "other"'), 'name: expected "mine"'),
        (('"#14171a"', '"ansi_black"'), "colors.text: expected all colours as #rrggbb, or all as names"),
        (("[colors]", "[weights]\nmine = 'loud'\n[colors]"), "weights.mine: expected some of bold, underline"),
        (("[colors]", "[weights]\nall = 'bold'\n[colors]"), "weights.all: unknown; expected some of dim, mine"),
        (("[colors]", "weights = 1\n[colors]"), "[weights]: expected a table with some of dim, mine"),
        (("[colors]", "[colours]"), "colours: unknown; expected name, dark, [colors] and [weights]"),
        (('"#14171a"', '"#14171a'), "expected TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    file = tmp_path / "mine.toml"
    assert change[0] in GOOD
    file.write_text(GOOD.replace(*change, 1))
    with pytest.raises(theme.ThemeError) as error:
        theme.load("mine", [tmp_path])
    assert str(file) in str(error.value) and said in str(error.value)


def test_a_name_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD)
    with pytest.raises(theme.ThemeError, match="expected one of mine"):
        theme.load("../mine", [tmp_path])
