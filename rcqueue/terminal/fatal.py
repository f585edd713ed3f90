"""What may still be said when the application breaks: where, never with what.

A traceback with locals, or the text of an exception (a validation error quotes its input), could leave mail on the jump
host's screen and in its scrollback. So one line goes out: the kind of error and the place in the code.
"""

import io
import sys
import threading
import traceback
from typing import TextIO

from rcqueue.safe_text import safe_text


def describe(error: BaseException) -> str:
    """One safe line: kind of error, module, line and function."""
    inner = getattr(error, "error", None)  # Textual wraps what broke a worker
    if isinstance(inner, BaseException):
        error = inner
    frames = [(frame.f_globals.get("__name__", "?"), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    line = f"rcqueue: stopped by an internal error: {type(error).__name__}"
    if frames:
        line += f" in {frames[-1][0]}, line {frames[-1][1]}"
        ours = next(((name, at) for name, at in reversed(frames) if name.partition(".")[0] == "rcqueue"), frames[-1])
        if ours != frames[-1]:
            line += f", from {ours[0]}, line {ours[1]}"
    return safe_text(line)


class SafeStream(io.TextIOBase):
    """A text stream that shows what is written to it only as `safe_text`.

    For standard error: tracebacks of threads and of forgotten tasks, warnings and logging write there, past every
    widget and driver, and they quote what was in hand.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(safe_text(text, multiline=True))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


def guard() -> None:
    """From now on standard error is a `SafeStream`, and an exception that nobody caught is one line there."""
    if isinstance(sys.stderr, SafeStream):
        return
    sys.stderr = SafeStream(sys.stderr)
    sys.excepthook = lambda kind, error, at: print(describe(error), file=sys.stderr)
    threading.excepthook = lambda args: print(describe(args.exc_value or args.exc_type()), file=sys.stderr)
