"""The feed: what changes in the queue, in order, nothing lost and nothing twice, whatever becomes of the connection."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from rcqueue.model.journal import API, Entry, Hello, Presence
from rcqueue.safe_text import safe_text

from .http import os_error, trust
from .safe import BadJson, decode
from .session import check_server, is_loopback

TOKEN, RIGHTS, VERSION = 4401, 4403, 4426  #: close codes that are final
SLOW = 4408
_FINAL = {TOKEN: "the sign-in has ended", RIGHTS: "no right to view is left", VERSION: "another version"}
_STATUS = {401: TOKEN, 403: RIGHTS, 426: VERSION}  #: the same, answered to the upgrade
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 8.0  #: seconds before reconnecting
_STALE = 2  #: pings that may be missed
_FRAME_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Connected:
    hello: Hello


@dataclass(frozen=True, slots=True)
class Entries:
    """All that may be seen of the entries `from_` to `to`; `latest`: of each message only the latest."""

    from_: int
    to: int
    entries: list[Entry]
    latest: bool = False


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    presence: list[Presence]


@dataclass(frozen=True, slots=True)
class Resync:
    """The entries up to `at` are not given: take a page; the feed goes on from there."""

    at: int


@dataclass(frozen=True, slots=True)
class Lost:
    """No connection since `at`; the `attempt`-th try to have it back follows by itself."""

    why: str
    at: datetime
    attempt: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The end: 4401 token, 4403 rights, 4426 version."""

    code: int
    why: str


Event = Connected | Entries | PresenceChanged | Resync | Lost | Closed


class _Broken(Exception):
    """This connection is of no more use; another one is made."""


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """None is followed: the token is for one server."""
        return exc


class _Ended(Exception):
    def __init__(self, code: int, why: str = ""):
        super().__init__(safe_text(why, limit=200) or _FINAL[code])
        self.code = code


class Feed:
    """`events` yields what happens after entry `since` of the journal `journal`; None: from now on.

    `seq` is the last entry given out, so that a new Feed can go on from it. `idle` says how many seconds ago the last
    key was pressed: the server ends claims of a terminal where nobody is. Raises SessionError for an address that a
    token must not be sent to.
    """

    def __init__(
        self,
        server: str,
        token: str | None,
        *,
        queue: str = "main",
        ca: str | None = None,
        proxy: str | None = None,
        since: int | None = None,
        journal: str | None = None,
        idle: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.server = check_server(server)
        self.queue = queue
        self.seq = since
        self.journal = journal
        self.idle = idle
        self._token = token
        self._tls = trust(self.server, ca)
        self._proxy = None if is_loopback(urlsplit(self.server).hostname or "") else proxy or None
        self._ping = 10.0
        self._presence: dict[str, Any] | None = None
        self._socket: ClientConnection | None = None
        self._subscribed = False
        self._served = False  # has this connection given anything in order?
        self._closing = asyncio.Event()

    async def events(self) -> AsyncIterator[Event]:
        """Events until `close` is called or a `Closed` is given; it reconnects by itself."""
        attempt = 0
        lost_at: datetime | None = None
        while not self._closing.is_set():
            try:
                async with aclosing(self._connection()) as events:
                    async for event in events:
                        yield event
                why = "the connection ended"
            except _Ended as end:
                yield Closed(end.code, str(end))
                return
            except _Broken as broken:
                why = str(broken)
            if self._closing.is_set():
                return
            if self._served:
                attempt, lost_at = 0, None
            attempt += 1
            lost_at = lost_at or datetime.now(UTC)
            yield Lost(why, lost_at, attempt)
            # Spread: a server that comes back must not meet all its terminals in one moment.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _pause(attempt) * random.uniform(0.75, 1))  # noqa: S311

    async def send_presence(self, message: str | None, pane: str = "") -> None:
        """Tells the others which message is under the cursor here; told again after a reconnect."""
        told = {"message": message, "pane": pane}
        if told == self._presence:
            return
        self._presence = told
        if self._socket is not None and self._subscribed:
            await self._send(self._socket, {"presence": told})

    async def close(self) -> None:
        """Ends `events`. The server ends the lease of the session when it is logged out, not by this."""
        self._closing.set()
        if self._socket is not None:
            await self._socket.close()

    # -- one connection

    async def _connection(self) -> AsyncGenerator[Event]:
        """The events of one connection. Raises _Broken or _Ended when it is over."""
        self._subscribed = self._served = False
        self._socket = socket = await self._open()
        try:
            hello = await self._hello(socket)
            yield Connected(hello)
            subscribe = {"queue": self.queue, "journal": self.journal, "since": self.seq}
            await self._send(socket, {"subscribe": subscribe})
            self.journal = hello.journal
            self._subscribed = True
            if self._presence is not None:
                await self._send(socket, {"presence": self._presence})
            while True:
                event = await self._take(socket, await self._receive(socket))
                self._served = True
                if event is not None:
                    yield event
        finally:
            self._socket = None
            await socket.close()

    async def _open(self) -> ClientConnection:
        try:
            return await _Connect(
                "ws" + self.server.removeprefix("http") + "/api/v1/feed",
                additional_headers={"Authorization": f"Bearer {self._token}"} if self._token else None,
                ssl=self._tls,
                proxy=self._proxy,
                max_size=_FRAME_LIMIT,
                open_timeout=10,
                close_timeout=1,
                ping_interval=None,  # the protocol has pings of its own, which also carry `idle`
            )
        except InvalidStatus as error:
            status = error.response.status_code
            if status in _STATUS:
                raise _Ended(_STATUS[status]) from None
            raise _Broken(f"the server answered {status}") from None
        except OSError as error:  # also a TLS mistake and a time-out
            raise _Broken("no answer within 10 s" if isinstance(error, TimeoutError) else os_error(error)) from None
        except InvalidHandshake as error:
            raise _Broken(safe_text(str(error), limit=200)) from None

    async def _hello(self, socket: ClientConnection) -> Hello:
        frame = await self._receive(socket)
        try:
            hello = Hello.model_validate(frame["hello"])
        except (KeyError, ValidationError):
            raise _Broken("the server did not say hello") from None
        if hello.api != API:
            raise _Ended(VERSION, f"the server speaks version {hello.api} of the protocol, this terminal {API}")
        self._ping = min(max(hello.ping, 1), 60)
        return hello

    async def _take(self, socket: ClientConnection, frame: dict[str, Any]) -> Event | None:
        """The event that a frame is; None for a ping and for what this version does not know."""
        try:
            if "ping" in frame:
                await self._send(socket, {"pong": frame["ping"], "idle": round(self.idle())})
            elif "entries" in frame:
                return self._entries(frame)
            elif "presence" in frame:
                return PresenceChanged([Presence.model_validate(one) for one in frame["presence"]])
            elif "resync" in frame:
                self.seq = int(frame["resync"]["at"])
                return Resync(self.seq)
        except (KeyError, TypeError, ValueError):  # ValidationError is a ValueError
            raise _Broken("the server sent a frame that can't be read") from None
        return None

    def _entries(self, frame: dict[str, Any]) -> Entries:
        first, last = int(frame["from"]), int(frame["to"])
        if self.seq is not None and first != self.seq + 1:
            raise _Broken(f"a gap in the feed: expected entry {self.seq + 1}, got {first}")
        if last < first - 1:
            raise _Broken(f"the feed ran backwards: from {first} to {last}")
        entries = [Entry.model_validate(entry) for entry in frame["entries"]]
        if any(not first <= entry.seq <= last for entry in entries):
            raise _Broken(f"an entry outside of {first} to {last}")
        self.seq = last
        return Entries(first, last, entries, bool(frame.get("latest")))

    async def _receive(self, socket: ClientConnection) -> dict[str, Any]:
        try:
            data = await asyncio.wait_for(socket.recv(), _STALE * self._ping)
            frame = decode(data)
        except TimeoutError:
            raise _Broken(f"nothing heard for {_STALE * self._ping:g} s") from None
        except ConnectionClosed as closed:
            raise self._end(closed) from None
        except BadJson:
            raise _Broken("the server sent a frame that can't be read") from None
        if not isinstance(frame, dict):
            raise _Broken("the server sent a frame that can't be read")
        return frame

    async def _send(self, socket: ClientConnection, frame: dict[str, Any]) -> None:
        # A connection that is closed, or takes nothing, is noticed where it is read.
        with suppress(ConnectionClosed, TimeoutError):
            await asyncio.wait_for(socket.send(json.dumps(frame)), self._ping)

    @staticmethod
    def _end(closed: ConnectionClosed) -> Exception:
        code = closed.rcvd.code if closed.rcvd else None
        why = safe_text(closed.rcvd.reason, limit=200) if closed.rcvd else ""
        if code in _FINAL:
            return _Ended(code, why)
        if code == SLOW:
            return _Broken("this terminal was too slow for the feed")
        return _Broken(why or "the connection broke off")


def _pause(attempt: int) -> float:
    return min(_FIRST_PAUSE * 2.0 ** min(attempt - 1, 10), _LAST_PAUSE)
