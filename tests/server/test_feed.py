"""The feed of the whole server: in order, with nothing missing; catching up, resync, rights, slow readers, presence."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import websockets

from rcqueue.client.feed import Closed, Connected, Entries, Feed, PresenceChanged, Resync
from rcqueue.model.act import ActBody, Verb
from rcqueue.model.mail import Receipt, from_us
from rcqueue.server import hub
from rcqueue.server.marshal.hold import Arrival
from rcqueue.server.reading.scan import scan

from .live import Live, mail


@pytest.fixture
async def live(tmp_path: Path):
    async with Live(tmp_path) as live:
        yield live


class Follower:
    """Follows a feed in the background and keeps what came."""

    def __init__(self, live: Live, name: str, **more: Any) -> None:
        self.feed = Feed(live.url, live.tokens[name], **more)
        self.events: list[Any] = []
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for event in self.feed.events():
            self.events.append(event)

    async def until(self, wanted: Any, seconds: float = 5) -> Any:
        async with asyncio.timeout(seconds):
            while True:
                if found := [e for e in self.events if wanted(e)]:
                    return found[-1]
                await asyncio.sleep(0.005)

    def entries(self) -> list[Any]:
        return [entry for event in self.events if isinstance(event, Entries) for entry in event.entries]

    async def kind(self, kind: str) -> Any:
        await self.until(lambda e: isinstance(e, Entries) and any(x.kind == kind for x in e.entries))
        return next(x for x in self.entries() if x.kind == kind)

    async def ready(self) -> Follower:
        await self.until(lambda e: isinstance(e, Entries))
        return self

    async def close(self) -> None:
        await self.feed.close()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_what_is_done_is_announced_with_the_row_and_the_actor(live: Live):
    otis = await Follower(live, "otis").ready()
    (message,) = await live.send(mail("Hello there"))
    held = await otis.kind("mail.hold")
    assert held.row.subject == "Hello there" and held.message == message and held.actor == "system"
    await live.api("ben").act(message, Verb.CLAIM)
    claimed = await otis.kind("mail.claim")
    assert claimed.actor == "ben" and claimed.row.claim.who == "ben" and claimed.mails[0].claim.fence == claimed.seq
    await live.api("ben").act(message, Verb.NOTE, ActBody(note="looks fine"))
    assert (await otis.kind("mail.note")).note == "looks fine"
    await otis.close()


async def test_numbers_follow_each_other_from_any_point_on(live: Live):
    for n in range(30):
        await live.send(mail(f"n{n}"))
    head = live.server.hub.head
    follower = await Follower(live, "ben", since=0).ready()
    last = await follower.until(lambda e: isinstance(e, Entries) and e.to >= head)
    assert isinstance(follower.events[0], Connected)
    spans = [(e.from_, e.to) for e in follower.events if isinstance(e, Entries)]
    assert spans[0][0] == 1 and all(b[0] == a[1] + 1 for a, b in itertools.pairwise(spans)), spans
    assert last.to == live.server.hub.head
    assert sum(e.kind == "mail.hold" for e in follower.entries()) == 30
    await follower.close()


async def test_a_reader_gets_everything_that_is_committed_while_it_comes_and_goes(live: Live):
    stop = asyncio.Event()

    async def feed_mail() -> int:
        sent = 0
        while not stop.is_set():
            await live.send(mail(f"n{sent}"))
            sent += 1
        return sent

    sending = asyncio.create_task(feed_mail())
    followers = []
    for _ in range(10):
        followers.append(Follower(live, "ben", since=0))
        await asyncio.sleep(0.05)
    stop.set()
    sent = await sending
    head = live.server.hub.head
    for follower in followers:
        await follower.until(lambda e: isinstance(e, Entries) and e.to >= head)
        assert [e.row.subject for e in follower.entries() if e.kind == "mail.hold"] == [f"n{i}" for i in range(sent)]
        await follower.close()


async def test_one_who_lags_gets_the_latest_of_each_message_only(live: Live, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "LAGS", 5)
    (message,) = await live.send(mail())
    before = live.server.hub.head
    ben = live.api("ben")
    seqs = [(await ben.act(message, Verb.EXTEND)).seq for _ in range(10)]
    while live.server.hub.head < seqs[-1]:
        await asyncio.sleep(0.005)
    follower = Follower(live, "otis", since=before)
    event = await follower.until(lambda e: isinstance(e, Entries) and e.to >= seqs[-1])
    assert event.latest and len(event.entries) == 1
    await follower.close()


async def test_too_far_behind_or_another_journal_means_resync(live: Live, monkeypatch: pytest.MonkeyPatch):
    await live.send(mail())
    other = Follower(live, "ben", since=0, journal="a restored backup")
    assert (await other.until(lambda e: isinstance(e, Resync))).at == live.server.hub.head
    await other.close()
    monkeypatch.setattr(hub, "REPLAY", 2)
    behind = Follower(live, "ben", since=0)
    await behind.until(lambda e: isinstance(e, Resync))
    await behind.close()


async def test_a_lock_is_told_and_a_disabled_account_is_cut(live: Live):
    follower = await Follower(live, "ben").ready()
    anna = live.api("anna")
    await anna.change_person("ben", "lock", {"lock": "bodies"})
    await follower.kind("people.lock")
    await anna.change_person("ben", "disable")
    closed = await follower.until(lambda e: isinstance(e, Closed), 2)
    assert closed.code == 4401
    await follower.close()


async def test_what_one_may_not_see_is_not_in_the_feed(tmp_path: Path):
    customers = [{"path": "acme", "domains": ["acme.example"]}, {"path": "bank", "domains": ["bank.example"]}]
    async with Live(tmp_path, customers=customers) as live:
        anna = live.api("anna")
        await anna.change_person("ben", "grant", {"role": "operator", "customer": "acme"})
        await anna.change_person("ben", "revoke", {"role": "operator", "customer": "all"})
        follower = await Follower(live, "ben").ready()
        await live.send(mail("for the bank"), "a@b.example", "x@bank.example")
        await live.send(mail("for acme"), "a@b.example", "x@sub.acme.example")
        held = await follower.kind("mail.hold")
        assert held.row.subject == "for acme" and held.row.customer == "acme"
        assert [row.subject for row in (await live.api("ben").page()).rows] == ["for acme"]
        await follower.close()


async def test_a_reader_that_takes_nothing_is_cut_and_costs_the_others_nothing(
    live: Live, monkeypatch: pytest.MonkeyPatch
):
    from rcqueue.server.routes import feed as route

    monkeypatch.setattr(route, "SLOW", 1.0)
    url = live.url.replace("http", "ws") + "/api/v1/feed"
    headers = {"Authorization": f"Bearer {live.tokens['otis']}"}
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", live.config.http.listen.port))
    options = {"ping_interval": None, "max_queue": 1, "compression": None}
    stuck = await websockets.connect(url, additional_headers=headers, sock=narrow, **options)
    await stuck.send(json.dumps({"subscribe": {"queue": "main", "journal": None, "since": 0}}))
    follower = await Follower(live, "ben").ready()
    await _hold_wide_messages(live, 15)
    last = await follower.until(lambda e: isinstance(e, Entries) and e.to >= live.server.hub.head)
    assert last
    async with asyncio.timeout(10):
        while len(live.server.hub) > 1:
            await asyncio.sleep(0.05)
    await follower.close()
    stuck.transport.abort()


async def _hold_wide_messages(live: Live, count: int) -> None:
    """Messages to a thousand recipients each: entries of some 100 KB."""
    raw = mail("wide")
    recipients = tuple(f"r{i}@example.org" for i in range(1000))
    for _ in range(count):
        receipt = Receipt(at=from_us(live.server.marshal.clock.now()))
        await live.server.marshal.hold([Arrival("all", "a@b.example", recipients, raw, scan(raw), receipt)])


async def test_presence_is_told_to_those_who_may_see_the_mail(live: Live):
    (message,) = await live.send(mail())
    ben, otis = await Follower(live, "ben").ready(), await Follower(live, "otis").ready()
    await ben.feed.send_presence(message, "headers")
    event = await otis.until(lambda e: isinstance(e, PresenceChanged))
    assert [(p.who, p.message, p.pane) for p in event.presence] == [("ben", message, "headers")]
    await ben.close()
    gone = await otis.until(lambda e: isinstance(e, PresenceChanged) and e.presence[0].message is None)
    assert gone.presence[0].who == "ben"
    await otis.close()


async def test_long_poll_gives_the_same_and_waits(live: Live):
    ben = live.api("ben")
    head = live.server.hub.head
    waiting = asyncio.create_task(ben.entries(head, 20))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await live.send(mail("polled"))
    part = await asyncio.wait_for(waiting, 5)
    assert (part.from_, part.to) == (head + 1, head + 1) and part.entries[0].row.subject == "polled"
    empty = await ben.entries(part.to, 0)
    assert (empty.from_, empty.to, empty.entries) == (part.to + 1, part.to, [])


async def test_a_wrong_first_frame_and_no_token_are_told(live: Live):
    url = live.url.replace("http", "ws") + "/api/v1/feed"
    async with websockets.connect(url) as socket:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
    headers = {"Authorization": f"Bearer {live.tokens['ben']}"}
    async with websockets.connect(url, additional_headers=headers) as socket:
        await socket.recv()
        await socket.send('{"subscribe": {"since": "yesterday"}}')
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4400
