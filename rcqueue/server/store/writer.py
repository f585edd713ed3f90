"""The one writer: gathers what waits, decides it in order, numbers it, commits it once, then answers.

While a batch is being made durable the next one gathers by itself, so one fsync serves many and nobody waits for a
window. An answer is given only after the commit that holds it has returned. Work that is long and made of many small
operations is `patient`: one of them at a time has a batch of its own, in turn with the batches of all others, so that
nobody waits longer than for one. What is `idle`, as nobody waits for it, goes with the next that is not, or in a batch
with others of its kind a moment later: the order is that in which they came.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import insert, select

from . import statements
from . import tables as t
from .clock import Clock
from .database import Database
from .journal import GENESIS, Draft, entry_row
from .rows import Needs, Rows

log = logging.getLogger(__name__)
MAX_BATCH = 500
MAX_BYTES = 8 << 20
IDLE = 0.02  #: seconds that what is idle waits for company
OnCommit = Callable[[int, frozenset[str]], None]


@dataclass(slots=True)
class Decision:
    """What an operation decided: entries for the journal, in order, and the answer. An exception as the answer is
    raised to whoever asked, after the entries (a denied act is an entry) are durable."""

    answer: Any = None
    entries: list[Draft] = field(default_factory=list)


class Operation(Protocol):
    """Something to be written. `weight` is about how many bytes it adds to a batch."""

    @property
    def needs(self) -> Needs: ...

    @property
    def weight(self) -> int: ...

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        """Reads and changes `rows`; `seq` is the number that its first entry gets. Raising changes nothing."""
        ...


class Stopped(Exception):
    """The writer has ended; nothing more is written."""


@dataclass(slots=True)
class _Waiting:
    operation: Operation
    future: Future[Any]
    patient: bool = False
    idle: bool = False
    since: float = field(default_factory=time.monotonic)


class Writer:
    """`submit` an operation, get a future of its answer. `on_commit(last_seq, kinds)` is called after each commit that
    wrote entries, with their kinds, from the writer's thread and before any of its answers is given."""

    def __init__(self, database: Database, clock: Clock, on_commit: OnCommit = lambda _seq, _kinds: None) -> None:
        self._database, self._clock, self.on_commit = database, clock, on_commit
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._patient: deque[_Waiting] = deque()
        self._accepting = threading.Lock()
        self._open = True
        self.lag = 0.0  #: seconds that the first of the last batch waited until it was durable
        self.patient_took = 0.0  #: seconds that the last of what is patient took, until it was durable
        self.under_way: int | None = None  #: the time that the batch bears which is not durable yet
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        with database.write_engine.begin() as connection:
            row = connection.execute(select(t.head)).one_or_none()
            if row is None:
                self.journal, self._seq, self._hash = str(uuid.uuid4()), 0, GENESIS
                connection.execute(insert(t.head), {"id": 1, "journal": self.journal, "seq": 0, "hash": GENESIS})
            else:
                self.journal, self._seq, self._hash = row.journal, row.seq, row.hash
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def submit(self, operation: Operation, *, patient: bool = False, idle: bool = False) -> Future[Any]:
        future: Future[Any] = Future()
        with self._accepting:
            if not self._open:
                raise Stopped("the server is shutting down; nothing was done")
            self._queue.put(_Waiting(operation, future, patient, idle))
        return future

    def close(self) -> None:
        """Writes what waits, then ends (of what is patient, not all)."""
        with self._accepting:
            if self._open:
                self._open = False
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            more = True
            while more:
                batch, more = self._gather()
                if batch:
                    self._write(batch)
                if self._patient:
                    self._write([self._patient.popleft()])
        finally:
            self._open = False
            while not self._queue.empty():
                waiting = self._queue.get()
                if waiting is not None and waiting.future.set_running_or_notify_cancel():
                    self._patient.append(waiting)
            for waiting in self._patient:
                waiting.future.set_exception(Stopped("the writer has ended"))

    def _gather(self) -> tuple[list[_Waiting], bool]:
        """What waits, up to a batch's size, with the patient set aside; blocks only when there is nothing to do, or
        nothing but what is idle."""
        batch: list[_Waiting] = []
        weight, idle = 0, True
        while not (self._patient and self._queue.empty()):
            try:
                waiting = self._queue.get(timeout=max(0.0, batch[0].since + IDLE - time.monotonic()) if batch else None)
            except queue.Empty:
                break
            if waiting is None:
                return batch, False
            # Whoever asked may have gone away meanwhile; from here on it is done, and cannot be cancelled.
            if waiting.future.set_running_or_notify_cancel():
                if waiting.patient:
                    self._patient.append(waiting)
                else:
                    batch.append(waiting)
                    weight += waiting.operation.weight
                    idle = idle and waiting.idle
            full = len(batch) >= MAX_BATCH or weight >= MAX_BYTES
            if batch and (full or (self._queue.empty() and not idle)):
                break
        return batch, True

    def _write(self, batch: list[_Waiting]) -> None:
        began = time.monotonic()
        try:
            try:
                answers = self._commit(batch)
            finally:
                self.under_way = None
        except Exception as error:
            if len(batch) > 1:  # one bad operation must not fail the others
                for waiting in batch:
                    self._write([waiting])
                return
            log.exception("an operation could not be written: %s", type(batch[0].operation).__name__)
            answers = [error]
        if batch[0].patient:
            self.patient_took = time.monotonic() - began
        self.lag = time.monotonic() - next((w.since for w in batch if not w.idle), batch[-1].since)
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                waiting.future.set_exception(answer)
            else:
                waiting.future.set_result(answer)

    def _commit(self, batch: list[_Waiting]) -> list[Any]:
        """Decides and commits; the answers, in order. Raises if nothing could be written at all."""
        answers: list[Any] = []
        kinds: set[str] = set()
        with self._database.write_engine.begin() as connection:
            ((before, previous),) = statements.head(connection.dialect).found(connection)
            seq = before
            rows = Rows()
            rows.load(connection, [w.operation.needs for w in batch])
            now = self.under_way = self._clock.now()
            for waiting in batch:
                rows.mark()
                try:
                    decision = waiting.operation.decide(rows, now, seq + 1)
                except Exception as error:
                    rows.revert()
                    if not isinstance(error, Refused):
                        log.exception("%s failed", type(waiting.operation).__name__)
                    answers.append(error)
                    continue
                for draft in decision.entries:
                    seq += 1
                    row = entry_row(draft, seq, now, previous)
                    previous = row["hash"]
                    rows.append(t.entry, row)
                    kinds.add(draft.kind)
                answers.append(decision.answer)
            rows.flush(connection)
            if seq != before:
                statements.move_head(connection.dialect).each(connection, [{"seq": seq, "hash": previous}])
        wrote = seq != self._seq
        self._seq, self._hash = seq, previous
        if wrote:
            try:
                self.on_commit(seq, frozenset(kinds))
            except Exception:  # what is durable stays done, and is not written again
                log.exception("nobody could be told of entry %d", seq)
        return answers


class Refused(Exception):
    """Base of the refusals that operations raise on purpose: nothing was done, and the asker is told why."""
