"""Mails a second through a real spamd of four children: as our scanner asks it, and as spamc clients do, in turns."""

from __future__ import annotations

import asyncio
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from benchmarks.figures import Figure
from rcqueue.server.config import Config
from rcqueue.server.scan.base import ScanEnvelope
from rcqueue.server.scan.judge import Judge
from tests.realparts import spamd
from tests.scan.mails import mail, raw

CHILDREN, MAILS, ROUNDS = 4, 200, 10
QUICK = 8, 2
MOST = 1 / 0.9  #: times ours: spamc may be no more than this
_TEXT = (
    "Hi Bob, here are the numbers of week {n}. The old array stays as a cold spare until the audit is over.\n"
    "Please look at section {n} and tell me by Friday whether the {n} units are what you ordered.\n"
) * 8


def run(*, quick: bool = False) -> list[Figure]:
    mails, rounds = QUICK if quick else (MAILS, ROUNDS)
    messages = [raw(mail(_TEXT.format(n=n), f"Numbers of week {n}")) for n in range(mails)]
    ours: list[float] = []
    theirs: list[float] = []
    with spamd.running(CHILDREN) as server:
        _spamc(server.port, messages[:CHILDREN])  # each child has scanned one
        for at in range(rounds):
            some = messages[at::rounds]
            turns = [
                lambda some=some: ours.append(asyncio.run(_judge(server.port, some))),
                lambda some=some: theirs.append(_spamc(server.port, some)),
            ]
            for take in turns if at % 2 else reversed(turns):
                take()
    ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
    rates = f"{mails / sum(ours):.1f} mails/s ours, {mails / sum(theirs):.1f} spamc's"
    detail = f"median of {rounds} turns; {rates}, {mails} mails each"
    return [Figure(f"spamc clients' rate over ours, {CHILDREN} spamd children", ratio, "x", MOST, detail)]


async def _judge(port: int, messages: list[bytes]) -> float:
    """Seconds for all of them, as many at once as there are children."""
    scanner = {"type": "spamassassin", "address": f"127.0.0.1:{port}", "pool": CHILDREN, "timeout": "300s"}
    judge = Judge(Config(data_dir="unused", scanner=[scanner]))
    envelope = ScanEnvelope("carol@partner.example", ("bob@example.org",))
    began = time.perf_counter()
    judged = await asyncio.gather(*(judge.judge(message, envelope) for message in messages))
    took = time.perf_counter() - began
    await judge.close()
    assert all(one.results[0].rules and one.results[0].error is None for one in judged)
    return took


def _spamc(port: int, messages: list[bytes]) -> float:
    def ask(message: bytes) -> bool:
        command = ["spamc", "-d", "127.0.0.1", "-p", str(port), "--headers", "-x"]
        done = subprocess.run(command, input=message, capture_output=True, check=True, timeout=300)
        return b"X-Spam-Status" in done.stdout

    with ThreadPoolExecutor(CHILDREN) as clients:
        began = time.perf_counter()
        answered = list(clients.map(ask, messages))
        took = time.perf_counter() - began
    assert all(answered)
    return took
