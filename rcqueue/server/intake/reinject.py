"""Handing mail back to the mail server that it came from, on connections that are kept: for the content filter.

In steps, so that what is held of a message is durable before the final dot of what goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import NamedTuple, TypeVar

from rcqueue.model.mail import Dsn
from rcqueue.server.config import SECOND, Address
from rcqueue.server.smtp_data import normalised, stuff

from .forwarded import Client

CONNECT = 30.0  #: seconds
KEPT = 8  #: connections that wait for the next mail
FRESH = 5.0  #: seconds for which one is used again without asking whether it is still there
MAX_REPLY = 500

T = TypeVar("T")
_UNSAFE = re.compile(r"[^ -~]+")
_PLAIN = re.compile(r"[!-*,-<>-~]")


class Reply(NamedTuple):
    code: int
    text: str  #: code and words, one line of printable ASCII

    @property
    def good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def final(self) -> bool:
        return 500 <= self.code < 600


class Lost(Exception):
    """The connection, or an answer in time, or what came was no SMTP."""


class Server:
    """Where passed mail goes: connections to it, made when they are needed."""

    def __init__(self, at: Address, timeout: int) -> None:
        """`timeout` for each answer, in microseconds."""
        self.at, self._timeout = at, timeout / SECOND
        self._idle: list[Handover] = []

    @contextlib.asynccontextmanager
    async def handover(self) -> AsyncIterator[Handover]:
        """A connection for one mail. Raises Lost when there is none. It is kept unless something went wrong on it."""
        connection = await self._fresh()
        try:
            yield connection
        except BaseException:
            connection.drop()
            raise
        if connection.done and len(self._idle) < KEPT:
            self._idle.append(connection)
        else:
            connection.drop()

    async def _fresh(self) -> Handover:
        while self._idle:
            connection = self._idle.pop()
            if connection.fresh:
                return connection
            try:
                if (await connection.command("RSET")).good:
                    return connection
            except Lost:
                pass
            connection.drop()
        return await Handover.to(self.at, self._timeout)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().drop()


class Handover:
    """One SMTP connection. Each step raises Lost; `done` says that the last mail on it was answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
        self._reader, self._writer, self._timeout = reader, writer, seconds
        self._offers: dict[str, str] = {}
        self._used = 0.0
        self.done = True

    @classmethod
    async def to(cls, at: Address, seconds: float) -> Handover:
        reader, writer = await _within(min(seconds, CONNECT), asyncio.open_connection(at.host, at.port))
        connection = cls(reader, writer, seconds)
        name = socket.gethostname()
        try:
            greeting = await connection._reply()
            if not greeting.good:
                raise Lost(f"it greeted with {greeting.text}")
            said = await connection._lines(f"EHLO {name if name.isascii() and name else 'localhost'}")
            if said[0][:1] != "2":
                raise Lost(f"it answered EHLO with {_UNSAFE.sub(' ', said[0])[:MAX_REPLY]}")
        except BaseException:
            connection.drop()
            raise
        for line in said[1:]:
            word, _, more = line[4:].partition(" ")
            connection._offers[word.upper()] = more.upper()
        return connection

    @property
    def fresh(self) -> bool:
        """Whether it was used a moment ago, and the server has not closed it."""
        return time.monotonic() - self._used < FRESH and not self._reader.at_eof()

    async def envelope(
        self, sender: str, recipients: Sequence[str], *, size: int, utf8: bool, client: Client | None, dsn: Dsn | None
    ) -> tuple[Reply, dict[str, Reply]]:
        """(the answer to MAIL, those to each RCPT); `client` is said first where the server asks for it,
        and `dsn` where it offers to tell."""
        self.done = False
        forward = self._forward(client) if client is not None else ""
        options = f" SIZE={size}" if "SIZE" in self._offers else ""
        options += " BODY=8BITMIME" if "8BITMIME" in self._offers else ""
        options += " SMTPUTF8" if utf8 and "SMTPUTF8" in self._offers else ""
        told = dsn if dsn is not None and "DSN" in self._offers else Dsn()
        commands = [f"MAIL FROM:<{sender}>{options} {told.mail}".rstrip()]
        commands += [f"RCPT TO:<{to}> {told.recipients.get(to, '')}".rstrip() for to in recipients]
        if forward:
            commands.insert(0, forward)
        if "PIPELINING" in self._offers:
            self._write("".join(f"{c}\r\n" for c in commands))
            replies = [await self._reply() for _ in commands]
        else:
            replies = [await self.command(c) for c in commands]
        first, *others = replies[1:] if forward else replies
        return first, dict(zip(recipients, others, strict=True))

    async def content(self, raw: bytes) -> Reply | None:
        """DATA, and all of it but the final dot; the answer to DATA if that is not 354."""
        self._write("DATA\r\n")
        reply = await self._reply()
        if reply.code != 354:
            return reply
        self._writer.write(stuff(normalised(raw)))
        await _within(self._timeout, self._writer.drain())
        return None

    async def dot(self) -> Reply:
        reply = await self.command(".")
        self.done, self._used = True, time.monotonic()
        return reply

    async def reset(self) -> None:
        """Gives the transaction up."""
        self.done = (await self.command("RSET")).good

    async def command(self, line: str) -> Reply:
        self._write(line + "\r\n")
        return await self._reply()

    def drop(self) -> None:
        self._writer.transport.abort()

    def _write(self, text: str) -> None:
        self._writer.write(text.encode("utf-8"))

    async def _lines(self, command: str) -> list[str]:
        self._write(command + "\r\n")
        return await self._read()

    async def _reply(self) -> Reply:
        lines = await self._read()
        words = " ".join([lines[0], *(line[4:] for line in lines[1:])])
        return Reply(int(lines[0][:3]), _UNSAFE.sub(" ", words)[:MAX_REPLY].strip())

    async def _read(self) -> list[str]:
        lines: list[str] = []
        while len(lines) < 100:
            line = (await _within(self._timeout, self._reader.readline())).decode("utf-8", "replace").rstrip("\r\n")
            if not re.fullmatch(r"[2-5]\d\d(?:[ -].*)?", line):
                raise Lost("the connection was lost" if not line else "it does not speak SMTP")
            lines.append(line)
            if line[3:4] != "-":
                return lines
        raise Lost("it does not speak SMTP")

    def _forward(self, client: Client) -> str:
        known = {
            "NAME": client.name,
            "ADDR": _address(client.address),
            "PORT": str(client.port or ""),
            "PROTO": client.protocol,
            "HELO": client.helo,
            "IDENT": client.ident,
        }
        asked = self._offers.get("XFORWARD", "").split()
        said = [f"{name}={_xtext(value) or '[UNAVAILABLE]'}" for name, value in known.items() if name in asked]
        return f"XFORWARD {' '.join(said)}" if said else ""


def _address(address: str) -> str:
    try:
        return f"IPV6:{address}" if ipaddress.ip_address(address).version == 6 else address
    except ValueError:
        return ""


def _xtext(value: str) -> str:
    return "".join(c if _PLAIN.fullmatch(c) else "".join(f"+{b:02X}" for b in c.encode()) for c in value)


async def _within(seconds: float, work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise Lost("no answer in time") from None
    except (OSError, ValueError, EOFError) as error:
        raise Lost(str(error) or type(error).__name__) from None
