"""A milter of kilter's that takes header and body and accepts: `python -m benchmarks.plain_milter PORT`."""

from __future__ import annotations

import sys

import anyio
from kilter.protocol import Accept
from kilter.service import Runner, Session


async def accepts(session: Session) -> Accept:
    await session.helo()
    await session.envelope_from()
    [_ async for _ in session.envelope_recipients()]
    async with session.headers as headers:
        [_ async for _ in headers]
    body = b""
    async with session.body as chunks:
        async for chunk in chunks:
            body += bytes(chunk)
    return Accept()


async def main(port: int) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port) as listener:
        await listener.serve(Runner(accepts))


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]))
