"""The child that reads whole messages: a loop over frames on its standard input, which can do nothing else.

A frame is four bytes of length, big-endian, and that many bytes: a message in, a `Deep` as JSON out. The first frame
out says that the child is ready. It ends with its input.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import struct
from collections.abc import Callable

from rcqueue.server.reading import charsets
from rcqueue.server.reading.deep import Deep, read_deep

MEMORY = 512 * 1024 * 1024  #: bytes of address space
OUT_OF_MEMORY = 3  #: exit status
_EVERYTHING = b"""Content-Type: text/html; charset=utf-8

<p>&eacute; <a href="http://xn--bcher-kva.example/">more words than it takes to tell a language by</a>
<img src="http://images.example/">"""
_CPU_SECONDS = 4  #: for one message; the parent's clock is stricter, this holds if the parent is gone
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def main(read: Callable[[bytes], Deep] = read_deep) -> None:
    network = not _leave_network()
    charsets.preload()
    read(_EVERYTHING)  # whatever is imported late is imported now
    _confine()
    _send(json.dumps({"ready": True, "network": network}).encode())
    while (raw := _receive()) is not None:
        _allow_cpu()
        try:
            deep = read(raw)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except Exception as error:  # the mail is shown degraded, the child goes on
            deep = Deep(degraded=f"the reader failed ({type(error).__name__})")
        del raw
        _send(deep.model_dump_json().encode("utf-8", "replace"))


def _confine() -> None:
    """No more memory than the cap, no new descriptor (so no file and no socket), not a byte into a file, no core."""
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def _allow_cpu() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + _CPU_SECONDS
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))


def _leave_network() -> bool:
    """Move to a network of its own, with nothing in it. False where the kernel doesn't let us."""
    libc = ctypes.CDLL(None)
    return any(libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))


def _receive() -> bytes | None:
    head = _exactly(4)
    return _exactly(struct.unpack(">I", head)[0]) if head is not None else None


def _exactly(size: int) -> bytes | None:
    """So many bytes of the input, or None at its end."""
    out = bytearray(size)
    view, at = memoryview(out), 0
    while at < size:
        count = os.readv(0, [view[at:]])
        if count == 0:
            return None
        at += count
    view.release()
    return bytes(out)


def _send(payload: bytes) -> None:
    frame = memoryview(struct.pack(">I", len(payload)) + payload)
    while frame:
        frame = frame[os.write(1, frame) :]


if __name__ == "__main__":
    main()
