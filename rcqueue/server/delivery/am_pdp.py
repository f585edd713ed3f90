"""Release of what is in amavis's quarantine folder, by amavis: its protocol AM.PDP, a request for each recipient."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from rcqueue.server.config import SECOND, Address
from rcqueue.server.marshal.outcomes import Outcome

from .session import CONNECT, Answer, judge_code

MAX_LINES = 100

_SAFE = re.compile(r"[!-$&-~]")
_ENCODED = re.compile(rb"%([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A mail in amavis's quarantine."""

    mail_id: str
    file: str  #: below its quarantine folder
    recipient: str
    requested_by: str  #: becomes Resent-From


@dataclass(frozen=True, slots=True)
class AmPdp:
    """An amavis as a next hop."""

    at: Address | Path

    def __str__(self) -> str:
        return f"amavis at {self.at}"


class AmPdpSession:
    """A connection for each request."""

    def __init__(self, hop: AmPdp, timeout: int) -> None:
        """`timeout` is in microseconds, for the answer."""
        self._hop, self._timeout = hop, timeout / SECOND

    async def hand_over(self, mail: Quarantined, before_dot: Callable[[], Awaitable[None]]) -> Answer:
        """Asks for a release. `before_dot` is awaited before amavis is asked; if it raises, so does this."""
        try:
            async with asyncio.timeout(min(self._timeout, CONNECT)):
                reader, writer = await _connection(self._hop.at)
        except (OSError, TimeoutError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or "no answer in time"
            return Answer(Outcome.RETRY, 0, f"{self._hop}: {why}", unreachable=True)
        try:
            await before_dot()
            async with asyncio.timeout(self._timeout):
                writer.write(_request(mail))
                return await _reply(reader)
        except (OSError, TimeoutError, EOFError, ValueError):
            return Answer(Outcome.UNCERTAIN, 0, f"{self._hop}: the answer was lost")
        finally:
            writer.close()

    async def close(self) -> None:
        """There is nothing that is kept open."""


async def _connection(at: Address | Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(at, Path):
        return await asyncio.open_unix_connection(at)
    return await asyncio.open_connection(at.host, at.port)


def _request(mail: Quarantined) -> bytes:
    said = {
        "request": "release",
        "mail_id": mail.mail_id,
        "quar_type": "Z" if mail.file.endswith(".gz") else "F",
        "mail_file": mail.file,
        "requested_by": f"<{mail.requested_by}>",
        "recipient": f"<{mail.recipient}>",
    }
    return "".join(f"{name}={_encoded(value)}\r\n" for name, value in said.items()).encode("ascii") + b"\r\n"


def _encoded(value: str) -> str:
    return "".join(c if _SAFE.fullmatch(c) else "".join(f"%{b:02x}" for b in c.encode()) for c in value)


async def _reply(reader: asyncio.StreamReader) -> Answer:
    """What `setreply` says, a line before the empty one. Raises EOFError, ValueError."""
    said = b""
    for _ in range(MAX_LINES):
        line = await reader.readuntil(b"\n")
        if not line.strip():
            break
        name, _equals, value = line.strip().partition(b"=")
        if name == b"setreply":
            said = _ENCODED.sub(lambda found: bytes([int(found[1], 16)]), value)
    if not re.match(rb"[245]\d\d ", said):
        raise ValueError("no setreply")
    return judge_code(int(said[:3]), said.decode("utf-8", "replace"))
