"""ClamAV's clamd: zINSTREAM, zPING and zVERSION, over TCP or a unix socket. It takes one command a connection."""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime

from rcqueue.model.mail import VerdictKind
from rcqueue.model.scan import ScanResult

from .base import Adapter, OverLimit, ScanEnvelope, Trouble
from .pool import Connection

_CHUNK = 256 << 10
_END = b"\0\0\0\0"
_FOUND = re.compile(r"stream: ([!-~]{1,200}) FOUND")
_VERSION = re.compile(r"ClamAV ([\w.+~-]{1,40})(?:/(\d{1,9})/([\w: ]{10,40}))?")
_NO_VIRUS = ("Heuristics.Encrypted.", "Heuristics.Limits.", "Heuristics.OLE2.ContainsMacros")


class ClamAV(Adapter):
    async def _scan(self, raw: bytes, envelope: ScanEnvelope) -> ScanResult:
        chunks = [raw[at : at + _CHUNK] for at in range(0, len(raw), _CHUNK)]
        stream = [b"zINSTREAM\0", *(part for one in chunks for part in (struct.pack(">I", len(one)), one)), _END]
        said = (await self._use(lambda c: c.ask(stream, lambda: _answer(c)))).decode("ascii", "replace")
        if said == "stream: OK":
            return self.result()
        if match := _FOUND.fullmatch(said):
            return self.result(_kind(match[1]), [match[1]], match[1])
        if said.startswith("INSTREAM size limit exceeded"):
            raise OverLimit(f"{len(raw)} bytes, over its own limit: StreamMaxLength")
        if said.startswith("UNKNOWN COMMAND"):
            raise Trouble("it is too old: it knows no INSTREAM")
        if said.endswith(" ERROR"):
            raise Trouble("it reports an error of its own; its log says more")
        raise ValueError

    async def _probe(self) -> None:
        if await self._use(lambda c: c.ask([b"zPING\0"], lambda: _answer(c))) != b"PONG":
            raise ValueError
        said = await self._use(lambda c: c.ask([b"zVERSION\0"], lambda: _answer(c)))
        match = _VERSION.fullmatch(said.decode("ascii", "replace"))
        if match is None:
            raise ValueError
        self.version = f"{match[1]}/{match[2]}" if match[2] else match[1]
        if match[3]:
            # By clamd's own clock on the wall, which names no zone: taken for ours.
            self._health.signatures_at = datetime.strptime(match[3], "%a %b %d %H:%M:%S %Y").astimezone(UTC)

    async def reload(self) -> str | None:
        """Asks it to read its signatures anew; why it does not, or None. It goes on with the old ones meanwhile."""

        async def ask() -> None:
            if await self._use(lambda c: c.ask([b"zRELOAD\0"], lambda: _answer(c))) != b"RELOADING":
                raise ValueError

        return (await self._guarded(ask(), marks=False))[1]


async def _answer(connection: Connection) -> bytes:
    return (await connection.reader.readuntil(b"\0"))[:-1]


def _kind(threat: str) -> VerdictKind:
    if threat.startswith(_NO_VIRUS):
        return VerdictKind.POLICY
    return VerdictKind.PHISH if "phish" in threat.lower() else VerdictKind.VIRUS
