"""The demo's next hop: an SMTP server that keeps what was released in a Maildir, and can misbehave as real ones do.

    FOLDER/new/NAME                   the mail, byte for byte as it was sent (CRLF, 8-bit, long lines)
    FOLDER/envelopes/NAME.json        {"sender", "recipients", "at"}; there before the mail is

Tests use it as the sink that counts what really arrived.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from aiosmtpd.smtp import Envelope, Session

from rcqueue.demo.ports import bind
from rcqueue.server.smtp_data import ChunkedSMTP


@dataclass(frozen=True)
class Behaviour:
    """What the next hop does with mail to one recipient. The default: accept at once."""

    refuse: str = ""  #: an SMTP reply (4xx or 5xx) instead of 250
    at_data: bool = False  #: refuse after the final dot, not at RCPT
    lose_answer: bool = False  #: after the final dot, drop the connection without an answer
    kept: bool = True  #: with `lose_answer`: whether the mail arrived all the same
    times: int | None = None  #: how many attempts are treated so before mail is accepted; None: all
    delay: float = 0.0  #: seconds between the final dot and the answer, at every attempt


ACCEPT = Behaviour()

#: Recipients of the demo, by local part, whose mail meets what operators meet.
BY_LOCAL_PART = {
    "full.mailbox": Behaviour(refuse="552 5.2.2 Mailbox full"),
    "left.company": Behaviour(refuse="550 5.1.1 No such user here"),
    "greylisted": Behaviour(refuse="451 4.7.1 Greylisted, try again later", times=1),
    "lost.answer": Behaviour(lose_answer=True, times=1),
    "slow.server": Behaviour(delay=3.0),
}


def by_local_part(recipient: str) -> Behaviour:
    """The demo's rule: a few local parts misbehave, everybody else's mail is taken."""
    return BY_LOCAL_PART.get(recipient.rpartition("@")[0].lower(), ACCEPT)


@dataclass(frozen=True)
class Received:
    """A mail that arrived. `sender` is "" for a bounce; `at` is when the final dot was read, in UTC."""

    sender: str
    recipients: tuple[str, ...]
    at: datetime
    path: Path

    @property
    def raw(self) -> bytes:
        """The bytes as they were sent, read from the Maildir."""
        return self.path.read_bytes()


class NextHop:
    """An SMTP server on `host`; `port` 0 picks a free one below 32768. Mail goes to `folder`, made if need be."""

    def __init__(
        self,
        folder: Path,
        behaviour: Callable[[str], Behaviour] = by_local_part,
        host: str = "127.0.0.1",
        port: int = 0,
        size_limit: int = 64 * 1024 * 1024,
    ) -> None:
        self.folder = folder
        self.behaviour = behaviour
        self.host = host
        self.port = port
        self.attempts: Counter[str] = Counter()  #: RCPT commands by recipient
        self._size_limit = size_limit
        self._numbers = itertools.count()
        self._connections: set[asyncio.BaseTransport] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens. Raises OSError: the port is taken, or the folder cannot be made."""
        for name in ("tmp", "new", "cur", "envelopes"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        sock = bind(self.host, self.port)
        self.port = sock.getsockname()[1]
        self._server = await asyncio.get_running_loop().create_server(self._connection, sock=sock)

    async def stop(self) -> None:
        """Closes the port and cuts what is open: a client in the middle of a mail sees a lost connection."""
        if self._server is None:
            return
        self._server.close()
        for transport in list(self._connections):
            cast(asyncio.Transport, transport).abort()  # uvloop's are no subclass
        await self._server.wait_closed()
        self._server = None

    def received(self) -> list[Received]:
        """All that arrived in the folder, in the order of arrival."""
        return [self._read(path) for path in sorted((self.folder / "new").iterdir())]

    def _connection(self) -> _Connection:
        return _Connection(
            self,
            self._connections,
            hostname="next-hop.example",
            ident="ready",
            enable_SMTPUTF8=True,
            data_size_limit=self._size_limit,
        )

    def _read(self, path: Path) -> Received:
        told = json.loads((self.folder / "envelopes" / f"{path.name}.json").read_text())
        return Received(told["sender"], tuple(told["recipients"]), datetime.fromisoformat(told["at"]), path)

    def _keep(self, envelope: Envelope, data: bytes) -> None:
        now = time.time_ns() // 1000
        name = f"{now // 1_000_000}.M{now % 1_000_000:06}P{os.getpid()}Q{next(self._numbers):08}.next-hop"
        told = {
            "sender": _address(envelope.mail_from),
            "recipients": [_address(recipient) for recipient in envelope.rcpt_tos],
            "at": datetime.fromtimestamp(now / 1_000_000, UTC).isoformat(),
        }
        # ASCII: an address that was not UTF-8 is held in surrogates, which no file takes as they are.
        (self.folder / "envelopes" / f"{name}.json").write_text(json.dumps(told))
        (self.folder / "tmp" / name).write_bytes(data)
        (self.folder / "tmp" / name).rename(self.folder / "new" / name)

    def _due(self, recipient: str) -> Behaviour:
        """The behaviour that meets the present attempt."""
        behaviour = self.behaviour(recipient)
        if behaviour.times is not None and self.attempts[recipient] > behaviour.times:
            return Behaviour(delay=behaviour.delay)
        return behaviour

    # The hooks of aiosmtpd, called by name.

    async def handle_RCPT(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.attempts[address] += 1
        due = self._due(address)
        if due.refuse and not due.at_data:
            return due.refuse
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA_bytes(self, server: ChunkedSMTP, session: Session, envelope: Envelope, data: bytes) -> str:
        due = [self._due(recipient) for recipient in envelope.rcpt_tos]
        await asyncio.sleep(max(behaviour.delay for behaviour in due))
        for behaviour in due:
            if behaviour.refuse:
                return behaviour.refuse
        lost = [behaviour for behaviour in due if behaviour.lose_answer]
        if all(behaviour.kept for behaviour in lost):
            self._keep(envelope, data)
        if lost:
            cast(asyncio.Transport, server.transport).abort()
        return f"250 2.0.0 Ok: {len(data)} bytes"


class _Connection(ChunkedSMTP):
    """One connection, in `all_of_them` while it is open."""

    def __init__(self, handler: NextHop, all_of_them: set[asyncio.BaseTransport], **options: Any) -> None:
        super().__init__(handler, **options)
        self._all = all_of_them

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._all.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None:
            self._all.discard(self.transport)
        super().connection_lost(error)


def _address(address: str | None) -> str:
    return "" if address in (None, "<>") else str(address)
