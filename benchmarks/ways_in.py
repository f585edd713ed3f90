"""Mails a second through real Postfixes: into our milter and our content filter, and into plain ones, in turns."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from statistics import median
from typing import Any

from benchmarks.figures import Figure
from tests.realparts.postfix import Postfix, comes, free_port

SESSIONS, MAILS, ROUNDS, SIZE = 4, 400, 6, 4096
QUICK = 20, 1
MOST_MILTER, MOST_FILTER = 1 / 0.85, 1 / 0.75  #: times ours: the plain one may be no more than this

SERVE = """
import asyncio, json, sys, uvloop
from rcqueue.server.asgi import Server
from rcqueue.server.config import Config
from rcqueue.server.interpreter import set_to_serve
async def main():
    await Server(Config(**json.loads(sys.argv[1]))).start()
    set_to_serve()
    await asyncio.Event().wait()
uvloop.run(main())
"""
_DISCARD = {"virtual_transport": "discard:"}


def run(*, quick: bool = False) -> list[Figure]:
    mails, rounds = QUICK if quick else (MAILS, ROUNDS)
    return asyncio.run(_run(mails, rounds))


async def _run(mails: int, rounds: int) -> list[Figure]:
    figures = []
    for name, measured, most in (("milter", _milters, MOST_MILTER), ("content filter", _filters, MOST_FILTER)):
        ours: list[float] = []
        theirs: list[float] = []
        async with measured() as (our_postfix, plain_postfix):
            for postfix in (our_postfix, plain_postfix):
                await _send(postfix, SESSIONS)  # each part has been started
            for at in range(rounds):
                turns = [(ours, our_postfix), (theirs, plain_postfix)]
                for taken, postfix in turns if at % 2 else reversed(turns):
                    taken.append(await _send(postfix, mails))
        ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
        rates = f"{mails * rounds / sum(ours):.0f} mails/s ours, {mails * rounds / sum(theirs):.0f} the plain one's"
        detail = f"median of {rounds} turns; {rates}, {SESSIONS} sessions"
        figures.append(Figure(f"plain {name}'s rate through Postfix over ours", ratio, "x", most, detail))
    return figures


async def _send(postfix: Postfix, mails: int) -> float:
    """Seconds until all of them have left the Postfix."""
    before, began = _delivered(postfix), time.perf_counter()
    command = ["/usr/sbin/smtp-source", "-s", str(SESSIONS), "-m", str(mails), "-l", str(SIZE), "-f", "a@x.example"]
    sent = await asyncio.create_subprocess_exec(*command, "-t", "bob@rcq.example", f"127.0.0.1:{postfix.port}")
    assert not await sent.wait()
    await comes(lambda: _delivered(postfix) - before >= mails, 120)
    return time.perf_counter() - began


def _delivered(postfix: Postfix) -> int:
    return postfix.log().count("relay=none, delay=")


@contextlib.asynccontextmanager
async def _milters() -> AsyncIterator[tuple[Postfix, Postfix]]:
    ours, plain = free_port(), free_port()
    async with _ours(milter={"listen": f"127.0.0.1:{ours}"}), _plain("plain_milter", plain):
        await comes(lambda: listen(ours, plain))
        async with _through_milter(ours) as first, _through_milter(plain) as second:
            yield first, second


def _through_milter(port: int) -> Postfix:
    return Postfix({**_DISCARD, "smtpd_milters": f"inet:127.0.0.1:{port}"})


@contextlib.asynccontextmanager
async def _filters() -> AsyncIterator[tuple[Postfix, Postfix]]:
    ours, behind_ours, plain, behind_plain = (free_port() for _ in range(4))
    config = {"listen": f"127.0.0.1:{ours}", "reinject": f"127.0.0.1:{behind_ours}"}
    async with _ours(filter=config), _plain("plain_filter", plain, behind_plain):
        await comes(lambda: listen(ours, plain))
        async with _through_filter(ours, behind_ours) as first, _through_filter(plain, behind_plain) as second:
            yield first, second


def _through_filter(port: int, behind: int) -> Postfix:
    master = (
        f"scan unix - - n - {SESSIONS} smtp -o smtp_send_xforward_command=yes\n"
        f"127.0.0.1:{behind} inet n - n - - smtpd -o content_filter= -o smtpd_authorized_xforward_hosts=127.0.0.0/8\n"
        "  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters\n"
    )
    return Postfix({**_DISCARD, "content_filter": f"scan:[127.0.0.1]:{port}"}, master)


@contextlib.asynccontextmanager
async def _ours(**tables: Any) -> AsyncIterator[None]:
    """The whole server in a process of its own, with no scanner."""
    with tempfile.TemporaryDirectory() as folder:
        config = {"data_dir": folder, "http": {"listen": f"127.0.0.1:{free_port()}"}, **tables}
        config["smtp"] = {"listen": f"127.0.0.1:{free_port()}", "trusted": ["127.0.0.1"]}
        async with process("-c", SERVE, json.dumps(config)):
            yield


def _plain(module: str, *ports: int) -> contextlib.AbstractAsyncContextManager[int]:
    return process("-m", f"benchmarks.{module}", *map(str, ports))


@contextlib.asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[int]:
    """Python with these arguments, until it is left; its id."""
    started = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    try:
        yield started.pid
    finally:
        if started.returncode is None:
            started.terminate()
        await started.wait()


async def listen(*ports: int) -> bool:
    for port in ports:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
    return True
