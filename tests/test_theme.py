"""Themes: the packaged ones are whole, and a mistake in one's own is named by file, key and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color

from rcqueue import theme

GOOD = (theme.packaged() / "dark.toml").read_text().replace('name = "dark"', 'name = "mine"')


@pytest.mark.parametrize("name", ["dark", "light"])
def test_packaged_themes_can_be_read(name: str) -> None:
    made = theme.load(name, [theme.packaged()])
    text, background = (Color.parse(made.variables[f"queue-{key}"]) for key in ("text", "background"))
    for key in ("text", "dim", "mine", "bad", "warn"):
        color = Color.parse(made.variables[f"queue-{key}"])
        assert background.get_contrast_text().a and _contrast(color, background) >= 4.0, key
    assert made.dark == (_luminance(background) < _luminance(text))


def _luminance(color: Color) -> float:
    def part(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4

    return 0.2126 * part(color.r) + 0.7152 * part(color.g) + 0.0722 * part(color.b)


def _contrast(one: Color, other: Color) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_one_s_own_takes_the_place_of_a_packaged_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD)
    (tmp_path / "dark.toml").write_text(GOOD.replace('"mine"', '"dark"').replace("#14171a", "#000000"))
    where = (tmp_path, theme.packaged())
    assert theme.names(where) == ["dark", "light", "mine"]
    assert theme.load("dark", where).background == "#000000"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("#14171a", "red-ish"), "colors.background: 'red-ish'; expected a colour such as"),
        (('cursor = "#2b333b"', ""), "colors.cursor: missing; expected a colour"),
        (('dim = "#7d858d"', "dim = 7"), "colors.dim: no text; expected a colour"),
        (('mine = "', 'mein = "'), "colors.mein: unknown; expected one of text, background"),
        (("dark = true", 'dark = "yes"'), "dark: expected true or false"),
        (('name = "mine"', 'name = "other"'), 'name: expected "mine"'),
        (("[colors]", "[colours]"), "colours: unknown; expected name, dark and [colors]"),
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
