"""Programs that are run for a push: lint and reload. No shell, no input, an end, and their words cleaned."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rcqueue.safe_text import safe_text

MOST_LINES, LONGEST_LINE = 20, 300
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOST_OUTPUT = 256 << 10  #: bytes that are read


@dataclass(frozen=True, slots=True)
class Ended:
    status: int  #: below 0: killed by that signal
    lines: list[str]  #: what it said, fit to show


async def run(command: Sequence[str], folder: Path, seconds: float, hide: str = "") -> Ended:
    """Runs a program in `folder`, which is its home too. `hide`: a text that is left out of its words.

    Raises OSError when it can't be started, TimeoutError when it did not end in time: it is killed then.
    """
    with tempfile.TemporaryFile() as said:  # no pipe: what it leaves running might keep that open
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={"PATH": _PATH, "HOME": str(folder), "LC_ALL": "C"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(seconds):
                status = await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        said.seek(0)
        text = said.read(_MOST_OUTPUT).decode("utf-8", "replace")
    return Ended(status, words(text, hide))


def words(text: str, hide: str = "") -> list[str]:
    """The lines of what a program said, as they may be shown and kept."""
    text = text.replace(hide, "") if hide else text
    lines = [safe_text(line.strip(), limit=LONGEST_LINE) for line in text.splitlines() if line.strip()]
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], f"... and {more} more lines"] if more > 0 else lines
