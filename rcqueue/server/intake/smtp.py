"""Mail comes in over SMTP: no 250 before the bytes are durable, stored as they were sent, no field added."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from typing import Any, cast

from aiosmtpd.smtp import Envelope, Session

from rcqueue.model.ids import encode_message
from rcqueue.model.mail import Receipt, from_us
from rcqueue.server.config import SECOND, Smtp
from rcqueue.server.smtp_data import ChunkedSMTP
from rcqueue.server.store.writer import Stopped

from .hold import CONTROL, Busy, Intake

log = logging.getLogger(__name__)
logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd logs what clients say, as they say it

GRACE = 10.0  #: seconds that a transaction has to end when the server stops
_BUSY = "451 4.3.1 Error: too much waits to be written, try again later"
_STOPPING = "421 4.3.2 Error: the server is shutting down, try again later"


class SmtpIntake:
    """An SMTP server; `port` is the one it listens on. Raises OSError from `start` when it cannot."""

    def __init__(self, intake: Intake, config: Smtp) -> None:
        self._intake, self._config = intake, config
        self._hostname = socket.gethostname()
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._stopping = False

    async def start(self) -> None:
        loop, at = asyncio.get_running_loop(), self._config.listen
        self._server = await loop.create_server(self._connection, at.host, at.port, reuse_address=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, grace: float = GRACE) -> None:
        """Takes no new transaction; those under way end, or are cut off after `grace` seconds."""
        if self._server is None:
            return
        self._stopping = True
        self._server.close()
        loop = asyncio.get_running_loop()
        until = loop.time() + grace
        while self._connections:
            for connection in list(self._connections):
                if loop.time() > until:
                    connection.cut()
                elif not connection.in_transaction:
                    connection.end(_STOPPING)
            await asyncio.sleep(0.02)
        await self._server.wait_closed()
        self._server = None

    def _connection(self) -> _Connection:
        return _Connection(
            self,
            self._connections,
            hostname=self._hostname,
            ident="rcqueue",
            enable_SMTPUTF8=True,
            data_size_limit=self._config.size_limit,
            timeout=self._config.timeout / SECOND,
        )

    # The hooks of aiosmtpd, called by name.

    async def handle_EHLO(
        self, server: _Connection, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_MAIL(
        self, server: _Connection, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._stopping:
            return _STOPPING
        if self._intake.busy:
            return _BUSY
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: _Connection, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address == "<>":
            return "553 5.1.3 Error: a recipient was expected"
        if len(envelope.rcpt_tos) >= self._config.recipient_limit:
            return f"452 4.5.3 Error: at most {self._config.recipient_limit} recipients, send to the others afterwards"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA_bytes(self, server: _Connection, session: Session, envelope: Envelope, data: bytes) -> str:
        sender = "" if envelope.mail_from == "<>" else envelope.mail_from or ""
        try:
            ids = await self._intake.hold(sender, envelope.rcpt_tos, data, self._receipt(server, session, envelope))
        except Busy:
            return _BUSY
        except Stopped:
            return "451 4.3.2 Error: the server is shutting down, try again later"
        return f"250 2.0.0 Held as {', '.join(map(encode_message, ids))}"

    def _receipt(self, server: _Connection, session: Session, envelope: Envelope) -> Receipt:
        peer: Any = session.peer or ("", 0)
        return Receipt(
            at=from_us(self._intake.marshal.clock.now()),
            client=peer[0],
            port=peer[1],
            helo=CONTROL.sub("\ufffd", session.host_name or ""),
            protocol="ESMTP" if session.extended_smtp else "SMTP",
            smtputf8=envelope.smtp_utf8,
            body_8bit="BODY=8BITMIME" in envelope.mail_options,
            connected_at=from_us(server.connected_at),
            data_at=from_us(server.data_at),
        )


# An address as the client wrote it, which is how the next hop will hear it: aiosmtpd's parser would write it anew.
_ADDRESS = re.compile(r'\s*(?:<((?:"(?:[^"\\]|\\.)*"|[^<>"])*)>|([^\s<>]+))\s*(.*)')
_ROUTE = re.compile(r"@[^:<>\"]*:")


class _Connection(ChunkedSMTP):
    def __init__(self, handler: SmtpIntake, all_of_them: set[_Connection], **options: Any) -> None:
        super().__init__(handler, **options)
        self._now = handler._intake.marshal.clock.now
        self._all = all_of_them
        self.connected_at = self.data_at = 0

    @property
    def in_transaction(self) -> bool:
        return self.envelope is not None and bool(self.envelope.mail_from)

    def end(self, reply: str) -> None:
        """Says a last word and closes, once what was written has gone out."""
        if self.transport is not None and not self.transport.is_closing():
            self._writer.write(reply.encode("ascii") + b"\r\n")
            self.transport.close()

    def cut(self) -> None:
        if self.transport is not None:
            cast(asyncio.Transport, self.transport).abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connected_at = self._now()
        super().connection_made(transport)
        self._all.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._all.discard(self)
        super().connection_lost(error)

    def _timeout_cb(self) -> None:
        self.end("421 4.4.2 Error: nothing came for too long")

    async def smtp_DATA(self, arg: str | None) -> None:
        self.data_at = self._now()
        await super().smtp_DATA(arg)

    async def smtp_VRFY(self, arg: str | None) -> None:
        await self.push("252 2.5.2 Cannot verify anyone; send the mail and see")

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        found = _ADDRESS.fullmatch(arg)
        if found is None or CONTROL.search(arg):
            return None, None
        address = _ROUTE.sub("", found[1], count=1) if (found[1] or "").startswith("@") else found[1] or found[2]
        return address or "<>", found[3]
