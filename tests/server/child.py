"""A server in a process of its own, to be traced and killed: `python -m tests.server.child FOLDER SYNCHRONOUS CONFIG`
(more of the configuration, in JSON).

Prints one line of JSON when it is ready: {"pid", "http", "smtp", "tokens": {NAME: TOKEN}}; serves until it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .live import Live


async def _serve(folder: Path, synchronous: str, config: dict[str, Any]) -> None:
    tokens = folder / "tokens.json"
    live = Live(folder, recall="0s", synchronous=synchronous, **config)
    if tokens.exists():
        live.tokens = json.loads(tokens.read_text())
    async with live:
        tokens.write_text(json.dumps(live.tokens))
        ready = {"pid": os.getpid(), "http": live.url, "smtp": live.server.smtp.port, "tokens": live.tokens}
        print(json.dumps(ready), flush=True)
        await asyncio.Event().wait()


class Child:
    """`with Child(folder) as child`: started and ready; killed at the end. `before` goes in front of the command."""

    def __init__(self, folder: Path, synchronous: str = "FULL", before: tuple[str, ...] = (), **config: Any) -> None:
        what = (str(folder), synchronous, json.dumps(config))
        command = [*before, sys.executable, "-m", "tests.server.child", *what]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "."}
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server did not start"
        self.ready: dict[str, Any] = json.loads(line)

    def kill(self) -> None:
        """kill -9 of the server itself: a tracer before it then ends, with its trace written."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.ready["pid"], signal.SIGKILL)
        self.process.wait(20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
