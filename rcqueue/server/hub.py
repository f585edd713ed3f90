"""The hub: from the journal to the open feeds, as each viewer may see it.

One task reads what was committed, at once when idle and every 25 ms when busy, and encodes it once for each set of
rights. A reader that can't keep up loses its queue and catches up from the journal itself, latest entry a message; so
it costs the others nothing, and there is one way to be behind.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from rcqueue.model.access import Access, Right
from rcqueue.model.ids import parse_id
from rcqueue.server.identity.sessions import access_of_session
from rcqueue.server.marshal.entries import Entries, since
from rcqueue.server.marshal.refusal import unauthorized
from rcqueue.server.store import tables as t
from rcqueue.server.store.clock import Clock
from rcqueue.server.store.database import Database, head_seq

log = logging.getLogger(__name__)

TICK = 0.025
CHUNK = 1000  #: entries read at a time
QUEUE = 256  #: frames that wait for a reader
QUEUE_BYTES = 4 << 20
REPLAY = 1_000_000  #: entries that a reader may be behind
REPLAY_US = 7 * 86400 * 1_000_000
LAGS = 2 * CHUNK  #: further behind than this, a reader gets the latest entry a message only


@dataclass(frozen=True, slots=True)
class Piece:
    """What a reader is sent: entries from..to as JSON text; or why it must start over or end."""

    first: int = 0
    to: int = 0
    text: str = ""
    resync: bool = False
    close: int = 0


@dataclass(eq=False)
class Reader:
    """One open feed. `sent` is the number of the last entry that it was given, `last` of the last that waits for it."""

    access: Access
    sent: int
    last: int = 0
    waiting: deque[Piece] = field(default_factory=deque)
    size: int = 0
    behind: bool = True
    close: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    others: deque[str] = field(default_factory=lambda: deque(maxlen=50))  # presence frames

    def push(self, piece: Piece) -> None:
        if not self.behind:
            full = len(self.waiting) >= QUEUE or self.size + len(piece.text) > QUEUE_BYTES
            if full or piece.first != self.last + 1:
                self.waiting.clear()
                self.size, self.behind = 0, True
            else:
                self.waiting.append(piece)
                self.size += len(piece.text)
                self.last = piece.to
        self.wake.set()


def frame(first: int, last: int, entries: list[dict[str, Any]], latest: bool = False) -> str:
    body: dict[str, Any] = {"from": first, "to": last, "entries": entries}
    if latest:
        body["latest"] = True
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


class Hub:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self.head = 0
        self._told = 0
        self._readers: set[Reader] = set()
        self._news = asyncio.Event()
        self._committed = asyncio.Condition()
        self.presence = Presences(self)

    def __len__(self) -> int:
        return len(self._readers)

    def wake(self, seq: int) -> None:
        """A commit wrote entries up to `seq`. Call it in the loop's thread."""
        self.head = max(self.head, seq)
        self._news.set()

    async def start(self) -> None:
        self.head = self._told = await self._database.read(head_seq)

    async def run(self) -> None:
        """Reads and hands out until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            began = time.monotonic()
            try:
                while self._told < self.head:
                    await self._hand_out()
            except Exception:
                log.exception("hub")
                await asyncio.sleep(0.25)
                self._news.set()
            async with self._committed:
                self._committed.notify_all()
            await asyncio.sleep(max(0.0, TICK - (time.monotonic() - began)))

    async def _hand_out(self) -> None:
        first, upto = self._told + 1, min(self.head, self._told + CHUNK)
        readers = list(self._readers)
        if not readers:
            self._told = upto
            return
        pieces = await self._database.read(self._pieces, readers, first, upto)
        self._told = upto
        for reader, (access, piece) in pieces.items():
            reader.access = access or reader.access
            if piece.close:
                reader.close = piece.close
            reader.push(piece)

    def _pieces(
        self, connection: Connection, readers: list[Reader], first: int, upto: int
    ) -> dict[Reader, tuple[Access | None, Piece]]:
        entries = Entries(connection, since(connection, first - 1, upto, CHUNK))
        personal = any(row.customer is None or row.kind == "denied" for row, _ in entries.found)
        rights = any(row.kind.startswith(("people.", "session.")) for row, _ in entries.found)
        made: dict[Any, Piece] = {}
        out: dict[Reader, tuple[Access | None, Piece]] = {}
        for reader in readers:
            access: Access | None = reader.access
            if rights:
                access = access_of_session(connection, reader.access.session, self._clock.now())
            if access is None:
                out[reader] = (None, Piece(close=4401))
                continue
            key = (access.key, access.account if personal else None)
            if key not in made:
                made[key] = Piece(first, upto, frame(first, upto, entries.shown(access)))
            piece = made[key]
            if not access.anywhere(Right.VIEW):
                piece = Piece(first, upto, piece.text, close=4403)
            out[reader] = (access, piece)
        return out

    # -- readers

    def open(self, access: Access, sent: int | None) -> Reader:
        """A new reader that has everything up to `sent` (None: up to now)."""
        reader = Reader(access, self._told if sent is None else sent)
        self._readers.add(reader)
        return reader

    def close(self, reader: Reader) -> None:
        self._readers.discard(reader)
        self.presence.leave(reader)

    async def next(self, reader: Reader) -> list[Piece | str]:
        """What this reader is to be sent next; waits for it. Strings are presence frames."""
        while True:
            reader.wake.clear()
            out: list[Piece | str] = list(reader.others)
            reader.others.clear()
            if reader.close:
                last = [p for p in reader.waiting if p.text]
                return [*out, *last, Piece(close=reader.close)]
            if reader.behind:
                out.append(await self._catch_up(reader))
            while reader.waiting:
                piece = reader.waiting.popleft()
                reader.size -= len(piece.text)
                if piece.to > reader.sent:
                    reader.sent = piece.to
                    out.append(piece)
            if out:
                return out
            await reader.wake.wait()

    async def _catch_up(self, reader: Reader) -> Piece:
        told = self._told
        if reader.sent >= told:
            reader.behind, reader.sent, reader.last = False, told, told
            return Piece(told + 1, told, frame(told + 1, told, []))
        piece = await self._database.read(self._part, reader.access, reader.sent, told)
        if piece.resync:
            reader.sent = told
            return piece
        reader.sent = piece.to
        if piece.to >= self._told:
            reader.behind, reader.last = False, piece.to
        return piece

    def _part(self, connection: Connection, access: Access, sent: int, told: int) -> Piece:
        if told - sent > REPLAY or self._too_old(connection, sent + 1):
            return Piece(sent + 1, told, json.dumps({"resync": {"at": told}}), resync=True)
        latest = told - sent > LAGS
        found = since(connection, sent, told, CHUNK * 10 if latest else CHUNK)
        upto = found[-1].seq if found else told
        entries = Entries(connection, found).shown(access, latest=latest)
        return Piece(sent + 1, upto, frame(sent + 1, upto, entries, latest))

    def _too_old(self, connection: Connection, seq: int) -> bool:
        at = connection.execute(select(t.entry.c.at).where(t.entry.c.seq == seq)).scalar()
        return at is not None and at < self._clock.now() - REPLAY_US

    async def wait(self, after: int, seconds: float) -> None:
        """Waits until there is an entry after number `after`, at most so long."""
        deadline = time.monotonic() + seconds
        while after >= self._told and (left := deadline - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left), self._committed:
                    await self._committed.wait()
            except TimeoutError:
                return

    async def part(self, access: Access, after: int) -> Piece:
        """What a reader that has everything up to `after` may see next."""
        if after >= self._told:
            return Piece(after + 1, after, frame(after + 1, after, []))
        return await self._database.read(self._part, access, after, self._told)

    async def refresh(self, reader: Reader) -> None:
        """Looks again who a reader is; raises `Refusal` if the session has ended."""
        access = await self._database.read(access_of_session, reader.access.session, self._clock.now())
        if access is None:
            raise unauthorized()
        reader.access = access


class Presences:
    """Who looks at which mail, in which pane: told as deltas, at most once a second a person, to those who may see
    the mail."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._at: dict[Reader, tuple[str | None, str, str | None]] = {}  # message, pane, customer
        self._next: dict[Reader, float] = {}
        self._late: dict[Reader, asyncio.TimerHandle] = {}

    async def move(self, reader: Reader, message: str | None, pane: str, find: Callable[[int], Any]) -> int | None:
        """A person's cursor came to rest. `find(message)` awaits the customer of a message, None if there is none.
        The message that they look at, if they may."""
        customer = number = None
        if message is not None:
            try:
                customer = await find(number := parse_id(message)[0])
            except ValueError:
                return None
            if customer is None or Right.VIEW not in reader.access.rights_at(customer):
                return None
        self._at[reader] = (message, pane[:20], customer)
        if reader in self._late:
            return number
        wait = self._next.get(reader, 0.0) - time.monotonic()
        if wait <= 0:
            self._tell(reader)
        else:
            self._late[reader] = asyncio.get_running_loop().call_later(wait, self._tell, reader)
        return number

    def leave(self, reader: Reader) -> None:
        if (late := self._late.pop(reader, None)) is not None:
            late.cancel()
        if self._at.pop(reader, (None,))[0] is not None:
            self._broadcast(reader, None, "", None)
        self._next.pop(reader, None)

    def everybody(self, access: Access) -> str | None:
        """A frame with all whom a new reader may see, or None."""
        there = [
            {"who": r.access.name, "message": message, "pane": pane}
            for r, (message, pane, customer) in self._at.items()
            if message and customer and Right.VIEW in access.rights_at(customer)
        ]
        return json.dumps({"presence": there}, ensure_ascii=False) if there else None

    def _tell(self, reader: Reader) -> None:
        self._late.pop(reader, None)
        self._next[reader] = time.monotonic() + 1.0
        if reader in self._at:
            self._broadcast(reader, *self._at[reader])

    def _broadcast(self, mover: Reader, message: str | None, pane: str, customer: str | None) -> None:
        gone = json.dumps({"presence": [{"who": mover.access.name, "message": None}]}, ensure_ascii=False)
        here = json.dumps(
            {"presence": [{"who": mover.access.name, "message": message, "pane": pane}]}, ensure_ascii=False
        )
        for reader in self._hub._readers:
            if reader is not mover:
                sees = customer is not None and Right.VIEW in reader.access.rights_at(customer)
                reader.others.append(here if message and sees else gone)
                reader.wake.set()
