"""A TCP relay that keeps when the answer to a sign-in passed it, and how many bytes did."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from rcqueue.demo.ports import bind


class Relay:
    """`with Relay(url) as relay`: `relay.url` is the same server; `relay.signed_in` is when it answered the last login
    (`time.monotonic`), `relay.passed` the bytes of both directions."""

    def __init__(self, url: str) -> None:
        to = urlsplit(url)
        self._to = (to.hostname, to.port)
        self._listener = bind()
        self._listener.listen()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.signed_in = 0.0
        self.passed = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                near, _ = self._listener.accept()
                _Pair(self, near, socket.create_connection(self._to))


class _Pair:
    """One connection, with a thread for each direction."""

    def __init__(self, relay: Relay, near: socket.socket, far: socket.socket) -> None:
        self._relay, self._login = relay, False
        for source, sink, seen in ((near, far, self._asked), (far, near, self._answered)):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pass, args=(source, sink, seen), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, seen: Callable[[bytes], None]) -> None:
        with suppress(OSError), source, sink:
            while data := source.recv(65536):
                self._relay.passed += len(data)
                seen(data)
                sink.sendall(data)

    def _asked(self, data: bytes) -> None:
        if data.startswith((b"GET ", b"POST ")):
            self._login = data.startswith(b"POST /api/v1/login")

    def _answered(self, data: bytes) -> None:
        if self._login:
            self._relay.signed_in = time.monotonic()
