"""c-icap with virus_scan in front of a clamd: a real ICAP server, where a commercial engine would be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from .clamd import Clamd
from .part import Process, folder, free_port, given_to, talks

USER = "c-icap"
SERVICE = "avscan"
_CONFIGURATION = """
PidFile {path}/pid
CommandsSocket {path}/ctl
Timeout 30
MaxKeepAliveRequests 100
KeepAliveTimeout {idle}
StartServers 1
MaxServers 2
MinSpareThreads 4
MaxSpareThreads 10
ThreadsPerChild 10
Port 127.0.0.1:{port}
ServerAdmin postmaster@example.org
ServerName icap.example.org
TmpDir {path}/tmp
MaxMemObject 1048576
Pipelining on
ModulesDir {library}
ServicesDir {library}
TemplateDir /usr/share/c_icap/templates/
LoadMagicFile /etc/c-icap/c-icap.magic
ServerLog {path}/server.log
AccessLog {path}/access.log
Service echo srv_echo.so
Module common clamd_mod.so
clamd_mod.ClamdHost 127.0.0.1
clamd_mod.ClamdPort {clamd}
Service antivirus_module virus_scan.so
ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple
virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE DOCUMENT UNKNOWN
virus_scan.MaxObjectSize 64M
virus_scan.DefaultEngine clamd
virus_scan.PassOnError off
"""


@dataclass
class Icap:
    port: int
    process: Process


@contextmanager
def running(clamd: Clamd, *, idle: int = 60) -> Iterator[Icap]:
    """`idle`: seconds after which it closes a connection on which nothing comes."""
    with folder("c-icap") as path:
        port = free_port()
        (path / "tmp").mkdir()
        (library,) = Path("/usr/lib").glob("*-linux-gnu/c_icap")
        user = f"User {USER}\nGroup {USER}\n" if given_to(USER, path) else ""
        values = {"path": path, "port": port, "library": library, "clamd": clamd.port, "idle": idle}
        configuration = path / "c-icap.conf"
        configuration.write_text(_CONFIGURATION.format(**values) + user)
        command = ["/usr/bin/c-icap", "-f", configuration, "-N", "-D", "-d", "1"]
        options = f"OPTIONS icap://localhost/{SERVICE} ICAP/1.0\r\nHost: localhost\r\n\r\n".encode()
        icap = Process(command, path / "out", lambda: talks(port, options, b"ICAP/1.0 200"))
        try:
            yield Icap(port, icap)
        finally:
            icap.kill()


@pytest.fixture(scope="session")
def icap(clamd: Clamd) -> Iterator[Icap]:
    with running(clamd) as part:
        yield part
