"""The edge where text comes in: whatever a server sends passes `safe_text` here, before anything else sees it."""

from __future__ import annotations

import json
from typing import Any

from rcqueue.safe_text import forbidden, safe_text

#: The members that keep their line ends; only a body is read as lines.
_LINES = frozenset({"text"})


class BadJson(ValueError):
    """What came in is no JSON, or deeper than anything the protocol has."""


def decode(data: str | bytes, *, body: bool = False) -> Any:
    """The JSON in `data` with every text in it made safe to show. `body`: its member `text` keeps its lines.

    Raises BadJson.
    """
    try:
        return walk(json.loads(data), _LINES if body else frozenset())
    except (ValueError, RecursionError) as error:
        raise BadJson(safe_text(str(error), limit=200)) from None


def walk(value: Any, lines: frozenset[str] = frozenset()) -> Any:
    """`value`, decoded JSON, with every text (names of members too) passed through `safe_text`; those of the members
    named in `lines` keep their line ends."""
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, list):
        return [walk(item, lines) for item in value]
    if isinstance(value, dict):
        return {
            safe_text(name): safe_text(item, multiline=True)
            if name in lines and isinstance(item, str)
            else walk(item, lines)
            for name, item in value.items()
        }
    return value


def safe_json(line: str) -> str:
    """A line of JSON that says the same and may be shown: what a terminal must not get is written as \\uXXXX.

    Between tokens JSON has only spaces, so a character that is escaped here stands in a string.
    """
    if line.isascii() and line.isprintable():
        return line
    return "".join(_escape(char) if char != " " and forbidden(char) else char for char in line)


def _escape(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) != 0x7F else "\\u007f"
