"""Themes: one TOML file each, the packaged ones and the user's own; and what Textual makes of them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path

from textual.color import Color, ColorParseError
from textual.theme import Theme

from rcqueue.safe_text import safe_text

DEFAULT = "dark"
COLORS = ("text", "background", "cursor", "dim", "mine", "bad", "warn")
#: What a theme may add to a meaning beside its colour, or instead: some of ATTRIBUTES. `field` is a field to type in.
WEIGHTS = {"dim": "none", "mine": "none", "bad": "none", "warn": "none", "cursor": "bold", "field": "none"}
ATTRIBUTES = ("bold", "underline", "reverse", "italic")


def default() -> str:
    """The theme of who chose none. `NO_COLOR` asks for none of the colours: https://no-color.org."""
    return "mono" if os.environ.get("NO_COLOR") else DEFAULT


class ThemeError(Exception):
    """A theme that cannot be used: which file, which key, and what was expected."""


def folders() -> tuple[Path, ...]:
    """Where themes are, the user's own first: one there takes the place of a packaged one with its name."""
    from platformdirs import user_config_path  # only here: it is not needed before the first paint

    return user_config_path("rcqueue") / "themes", packaged()


def packaged() -> Path:
    here = Path(__file__).parent
    wheel = here / "themes"
    return wheel if wheel.is_dir() else here.parent / "themes"


def names(where: Iterable[Path] | None = None) -> list[str]:
    """The themes there are."""
    return sorted({file.stem for folder in where or folders() for file in folder.glob("*.toml")})


def load(name: str, where: Iterable[Path] | None = None) -> Theme:
    """The theme of that name. Raises ThemeError."""
    searched = tuple(where or folders())
    # A name, never a path: nothing outside the folders is read.
    file = next((f for folder in searched for f in sorted(folder.glob("*.toml")) if f.stem == name), None)
    if file is None:
        raise ThemeError(f"no theme {safe_text(name, limit=40)!r}; expected one of {', '.join(names(searched))}")
    return read(file)


def read(file: Path) -> Theme:
    """The theme in a file. Raises ThemeError."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ThemeError(f"{file}: {error.strerror}") from None
    except ValueError as error:  # TOML that does not parse, or no UTF-8
        raise ThemeError(f"{file}: expected TOML: {safe_text(str(error), limit=200)}") from None
    for key in data:
        if key not in ("name", "dark", "colors", "weights"):
            raise ThemeError(
                f"{file}: {safe_text(key, limit=40)}: unknown; expected name, dark, [colors] and [weights]"
            )
    if data.get("name") != file.stem:
        raise ThemeError(f'{file}: name: expected "{file.stem}", as the file is called')
    if not isinstance(dark := data.get("dark", True), bool):
        raise ThemeError(f"{file}: dark: expected true or false")
    given = data.get("colors")
    if not isinstance(given, dict):
        raise ThemeError(f"{file}: [colors]: expected a table with {', '.join(COLORS)}")
    for key in given:
        if key not in COLORS:
            raise ThemeError(f"{file}: colors.{safe_text(key, limit=40)}: unknown; expected one of {', '.join(COLORS)}")
    colors = {key: _color(file, key, given.get(key)) for key in COLORS}
    weights = _weights(file, data.get("weights", {}))
    ansi = colors["background"].startswith("ansi_")  # the terminal's own colours, whatever they look like there
    if odd := [key for key, value in colors.items() if value.startswith("ansi_") != ansi]:
        raise ThemeError(
            f"{file}: colors.{odd[0]}: expected all colours as #rrggbb, or all as names of the terminal's own"
        )
    return Theme(
        name=f"rcqueue-{file.stem}",
        dark=dark,
        ansi=ansi,
        primary=colors["mine"],
        secondary=colors["mine"],
        accent=colors["mine"],
        foreground=colors["text"],
        background=colors["background"],
        surface=colors["background"],
        panel=colors["cursor"],
        warning=colors["warn"],
        error=colors["bad"],
        success=colors["mine"],
        text_alpha=1.0,
        variables={f"queue-{key}": value for key, value in colors.items()}
        | {f"queue-{key}-weight": value for key, value in weights.items()}
        | {
            # What is behind a question: paler, where colours can be mixed.
            "queue-veil": "transparent" if ansi else f"{colors['background']} 60%",
            "input-cursor-background": colors["background" if ansi else "text"],
            "input-cursor-foreground": colors["text" if ansi else "background"],
            "input-cursor-text-style": "reverse" if ansi else "none",
            "block-cursor-background": colors["cursor"],
            "block-cursor-foreground": colors["text"],
        }
        | (_ansi_variables(colors) if ansi else {}),
    )


def _ansi_variables(colors: dict[str, str]) -> dict[str, str]:
    """What Textual can't make by mixing where colours are names."""
    front, back = colors["text"], colors["background"]
    pairs = {"ansi": (front, back), "input-selection": (back, front), "screen-selection": (back, front)}
    variables = {f"{name}-foreground": front for name, (front, _) in pairs.items()}
    return variables | {f"{name}-background": back for name, (_, back) in pairs.items()} | {"border-blurred": front}


def _weights(file: Path, given: object) -> dict[str, str]:
    if not isinstance(given, dict):
        raise ThemeError(f"{file}: [weights]: expected a table with some of {', '.join(WEIGHTS)}")
    for key, value in given.items():
        if key not in WEIGHTS:
            known = ", ".join(WEIGHTS)
            raise ThemeError(f"{file}: weights.{safe_text(key, limit=40)}: unknown; expected some of {known}")
        if not isinstance(value, str) or not value or set(value.split()) - {*ATTRIBUTES, "none"}:
            raise ThemeError(f"{file}: weights.{key}: expected some of {', '.join(ATTRIBUTES)}, or none")
    return WEIGHTS | given


def _color(file: Path, key: str, value: object) -> str:
    expected = 'expected a colour such as "#6fc3ba" or "ansi_green"'
    if not isinstance(value, str):
        raise ThemeError(f"{file}: colors.{key}: {'missing' if value is None else 'no text'}; {expected}")
    try:
        Color.parse(value)
    except ColorParseError:
        raise ThemeError(f"{file}: colors.{key}: {safe_text(value, limit=40)!r}; {expected}") from None
    return value
