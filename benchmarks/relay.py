"""A TCP relay in a thread that keeps when the answer to a sign-in passed it."""

from __future__ import annotations

import asyncio
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from rcqueue.demo.ports import bind


class Relay:
    """`with Relay(url) as relay`: `relay.url` is the same server; `relay.signed_in` is when it answered the last login
    (`time.monotonic`)."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._socket = bind()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.signed_in = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, sock=self._socket)
        self._ready.set()
        await self._over.wait()
        server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        login = False

        async def up() -> None:
            nonlocal login
            while data := await reader.read(65536):
                login = data.startswith(b"POST /api/v1/login") or (login and not data.startswith((b"GET", b"POST")))
                up_writer.write(data)
            up_writer.close()

        async def down() -> None:
            while data := await up_reader.read(65536):
                writer.write(data)
                if login:
                    self.signed_in = time.monotonic()
            writer.close()

        await asyncio.gather(up(), down(), return_exceptions=True)
