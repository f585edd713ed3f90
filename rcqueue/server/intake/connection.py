"""A connection to one of the ways in that speak SMTP: addresses as they were written, and who the client is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, cast

from aiosmtpd.smtp import Envelope

from rcqueue.server.smtp_data import ChunkedLMTP, ChunkedSMTP, DataHandler

from . import dsn
from .forwarded import Client, attributes
from .hold import CONTROL

# An address as the client wrote it, which is how the next hop will hear it: aiosmtpd's parser would write it anew.
_ADDRESS = re.compile(r'\s*(?:<((?:"(?:[^"\\]|\\.)*"|[^<>"])*)>|([^\s<>]+))\s*(.*)')
_ROUTE = re.compile(r"@[^:<>\"]*:")


class Transaction(Envelope):
    """What XFORWARD says is about the next transaction only."""

    forwarded: Client | None = None

    def __init__(self) -> None:
        super().__init__()
        self.dsn_mail = ""  #: what the sender asks to be told: the parameters of MAIL, and those of each RCPT
        self.dsn_rcpt: dict[str, str] = {}


class Connection(ChunkedSMTP):
    def __init__(
        self,
        handler: DataHandler,
        all_of_them: set[Connection],
        now: Callable[[], int],
        trusts: Callable[[str], bool],
        **options: Any,
    ) -> None:
        """`now` is the store's clock; `trusts` says whether the host at an address may say whose mail it brings."""
        super().__init__(handler, **options)
        self._all, self._now, self._trusts = all_of_them, now, trusts
        self.connected_at = self.data_at = 0
        self.client = Client()  #: who is connected, or who XCLIENT says is
        self.peer = ""
        self.dsn: list[str] = []  #: parameters of DSN in the command that is being answered

    @property
    def in_transaction(self) -> bool:
        return self.envelope is not None and bool(self.envelope.mail_from)

    def spoken(self) -> str:
        """The protocol, as the receipt says it."""
        assert self.session is not None
        return ("ESMTP" if self.session.extended_smtp else "SMTP") + ("S" if self.tls else "")

    def forwarded(self) -> Client | None:
        """Who XFORWARD says that the mail under way is from."""
        return cast(Transaction, self.envelope).forwarded

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
        peer: Any = transport.get_extra_info("peername") or ("", 0)
        self.client, self.peer = Client(address=peer[0], port=peer[1]), peer[0]
        self._all.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._all.discard(self)
        super().connection_lost(error)

    def _create_envelope(self) -> Envelope:
        return Transaction()

    def _timeout_cb(self) -> None:
        self.end("421 4.4.2 Error: nothing came for too long")

    async def smtp_DATA(self, arg: str | None) -> None:
        self.data_at = self._now()
        await super().smtp_DATA(arg)

    async def smtp_VRFY(self, arg: str | None) -> None:
        await self.push("252 2.5.2 Cannot verify anyone; send the mail and see")

    async def smtp_XFORWARD(self, arg: str | None) -> None:
        if (said := await self._said("XFORWARD", arg)) is not None:
            envelope = cast(Transaction, self.envelope)
            envelope.forwarded = (envelope.forwarded or Client()).updated(said)
            await self.push("250 2.0.0 Ok")

    async def smtp_XCLIENT(self, arg: str | None) -> None:
        if (said := await self._said("XCLIENT", arg)) is not None:
            # All begins anew, as with the client that is named: a client which is not trusted may not go on with it.
            self.client = self.client.updated(said)
            assert self.session is not None
            self.session.host_name = None
            self.envelope = self._create_envelope()
            await self.push(f"220 {self.hostname} {self.__ident__}")

    async def _said(self, command: str, arg: str | None) -> dict[str, str] | None:
        """What a trusted host says; None: it was refused."""
        if not self._trusts(self.client.address):
            await self.push(f"550 5.7.0 Error: {command} is for the hosts that are configured as trusted")
        elif self.in_transaction:
            await self.push("503 5.5.0 Error: a mail transaction is in progress")
        else:
            try:
                return attributes(command, arg)
            except ValueError as error:
                await self.push(f"501 5.5.4 Error: {error}")
        return None

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        found = _ADDRESS.fullmatch(arg)
        if found is None or CONTROL.search(arg):
            return None, None
        address = _ROUTE.sub("", found[1], count=1) if (found[1] or "").startswith("@") else found[1] or found[2]
        # aiosmtpd knows no DSN, and writes parameters anew in upper case.
        rest, self.dsn = dsn.split(found[3])
        return address or "<>", rest


class LmtpConnection(ChunkedLMTP, Connection):
    def spoken(self) -> str:
        return "LMTPS" if self.tls else "LMTP"


class FilterConnection(Connection):
    """SMTP or LMTP, as the client greets."""

    async def smtp_EHLO(self, arg: str | None) -> None:
        self.each = False
        await super().smtp_EHLO(arg)

    async def smtp_LHLO(self, arg: str | None) -> None:
        self.each = True
        await super().smtp_EHLO(arg)

    def spoken(self) -> str:
        return super().spoken() if not self.each else "LMTPS" if self.tls else "LMTP"
