"""A command in a pseudo terminal: what it writes is recorded and fed to an emulated screen (pyte); it can be sent keys.

    with Pty([sys.executable, "app.py"], width=80, height=24) as pty:
        pty.wait_for("ready")
        pty.send(KEYS["down"])
        pty.settle()
        assert "row 1" in pty.text

`answers=True` makes it answer cursor position requests (CSI 6n), as every real terminal does.
"""

import fcntl
import os
import pty as unix_pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import ClassVar

import pyte

KEYS = {
    "up": b"\x1b[A",
    "down": b"\x1b[B",
    "right": b"\x1b[C",
    "left": b"\x1b[D",
    "pageup": b"\x1b[5~",
    "pagedown": b"\x1b[6~",
    "home": b"\x1b[H",
    "end": b"\x1b[F",
    "tab": b"\t",
    "enter": b"\r",
    "escape": b"\x1b",
    "backspace": b"\x7f",
    "ctrl+l": b"\x0c",
    "ctrl+q": b"\x11",
}

# Sequences that pyte does not know and would print.
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=][\d;]*[a-z]|\x1b\[\?[\d;]*\$p|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[6n")
_CUT = re.compile(rb"\x1b(?:\[[<>=?]?[\d;]*\$?|\][^\x07\x1b]*\x1b?)?\Z")
_FENCE = b"\x1b[6n"


def set_size(fd: int, width: int, height: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


Cell = tuple[str, tuple[object, ...]]


class _Screen(pyte.Screen):
    """With SU and SD, which pyte does not know."""

    def scroll_up(self, count: int | None = None) -> None:
        self._scroll(self.delete_lines, count)

    def scroll_down(self, count: int | None = None) -> None:
        self._scroll(self.insert_lines, count)

    def _scroll(self, how: Callable[[int], None], count: int | None) -> None:
        x, y = self.cursor.x, self.cursor.y
        self.cursor.y = self.margins.top if self.margins else 0
        how(count or 1)
        self.cursor.x, self.cursor.y = x, y


class _Stream(pyte.ByteStream):
    csi: ClassVar = pyte.ByteStream.csi | {"S": "scroll_up", "T": "scroll_down"}
    events: ClassVar = pyte.ByteStream.events | {"scroll_up", "scroll_down"}


class Terminal:
    """An emulated screen. Of what it does not know, pyte prints the letters; that is left out before."""

    def __init__(self, width: int, height: int) -> None:
        self._screen = _Screen(width, height)
        self._stream = _Stream(self._screen)
        self._rest = b""
        self._text: str | None = None

    def feed(self, data: bytes) -> None:
        self._text = None
        data = self._rest + data
        cut = _CUT.search(data)
        whole = data[: cut.start()] if cut else data
        self._rest = data[len(whole) :]
        self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", whole))

    def resize(self, width: int, height: int) -> None:
        self._text = None
        self._screen.resize(height, width)

    @property
    def text(self) -> str:
        if self._text is None:
            # Not pyte's own `display`, which trips over what is left of a wide character.
            self._text = "\n".join(map(self.line, range(self._screen.lines)))
        return self._text

    def line(self, y: int) -> str:
        row = self._screen.buffer[y]
        return "".join(row[x].data for x in range(self._screen.columns))

    @property
    def cells(self) -> list[list[Cell]]:
        """Each cell's character and how it looks (of a blank, only what is seen)."""
        rows = []
        for y in range(self._screen.lines):
            row: list[Cell] = []
            for x in range(self._screen.columns):
                cell = self._screen.buffer[y][x]
                look: tuple[object, ...] = (cell.bg, cell.underscore, cell.reverse, cell.strikethrough)
                if cell.data != " " or cell.reverse:
                    look = (*look, cell.fg, cell.bold, cell.italics)
                row.append((cell.data, look))
            rows.append(row)
        return rows

    @property
    def cursor(self) -> tuple[int, int]:
        return self._screen.cursor.x, self._screen.cursor.y


class Pty:
    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str | None] | None = None,
        width: int = 160,
        height: int = 45,
        answers: bool = True,
        on_start: Callable[[], None] | None = None,
    ) -> None:
        """Start `command`. `env` adds to a plain environment (xterm-256color, true colour, no animations), None
        removes. `on_start` is called in the child before the command."""
        self.width, self.height = width, height
        self.answers = answers
        self.recorded = bytearray()
        self.status: int | None = None
        """What `os.waitstatus_to_exitcode` says, once it has ended."""
        self._terminal = Terminal(width, height)
        self._fed = self._answered = 0
        variables: dict[str, str | None] = {
            **os.environ,
            **dict.fromkeys(("LINES", "COLUMNS", "NO_COLOR", "RCQUEUE_CAPS", "RCQUEUE_PLAIN")),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "TEXTUAL_ANIMATIONS": "none",
            **(env or {}),
        }
        environ = {name: value for name, value in variables.items() if value is not None}
        self._ready, go = os.pipe()
        self.pid, self.fd = unix_pty.fork()
        if self.pid == 0:
            try:
                os.read(self._ready, 1)  # the size is set
                if on_start:
                    on_start()
                os.execvpe(command[0], list(command), environ)
            finally:
                os._exit(127)
        self.resize(width, height)
        os.write(go, b"x")
        os.close(go)
        os.close(self._ready)

    def __enter__(self) -> "Pty":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def resize(self, width: int, height: int) -> None:
        set_size(self.fd, width, height)
        if (width, height) != (self.width, self.height):
            self.width, self.height = width, height
            self.terminal.resize(width, height)

    def send(self, keys: bytes | str) -> None:
        os.write(self.fd, keys.encode() if isinstance(keys, str) else keys)

    def read(self, seconds: float, most: int = 65536) -> bytes:
        """What comes within `seconds`, b"" if nothing; records it."""
        if self.fd < 0 or not select.select([self.fd], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.fd, most)
        except OSError:  # the last one there closed the terminal
            self.reap(2.0)
            self.hang_up()
            return b""
        self.recorded += data
        if self.answers:
            for _ in range(self.recorded.count(_FENCE, max(0, self._answered - len(_FENCE) + 1))):
                self.send(b"\x1b[1;1R")
            self._answered = len(self.recorded)
        return data

    def settle(self, quiet: float = 0.15, limit: float = 5.0) -> int:
        """Read until nothing has come for `quiet` seconds. Returns how many bytes came."""
        before, end = len(self.recorded), time.monotonic() + limit
        while time.monotonic() < end and self.read(quiet):
            pass
        return len(self.recorded) - before

    def wait_for(self, text: str, limit: float = 10.0) -> None:
        """Read until `text` is on the screen, within one row."""
        self.wait_until(lambda: text in self.text, limit, f"{text!r} on the screen")

    def wait_until(self, true: Callable[[], bool], limit: float = 10.0, what: str = "a condition") -> None:
        end = time.monotonic() + limit
        while not true():
            assert time.monotonic() < end, f"waited {limit} s for {what}; the screen:\n{self.text}"
            self.read(0.05)

    def wait_for_end(self, limit: float = 10.0) -> int:
        """Read until the command ends. Returns its exit status (a signal's number negated)."""
        end = time.monotonic() + limit
        while self.status is None:
            assert time.monotonic() < end, f"did not end in {limit} s; the screen:\n{self.text}"
            if not self.read(0.02):
                self.reap(0)
        while self.read(0.02):
            pass
        return self.status

    @property
    def terminal(self) -> "Terminal":
        """The emulated terminal, with all that was recorded."""
        if self._fed < len(self.recorded):
            self._terminal.feed(bytes(self.recorded[self._fed :]))
            self._fed = len(self.recorded)
        return self._terminal

    @property
    def text(self) -> str:
        return self.terminal.text

    @property
    def cells(self) -> list[list[Cell]]:
        return self.terminal.cells

    @property
    def cursor(self) -> tuple[int, int]:
        return self.terminal.cursor

    def hang_up(self) -> None:
        """Close our end, as when the connection drops."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def close(self) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.reap(5.0)
        self.hang_up()

    def reap(self, seconds: float = 0) -> None:
        """Take the exit status if it has ended, or ends within `seconds`."""
        end = time.monotonic() + seconds
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= end:
                return
            else:
                time.sleep(0.01)
