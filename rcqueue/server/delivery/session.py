"""A connection to one next hop, and a mail handed over on it: body, drained; commit; then the dot."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol

from rcqueue.server.config import SECOND, Address, Tls
from rcqueue.server.marshal.outcomes import Outcome

from .parcel import Parcel

CONNECT = 30.0  #: seconds
FRESH = 1.0  #: seconds after it took a mail in which a connection is used without asking whether it still answers
MAX_REPLY = 1000

_UNSAFE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]+")
_LOST = (SMTPException, OSError, TimeoutError, EOFError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of handing a mail over. `code` is SMTP's; 0: there was no answer."""

    outcome: Outcome
    code: int
    reply: str
    unreachable: bool = False  #: nobody listens there: the next mail would fare no better
    noted: dict[str, Any] = field(default_factory=dict)  #: more of how it went, for the entry


class _NoTls(OSError):
    """The next hop does not offer it."""


class _Replied(Exception):
    """The next hop refused a command."""

    def __init__(self, response: SMTPResponse) -> None:
        self.response = response


def judge(response: SMTPResponse, *, dot: bool) -> Answer:
    """What an answer means: to the whole of a mail (after the dot), or to a command before it that was not taken."""
    return judge_code(response.code, f"{response.code} {response.message}", dot=dot)


def judge_code(code: int, reply: str, *, dot: bool = True) -> Answer:
    if 500 <= code < 600:
        outcome = Outcome.REFUSED
    elif not dot or 400 <= code < 500:
        outcome = Outcome.RETRY
    else:
        outcome = Outcome.RELEASED if 200 <= code < 300 else Outcome.UNCERTAIN
    return Answer(outcome, code, one_line(reply))


def one_line(text: str) -> str:
    return _UNSAFE.sub(" ", text)[:MAX_REPLY].strip()


class HopSession:
    """Connects when it is first needed, and is used for mail after mail."""

    def __init__(self, hop: Address, timeout: int, tls: Tls) -> None:
        """`timeout` is in microseconds, for each answer; twice that for the answer to a mail."""
        self._hop, self._timeout, self._encryption = hop, timeout / SECOND, tls
        self._client: SMTP | None = None
        self._tls = ""  # version and cipher of the connection
        self._clean_at = float("-inf")  # when it took a mail last: until the next command nothing is to be reset

    async def hand_over(self, parcel: Parcel, before_dot: Callable[[], Awaitable[None]]) -> Answer:
        """Sends a mail. `before_dot` is awaited when all but the final dot is sent; if it raises, so does this, and
        the dot is not sent. Otherwise raises nothing that a next hop can cause."""
        noted: dict[str, Any] = {}
        answer = await self._hand_over(parcel, before_dot, noted)
        return replace(answer, noted=noted)

    async def _hand_over(
        self, parcel: Parcel, before_dot: Callable[[], Awaitable[None]], noted: dict[str, Any]
    ) -> Answer:
        dot, before = False, self._client
        try:
            try:
                client = await self._ready()
            except _LOST as error:
                self.drop()
                return Answer(Outcome.RETRY, 0, f"{self._hop}: {_why(error)}", unreachable=True)
            if self._tls:
                noted["tls"] = self._tls
            missing = sorted(need for need in parcel.needs if not client.supports_extension(need))
            if missing:
                return Answer(
                    Outcome.REFUSED,
                    0,
                    f"{self._hop} does not offer {', '.join(missing).upper()}, without which the mail would be changed",
                )
            asked = parcel.dsn if client.supports_extension("dsn") else ("", "")
            if asked != parcel.dsn:
                noted["dsn"] = "not offered"
            try:
                protocol = await self._envelope(client, parcel, asked)
            except _LOST:
                if client is not before:
                    raise
                self.drop()  # it ended after the mail before: this one has a connection of its own
                protocol = await self._envelope(await self._ready(), parcel, asked)
            await self._body(protocol, parcel)
            await before_dot()
            protocol.write(b".\r\n")
            dot = True
            answer = judge(await protocol.read_response(self._timeout * 2), dot=True)
            if answer.outcome is Outcome.RELEASED:
                self._clean_at = time.monotonic()
            return answer
        except _Replied as refused:
            return judge(refused.response, dot=False)
        except _LOST as error:
            self.drop()
            if dot:
                return Answer(Outcome.UNCERTAIN, 0, f"{self._hop}: the answer to the mail was lost: {_why(error)}")
            return Answer(Outcome.RETRY, 0, f"{self._hop}: {_why(error)}")
        except BaseException:
            self.drop()
            raise

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(*_LOST):
                await client.quit(timeout=2.0)
            client.close()

    def drop(self) -> None:
        """Cuts the connection: what is not sent yet is not sent."""
        client, self._client = self._client, None
        if client is not None:
            if client.transport is not None:
                cast(asyncio.Transport, client.transport).abort()
            client.close()

    async def _ready(self) -> SMTP:
        """A connection in its initial state: the one that is there, if it still answers, or a new one."""
        if self._client is not None:
            if time.monotonic() - self._clean_at < FRESH:
                self._clean_at = float("-inf")
                return self._client
            with contextlib.suppress(*_LOST):
                await self._client.rset()
                return self._client
            self.drop()
        client = await self._connected()
        if self._encryption.mode == "none":
            return client
        try:
            await self._start_tls(client)
        except _LOST as error:
            if self._encryption.mode != "opportunistic":
                raise
            if not isinstance(error, _NoTls):  # what is half encrypted is of no use any more
                self.drop()
                return await self._connected()
        return client

    async def _connected(self) -> SMTP:
        name = socket.gethostname()
        self._tls = ""
        self._client = SMTP(
            hostname=self._hop.host,
            port=self._hop.port,
            local_hostname=name if name.isascii() and name else "localhost",
            timeout=self._timeout,
            start_tls=False,
        )
        await self._client.connect(timeout=min(self._timeout, CONNECT))
        await self._client._ehlo_or_helo_if_needed()
        return self._client

    async def _start_tls(self, client: SMTP) -> None:
        """Raises _LOST: nothing of a mail has been sent then, and nothing is sent in clear by this."""
        verify = self._encryption.mode == "verify"
        if not client.supports_extension("starttls"):
            raise _NoTls("it does not offer STARTTLS, without which no mail is sent there")
        assert client.transport is not None
        plain = cast(asyncio.WriteTransport, client.transport)
        plain.set_write_buffer_limits(high=0)
        name = self._encryption.name or self._hop.host
        await client.starttls(tls_context=_context(self._encryption), server_hostname=name, timeout=self._timeout)
        await client._ehlo_or_helo_if_needed()
        found: ssl.SSLObject = client.get_transport_info("ssl_object")
        cipher = found.cipher()
        self._tls = f"{found.version()} {cipher[0] if cipher else ''}" + (", verified" if verify else "")

    async def _envelope(self, client: SMTP, parcel: Parcel, dsn: tuple[str, str]) -> SMTPProtocol:
        # Not by aiosmtplib's mail() and rcpt(), which write addresses anew.
        options = [b"BODY=8BITMIME"] if "8bitmime" in parcel.needs else []
        if "smtputf8" in parcel.needs:
            options.append(b"SMTPUTF8")
        if client.supports_extension("size"):
            options.append(b"SIZE=%d" % len(parcel.data))
        of_mail, of_rcpt = ([word.encode() for word in words.split()] for words in dsn)
        for verb, address, more in ((b"MAIL", b"FROM:", options + of_mail), (b"RCPT", b"TO:", of_rcpt)):
            person = parcel.sender if verb == b"MAIL" else parcel.recipient
            response = await client.execute_command(verb, address + b"<" + person.encode() + b">", *more)
            if not 200 <= response.code < 300:
                raise _Replied(response)
        assert client.protocol is not None
        return client.protocol

    async def _body(self, protocol: SMTPProtocol, parcel: Parcel) -> None:
        """DATA and all of the content, out of our hands when this returns."""
        protocol._response_pending = True
        protocol.write(b"DATA\r\n")
        response = await protocol.read_response(self._timeout)
        if response.code != 354:
            if response.code < 400:
                self.drop()  # what it takes the next bytes for, nobody knows
            raise _Replied(response)
        # Drained shall mean that nothing waits in this process. (Under TLS 0 would be "always full".)
        cast(asyncio.WriteTransport, protocol.transport).set_write_buffer_limits(high=1 if self._tls else 0)
        protocol._response_pending = True  # an answer in the middle is read, not thrown away
        waiter = protocol._response_waiter
        for chunk in parcel.stuffed():
            protocol.write(chunk)
            async with asyncio.timeout(self._timeout):
                await protocol._drain_helper()
            if waiter is not None and waiter.done():
                break
        if waiter is None or waiter.done():
            response = await protocol.read_response(self._timeout)  # raises if the connection is what ended
            self.drop()
            raise _Replied(response)


def _context(tls: Tls) -> ssl.SSLContext:
    """Raises OSError."""
    if tls.mode == "verify":
        try:
            return ssl.create_default_context(cafile=tls.ca)
        except ssl.SSLError as error:
            raise OSError(f"no certificates can be read from {tls.ca}") from error
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _why(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return one_line(f"its certificate is not accepted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return one_line(f"no TLS with it: {error.reason or error}")
    if isinstance(error, SMTPResponseException):
        return one_line(f"{error.code} {error.message}" if error.code > 0 else str(error.message))
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, SMTPServerDisconnected | ConnectionResetError):
        return "the connection was lost"
    return one_line(str(error)) or type(error).__name__
