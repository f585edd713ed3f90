"""A child that keeps the real loop and the real limits, and misbehaves on command: the message says how."""

from __future__ import annotations

import contextlib
import os
import socket
import time

from rcqueue.server.reading import child
from rcqueue.server.reading.deep import Deep, read_deep


def unruly(raw: bytes) -> Deep:
    match raw.split(b" "):
        case [b"hang"]:
            time.sleep(60)
        case [b"spin"]:
            while True:
                pass
        case [b"die"]:
            os._exit(9)
        case [b"stop"]:
            os.close(1)
            time.sleep(60)
        case [b"raise"]:
            raise KeyError("no such thing")
        case [b"garbage"]:
            os.write(1, b"\0\0\0\4null")
        case [b"huge"]:
            os.write(1, b"\xff\xff\xff\xff")
        case [b"eat"]:
            hoard = []
            while True:
                hoard.append(bytes(8 << 20))
        case [b"eat", b"and", b"tell"]:
            hoard = []
            with contextlib.suppress(MemoryError):
                while True:
                    hoard.append(b"x" * (8 << 20))
            hoard.clear()
            return Deep(text=str(os.getpid()))  # its peak is read from outside
        case [b"reach", b"out"]:
            return Deep(text=" ".join([_opens("/etc/passwd"), _connects()]))
    return read_deep(raw)


def _opens(path: str) -> str:
    try:
        with open(path):
            return "opened"
    except OSError as error:
        return os.strerror(error.errno or 0)


def _connects() -> str:
    try:
        socket.socket()
        return "connected"
    except OSError as error:
        return os.strerror(error.errno or 0)


if __name__ == "__main__":
    child.main(unruly)
