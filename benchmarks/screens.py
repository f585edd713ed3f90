"""Programs in real pseudo terminals, and when their screens showed what."""

from __future__ import annotations

import select
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

from tests.ptyharness import Pty

#: Compiled modules are kept, as they are where it is installed.
ENVIRON: dict[str, str | None] = {
    "PYTHONDONTWRITEBYTECODE": None,
    "PYTHONUNBUFFERED": None,
    "COVERAGE_PROCESS_START": None,
}
_QUIET = 0.02


def rcqueue(*arguments: str) -> list[str]:
    """The command as it is installed."""
    return [str(Path(sys.executable).with_name("rcqueue")), *arguments]


class Screen(Pty):
    """A terminal that keeps when each piece of what it got came in (`time.monotonic`).

    What came is only shown to the emulator when nothing more comes, so that emulating costs no time that is measured.
    """

    def __init__(
        self, command: Sequence[str], env: dict[str, str] | None = None, *, width: int = 160, height: int = 45
    ) -> None:
        self.began = time.monotonic()
        self._came: deque[tuple[float, int]] = deque()
        super().__init__(command, env={**ENVIRON, **(env or {})}, width=width, height=height)

    def __enter__(self) -> Self:
        return self

    def read(self, seconds: float, most: int = 65536) -> bytes:
        data = super().read(seconds, most)
        if data:
            self._came.append((time.monotonic(), len(self.recorded)))
        return data

    def when(self, shown: Callable[[str], object], limit: float = 30, beside: Iterable[Screen] = ()) -> float:
        """The moment when the screen first showed it, looking at what came since the last look. `beside` are read too,
        so that they do not stand still."""
        end = time.monotonic() + limit
        together = [self, *beside]
        while True:
            ready, _, _ = select.select([one.fd for one in together], [], [], _QUIET)
            for one in together:
                if one.fd in ready:
                    one.read(0)
            if ready:
                continue
            while self._came:
                at, upto = self._came.popleft()
                self._terminal.feed(bytes(self.recorded[self._fed : upto]))
                self._fed = upto
                if shown(self._terminal.text):
                    return at
            assert time.monotonic() < end, f"waited {limit} s; the screen:\n{self.text}"
            assert self.fd >= 0, f"it ended; the screen:\n{self.text}"

    def after(self, keys: bytes | str, shown: Callable[[str], object], quiet: float = 0.1) -> float:
        """Seconds from these keys, once nothing has come for `quiet` seconds, to the screen that shows it."""
        self.settle(quiet, 20 * quiet)
        self._look()
        assert not shown(self.text), f"shown before the key:\n{self.text}"
        pressed = self.press(keys)
        return self.when(shown) - pressed

    def press(self, keys: bytes | str) -> float:
        """Sends the keys; the moment."""
        at = time.monotonic()
        self.send(keys)
        return at

    def _look(self) -> None:
        self._came.clear()
        _ = self.terminal  # all that came is on it now


def sign_in(screen: Screen, name: str, password: str) -> None:
    """By the login screen, up to the key that sends it off."""
    screen.wait_for("assword", 30)
    screen.send(name)
    screen.send("\t")
    screen.send(password)
    screen.settle(0.2)
    screen._look()
    screen.send("\r")
