"""ClamAV's clamd with signatures of our own alone: nothing is fetched, and the test files are known by our names."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from .part import Process, folder, free_port, given_to, talks

USER = "clamav"
#: The anti-virus test string in halves, so that no scanner takes this file for one that has it.
EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*"
CUSTOM = "RCQUEUE-TEST-MALWARE-" + "SIGNATURE-0001"
EXACT = b"rcqueue exact " + b"file\n"
LARGEST = 4 << 20  #: bytes: its StreamMaxLength
_CONFIGURATION = """
Foreground yes
DatabaseDirectory {path}/db
OfficialDatabaseOnly no
TemporaryDirectory {path}/tmp
LogFile {path}/log
LocalSocket {path}/socket
LocalSocketMode 666
FixStaleSocket yes
TCPSocket {port}
TCPAddr 127.0.0.1
StreamMaxLength {largest}
MaxThreads 4
SelfCheck 0
AlertEncrypted yes
"""


@dataclass
class Clamd:
    port: int
    socket: Path
    process: Process
    db: Path  #: its signatures


@contextmanager
def running() -> Iterator[Clamd]:
    with folder("clamd") as path:
        port = free_port()
        for one in (path / "db", path / "tmp"):
            one.mkdir()
        names = {"Rcq.Eicar.Test": EICAR, "Rcq.Custom.Malware": CUSTOM, "Rcq.Phishing.Test": "RCQUEUE-TEST-" + "PHISH"}
        lines = [f"{name}:0:*:{text.encode().hex()}\n" for name, text in names.items()]
        (path / "db" / "rcq.ndb").write_text("".join(lines))
        digest = hashlib.md5(EXACT).hexdigest()
        (path / "db" / "rcq.hdb").write_text(f"{digest}:{len(EXACT)}:Rcq.Exact.File\n")
        user = f"User {USER}\n" if given_to(USER, path) else ""
        configuration = path / "clamd.conf"
        configuration.write_text(_CONFIGURATION.format(path=path, port=port, largest=LARGEST) + user)
        command = ["/usr/sbin/clamd", "-c", configuration]
        clamd = Process(command, path / "out", lambda: talks(port, b"zPING\0", b"PONG"))
        try:
            yield Clamd(port, path / "socket", clamd, path / "db")
        finally:
            clamd.kill()


def daily(made: datetime) -> bytes:
    """A daily.cud: an unsigned database that clamd takes for the official one of that time."""
    signature = b"Rcq.Daily.Test:0:*:" + b"RCQUEUE-TEST-DAILY".hex().encode() + b"\n"
    head = f"ClamAV-VDB:{made:%d %b %Y %H-%M} +0000:27811:1:90:X:X:rcqueue:{int(made.timestamp())}"
    info = f"{head}\ndaily.ndb:{len(signature)}:{hashlib.sha256(signature).hexdigest()}\n".encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in (("COPYING", b"\n"), ("daily.info", info), ("daily.ndb", signature)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return head.ljust(512).encode() + packed.getvalue()


@pytest.fixture(scope="session")
def clamd() -> Iterator[Clamd]:
    with running() as part:
        yield part
