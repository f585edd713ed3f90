"""A Postfix of one's own: its configuration, queue and log in a temporary folder, on a free port of the loopback.

Mail for rcq.example goes to a Maildir in the folder, by Postfix's own delivery; `transport` sends it elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rcqueue.demo.ports import bind

DOMAIN = "rcq.example"

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
lmtp      unix  - - n - - lmtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


def free_port() -> int:
    with bind() as sock:
        port: int = sock.getsockname()[1]
        return port


class Postfix:
    """`async with Postfix(main={...}, master="...") as postfix`: more of main.cf, and lines for master.cf."""

    def __init__(self, main: Mapping[str, str] = {}, master: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rcqueue-postfix-"))
        self.folder.chmod(0o755)  # its daemons are other users
        self.etc, self.mail = self.folder / "etc", self.folder / "mail"
        self.port = free_port()
        self._main, self._master = main, master

    def _configure(self) -> None:
        for name, user in (("etc", "root"), ("queue", "root"), ("data", "postfix"), ("mail", "nobody")):
            (self.folder / name).mkdir(mode=0o755)
            os.chown(self.folder / name, pwd.getpwnam(user).pw_uid, -1)
        nobody = pwd.getpwnam("nobody")
        main = {
            "compatibility_level": "3.6",
            "queue_directory": f"{self.folder}/queue",
            "data_directory": f"{self.folder}/data",
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "maillog_file_prefixes": str(self.folder),
            "maillog_file": f"{self.folder}/maillog",
            "myhostname": f"mx.{DOMAIN}",
            "mydestination": "",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "smtp_dns_support_level": "disabled",
            "smtp_host_lookup": "native",
            "smtpd_peername_lookup": "no",
            "append_dot_mydomain": "no",
            "biff": "no",
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "smtpd_tls_security_level": "none",
            "smtpd_client_connection_rate_limit": "0",
            "smtpd_client_connection_count_limit": "0",
            "smtpd_authorized_xclient_hosts": "127.0.0.1",
            "message_size_limit": "52428800",
            "enable_long_queue_ids": "yes",
            "queue_run_delay": "5s",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "5s",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination",
            "virtual_mailbox_domains": DOMAIN,
            "virtual_mailbox_base": str(self.mail),
            "virtual_mailbox_maps": f"texthash:{self.etc}/mailboxes",
            "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}",
            "virtual_minimum_uid": "1",
            "virtual_mailbox_limit": "0",
            "default_transport": "error:nothing else is reached from here",
            **self._main,
        }
        (self.etc / "mailboxes").write_text(f"@{DOMAIN} all/\n")
        (self.etc / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in main.items()))
        (self.etc / "master.cf").write_text(_MASTER.format(port=self.port) + self._master)

    async def __aenter__(self) -> Self:
        try:
            self._configure()
            await self.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def kill(self) -> None:
        """kill -9 of all of it."""
        pids = await asyncio.to_thread(_with_children, int((self.folder / "queue/pid/master.pid").read_text()))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def start(self) -> None:
        """After `kill`: a new one, on the same queue. Returns when it listens."""
        await self.run("postfix", "start")
        await self._listens()

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        master = self.folder / "queue/pid/master.pid"
        if master.is_file():
            pid = int(master.read_text())
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + 10
            while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
                await asyncio.sleep(0.02)
        shutil.rmtree(self.folder)

    async def _listens(self) -> None:
        end = time.monotonic() + 20
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                assert time.monotonic() < end, self.log()
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

    async def run(self, command: str, *arguments: str) -> str:
        """One of Postfix's commands, about this instance; what it wrote."""

        def run() -> str:
            done = subprocess.run(
                [f"/usr/sbin/{command}", "-c", str(self.etc), *arguments], capture_output=True, check=False, timeout=30
            )
            assert done.returncode == 0, (done.stderr, self.log())
            return done.stdout.decode()

        return await asyncio.to_thread(run)

    async def queue(self) -> list[dict[str, Any]]:
        """What is in its queues: as `postqueue -j` says."""
        return [json.loads(line) for line in (await self.run("postqueue", "-j")).splitlines()]

    def log(self) -> str:
        log = self.folder / "maillog"
        return log.read_text(errors="replace") if log.is_file() else ""

    def delivered(self) -> list[bytes]:
        """The mails in the Maildir."""
        return [path.read_bytes() for path in sorted(self.mail.glob("all/new/*"))]


def _with_children(pid: int) -> list[int]:
    """A process and all below it, the parents first."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            id, rest = stat.read_text().split(" ", 1)
            parents.setdefault(int(rest.rpartition(")")[2].split()[1]), []).append(int(id))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


async def comes(what: Callable[[], Any], seconds: float = 15) -> Any:
    """What `what` (which may be a coroutine function) gives, as soon as it gives something true."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"nothing came within {seconds} s"
        await asyncio.sleep(0.05)
