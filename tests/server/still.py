"""The marshal, its writer and its store, standing still: no thread runs, and time passes when it is told to."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from rcqueue.server.marshal import Marshal, Terms
from rcqueue.server.store.clock import Clock
from rcqueue.server.store.database import Database
from rcqueue.server.store.writer import Operation, Writer, _Waiting

from . import naive

TERMS = Terms(naive.EXPIRY, naive.PURGE, naive.RECALL, acts=naive.KEPT)


class StillDatabase(Database):
    """Reads where it is asked to. Statements are compiled once for all the databases of a test run."""

    compiled: dict[Any, Any] = {}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, synchronous="OFF")
        self.write_engine = self.write_engine.execution_options(compiled_cache=self.compiled)
        self.read_engine = self.read_engine.execution_options(compiled_cache=self.compiled)

    async def read(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        with self.snapshot() as connection:
            return fn(connection, *args, **kwargs)


class StillWriter(Writer):
    """Without a thread: each operation is a batch of its own, written at once, or all that come while it `gathers`."""

    gathers: list[_Waiting] | None = None

    def _run(self) -> None:
        pass

    def submit(self, operation: Operation, *, patient: bool = False, idle: bool = False) -> Future[Any]:
        waiting = _Waiting(operation, Future())
        if self.gathers is None:
            self._write([waiting])
        else:
            self.gathers.append(waiting)
        return waiting.future

    def write_gathered(self) -> None:
        batch, self.gathers = self.gathers, None
        self._write(batch or [])


class StillQueue:
    """The real thing, in a folder, on a clock that the machine turns."""

    def __init__(self, folder: Path, at: int) -> None:
        self.folder, self.mono, self.wall = folder, at, at
        self.loop = asyncio.new_event_loop()
        self.judge: Any = None  # what mail is scanned by again

    def open(self, not_before: int = 0) -> None:
        self.database = StillDatabase(self.folder)
        self.clock = Clock(not_before, lambda: self.wall, lambda: self.mono)
        self.writer = StillWriter(self.database, self.clock)
        self.marshal = Marshal(self.database, self.writer, self.clock, TERMS)
        if self.judge is not None:
            self.marshal.judge_by(self.judge)
        self.file = sqlite3.connect(self.folder / "queue.db", isolation_level=None)

    def close(self) -> None:
        self.run(self.marshal.close())
        self.writer.close()
        self.file.close()
        self.database.close()

    def run(self, awaitable: Awaitable[Any]) -> Any:
        async def waits() -> Any:
            return await awaitable

        return self.loop.run_until_complete(waits())

    def pass_time(self, us: int) -> None:
        self.mono += us
        self.wall += us
