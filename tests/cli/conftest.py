from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rcqueue.cli import main
from tests.client.standin import TOKEN, StandIn


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Cli = Callable[..., Ended]


@pytest.fixture(scope="session")
def _server() -> Iterator[StandIn]:
    server = StandIn()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def standin(_server: StandIn) -> StandIn:
    """One server for all tests of the command line, as new for each."""
    _server.reset()
    return _server


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders of a user who has nothing set up."""
    for name in ("RCQUEUE_SERVER", "RCQUEUE_TOKEN_FILE", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    for name, folder in (("XDG_CONFIG_HOME", "config"), ("XDG_RUNTIME_DIR", "run")):
        (tmp_path / folder).mkdir(mode=0o700)
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setattr("rcqueue.client.http._PAUSES", (0.01,))
    return tmp_path


@pytest.fixture
def token_file(home: Path) -> Path:
    path = home / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs one command in this process: its exit status, and what it printed."""

    def run(*arguments: str) -> Ended:
        try:
            status = main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        sys.stdout.flush()
        return Ended(status, *capfd.readouterr())

    return run


@pytest.fixture
def signed_in(cli: Cli, standin: StandIn, token_file: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same, as a script that is signed in."""
    monkeypatch.setenv("RCQUEUE_SERVER", standin.url)
    monkeypatch.setenv("RCQUEUE_TOKEN_FILE", str(token_file))
    return cli


def script(*arguments: str, typed: str = "", **options: object) -> subprocess.CompletedProcess[str]:
    """A process of its own, without a terminal."""
    command = [sys.executable, "-m", "rcqueue", *arguments]
    return subprocess.run(
        command, input=typed, capture_output=True, text=True, timeout=20, start_new_session=True, **options
    )


def on_terminal(*arguments: str, typed: str = "", columns: int = 160) -> Ended:
    """A process of its own on a terminal, where `typed` is entered; what the terminal got, both streams in one."""
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        # With the environment said: readline, which pytest loads, puts COLUMNS into that of C.
        os.execve(sys.executable, [sys.executable, "-m", "rcqueue", *arguments], os.environ)
    shown = b""
    with os.fdopen(terminal, "r+b", buffering=0) as both:
        for line in typed.splitlines(keepends=True):
            while b": " not in shown[-40:]:
                shown += both.read(1)
            time.sleep(0.05)  # getpass drops what was typed before it asked
            both.write(line.encode())
            shown += b"|"
        with contextlib.suppress(OSError):  # the terminal is gone with its last process
            while more := both.read(4096):
                shown += more
    _, ended = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(ended), shown.decode(), "")
