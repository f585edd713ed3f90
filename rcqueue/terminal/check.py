"""Why this terminal can't be drawn on, said before anything is drawn."""

import codecs
import os
from collections.abc import Mapping
from typing import TextIO

from rcqueue.safe_text import safe_text
from rcqueue.terminal.caps import Caps

WIDTH, HEIGHT = 60, 16
"""The least size in cells."""


def refusal(environ: Mapping[str, str], stdin: TextIO, stdout: TextIO) -> str | None:
    """One clear line, or None if all is well. The command line prints it and exits with status 2."""
    for stream, name in ((stdin, "standard input"), (stdout, "standard output")):
        if not stream.isatty():
            return f"{name} is not a terminal; for scripts there are rcqueue list, show and watch"
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        return f"TERM is {safe_text(term) or 'not set'}: a terminal that can move its cursor is needed"
    if not _is_utf8(stdout.encoding):
        return (
            f"output is encoded as {stdout.encoding}, UTF-8 is needed: "
            "set LANG to a UTF-8 locale (C.UTF-8) and leave PYTHONIOENCODING unset"
        )
    width, height = os.get_terminal_size(stdout.fileno())
    if 0 < width < WIDTH or 0 < height < HEIGHT:  # 0 is "not known", as on some serial lines
        return f"the terminal has {width}x{height} cells, at least {WIDTH}x{HEIGHT} are needed"
    try:
        Caps.of(environ)
    except ValueError as wrong:
        return safe_text(str(wrong))
    return None


def _is_utf8(encoding: str | None) -> bool:
    try:
        return codecs.lookup(encoding or "").name == "utf-8"
    except LookupError:
        return False
