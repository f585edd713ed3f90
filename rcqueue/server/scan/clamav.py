"""ClamAV's clamd: zINSTREAM, zPING and zVERSION, over TCP or a unix socket. It takes one command a connection."""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime

from rcqueue.model.mail import VerdictKind
from rcqueue.model.scan import ScanResult

from .base import Adapter, ScanEnvelope, Trouble
from .pool import Connection

_CHUNK = 256 << 10
_FOUND = re.compile(r"stream: ([!-~]{1,200}) FOUND")
_VERSION = re.compile(r"ClamAV ([\w.+~-]{1,40})(?:/(\d{1,9})/([\w: ]{10,40}))?")
_NO_VIRUS = ("Heuristics.Encrypted.", "Heuristics.Limits.", "Heuristics.OLE2.ContainsMacros")


class ClamAV(Adapter):
    async def _scan(self, raw: bytes, envelope: ScanEnvelope) -> ScanResult:
        async def ask(connection: Connection) -> bytes:
            try:
                await connection.send(b"zINSTREAM\0")
                for at in range(0, len(raw), _CHUNK):
                    chunk = raw[at : at + _CHUNK]
                    await connection.send(struct.pack(">I", len(chunk)), chunk)
                await connection.send(b"\0\0\0\0")
            except ConnectionError:  # it says no before it has read all
                if not (answer := await connection.reader.read(4096)):
                    raise
                return answer.rstrip(b"\0")
            return await _answer(connection)

        said = (await self._use(ask)).decode("ascii", "replace")
        if said == "stream: OK":
            return self.result()
        if match := _FOUND.fullmatch(said):
            return self.result(_kind(match[1]), [match[1]], match[1])
        if said.startswith("INSTREAM size limit exceeded"):
            raise Trouble("its StreamMaxLength is below this mail's size: raise it, or lower size_limit")
        if said.startswith("UNKNOWN COMMAND"):
            raise Trouble("it is too old: it knows no INSTREAM")
        if said.endswith(" ERROR"):
            raise Trouble("it reports an error of its own; its log says more")
        raise ValueError

    async def _probe(self) -> None:
        if await self._use(lambda connection: _command(connection, b"zPING\0")) != b"PONG":
            raise ValueError
        said = await self._use(lambda connection: _command(connection, b"zVERSION\0"))
        match = _VERSION.fullmatch(said.decode("ascii", "replace"))
        if match is None:
            raise ValueError
        self.version = f"{match[1]}/{match[2]}" if match[2] else match[1]
        if match[3]:
            self._health.signatures_at = datetime.strptime(match[3], "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)


async def _command(connection: Connection, command: bytes) -> bytes:
    await connection.send(command)
    return await _answer(connection)


async def _answer(connection: Connection) -> bytes:
    return (await connection.reader.readuntil(b"\0"))[:-1]


def _kind(threat: str) -> VerdictKind:
    if threat.startswith(_NO_VIRUS):
        return VerdictKind.POLICY
    return VerdictKind.PHISH if "phish" in threat.lower() else VerdictKind.VIRUS
