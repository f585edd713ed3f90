"""A scanner's connections: at most so many at once, kept for the next mail where the protocol allows it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from rcqueue.server.config import Address

T = TypeVar("T")
LONGEST_LINE = 1 << 20  #: bytes


class Connection:
    """One connection. Who leaves it ready for another mail sets `keep`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.keep = False
        self.used = False  #: it has served before: the other end may have closed it meanwhile
        # A transport whose write fails closes its socket, with what the other end said last unread in it.
        self._same = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))

    async def send(self, *data: bytes) -> None:
        self.writer.writelines(data)
        await self.writer.drain()

    async def line(self) -> bytes:
        """The next line without its end. EOFError when the other end closed before one was whole."""
        try:
            return (await self.reader.readuntil(b"\n")).rstrip(b"\r\n")
        except asyncio.LimitOverrunError:
            raise ValueError("a line without an end") from None

    async def ask(self, data: Sequence[bytes], answer: Callable[[], Awaitable[T]]) -> T:
        """The answer to `data`, listened for from the start: a scanner may say no before it has read all, and close."""
        try:
            return await self._ask(data, answer)
        except ConnectionError:
            if not (said := self._unread()):
                raise
            self.reader = asyncio.StreamReader(limit=LONGEST_LINE)
            self.reader.feed_data(said)
            self.reader.feed_eof()
            return await answer()

    async def _ask(self, data: Sequence[bytes], answer: Callable[[], Awaitable[T]]) -> T:
        hearing = asyncio.ensure_future(answer())
        try:
            for one in data:
                await asyncio.sleep(0)  # what it has said is read before more is sent: a failed write would lose it
                if hearing.done():
                    break
                await self.send(one)
        except ConnectionError:
            pass  # its answer says why, or fails in its turn
        except BaseException:
            hearing.cancel()
            raise
        return await hearing

    def _unread(self) -> bytes:
        """What came before the other end closed, and nobody has read."""
        with contextlib.suppress(OSError):
            return self._same.recv(LONGEST_LINE, socket.MSG_DONTWAIT)
        return b""

    def close(self) -> None:
        self._same.close()
        self.writer.transport.abort()


class Pool:
    """`use` gives one of at most `size` connections to `at`, a TCP address or the path of a unix socket."""

    def __init__(self, at: Address | Path, size: int) -> None:
        self.at = at
        self._free = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._closed = False

    async def use(self, ask: Callable[[Connection], Awaitable[T]], *, seconds: float, waiting: float) -> T:
        """`ask`, with `seconds` for it, after at most `waiting` seconds for a free connection.

        A kept connection may have died while it was idle: then a new one is asked. Raises OSError, EOFError,
        TimeoutError, and what `ask` raises.
        """
        try:
            async with asyncio.timeout(waiting):
                await self._free.acquire()
        except TimeoutError:
            raise Crowded from None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    connection = self._idle.pop() if self._idle else await self._connect()
                    used = connection.used
                    try:
                        return await self._on(connection, ask)
                    except (ConnectionError, EOFError):
                        if not used:
                            raise
        finally:
            self._free.release()

    async def _on(self, connection: Connection, ask: Callable[[Connection], Awaitable[T]]) -> T:
        connection.keep = False
        try:
            return await ask(connection)
        finally:
            connection.used = True
            if connection.keep and not self._closed:
                self._idle.append(connection)
            else:
                connection.close()

    async def _connect(self) -> Connection:
        if isinstance(self.at, Path):
            return Connection(*await asyncio.open_unix_connection(self.at, limit=LONGEST_LINE))
        return Connection(*await asyncio.open_connection(*self.at, limit=LONGEST_LINE))

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()


class Crowded(Exception):
    """No connection became free in time."""
