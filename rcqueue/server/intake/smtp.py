"""Mail comes in over SMTP and LMTP: no 250 before the bytes are durable, stored as they were sent, no field added."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl

from aiosmtpd.smtp import Envelope, Session

from rcqueue.model.ids import encode_message
from rcqueue.model.mail import Receipt, from_us
from rcqueue.server.amavis import origin_of
from rcqueue.server.config import SECOND, Address, Smtp
from rcqueue.server.store.writer import Stopped

from . import dsn
from .amavis import quarantined
from .connection import Connection, LmtpConnection, Transaction
from .forwarded import ATTRIBUTES
from .hold import CONTROL, Busy, Intake
from .replies import BUSY, STOPPING

log = logging.getLogger(__name__)
logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd logs what clients say, as they say it

GRACE = 10.0  #: seconds that a transaction has to end when the server stops
_CLOSING = "421 4.3.2 Error: the server is shutting down, try again later"


class SmtpIntake:
    """An SMTP server; `port` is the one it listens on. Raises OSError from `start` when it cannot."""

    origin = "smtp"
    protocol = Connection

    def __init__(self, intake: Intake, config: Smtp, listen: Address | None = None, *, quarantine: str = "") -> None:
        """`listen` where it is not `config.listen`. `quarantine` is the address to which amavis sends its own."""
        self._intake, self._config, self._listen = intake, config, listen or config.listen
        self._quarantine = quarantine.lower()
        self._hostname = socket.gethostname()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._stopping = False
        self._tls: ssl.SSLContext | None = None
        if config.cert is not None:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(config.cert, config.key)

    async def start(self) -> None:
        loop, at = asyncio.get_running_loop(), self._listen
        self._server = await loop.create_server(self._connection, at.host, at.port, reuse_address=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def listening(self) -> bool:
        return self._server is not None and self._server.is_serving()

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
                    connection.end(_CLOSING)
            await asyncio.sleep(0.02)
        await self._server.wait_closed()
        self._server = None

    def _connection(self) -> Connection:
        return self.protocol(
            self,
            self._connections,
            self._intake.marshal.clock.now,
            self.trusts,
            hostname=self._hostname,
            ident="rcqueue",
            enable_SMTPUTF8=True,
            data_size_limit=self._config.size_limit,
            timeout=self._config.timeout / SECOND,
            tls_context=self._tls,
        )

    def trusts(self, address: str) -> bool:
        """Whether the host at this address may say for which client it sends."""
        try:
            client = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(client in network for network in self._config.trusted)

    # The hooks of aiosmtpd, called by name.

    async def handle_EHLO(
        self, server: Connection, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        more = ["250-PIPELINING", "250-DSN"]
        if self.trusts(server.client.address):
            more += [f"250-{command} {' '.join(names)}" for command, names in ATTRIBUTES.items()]
        return [*responses[:-1], *more, responses[-1]]

    async def handle_MAIL(
        self, server: Connection, session: Session, envelope: Transaction, address: str, options: list[str]
    ) -> str:
        if self._stopping:
            return _CLOSING
        if self._intake.busy:
            return BUSY
        try:
            envelope.dsn_mail = dsn.checked(server.dsn, dsn.OF_MAIL)
        except ValueError as error:
            return f"501 5.5.4 Error: {error}"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: Connection, session: Session, envelope: Transaction, address: str, options: list[str]
    ) -> str:
        if address == "<>":
            return "553 5.1.3 Error: a recipient was expected"
        if len(envelope.rcpt_tos) >= self._config.recipient_limit:
            return f"452 4.5.3 Error: at most {self._config.recipient_limit} recipients, send to the others afterwards"
        try:
            envelope.dsn_rcpt[address] = dsn.checked(server.dsn, dsn.OF_RCPT)
        except ValueError as error:
            return f"501 5.5.4 Error: {error}"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA_bytes(self, server: Connection, session: Session, envelope: Transaction, data: bytes) -> str:
        sender = "" if envelope.mail_from == "<>" else envelope.mail_from or ""
        receipt = self._receipt(server, session, envelope)
        try:
            answers = await self.take(server, sender, envelope.rcpt_tos, data, receipt)
        except Busy:
            return server.same(envelope, BUSY)
        except Stopped:
            return server.same(envelope, STOPPING)
        return "\r\n".join(answers[to] for to in envelope.rcpt_tos[: None if server.each else 1])

    async def take(
        self, server: Connection, sender: str, recipients: list[str], data: bytes, receipt: Receipt
    ) -> dict[str, str]:
        """The answers to a whole mail, by recipient: all the same unless each is answered (`server.each`)."""
        origin, to = self.origin, recipients
        from_amavis = all(to.lower() == self._quarantine for to in recipients) and self.trusts(server.peer)
        if from_amavis and (mail := quarantined(data)) is not None:
            sender, to, data, origin = mail.sender, mail.recipients, mail.raw, origin_of(mail.mail_id)
        ids = await self._intake.hold(sender, to, data, receipt, origin=origin)
        return dict.fromkeys(recipients, f"250 2.0.0 Held as {', '.join(map(encode_message, ids))}")

    def _receipt(self, server: Connection, session: Session, envelope: Transaction) -> Receipt:
        client, via = server.client, server.forwarded()
        return Receipt(
            at=from_us(self._intake.marshal.clock.now()),
            client=(via or client).address,
            port=(via or client).port,
            name=(via or client).name,
            helo=via.helo if via else client.helo or CONTROL.sub("\ufffd", session.host_name or ""),
            protocol=via.protocol if via else client.protocol or server.spoken(),
            tls=server.tls,
            ident=(via or client).ident,
            forwarded_by=client.address if via else server.peer if client.address != server.peer else "",
            smtputf8=envelope.smtp_utf8,
            body_8bit="BODY=8BITMIME" in envelope.mail_options,
            dsn=dsn.asked(envelope.dsn_mail, envelope.dsn_rcpt.items()),
            connected_at=from_us(server.connected_at),
            data_at=from_us(server.data_at),
        )


class LmtpIntake(SmtpIntake):
    """The same over LMTP: each recipient is answered for itself."""

    origin = "lmtp"
    protocol = LmtpConnection
