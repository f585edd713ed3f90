"""DATA read in chunks: whatever the network's pieces, the content is what RFC 5321 says, and nothing is smuggled."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rcqueue.demo.ports import bind
from rcqueue.server.smtp_data import ChunkedSMTP, unstuff

GREETING = b"EHLO client.example\r\n"
ENVELOPE = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"


class Keep:
    """A handler that keeps what it is given. `before` runs before the answer; an exception there is the handler's."""

    def __init__(self) -> None:
        self.mails: list[tuple[str | None, list[str], bytes]] = []
        self.before: Any = None

    async def handle_DATA_bytes(self, server: Any, session: Any, envelope: Any, data: bytes) -> str:
        if self.before is not None:
            await self.before()
        self.mails.append((envelope.mail_from, list(envelope.rcpt_tos), data))
        return f"250 2.0.0 Kept {len(data)}"


class Wire:
    """A transport in memory: takes what the server says, paces what it reads as asyncio's own transports do."""

    def __init__(self, handler: Any, **options: Any) -> None:
        self.said = b""
        self.closed = self.paused = False
        self.protocol = ChunkedSMTP(
            handler, hostname="t.example", enable_SMTPUTF8=True, loop=asyncio.get_running_loop(), **options
        )
        self.protocol.connection_made(self)  # type: ignore[arg-type]

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 1025) if name == "peername" else default

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.said += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    async def send(self, piece: bytes) -> None:
        for _ in range(1000):
            if not self.paused:
                break
            await asyncio.sleep(0)
        assert not self.paused, "the server stopped reading"
        if piece:
            self.protocol.data_received(piece)
        await asyncio.sleep(0)

    async def finish(self) -> bytes:
        """Ends the stream, waits until the server has closed, and gives what it said."""
        self.protocol.eof_received()
        task = self.protocol._handler_coroutine
        assert task is not None
        done, _ = await asyncio.wait([task], timeout=5)
        assert done and task.cancelled() and self.closed
        return self.said


def naive(stream: bytes) -> tuple[bytes, bytes] | None:
    """RFC 5321 line by line: (content, rest of the stream), None without an end of data."""
    content = b""
    while b"\r\n" in stream:
        line, stream = stream.split(b"\r\n", 1)
        if line == b".":
            return content, stream
        content += line.removeprefix(b".") + b"\r\n"
    return None


def stuff(content: bytes) -> bytes:
    """What a right client sends for content that ends with CRLF (or is empty)."""
    return re.sub(rb"(^|\r\n)\.", rb"\1..", content) + b".\r\n"


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[a:b] for a, b in itertools.pairwise(at)]


# Streams made of what end of data is made of: every dot case and every smuggling form comes up often.
CRUMBS = st.lists(
    st.sampled_from(
        [b"\r\n", b".", b"\r", b"\n", b"\r\n.\r\n", b"\r\n..", b"\n.\r\n", b"\n.\n", b"\r.\r", b"a", b"\xff"]
    ),
    max_size=24,
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(crumbs=CRUMBS, cuts=st.lists(st.integers(0, 400), max_size=30))
async def test_every_chunking_equals_the_naive_reading(crumbs: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(crumbs)
    expected = naive(stream)
    handler = Keep()
    wire = Wire(handler)
    for piece in [GREETING, *pieces(ENVELOPE + stream, cuts)]:
        await wire.send(piece)
    await wire.finish()
    if expected is None:
        assert handler.mails == []
    else:
        # What follows an end of data is commands, never a second mail: it has no DATA of its own.
        assert handler.mails == [("a@a.example", ["b@b.example"], expected[0])]


@settings(max_examples=40, deadline=None)
@given(
    contents=st.lists(CRUMBS.map(b"".join).map(lambda c: c and c + b"\r\n"), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 2000), max_size=40),
)
async def test_pipelined_mails_come_back_as_they_were(contents: list[bytes], cuts: list[int]) -> None:
    handler = Keep()
    wire = Wire(handler)
    for piece in pieces(GREETING + b"".join(ENVELOPE + stuff(content) for content in contents) + b"QUIT\r\n", cuts):
        await wire.send(piece)
    said = await wire.finish()
    assert [data for _, _, data in handler.mails] == contents
    assert said.count(b"\r\n250 2.0.0 Kept ") == len(contents)
    assert said.endswith(b"221 Bye\r\n")


@settings(max_examples=300)
@given(CRUMBS.map(b"".join).map(lambda c: c and c + b"\r\n"))
def test_unstuff_undoes_stuffing(content: bytes) -> None:
    assert unstuff(b"\r\n" + stuff(content)) == content


@pytest.mark.parametrize(
    "form", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\r\n\x00.\r\n", b"\r\r\n.\n"]
)
async def test_a_smuggling_form_is_content(form: bytes) -> None:
    handler = Keep()
    wire = Wire(handler)
    smuggled = b"MAIL FROM:<evil@e.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nhello\r\n"
    content = b"Subject: x\r\n\r\nfirst" + form + smuggled
    await wire.send(GREETING + ENVELOPE + content + b".\r\n")
    await wire.finish()
    # A dot at the start of a line (after CRLF) is the stuffing's and goes; nothing else changes.
    assert handler.mails == [("a@a.example", ["b@b.example"], content.replace(b"\r\n.", b"\r\n"))]


@pytest.mark.parametrize("size", [65_533, 65_534, 65_535, 65_536, 65_537, 65_538, 65_540, 131_071, 131_074, 1_000_000])
async def test_lines_and_mails_longer_than_the_buffer(size: int) -> None:
    handler = Keep()
    wire = Wire(handler)
    content = b"x" * size + b"\r\n" + b".y" * (size // 2) + b"\r\n"
    await wire.send(GREETING)
    for at in range(0, len(stream := ENVELOPE + stuff(content)), 8191):
        await wire.send(stream[at : at + 8191])
    await wire.finish()
    assert handler.mails[0][2] == content


@pytest.mark.parametrize("held_back", range(1, 8))
async def test_an_end_of_data_cut_in_two_behind_a_full_buffer(held_back: int) -> None:
    handler = Keep()
    wire = Wire(handler)
    content = b"y" * 70_000 + b"\r\n"
    stream = ENVELOPE + stuff(content)
    await wire.send(GREETING)
    await wire.send(stream[:-held_back])
    await wire.send(stream[-held_back:])
    await wire.finish()
    assert handler.mails[0][2] == content


async def test_size_limit_is_exact_and_the_session_goes_on() -> None:
    handler = Keep()
    wire = Wire(handler, data_size_limit=3000)
    fits, over, far_over = b".\r\n" * 1000, b".\r\n" * 1000 + b"\r\n", b".\r\n" * 200_000
    await wire.send(GREETING)
    for content in (fits, over, far_over, b"small\r\n"):
        for at in range(0, len(stream := ENVELOPE + stuff(content)), 50_000):
            await wire.send(stream[at : at + 50_000])
    said = await wire.finish()
    assert [data for _, _, data in handler.mails] == [fits, b"small\r\n"]
    assert said.count(b"552 5.3.4 Error: message is larger than 3000 bytes\r\n") == 2


async def test_a_mail_beyond_the_limit_is_not_kept_in_memory() -> None:
    wire = Wire(Keep(), data_size_limit=100_000)
    await wire.send(GREETING + ENVELOPE)
    piece = b"z" * 65_536
    tracemalloc.start()
    try:
        for _ in range(400):
            await wire.send(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_500_000  # of 26 MB sent
    await wire.send(b"\r\n.\r\n")
    assert b"552 5.3.4" in await wire.finish()


async def test_an_end_of_stream_in_the_middle_keeps_nothing() -> None:
    handler = Keep()
    wire = Wire(handler)
    await wire.send(GREETING + ENVELOPE + b"Subject: half\r\n\r\nno end\r\n.")
    said = await wire.finish()
    assert handler.mails == []
    assert said.endswith(b"354 End data with <CR><LF>.<CR><LF>\r\n")


async def test_an_end_of_stream_does_not_cancel_a_mail_being_stored() -> None:
    handler = Keep()
    wire = Wire(handler)
    handler.before = lambda: asyncio.sleep(0.05)
    await wire.send(GREETING + ENVELOPE + b"whole\r\n.\r\n")
    said = await wire.finish()
    assert [data for _, _, data in handler.mails] == [b"whole\r\n"]
    assert said.endswith(b"250 2.0.0 Kept 7\r\n")


async def test_a_handlers_failure_is_temporary_and_says_nothing_of_itself() -> None:
    handler = Keep()
    wire = Wire(handler)

    async def fail() -> None:
        raise ValueError("secret path")

    handler.before = fail
    await wire.send(GREETING + ENVELOPE + b"x\r\n.\r\n")
    await wire.send(b"DATA\r\n")  # the envelope went with the failed mail
    said = await wire.finish()
    assert b"\r\n451 4.3.0 Error: not taken, try again later\r\n503 5.5.1 Error: need RCPT command\r\n" in said
    assert b"secret" not in said


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"DATA", b"503 5.5.1"),
        (b"NOOP " + b"x" * 3000, b"500 Command line too long"),
        (b"NOOP " + b"x" * 400_000, b"500 Command line too long"),
        (b"MAIL FROM:<" + b"(" * 1500, b"553 5.1.3"),
        (b"MAIL FROM:<", b"553 5.1.3"),
        (b"MAIL FROM:<a@a.example> SIZE=999999999999", b"552 "),
    ],
)
async def test_wrong_commands_are_refused_and_the_session_goes_on(command: bytes, answer: bytes) -> None:
    handler = Keep()
    wire = Wire(handler, data_size_limit=100)
    for piece in pieces(GREETING + command + b"\r\n" + ENVELOPE + b"x\r\n.\r\n", list(range(0, 500_000, 60_000))):
        await wire.send(piece)
    said = await wire.finish()
    assert answer in said
    assert [data for _, _, data in handler.mails] == [b"x\r\n"]


async def test_command_limits_belong_to_one_connection() -> None:
    first = Wire(Keep())
    for _ in range(5):
        await first.send(GREETING)
    second = Wire(Keep())
    assert second.protocol.command_size_limits["MAIL"] == 2048
    assert first.protocol.command_size_limits["MAIL"] > 2048
    await first.finish()
    await second.finish()


async def test_empty_sender_utf8_and_8bit_over_a_real_socket() -> None:
    handler = Keep()
    content = "Subject: grüße\r\n\r\n".encode() + bytes(range(256)).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n"
    async with listening(handler) as (reader, writer):
        writer.write(
            GREETING
            + b"MAIL FROM:<> BODY=8BITMIME SMTPUTF8\r\n"
            + "RCPT TO:<δοκιμή@b.example>\r\nDATA\r\n".encode()
            + stuff(content)
        )
        writer.write_eof()
        said = await reader.read()
    assert b"250-SIZE" in said and b"250-8BITMIME" in said and b"250-SMTPUTF8" in said
    assert handler.mails == [("<>", ["δοκιμή@b.example"], content)]


@contextlib.asynccontextmanager
async def listening(handler: Any) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    loop = asyncio.get_running_loop()
    sock = bind("127.0.0.1")
    server = await loop.create_server(
        lambda: ChunkedSMTP(handler, hostname="t.example", enable_SMTPUTF8=True), sock=sock
    )
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()
        await server.wait_closed()
