"""Acts on many through the whole server: a release of 14,000 through a real Postfix, and a delete of 850,000, while
colleagues work the same queue."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from benchmarks.figures import Figure
from benchmarks.held import fill
from benchmarks.ways_in import SERVE, listen, process
from rcqueue.client.api import Api
from rcqueue.model.access import ROOT, Grant
from rcqueue.model.act import ActProgress, ActRequest, Verb
from rcqueue.server.identity.sessions import token_hash
from rcqueue.server.marshal import Marshal, Terms
from rcqueue.server.marshal.people import ChangePerson, FirstAdmin, StartSession
from rcqueue.server.store.clock import Clock
from rcqueue.server.store.database import Database
from rcqueue.server.store.writer import Writer
from tests.realparts.postfix import Postfix, comes, free_port

RELEASED, DELETED = 14_000, 850_000
QUICK = 200, 2_000
SESSIONS = 10  #: as the server has without being told
COLLEAGUES, EACH = 3, 10.0  #: acts a second
ALONE = 20.0  #: seconds in which colleagues work before the act begins
OWN = 60  #: mails that a colleague works on, and no act
DOMAIN = "customer.example"
_DISCARD = {"virtual_transport": "discard:", "virtual_mailbox_domains": DOMAIN, "virtual_mailbox_maps": "static:all/"}


def run(*, quick: bool = False) -> list[Figure]:
    released, deleted = QUICK if quick else (RELEASED, DELETED)
    return [*asyncio.run(_release(released, quick)), *asyncio.run(_delete(deleted, quick))]


# -- the queue, and who works on it


async def _people(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Accounts in a queue that nobody serves; a token each."""
    database = Database(folder / "data", synchronous="OFF")
    clock = Clock()
    writer = Writer(database, clock)
    marshal = Marshal(database, writer, clock, Terms())
    tokens, by = [], 0
    try:
        for name in names:
            grants = (Grant("admin", ROOT),)
            if not by:
                account = await marshal.do(FirstAdmin(name, "no hash", 0))
            else:
                account = await marshal.do(ChangePerson(by, "create", name, grants, password="no hash"))
            tokens.append(secrets.token_urlsafe(16))
            start = StartSession(account, token_hash(tokens[-1]), "token", "bench", 86_400_000_000, 0)
            session = (await marshal.do(start))["id"]
            by = by or session
    finally:
        await marshal.close()
        writer.close()
        database.close()
    return tokens


@dataclass
class Colleague:
    """Claims a mail and gives it back, again and again, at a steady pace; how long each took."""

    api: Api
    mails: list[str]
    took: list[tuple[float, float]] = field(default_factory=list)  #: when it began, seconds

    async def work(self) -> None:
        at, n = time.perf_counter(), 0
        while True:
            id, verb = self.mails[n // 2 % len(self.mails)], (Verb.CLAIM, Verb.UNCLAIM)[n % 2]
            began = time.perf_counter()
            await self.api.act(id, verb)
            self.took.append((began, time.perf_counter() - began))
            n += 1
            at = max(at + 1 / EACH, time.perf_counter() - 0.5)  # who was kept waiting does not hurry
            await asyncio.sleep(max(0.0, at - time.perf_counter()))


@contextlib.asynccontextmanager
async def _at_work(url: str, tokens: list[str]) -> AsyncIterator[list[Colleague]]:
    apis = [Api(url, token) for token in tokens]
    rows = [row.id for row in (await apis[0].page("from:colleagues.example", limit=len(apis) * OWN)).rows]
    people = [Colleague(api, rows[n :: len(apis)]) for n, api in enumerate(apis)]
    tasks = [asyncio.create_task(person.work()) for person in people]
    try:
        yield people
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for api in apis:
            await api.close()
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended


def p99(people: list[Colleague], since: float, until: float) -> tuple[float, int]:
    """(ms, of how many acts) in a span of time."""
    took = [1000 * s for person in people for began, s in person.took if since <= began < until]
    return quantiles(took, n=100, method="inclusive")[-1], len(took)


async def _hold(port: int) -> None:
    """The mails that colleagues work on, in by SMTP."""
    command = ["/usr/sbin/smtp-source", "-m", str(COLLEAGUES * OWN), "-l", "2000", "-f", "a@colleagues.example"]
    sent = await asyncio.create_subprocess_exec(*command, "-t", f"b@{DOMAIN}", f"127.0.0.1:{port}")
    assert not await sent.wait()


async def _wait(api: Api, act: ActProgress) -> ActProgress:
    while (act := await api.act_progress(act.id)).state == "running":
        await asyncio.sleep(0.2)
    return act


@contextlib.asynccontextmanager
async def _serving(folder: Path, hop: int, recall: str = "10s") -> AsyncIterator[tuple[str, int, int]]:
    """The whole server in a process of its own: its URL, its SMTP port, its process id."""
    http, smtp = free_port(), free_port()
    config = {
        "data_dir": str(folder / "data"),
        "http": {"listen": f"127.0.0.1:{http}"},
        "smtp": {"listen": f"127.0.0.1:{smtp}"},
        "hold": {"recall": recall},
        "next_hop": {"default": f"127.0.0.1:{hop}", "sessions": SESSIONS},
    }
    async with process("-c", SERVE, json.dumps(config)) as pid:
        await comes(lambda: listen(http, smtp), 60)
        yield f"http://127.0.0.1:{http}", smtp, pid


# -- a release


async def _release(count: int, quick: bool) -> list[Figure]:
    recall = "1s" if quick else "10s"
    with tempfile.TemporaryDirectory(prefix="rcqueue-bench-") as name:
        folder = Path(name)
        fill(folder, count)
        tokens = await _people(folder, ("anna", "ben", "carl", "dora"))
        async with Postfix(_DISCARD) as postfix, _serving(folder, postfix.port, recall) as (url, smtp, _):
            await _hold(smtp)
            async with _at_work(url, tokens[1:]) as people:
                anna = Api(url, tokens[0])
                await asyncio.sleep(2 if quick else ALONE)
                act = await anna.store_act(ActRequest(verb=Verb.RELEASE, query="from:sender.example"))
                assert act.count == count
                began = time.perf_counter()
                await anna.confirm_act(act.id, count)
                await comes(lambda: _ended(folder, count), 300)
                ended = time.perf_counter()
                await anna.close()
            first, last = _sent(folder)
            taken = await _smtp_source(postfix, count)
        alone, quiet = p99(people, 0, began)
        beside, busy = p99(people, began, ended)
        rate, theirs = count / (last - first), count / taken
        rates = f"{theirs:.0f} and {rate:.0f} mails/s, {SESSIONS} sessions"
        acts = f"{busy} acts; alone {alone:.1f} ms, {quiet} acts"
        return [
            Figure(f"a release of {count:,} through Postfix, confirmed to sent", ended - began, "s", 60),
            Figure("smtp-source's rate over ours", theirs / rate, "x", 1 / 0.6, rates),
            Figure("a colleague's act meanwhile, p99", beside, "ms", 150, acts),
            Figure("the same over what it is alone", beside / alone, "x", 4),
        ]


def _ended(folder: Path, count: int) -> bool:
    return bool(_query(folder, "SELECT coalesce(sum(n), 0) FROM tally WHERE status = 'RELEASED'") >= count)


def _sent(folder: Path) -> tuple[float, float]:
    """When the first attempt began and the last one ended."""
    first = _query(folder, "SELECT min(started) FROM attempt")
    return first / 1e6, _query(folder, "SELECT max(finished) FROM attempt") / 1e6


def _query(folder: Path, statement: str) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{folder}/data/queue.db?mode=ro", uri=True)) as database:
        return int(database.execute(statement).fetchone()[0])


async def _smtp_source(postfix: Postfix, count: int) -> float:
    """Seconds that Postfix's own client takes to send as many, of the same size."""
    command = ["/usr/sbin/smtp-source", "-d", "-s", str(SESSIONS), "-m", str(count), "-l", "700", "-f", "a@x.example"]
    began = time.perf_counter()
    sent = await asyncio.create_subprocess_exec(*command, "-t", f"bob@{DOMAIN}", f"127.0.0.1:{postfix.port}")
    assert not await sent.wait()
    return time.perf_counter() - began


# -- a delete


async def _delete(count: int, quick: bool) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="rcqueue-bench-") as name:
        folder = Path(name)
        fill(folder, count)
        return await delete_of(folder, count, quick)


async def delete_of(folder: Path, count: int, quick: bool) -> list[Figure]:
    """The figures of a delete of `count` mails in a folder that has them."""
    tokens = await _people(folder, ("anna", "ben", "carl", "dora"))
    async with _serving(folder, free_port()) as (url, smtp, pid):
        await _hold(smtp)
        async with _at_work(url, tokens[1:]) as people:
            anna = Api(url, tokens[0])
            await asyncio.sleep(2 if quick else ALONE)
            began = time.perf_counter()
            act = await _chosen(anna)
            assert act.count == count
            stored, memory = time.perf_counter(), [_memory(pid)]
            await anna.confirm_act(act.id, count)
            watch = asyncio.create_task(_watch(pid, memory))
            while (act := await anna.act_progress(act.id)).tried < count / 2:
                await asyncio.sleep(0.2)
            asked = time.perf_counter()
            stopped = await anna.stop_act(act.id)
            took = time.perf_counter() - asked
            assert (await anna.act_progress(act.id)).tried == stopped.tried, "it was stopped, and goes on"
            rest = await _chosen(anna)
            assert rest.count == count - stopped.done
            rest = await _wait(anna, await anna.confirm_act(rest.id, rest.count))
            assert rest.done == rest.count
            ended = time.perf_counter()
            watch.cancel()
            await anna.close()
    alone, quiet = p99(people, 0, began)
    beside, busy = p99(people, began, ended)
    said = f"stored in {stored - began:.0f} s, done in {ended - stored:.0f} s"
    early, late = memory[len(memory) // 5], max(memory[len(memory) // 5 :])
    acts = f"{busy} acts; alone {alone:.1f} ms, {quiet} acts"
    grown = f"{memory[0]:.0f} MB before, {early:.0f} early, {late:.0f} at most"
    return [
        Figure(f"a colleague's act beside a delete of {count:,}, p99", beside, "ms", 50, acts),
        Figure("the same over what it is alone", beside / alone, "x", 3),
        Figure("a delete of many stops after", took, "s", 1, said),
        Figure("the server's memory, its growth meanwhile", late - early, "MB", 32, grown),
    ]


async def _chosen(api: Api) -> ActProgress:
    """A delete of all, stored."""
    act = await api.store_act(ActRequest(verb=Verb.DELETE, query="from:sender.example"))
    while act.state == "selecting":
        await asyncio.sleep(0.2)
        act = await api.act_progress(act.id)
    return act


async def _watch(pid: int, memory: list[float]) -> None:
    while True:
        await asyncio.sleep(0.5)
        memory.append(_memory(pid))


def _memory(pid: int) -> float:
    """MB that a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6
