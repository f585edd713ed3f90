"""An SMTP server protocol that takes DATA in chunks: what intake and the demo's next hop share.

aiosmtpd reads DATA line by line, refuses lines over 1,001 bytes (real spam has them), and cancels the mail that it is
storing when the client closes its half of the connection. Here:

- data ends at CRLF.CRLF and nowhere else: LF.LF, LF.CRLF, CR.CR and the like are content (SMTP smuggling);
- a line may be as long as the message; the bytes arrive at the handler as they were sent, un-dot-stuffed;
- beyond the size limit the rest is read and thrown away, then answered 552;
- what came before the end of the stream is answered; data cut off in the middle never reaches the handler;
- a handler's exception is a 451: the client keeps the mail and tries again.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import re
import tempfile
from typing import Any, Protocol, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

log = logging.getLogger(__name__)

END_OF_DATA = b"\r\n.\r\n"


class DataHandler(Protocol):
    """What a handler adds to aiosmtpd's optional hooks (handle_EHLO, handle_MAIL, handle_RCPT ...)."""

    async def handle_DATA_bytes(self, server: Any, session: Session, envelope: Any, data: bytes) -> str:
        """The answer to a whole mail, as one SMTP reply line without CRLF. `data` is what the sender's system wrote."""
        ...


#: A larger mail waits in an unlinked file for its end: slow senders of large mail take no memory.
SPOOL_FROM = 1 << 20


class ChunkedSMTP(SMTP):
    """aiosmtpd's protocol with its DATA replaced. Takes the same arguments; the handler is a `DataHandler`.

    `data_size_limit` is in bytes of content, dots that SMTP added not counted; None: no limit.
    """

    #: Here only the reader's buffer: the size of a chunk, and the longest command line that is read as one.
    line_length_limit = 64 * 1024
    #: RFC 5321 asks for 512; addresses in the wild are longer.
    command_size_limit = 2048
    #: Whether a mail is answered once for each recipient (LMTP).
    each = False

    def __init__(self, handler: DataHandler, **options: Any) -> None:
        # The base has one table for all connections, emptied by each new one and widened by each EHLO.
        self.command_size_limits: dict[str, int] = collections.defaultdict(lambda: self.command_size_limit)
        super().__init__(handler, **options)
        self.tls = ""  #: version and cipher, once STARTTLS is done

    async def smtp_DATA(self, arg: str | None) -> None:
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        envelope, session = self.envelope, self.session
        assert envelope is not None and session is not None
        if not envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        try:
            data = await self._read_data()
            if data is None:
                answer = self.same(envelope, f"552 5.3.4 Error: message is larger than {self.data_size_limit} bytes")
            else:
                answer = await self._handled(session, envelope, data)
        finally:
            self.envelope = self._create_envelope()
        await self.push(answer)

    async def _handled(self, session: Session, envelope: Envelope, data: bytes) -> str:
        try:
            return str(await self.event_handler.handle_DATA_bytes(self, session, envelope, data))
        except Exception as error:
            return self.same(envelope, await self.handle_exception(error))

    def same(self, envelope: Envelope, answer: str) -> str:
        """`answer` as the answer to a whole mail."""
        return "\r\n".join([answer] * (len(envelope.rcpt_tos) if self.each else 1))

    async def _read_data(self) -> bytes | None:
        """The content up to end of data, or None if it is larger than the limit (all of it is read all the same)."""
        limit = self.data_size_limit
        # Stuffing adds at most a byte to each three ("." CRLF): no mail within the limit is longer than this.
        most = None if not limit else limit * 4 // 3 + 8
        # The CRLF of the DATA line is the first half of an end of data that comes at once, and the line start that a
        # leading dot is stuffed at: put back, it makes both cases like all others.
        self._reader._buffer[:0] = b"\r\n"  # type: ignore[attr-defined]
        received, ended = 0, False
        with tempfile.SpooledTemporaryFile(SPOOL_FROM) as spool:
            while not ended:
                try:
                    chunk = await self._reader.readuntil(END_OF_DATA)
                    ended = True
                except asyncio.LimitOverrunError as overrun:
                    # `consumed` bytes hold no part of an end of data.
                    chunk = await self._reader.readexactly(overrun.consumed)
                self._reset_timeout()
                received += len(chunk)
                if most is None or received <= most:
                    spool.write(chunk)
                else:
                    spool.truncate(0)
            if most is not None and received > most:
                return None
            spool.seek(0)
            stuffed = spool.read()
        data = unstuff(stuffed)
        return None if limit and len(data) > limit else data

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        # The base makes asyncio's TLS protocol itself, which another event loop's transport does not take.
        if arg or self.tls_context is None or self._tls_protocol is not None:
            await self.push("501 5.5.4 Syntax: STARTTLS" if arg else "454 4.7.0 Error: TLS is not to be had here")
            return
        transport = cast(asyncio.Transport, self.transport)
        assert self.session is not None
        # What came in clear text after the command is thrown away (RFC 3207, 6), and what comes now waits for TLS.
        transport.pause_reading()
        self._reader._buffer.clear()  # type: ignore[attr-defined]
        await self.push("220 2.0.0 Ready to start TLS")
        try:
            secure = await self.loop.start_tls(transport, self, self.tls_context, server_side=True)
        except OSError as error:
            raise asyncio.IncompleteReadError(b"", None) from error
        assert secure is not None
        self._tls_protocol = secure  # type: ignore[assignment]
        self.transport = self._writer._transport = self._reader._transport = secure  # type: ignore[attr-defined]
        peer, tls = self.session.peer, secure.get_extra_info("ssl_object")
        self.tls = f"{tls.version()} {tls.cipher()[0]}"
        self.session = self._create_session()
        self.session.peer, self.session.ssl = peer, {"ssl_object": tls}
        self.envelope = self._create_envelope()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        # The standard library's parser raises all sorts at hostile addresses (IndexError, RecursionError ...).
        try:
            return super()._getaddr(arg)
        except Exception:
            return None, None  # "553 malformed address"

    def eof_received(self) -> bool | None:
        # Past the base, which would cancel a mail in the middle of being stored. The reader notes the end; the command
        # loop meets it in `handle_exception`, when what came before has been answered.
        asyncio.StreamReaderProtocol.eof_received(self)
        return self.session is not None and self.session.ssl is None and self._tls_protocol is None

    async def handle_exception(self, error: Exception) -> str:
        if isinstance(error, asyncio.IncompleteReadError):
            # The client has ended the stream. The command loop has no way out but cancellation, which takes effect
            # when the reply (that nobody waits for) is pushed.
            self._writer.close()
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            return "421 4.4.2 Connection ended"
        if hasattr(self.event_handler, "handle_exception"):
            return str(await self.event_handler.handle_exception(error))
        # The base would answer 500, which loses the mail, with the exception's text.
        log.error("SMTP session failed", exc_info=error)
        return "451 4.3.0 Error: not taken, try again later"


class ChunkedLMTP(ChunkedSMTP):
    """The same for LMTP (RFC 2033): LHLO is the greeting, and a mail is answered once for each recipient taken.

    The handler's answer to a mail is then as many lines, in the order of the recipients, with CRLF between them.
    """

    each = True

    async def smtp_LHLO(self, arg: str | None) -> None:
        await super().smtp_EHLO(arg)

    async def smtp_EHLO(self, arg: str | None) -> None:
        await self.push("500 5.5.1 Error: this is LMTP, LHLO was expected")

    smtp_HELO = smtp_EHLO

    async def check_helo_needed(self, helo: str = "LHLO") -> bool:
        return bool(await super().check_helo_needed(helo))


_LINE_END = re.compile(rb"\r\n|\r|\n")
_NULS_AND_A_DOT = re.compile(rb"^\0+\.\0*(?=\r\n)", re.MULTILINE)


def normalised(raw: bytes) -> bytes:
    """`raw` with CRLF at the end of each line, the last one too: whatever a server takes for the end of a line, it can
    not take this for two mails once its dots are stuffed. Nor if it drops NULs: of a line of those and one dot, which
    would not be stuffed, the dot is left."""
    # All three counts equal: no CR or LF stands alone.
    if not raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n"):
        raw = _LINE_END.sub(b"\r\n", raw)
    if raw and not raw.endswith(b"\r\n"):
        raw += b"\r\n"
    return _NULS_AND_A_DOT.sub(b".", raw) if b"\0." in raw else raw


def stuff(content: bytes) -> bytes:
    """Normalised `content` for the wire, dots stuffed, without the end of data (RFC 5321 4.5.2)."""
    return (b"." if content.startswith(b".") else b"") + content.replace(b"\r\n.", b"\r\n..")


def unstuff(stuffed: bytes) -> bytes:
    """The content of `stuffed`, which begins with the CRLF before the data and ends with CRLF.CRLF (RFC 5321 4.5.2).

    A dot after CRLF is the sender's, always; CRLF CRLF in content stays. The content's own last CRLF is kept.
    """
    return stuffed[:-3].replace(b"\r\n.", b"\r\n")[2:]
