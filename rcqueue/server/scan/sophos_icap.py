"""Sophos, and others, by ICAP (RFC 3507): RESPMOD of the mail as an HTTP answer's body.

204 is clean. What is not comes back as another page, with the threat in X-Infection-Found, X-Virus-ID or
X-Violations-Found.
"""

from __future__ import annotations

import re

from rcqueue.model.mail import VerdictKind
from rcqueue.model.scan import ScanResult
from rcqueue.server.config import Address

from .base import Adapter, ScanEnvelope, Trouble
from .pool import Connection

_STATUS = re.compile(rb"(ICAP|HTTP)/1\.\d (\d{3})(?: .*)?")
_THREAT = re.compile(r"\bThreat=([^;]{1,200})")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})\s*(?:;.*)?")
_BODY = re.compile(r"\b(?:req|res|opt)-body=\d+")
_MOST_FIELDS = 200
_HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n"


class SophosIcap(Adapter):
    async def _scan(self, raw: bytes, envelope: ScanEnvelope) -> ScanResult:
        http = _HTTP % len(raw)
        head = self._head("RESPMOD", f"Allow: 204\r\nEncapsulated: res-hdr=0, res-body={len(http)}")
        body = (b"%x\r\n" % len(raw), raw, b"\r\n0\r\n\r\n") if raw else (b"0\r\n\r\n",)

        stream = (head, http, *body)
        code, answer, page, content = await self._use(lambda c: c.ask(stream, lambda: _answer(c)))
        self._called(answer)
        if code == 204:
            return self.result()
        if code != 200:
            raise Trouble(_refused(code))
        threats = _threats(answer)
        if not threats and page < 400:
            if content != raw:
                raise Trouble("it gave back another mail without a word why")
            return self.result()
        return self.result(VerdictKind.VIRUS, threats, ", ".join(threats))

    async def _probe(self) -> None:
        head = self._head("OPTIONS", "Encapsulated: null-body=0")
        code, answer, _, _ = await self._use(lambda c: c.ask([head], lambda: _answer(c)))
        if code != 200:
            raise Trouble(_refused(code))
        self._called(answer)
        if "RESPMOD" not in answer.get("methods", "").upper():
            raise Trouble(f"its service {self.at.service} knows no RESPMOD")

    def _head(self, method: str, more: str) -> bytes:
        host = str(self.at.address) if isinstance(self.at.address, Address) else "localhost"
        return f"{method} icap://{host}/{self.at.service} ICAP/1.0\r\nHost: {host}\r\n{more}\r\n\r\n".encode()

    def _called(self, answer: dict[str, str]) -> None:
        name, tag = answer.get("service", answer.get("server", "")), answer.get("istag", "").strip('"')
        self.version = f"{name} {tag}".strip()[:100] or self.version


def _refused(code: int) -> str:
    match code:
        case 404:
            return "it has no such service: see `service` of the configuration"
        case 405 | 501:
            return "it is too old: it knows no RESPMOD"
        case 505:
            return "it speaks another version of ICAP"
        case _:
            return f"it answers with status {code}"


def _threats(answer: dict[str, str]) -> list[str]:
    threats = [found[1].strip() for found in _THREAT.finditer(answer.get("x-infection-found", ""))]
    threats += [answer["x-virus-id"][:200]] if not threats and answer.get("x-virus-id") else []
    if not threats and (said := answer.get("x-violations-found")):
        lines = [line.strip() for line in said.split("\n")]  # a count; then file, threat, id and resolution of each
        threats = [line[:200] for line in lines[2::4]] or ["without a name"]
    return list(dict.fromkeys(threats))


async def _answer(connection: Connection) -> tuple[int, dict[str, str], int, bytes]:
    """The code, the fields by lower-case name, the encapsulated page's own code (0: none), and its body."""
    code, answer = await _head_of(connection, b"ICAP")
    page, content = 0, b""
    encapsulated = answer.get("encapsulated", "")
    if "res-hdr=" in encapsulated:
        page, _ = await _head_of(connection, b"HTTP")
    if _BODY.search(encapsulated):
        content = await _body(connection)
    connection.keep = code in (200, 204) and answer.get("connection", "").lower() != "close"
    return code, answer, page, content


async def _head_of(connection: Connection, protocol: bytes) -> tuple[int, dict[str, str]]:
    match = _STATUS.fullmatch(await connection.line())
    if match is None or match[1] != protocol:
        raise ValueError
    fields: dict[str, str] = {}
    name = ""
    while line := (await connection.line()).decode("latin-1"):
        if line[0] in " \t":
            fields[name] += "\n" + line.strip()
            continue
        if len(fields) == _MOST_FIELDS:
            raise ValueError
        name, _, value = line.partition(":")
        name = name.strip().lower()
        fields[name] = value.strip()
    return int(match[2]), fields


async def _body(connection: Connection) -> bytes:
    chunks: list[bytes] = []
    while True:
        match = _CHUNK.fullmatch(await connection.line())
        if match is None:
            raise ValueError
        if not (size := int(match[1], 16)):
            while await connection.line():
                pass
            return b"".join(chunks)
        chunks.append(await connection.reader.readexactly(size))
        await connection.line()
