"""Sophos by SSSP 1.0, the protocol of its savdi daemon. One conversation a connection, many mails each.

Written from what public clients of the protocol send and accept; the tests prove that wire form against a stand-in of
ours, and nothing of Sophos itself.
"""

from __future__ import annotations

import re

from rcqueue.model.mail import VerdictKind
from rcqueue.model.scan import ScanResult

from .base import Adapter, OverLimit, ScanEnvelope, Trouble
from .pool import Connection

_VIRUS = re.compile(rb"VIRUS (\S{1,200})(?: (.*))?")
_FILE = re.compile(rb"(?:OK|FAIL) [0-9A-Fa-f]{4} (.+)")
_DONE = re.compile(rb"DONE (OK|FAIL) ([0-9A-Fa-f]{4})(?: .*)?")
_CLEAN, _INFECTED = b"0000", b"0203"
_MOST_LINES = 20_000
_REJECTED = {
    b"1": "it does not know the request",
    b"2": "it is too old or too new: it speaks another version of SSSP",
    b"3": "it refuses our options",
    b"5": "it does not permit the request",
}


class SophosSssp(Adapter):
    async def _scan(self, raw: bytes, envelope: ScanEnvelope) -> ScanResult:
        async def ask(connection: Connection) -> list[bytes]:
            await _greet(connection)
            await connection.send(b"SCANDATA %d\n" % len(raw))
            await _accepted(connection, len(raw))
            await connection.send(raw)
            lines = await _lines(connection)
            connection.keep = True
            return lines

        lines = await self._use(ask)
        threats: list[str] = []
        members: list[str] = []
        done: re.Match[bytes] | None = None
        for line in lines:
            if virus := _VIRUS.fullmatch(line):
                threats.append(virus[1].decode("ascii", "replace"))
            elif file := _FILE.fullmatch(line):
                if name := file[1].decode("utf-8", "replace").strip("/"):
                    members.append(name)
            else:
                done = _DONE.fullmatch(line) or done
        if done is None:
            raise ValueError
        if done[1] == b"FAIL" or done[2] not in (_CLEAN, _INFECTED):
            raise Trouble(f"it could not scan the mail (code {done[2].decode()})")
        if (done[2] == _INFECTED) != bool(threats):
            raise ValueError
        threats = list(dict.fromkeys(threats))
        result = self.result(VerdictKind.VIRUS if threats else None, threats, ", ".join(threats))
        result.members = members
        return result

    async def _probe(self) -> None:
        async def ask(connection: Connection) -> list[bytes]:
            await _greet(connection)
            await connection.send(b"QUERY SERVER\n")
            await _accepted(connection)
            lines = await _lines(connection)
            connection.keep = True
            return lines

        said = dict(line.decode("latin-1").partition(":")[::2] for line in await self._use(ask))
        self.version = said["version"].strip()[:100]


async def _greet(connection: Connection) -> None:
    """On a new connection: the versions, and that it lists each file of an archive."""
    if connection.used:
        return
    if not (await connection.line()).startswith(b"OK SSSP/1.0"):
        raise Trouble("it is too old, or none of SSSP: it does not greet with SSSP/1.0")
    await connection.send(b"SSSP/1.0\n")
    await _accepted(connection)
    await connection.send(b"OPTIONS\nreport: all\nsavigrp: GrpArchiveUnpack 1\n\n")
    await _accepted(connection)
    if not any(line.startswith(b"DONE OK") for line in await _lines(connection)):
        raise Trouble(_REJECTED[b"3"])


async def _accepted(connection: Connection, size: int = 0) -> None:
    line = await connection.line()
    if line.strip() == b"REJ 4":
        raise OverLimit(f"{size} bytes, over its own limit: maxscandata")
    if line.startswith(b"REJ "):
        raise Trouble(_REJECTED.get(line[4:].strip(), "it rejects the request"))
    if not line.startswith(b"ACC "):
        raise ValueError


async def _lines(connection: Connection) -> list[bytes]:
    """Up to the empty line that ends an answer."""
    lines: list[bytes] = []
    while line := await connection.line():
        lines.append(line)
        if len(lines) > _MOST_LINES:
            raise ValueError
    return lines
