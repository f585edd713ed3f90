"""Real servers for tests and benchmarks: each runs in a folder of its own on free ports, and is stopped by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rcqueue.demo.ports import bind

START_SECONDS = 60.0


def free_port() -> int:
    with bind() as taken:
        return int(taken.getsockname()[1])


@contextmanager
def folder(name: str, user: str | None = None) -> Iterator[Path]:
    """A new folder that `user` can write into and everybody can pass through."""
    path = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def given_to(user: str, path: Path) -> bool:
    """As root: gives a folder with all that is in it to the server's user. Whether the server is to change to it."""
    if os.geteuid() != 0:
        return False
    for one in (path, *path.rglob("*")):
        shutil.chown(one, user, user)
    return True


class Process:
    """One server, in a process group of its own: its children end with it."""

    def __init__(self, command: Sequence[str | Path], said: Path, answers: Callable[[], bool]) -> None:
        self._command, self._said, self._answers = [str(word) for word in command], said, answers
        self.start()

    def start(self) -> None:
        """Returns when it answers."""
        with self._said.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/"
            )
        # Ends the server when we do, however that is: its input is then at its end.
        group = f"read _; kill -s KILL -- -{self._process.pid}"
        self._guard = subprocess.Popen(["sh", "-c", group], stdin=subprocess.PIPE, start_new_session=True)
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(
                    f"{self._command[0]} did not start:\n{self._said.read_text(errors='replace')[-4000:]}"
                )
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: int) -> None:
        """To the server and its children."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
        self._process.wait()
        self._unguarded()

    def _unguarded(self) -> None:
        """The group is gone: its number may be another's soon."""
        self._guard.kill()
        self._guard.communicate()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        self.kill()


def talks(port: int, say: bytes = b"", hears: bytes = b"") -> bool:
    """Whether something on this port answers `say` with what begins as `hears`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.settimeout(2)
            connection.sendall(say)
            return not hears or connection.recv(64).startswith(hears)
    except OSError:
        return False
