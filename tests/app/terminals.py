"""The real terminal in a pseudo terminal, signed in, and what stands on its screen."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.demo_server import DemoServer
from tests.ptyharness import Pty

COMMAND = (sys.executable, "-m", "rcqueue")


class Screen(Pty):
    """`rcqueue --server URL`, signed in by a token file."""

    def __init__(
        self,
        url: str,
        token_file: str | Path,
        *,
        width: int = 100,
        height: int = 30,
        command: Sequence[str] = COMMAND,
        env: Mapping[str, str | None] | None = None,
    ) -> None:
        # The emulated screen knows neither SU nor SD.
        variables = {"RCQUEUE_TOKEN_FILE": str(token_file), "RCQUEUE_CAPS": "-scroll", **(env or {})}
        super().__init__([*command, "--server", url], env=variables, width=width, height=height)

    def send(self, keys: bytes | str) -> None:
        assert self.fd >= 0, f"it ended, with status {self.status}: {bytes(self.recorded[-400:])!r}"
        super().send(keys)

    def line(self, y: int) -> str:
        """A row of the screen; negative ones count from its end."""
        return self.terminal.line(y % self.height)

    @property
    def flash(self) -> str:
        """The line where answers are said."""
        return self.line(-2)

    @property
    def banner(self) -> str:
        return self.line(-3)

    @property
    def live(self) -> bool:
        return self.line(0).rstrip().endswith("live")

    @property
    def held(self) -> int:
        """How many mails the first line says are on hold."""
        found = re.search(r"([\d,]+) held", self.line(0))
        return int(found[1].replace(",", "")) if found else -1

    @property
    def cursor_row(self) -> str:
        """The row of the queue under the cursor; "" when none is."""
        return next((row for row in map(self.line, range(3, self.height)) if row.startswith(">")), "")

    def wait_live(self, limit: float = 30.0) -> None:
        self.wait_until(lambda: self.live, limit, "the feed")


def sign_in(demo: DemoServer, name: str = "anna", *, width: int = 100, height: int = 30) -> Screen:
    screen = Screen(demo.http, demo.accounts[name]["token_file"], width=width, height=height)
    screen.wait_live()
    return screen
