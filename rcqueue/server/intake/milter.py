"""A milter: mail is judged while the client waits, then passed, tagged, refused or held.

What is held is durable here before the mail server is told to discard it, or to go on without those recipients. The
mail server speaks of one message for all of its recipients; `judged.plan` says what becomes of different decisions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import Callable
from typing import cast

from rcqueue.model.mail import Receipt, from_us
from rcqueue.server.config import Milter
from rcqueue.server.passes import OURS, PASS_FIELD
from rcqueue.server.scan.base import ScanEnvelope
from rcqueue.server.scan.judge import Judge, Judgement
from rcqueue.server.store.writer import Stopped

from . import dsn
from . import milter_wire as wire
from .hold import CONTROL, Busy, Intake
from .judged import Plan, plan
from .replies import BUSY, DEFERRED, FAILED, REFUSED, STOPPING

log = logging.getLogger(__name__)

GRACE = 10.0  #: seconds that a message has to end when the server stops

_QUICKACK: int = getattr(socket, "TCP_QUICKACK", 0)  # Linux's; it holds until the next acknowledgement
_LF = re.compile(rb"(?<!\r)\n")


class MilterIntake:
    """A milter; `port` is the one it listens on. Raises OSError from `start` when it cannot."""

    def __init__(self, intake: Intake, judge: Judge, config: Milter, size_limit: int) -> None:
        self.intake, self.judge, self.size_limit = intake, judge, size_limit
        self._listen = config.listen
        self._sessions: set[_Session] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop, at = asyncio.get_running_loop(), self._listen
        self._server = await loop.create_server(lambda: _Session(self, self._sessions), at.host, at.port)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def listening(self) -> bool:
        return self._server is not None and self._server.is_serving()

    async def stop(self, grace: float = GRACE) -> None:
        """Takes no new message; those under way end, or are cut off after `grace` seconds."""
        if self._server is None:
            return
        self._server.close()
        loop = asyncio.get_running_loop()
        until = loop.time() + grace
        while self._sessions:
            for session in list(self._sessions):
                if loop.time() > until or not session.in_message:
                    session.cut()
            await asyncio.sleep(0.02)
        await self._server.wait_closed()
        self._server = None


class _Message:
    """What the mail server has told of a message so far."""

    def __init__(self, sender: bytes, arguments: list[bytes]) -> None:
        self.sender = sender
        self.arguments = [a.upper() for a in arguments]
        self.recipients: list[bytes] = []  #: as they were said, with what stands around the address
        self.dsn_mail = dsn.known(map(wire.text, arguments), dsn.OF_MAIL)
        self.dsn_rcpt: dict[bytes, str] = {}
        self.raw = bytearray()
        self.ours: list[tuple[bytes, int]] = []  #: fields that only we write: name, and the how manieth of that name
        self._seen: dict[bytes, int] = {}

    def recipient(self, said: bytes, *arguments: bytes) -> None:
        self.recipients.append(said)
        self.dsn_rcpt[said] = dsn.known(map(wire.text, arguments), dsn.OF_RCPT)

    def header(self, data: bytes, leading_space: bool) -> None:
        name, value = wire.texts(data)
        self.raw += name + (b":" if leading_space else b": ") + _LF.sub(b"\r\n", value) + b"\r\n"
        lower = name.lower()
        if lower.startswith(OURS):
            self._seen[lower] = self._seen.get(lower, 0) + 1
            self.ours.append((name, self._seen[lower]))


class _Session(asyncio.Protocol):
    def __init__(self, milter: MilterIntake, all_of_them: set[_Session]) -> None:
        self._milter, self._all = milter, all_of_them
        self._buffer = bytearray()
        self._now: Callable[[], int] = milter.intake.marshal.clock.now
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._how = wire.How(0)
        self._client = ("", "", 0)
        self._connected_at = self._data_at = 0
        self._helo = ""
        self._macros: dict[bytes, bytes] = {}
        self._message: _Message | None = None
        self._judging: asyncio.Task[None] | None = None

    @property
    def in_message(self) -> bool:
        return self._message is not None or self._judging is not None

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._socket = transport.get_extra_info("socket")
        self._connected_at = self._now()
        self._all.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._all.discard(self)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._acknowledge()
        try:
            for packet in wire.packets(self._buffer):
                self._take(packet)
        except (wire.BadPacket, ValueError) as error:
            log.warning("milter: a mail server was hung up on: %s", error)
            self.cut()

    def _acknowledge(self) -> None:
        """A mail server that tells without waiting for answers waits for the kernel's: Nagle's algorithm keeps its next
        packet back until this one is acknowledged, which would otherwise be 40 ms later."""
        if self._socket is not None and _QUICKACK:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    # -- what the mail server tells

    def _take(self, packet: wire.Packet) -> None:
        command, data = packet
        message = self._message
        match command:
            case b"O":
                self._how, answer = wire.negotiated(data)
                self._send(answer)
                return
            case b"D":
                said = wire.texts(data[1:])
                self._macros |= dict(zip(said[::2], said[1::2], strict=False))
                return
            case b"Q" | b"K" | b"A":
                self._message = None
                if command == b"Q" and self._judging is None and self._transport is not None:
                    self._transport.close()
                return
            case b"C":
                self._client, self._helo = wire.connection(data), ""
                self._connected_at = self._now()
            case b"H":
                self._helo = CONTROL.sub("\ufffd", wire.text(data.rstrip(b"\0")))
            case b"M":
                sender, *arguments = wire.texts(data)
                self._message = _Message(sender, arguments)
            case b"R" if message is not None:
                message.recipient(*wire.texts(data))
            case b"L" if message is not None:
                if not message.raw:
                    self._data_at = self._now()
                message.header(data, wire.How.LEADING_SPACE in self._how)
            case b"N" if message is not None:
                message.raw += b"\r\n"
            case b"B" | b"E" if message is not None:
                if len(message.raw) <= self._milter.size_limit:
                    message.raw += data
                if command == b"E":
                    self._message = None
                    self._judging = asyncio.get_running_loop().create_task(self._end(message))
                    return
            case b"T" | b"U":
                pass
            case _:
                raise wire.BadPacket(f"command {command!r} was not expected here")
        if not wire.ANSWERED[command] & self._how:
            self._send(wire.CONTINUE)

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    # -- the end of a message

    async def _end(self, message: _Message) -> None:
        try:
            answer = await self._answer(message)
        except Busy:
            answer = wire.reply(BUSY)
        except Stopped:
            answer = wire.reply(STOPPING)
        except Exception:
            log.exception("milter: a message could not be taken")
            answer = wire.reply(FAILED)
        finally:
            self._judging = None
        self._send(answer)

    async def _answer(self, message: _Message) -> bytes:
        milter, raw = self._milter, bytes(message.raw)
        addresses = {to: _address(to) for to in message.recipients}
        if len(raw) > milter.size_limit:
            return wire.reply(f"552 5.3.4 Error: message is larger than {milter.size_limit} bytes")
        sender = _address(message.sender)
        if any(CONTROL.search(a) for a in (sender, *addresses.values())):
            return wire.reply("553 5.1.3 Error: an address that can not be read")
        client = self._client[1]
        ident = wire.text(self._macros.get(b"i", b""))
        envelope = ScanEnvelope(sender, tuple(dict.fromkeys(addresses.values())), client, self._helo, ident)
        back = await milter.intake.returned(sender, envelope.recipients, raw)
        judgement = back.judgement if back is not None else await milter.judge.judge(raw, envelope)
        todo = plan(judgement, envelope.recipients, one_answer=True)
        if not todo.go and not todo.hold and not todo.refuse:
            return wire.reply(DEFERRED)
        if self._transport is None:  # nobody waits for the answer: the client will come again
            return b""
        receipt, intake = self._receipt(message, ident), milter.intake
        if todo.refuse:
            intake.record("REJECTED", sender, list(todo.refuse), raw, receipt, origin="milter", judgement=judgement)
            return wire.reply(REFUSED)
        if todo.hold:
            held = Judgement(judgement.results, todo.hold, judgement.contents)
            await intake.hold(sender, list(todo.hold), raw, receipt, origin="milter", judgement=held, back=back)
        if todo.go and back is not None:
            if not await intake.lets_go(back, sender, raw, receipt, origin="milter"):
                return wire.DISCARD
            message.ours = [(name, nth) for name, nth in message.ours if name.lower() == PASS_FIELD.lower().encode()]
        elif todo.go:
            intake.record("PASSED", sender, todo.go, raw, receipt, origin="milter", judgement=judgement)
        return self._edits(message, addresses, todo) if todo.go else wire.DISCARD

    def _edits(self, message: _Message, addresses: dict[bytes, str], todo: Plan) -> bytes:
        edits = [wire.delete_header(name, nth) for name, nth in reversed(message.ours)]
        edits += [
            wire.delete_recipient(said) for said in dict.fromkeys(message.recipients) if addresses[said] in todo.hold
        ]
        edits += [wire.add_header(name, value) for name, value in todo.headers]
        return b"".join(edits) + wire.ACCEPT

    def _receipt(self, message: _Message, ident: str) -> Receipt:
        name, client, port = self._client
        tls = [wire.text(self._macros.get(key, b"")) for key in (b"{tls_version}", b"{cipher}")]
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return Receipt(
            at=from_us(self._now()),
            client=client,
            port=port,
            name=CONTROL.sub("\ufffd", name),
            helo=self._helo,
            protocol="milter",
            tls=CONTROL.sub("\ufffd", " ".join(filter(None, tls))),
            ident=CONTROL.sub("\ufffd", ident),
            forwarded_by=peer[0] if peer else "",
            smtputf8=b"SMTPUTF8" in message.arguments,
            body_8bit=b"BODY=8BITMIME" in message.arguments,
            dsn=dsn.asked(message.dsn_mail, ((_address(to), said) for to, said in message.dsn_rcpt.items())),
            connected_at=from_us(self._connected_at),
            data_at=from_us(self._data_at) if self._data_at else None,
        )


def _address(said: bytes) -> str:
    bare = said[1:-1] if said.startswith(b"<") and said.endswith(b">") else said
    return bare.decode("utf-8", "surrogateescape")
