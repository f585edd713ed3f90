"""The person's own settings of the terminal, `terminal.toml`: theme, columns, keys, copying, what rings the bell.

A value that can't be used is named (`Settings.wrong`: file, key, what was expected) and what stands without it stays:
it never keeps anybody from work. What is chosen at the screen is kept there too, the rest of the file as it was.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rcqueue.safe_text import safe_text
from rcqueue.widgets import columns, keymap

_KEYS = ("theme", "columns", "copy", "bell", "keys")
_MOST_RULES = 20


class SettingsError(Exception):
    """Settings that can't be kept: which file, and why."""


@dataclass(slots=True)
class Settings:
    path: Path | None = None  #: None: nothing is kept
    theme: str = ""  #: "": the default one
    columns: tuple[str, ...] = columns.DEFAULT
    keys: dict[str, str] = field(default_factory=dict)  #: by action
    copy: bool = False  #: requests may go to the terminal's clipboard
    bell: tuple[str, ...] = ()  #: filters: what comes in and matches one rings
    wrong: list[str] = field(default_factory=list)  #: what can't be used, a line each

    def keep(self, key: str, value: str | Sequence[str]) -> None:
        """Sets `theme` or `columns`, also in the file. Raises SettingsError."""
        setattr(self, key, value if isinstance(value, str) else tuple(value))
        if self.path is None:
            return
        try:
            text = self.path.read_text("utf-8") if self.path.exists() else ""
            new = with_value(text, key, value)
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            draft.write_text(new, "utf-8")
            draft.replace(self.path)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else safe_text(str(error), limit=100)
            raise SettingsError(f"{self.path}: {key} can't be kept there: {why}") from None


def settings_path() -> Path:
    from platformdirs import user_config_path

    return user_config_path("rcqueue") / "terminal.toml"


def load(path: Path | None = None) -> Settings:
    """The settings in `path` (the person's own file); those of nobody if there is no such file."""
    path = path or settings_path()
    found = Settings(path)
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return found
    except OSError as error:
        found.wrong.append(f"{path}: can't be read: {error.strerror}")
        return found
    except ValueError as error:  # TOML that does not parse, or no UTF-8
        found.wrong.append(f"{path}: expected TOML: {safe_text(str(error), limit=200)}")
        return found
    for key, value in data.items():
        if key not in _KEYS:
            found.wrong.append(f"{path}: {safe_text(key, limit=40)}: unknown; expected one of {', '.join(_KEYS)}")
            continue
        found.wrong += [f"{path}: {wrong}" for wrong in _take(found, key, value)]
    return found


def _take(into: Settings, key: str, value: Any) -> list[str]:
    """Takes what can be used; returns what is wrong with the rest."""
    match key, value:
        case "theme", str():
            into.theme = value  # whether there is such a theme is said when it is read
        case "copy", bool():
            into.copy = value
        case "columns", list():
            if wrong := columns.wrong(value):
                return [f"columns: {wrong}"]
            into.columns = tuple(value)
        case "bell", list():
            return _take_rules(into, value)
        case "keys", dict():
            into.keys, wrong_keys = keymap.choose(_flat(value))
            return [f"keys.{wrong}" for wrong in wrong_keys]
        case _:
            kinds = {
                "theme": 'the name of a theme, such as "dark"',
                "copy": "true or false",
                "columns": columns.EXPECTED,
                "bell": 'filters, such as ["verdict:virus"]',
                "keys": 'a table of actions with their keys, such as "mail.release" = "r"',
            }
            return [f"{key}: expected {kinds[key]}"]
    return []


def _take_rules(into: Settings, rules: list[Any]) -> list[str]:
    from rcqueue.model.query import QueryError, parse  # only for who has rules: it is not needed before the first paint

    wrong: list[str] = []
    for n, rule in enumerate(rules, 1):
        if not isinstance(rule, str) or n > _MOST_RULES:
            wrong.append(f"bell, {n}: expected a filter such as verdict:virus, at most {_MOST_RULES} of them")
            continue
        try:
            parse(rule, me="me")
        except QueryError as error:
            wrong.append(f"bell, {n}: {safe_text(str(error), limit=200)}")
        else:
            into.bell = (*into.bell, rule)
    return wrong


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, object]:
    """`mail.release = "r"` in TOML is a table in a table; in quotes it is a key."""
    found: dict[str, object] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def with_value(text: str, key: str, value: str | Sequence[str]) -> str:
    """The file's text with that value under a key at its top, all else as it was. Raises ValueError when that can't be
    done by changing the one line."""
    before = tomllib.loads(text)
    line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    given = re.compile(rf"^{key}[ \t]*=[ \t]*(?:\[[^\]]*\]|\"[^\"\n]*\"|'[^'\n]*')", re.MULTILINE)
    top = re.search(r"^\[", text, re.MULTILINE)  # the first table
    found = given.search(text)
    if found is not None and (top is None or found.start() < top.start()):
        new = text[: found.start()] + line + text[found.end() :]
    else:
        new = line + "\n" + text
    if tomllib.loads(new) != before | {key: value if isinstance(value, str) else list(value)}:
        raise ValueError("it is written there in a way that only a person can change")
    return new
