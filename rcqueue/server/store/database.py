"""The database: engines with the settings that durability needs, reads on snapshots, one process a data folder."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.pool import QueuePool

from . import tables as t

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
READERS = 4
CHECKPOINT = 200  #: pages of the WAL after which a commit writes them back: whoever it answers waits for that too


class InUse(Exception):
    """Another process serves this data folder."""


def _prepare_sqlite(engine: Engine, synchronous: str, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN below, or SELECTs run outside any transaction
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "busy_timeout=5000",
            "cache_size=-65536",
            "temp_store=MEMORY",
            "foreign_keys=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")
        if begin == "BEGIN":
            connection.execute("PRAGMA wal_autocheckpoint=0")  # only the writer's connection checkpoints
        else:
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


class Database:
    """Where the queue is kept. `write_engine` is for the one writer thread; everybody else reads snapshots."""

    def __init__(self, folder: Path, *, synchronous: str = "FULL") -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise InUse(f"{folder} is served by another process") from None
        if sqlite3.sqlite_version_info < (3, 51, 3):
            log.info("SQLite %s has the WAL-reset bug; one writer that checkpoints avoids it", sqlite3.sqlite_version)
        url = f"sqlite:///{folder / 'queue.db'}"
        # Parameters are mail: no error that is logged quotes them.
        self.write_engine = create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=0, hide_parameters=True)
        _prepare_sqlite(self.write_engine, synchronous, "BEGIN IMMEDIATE")
        self.read_engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=READERS,
            max_overflow=0,
            hide_parameters=True,
            connect_args={"check_same_thread": False},
        )
        _prepare_sqlite(self.read_engine, synchronous, "BEGIN")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection on which everything read is of one moment."""
        with self.read_engine.connect() as connection, connection.begin():
            yield connection

    async def read(self, fn: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`fn(connection, ...)` on a snapshot, in a reader thread."""

        def run() -> R:
            with self.snapshot() as connection:
                return fn(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    def close(self) -> None:
        self._readers.shutdown(wait=True)
        self.read_engine.dispose()
        self.write_engine.dispose()
        os.close(self._lock)


def head_seq(connection: Connection) -> int:
    """The number of the last entry, in the snapshot of this connection."""
    return int(connection.execute(_HEAD_SEQ).scalar_one())


def head(connection: Connection) -> Any:
    return connection.execute(select(t.head)).one()


_HEAD_SEQ = select(t.head.c.seq)
