"""A stand-in of ours for Sophos' savdi: SSSP 1.0 in front of a real clamd. It proves the wire form, not Sophos.

It lists what is in a ZIP, as savdi does with `report: all`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from .clamd import Clamd
from .part import Process, folder, free_port, talks

_SERVER = Path(__file__).with_name("savdi_standin.py")


@dataclass
class Sssp:
    port: int
    process: Process


@contextmanager
def running(clamd: Clamd) -> Iterator[Sssp]:
    with folder("sssp") as path:
        port = free_port()
        command = [sys.executable, "-P", _SERVER, str(port), str(clamd.port)]
        sssp = Process(command, path / "out", lambda: talks(port, b"", b"OK SSSP/1.0"))
        try:
            yield Sssp(port, sssp)
        finally:
            sssp.kill()


@pytest.fixture(scope="session")
def sssp(clamd: Clamd) -> Iterator[Sssp]:
    with running(clamd) as part:
        yield part
