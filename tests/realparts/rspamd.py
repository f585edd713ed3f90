"""rspamd with a redis of its own; no DNS, no maps. What it compiles before its first start is kept under build/."""

from __future__ import annotations

import os
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from .part import Process, folder, free_port, given_to, talks

USER = "_rspamd"
PASSWORD = "enable me"
KEPT = Path(__file__).resolve().parents[2] / "build" / "rspamd"
_OFF = """
    rbl surbl spf dkim dmarc arc asn mx_check fuzzy_check hfilter url_redirector rspamd_update phishing greylist
    ratelimit dkim_signing bimi neural whitelist history_redis
"""


@dataclass
class Rspamd:
    port: int  #: of the worker that scans
    controller: int
    process: Process


@contextmanager
def running(*, exporter: tuple[str, str] | None = None, milter: int = 0) -> Iterator[Rspamd]:
    """`exporter`: the URL that metadata_exporter posts every mail to, and its password there. `milter`: a port for it,
    which has what is rejected put on hold."""
    with folder("rspamd") as path:
        port, controller, redis = free_port(), free_port(), free_port()
        for one in ("local.d", "override.d", "run", "log", "redis"):
            (path / one).mkdir()
        (path / "db").mkdir() if not KEPT.is_dir() else shutil.copytree(KEPT, path / "db")
        for name, text in _files(path, port, controller, redis, exporter, milter).items():
            (path / name).write_text(text)
        user = ["-u", USER, "-g", USER] if given_to(USER, path) else []
        store = _redis(path, redis)
        try:
            where = {"LOCAL_CONFDIR": path, "DBDIR": path / "db", "RUNDIR": path / "run", "LOGDIR": path / "log"}
            variables = [f"--var={name}={value}" for name, value in where.items()]
            command = ["/usr/bin/rspamd", "-f", *user, "-c", "/etc/rspamd/rspamd.conf", *variables]
            rspamd = Process(command, path / "out", lambda: _pings(port) and _pings(controller))
            try:
                _keep(path / "db")
                yield Rspamd(port, controller, rspamd)
            finally:
                rspamd.kill()
        finally:
            store.kill()


def _redis(path: Path, port: int) -> Process:
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", path / "redis", "--save", "", "--appendonly", "no"]
    return Process(["/usr/bin/redis-server", *options], path / "redis.out", lambda: talks(port, b"PING\r\n", b"+PONG"))


def _pings(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2) as answer:
        return bool(answer.read().strip() == b"pong")
    return False


def _keep(compiled: Path) -> None:
    """Whoever is first keeps what was compiled, for who starts next; it comes whole or not at all."""
    if KEPT.is_dir():
        return
    KEPT.parent.mkdir(exist_ok=True)
    ours = KEPT.with_name(f"{KEPT.name}.{os.getpid()}")
    shutil.copytree(compiled, ours, ignore=shutil.ignore_patterns("*.sock", "*.map"))
    try:
        ours.rename(KEPT)
    except OSError:
        shutil.rmtree(ours)


def _files(
    path: Path, port: int, controller: int, redis: int, exporter: tuple[str, str] | None, milter: int
) -> dict[str, str]:
    files = {
        "local.d/options.inc": f"""
            dns {{ timeout = 0.05s; retransmits = 1; nameserver = ["127.0.0.1:9"]; }}
            filters = "chartable,regexp";
            control_socket = "{path}/run/rspamd.sock mode=0600";
            map_watch_interval = 1h;
        """,
        "override.d/options.inc": "local_addrs = [];",  # mail from the loopback is checked as any
        "local.d/worker-normal.inc": f'bind_socket = "127.0.0.1:{port}"; count = 1;',
        "local.d/worker-controller.inc": f"""
            bind_socket = "127.0.0.1:{controller}"; password = "look at it"; enable_password = "{PASSWORD}";
        """,
        "override.d/worker-controller.inc": "secure_ip = [];",
        "local.d/worker-proxy.inc": f"""
            bind_socket = "127.0.0.1:{milter}"; milter = yes; timeout = 30s; quarantine_on_reject = true;
            upstream "local" {{ default = yes; hosts = "127.0.0.1:{port}"; }}
        """
        if milter
        else "enabled = false;",
        "local.d/redis.conf": f'servers = "127.0.0.1:{redis}";',
        "local.d/classifier-bayes.conf": f"""
            backend = "redis"; servers = "127.0.0.1:{redis}"; min_learns = 1; new_schema = true; autolearn = false;
        """,
        "local.d/logging.inc": f'type = "file"; filename = "{path}/log/rspamd.log"; level = "warning";',
        **{f"local.d/{module}.conf": "enabled = false;" for module in _OFF.split()},
    }
    if milter:
        files["local.d/milter_headers.conf"] = 'use = ["x-spamd-result"]; skip_local = false;'
        files["local.d/actions.conf"] = "reject = 6; add_header = 5; greylist = null;"
    if exporter is not None:
        url, password = exporter
        files["local.d/metadata_exporter.conf"] = f"""
            rules {{
              RCQUEUE {{
                backend = "http"; url = "{url}"; user = "rcqueue"; password = "{password}"; timeout = 2s;
                selector = "default"; formatter = "default"; meta_headers = true;
              }}
            }}
        """
    return files


@pytest.fixture(scope="session")
def rspamd() -> Iterator[Rspamd]:
    with running() as part:
        yield part
