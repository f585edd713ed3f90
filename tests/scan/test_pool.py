"""A scanner's connection, when the other end says no and closes while it is still being sent to."""

from __future__ import annotations

import asyncio
import socket

import pytest

from rcqueue.server.scan.pool import Connection

SAID = b"INSTREAM size limit exceeded. ERROR\0"


def pair(family: str) -> tuple[socket.socket, socket.socket]:
    if family == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        return ours, server.accept()[0]


class Interrupted(Connection):
    """Between its last look at what was said and its second write the other end does `meanwhile`."""

    async def send(self, *data: bytes) -> None:
        if self.sent:
            self.meanwhile()
        self.sent = True
        await super().send(*data)


@pytest.mark.parametrize("family", ["unix", "tcp"])
@pytest.mark.parametrize("said", [SAID, b""])
async def test_what_it_said_before_it_closed_is_heard_though_a_write_fails(family, said):
    ours, theirs = pair(family)
    ours.setblocking(False)
    opened = asyncio.open_unix_connection if family == "unix" else asyncio.open_connection
    connection = Interrupted(*await opened(sock=ours))
    connection.sent = False

    def meanwhile() -> None:
        theirs.sendall(said)
        theirs.close()  # with the first part unread: it is a reset
        connection.meanwhile = lambda: None

    connection.meanwhile = meanwhile

    async def answer() -> bytes:
        return await connection.reader.readuntil(b"\0")

    try:
        asked = connection.ask([b"x" * 1000, *[b"y" * 100_000] * 3], answer)
        if said:
            assert await asyncio.wait_for(asked, 10) == said
        else:
            with pytest.raises((ConnectionError, EOFError)):
                await asyncio.wait_for(asked, 10)
    finally:
        connection.close()
