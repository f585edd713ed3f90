"""Listening sockets for the demo and the tests: free ports below 32768, where no outgoing connection takes one away."""

from __future__ import annotations

import errno
import random
import socket

_RANGE = range(20_000, 32_768)


def bind(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A listening TCP socket on `port`, or (0) on a free one of 20000..32767.

    Raises OSError: the port is taken, or none of 200 tried is free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in [port] if port else random.sample(_RANGE, 200):
        # With the protocol named: asyncio sets TCP_NODELAY only on sockets that name it, and without it each SMTP
        # session waits 40 ms for a delayed acknowledgement.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, candidate))
            sock.listen(128)  # before that, another process may have bound the same port
        except OSError as error:
            sock.close()
            if port or error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
        else:
            return sock
    raise OSError(errno.EADDRINUSE, f"no free port found at {host} in {_RANGE.start}..{_RANGE.stop - 1}")
