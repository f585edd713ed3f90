"""A terminal for tests: a program in tmux, keys sent to it, its screen read."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self


class Tmux:
    """`with Tmux(command, 80, 24) as screen`: runs `command`; its own tmux server, gone at the end."""

    def __init__(
        self, command: list[str], width: int, height: int, environ: Mapping[str, str] | None = None, name: str = "t"
    ) -> None:
        self._socket = f"rcq-test-{os.getpid()}-{name}"
        given = {"TERM": "tmux-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"} | dict(environ or {})
        variables = [f"{key}={value}" for key, value in given.items()]
        shell = f"env -u NO_COLOR {shlex.join(variables)} {shlex.join(command)}; echo exit-status $?; sleep 600"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), shell)

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self._socket, *arguments], check=True, capture_output=True, text=True, timeout=20
        ).stdout

    def keys(self, *keys: str) -> None:
        """Keys by tmux's names: "c", "Enter", "C-q"."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def lines(self) -> list[str]:
        return self.screen().splitlines()

    def coloured(self) -> str:
        """The screen with its colours, as escape sequences that hold from line to line."""
        return self._tmux("capture-pane", "-p", "-e")

    def wait(self, wanted: str | Callable[[str], object], seconds: float = 20) -> str:
        """The screen, once it holds the text (or the test holds of it)."""
        deadline = time.monotonic() + seconds
        while True:
            shown = self.screen()
            if wanted in shown if isinstance(wanted, str) else wanted(shown):
                return shown
            assert time.monotonic() < deadline, f"waited {seconds} s for {wanted!r} on\n{shown}"
            time.sleep(0.05)

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], check=False, capture_output=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
