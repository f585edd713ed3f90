"""The feed against a server that breaks off, skips, repeats and falls silent: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pytest

from rcqueue.client import feed as module
from rcqueue.client.feed import Closed, Connected, Entries, Event, Feed, Lost, PresenceChanged, Resync
from rcqueue.client.session import SessionError

from .standin import TOKEN, StandIn, refuses


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(module, "_LAST_PAUSE", 0.1)


class Reader:
    """Reads a feed in the background and keeps what it gave."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.events: list[Event] = []
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self.feed.events():
            self.events.append(event)

    @property
    def seqs(self) -> list[int]:
        return [entry.seq for event in self.events if isinstance(event, Entries) for entry in event.entries]

    def of(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, true: Callable[[], object], seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.005)

    async def ended(self) -> None:
        await asyncio.wait_for(self._task, 5)

    async def stop(self) -> None:
        await self.feed.close()
        await self.ended()


@pytest.fixture
async def reader(standin: StandIn) -> AsyncIterator[Reader]:
    reader = Reader(Feed(standin.url, TOKEN))
    await reader.until(lambda: reader.of(Entries))
    yield reader
    await reader.stop()


async def test_starts_at_the_head_and_goes_on(standin: StandIn) -> None:
    standin.append(3)
    reader = Reader(Feed(standin.url, TOKEN))
    await reader.until(lambda: reader.of(Entries))
    standin.append(2)
    await reader.until(lambda: len(reader.seqs) == 2)
    await reader.stop()
    assert reader.seqs == [4, 5]
    assert isinstance(reader.events[0], Connected)
    assert reader.events[0].hello.server == "9.9"
    assert not reader.of(Lost)
    assert standin.said[0] == {"subscribe": {"queue": "main", "journal": None, "since": None}}


async def test_catches_up_after_the_server_was_gone(standin: StandIn, reader: Reader) -> None:
    standin.append(2)
    await reader.until(lambda: len(reader.seqs) == 2)
    standin.stop()
    await reader.until(lambda: reader.of(Lost))
    standin.append(40)
    standin.start()
    standin.append(1)
    await reader.until(lambda: len(reader.seqs) == 43)
    assert reader.seqs == list(range(1, 44))
    assert standin.said[-1] == {"subscribe": {"queue": "main", "journal": "J1", "since": 2}}
    kinds = [type(event) for event in reader.events if not isinstance(event, Entries)]
    assert kinds[0] is kinds[-1] is Connected
    assert set(kinds[1:-1]) == {Lost}


async def test_begins_before_the_server_does() -> None:
    standin = StandIn()
    reader = Reader(Feed(standin.url, TOKEN, since=0, journal="J1"))
    await reader.until(lambda: len(reader.of(Lost)) >= 3)
    standin.append(2)
    standin.start()
    try:
        await reader.until(lambda: len(reader.seqs) == 2)
    finally:
        await reader.stop()
        standin.stop()
    losses = [event for event in reader.events if isinstance(event, Lost)]
    assert [loss.attempt for loss in losses] == list(range(1, len(losses) + 1))
    assert {loss.why for loss in losses} == {"connection refused"}
    assert len({loss.at for loss in losses}) == 1, "since when, not of the last try"


async def test_attempts_count_from_one_again_once_it_was_back(standin: StandIn, reader: Reader) -> None:
    for _ in range(3):
        before = len(reader.of(Connected))
        standin.kick = 1012
        await reader.until(lambda before=before: len(reader.of(Connected)) > before)
        standin.append(1)
        await reader.until(lambda: len(reader.seqs) == len(standin.entries))
    assert [event.attempt for event in reader.events if isinstance(event, Lost)] == [1, 1, 1]


def test_pauses_grow_to_eight_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.5)
    monkeypatch.setattr(module, "_LAST_PAUSE", 8.0)
    assert [module._pause(n) for n in (1, 2, 3, 4, 5, 6, 500)] == [0.5, 1, 2, 4, 8, 8, 8]


@pytest.mark.parametrize(
    "mangled",
    [
        pytest.param(lambda frame: [], id="skipped"),
        pytest.param(lambda frame: [frame, frame], id="twice"),
        pytest.param(lambda frame: [{**frame, "from": frame["from"] + 1}], id="from too high"),
        pytest.param(lambda frame: [{**frame, "from": frame["from"] - 1}], id="from too low"),
        pytest.param(lambda frame: [{**frame, "to": frame["to"] - 5}], id="backwards"),
        pytest.param(lambda frame: [{**frame, "entries": [{**frame["entries"][0], "seq": 99}]}], id="outside"),
        pytest.param(lambda frame: [{"from": frame["from"]}, {**frame, "entries": 7}], id="unreadable"),
        pytest.param(lambda frame: [{**frame, "to": None}], id="no number"),
    ],
)
async def test_a_frame_out_of_order_is_not_taken(standin: StandIn, reader: Reader, mangled: object) -> None:
    standin.append(1)
    await reader.until(lambda: reader.seqs == [1])
    standin.mangle = mangled  # type: ignore[assignment]
    standin.append(2)
    await asyncio.sleep(0.05)
    standin.mangle = lambda frame: [frame]
    standin.append(2)
    await reader.until(lambda: len(reader.seqs) >= 5)
    assert reader.seqs == [1, 2, 3, 4, 5]
    assert reader.of(Lost), "the gap was noticed"


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_lost_and_nothing_twice_whatever_breaks(standin: StandIn, seed: int) -> None:
    """200 entries while frames are dropped, repeated and cut, and the connection is closed, at random."""
    chance = random.Random(seed)

    def mangle(frame: dict) -> list[dict]:
        return chance.choice([[frame]] * 6 + [[], [frame, frame], [{**frame, "from": frame["from"] + 1}]])

    standin.mangle = mangle
    reader = Reader(Feed(standin.url, TOKEN, since=0, journal="J1"))
    for _ in range(40):
        standin.append(5)
        await asyncio.sleep(0.01)
        if chance.random() < 0.2:
            standin.kick = chance.choice([1012, 4408, 1006 - 5])
    standin.mangle = lambda frame: [frame]
    await reader.until(lambda: standin.append(1) or (len(reader.seqs) >= 200), 10)
    await reader.stop()
    assert reader.seqs == list(range(1, len(reader.seqs) + 1))
    assert reader.of(Lost)


async def test_a_new_journal_means_resync(standin: StandIn, reader: Reader) -> None:
    standin.append(3)
    await reader.until(lambda: len(reader.seqs) == 3)
    standin.journal = "J2"
    standin.entries = standin.entries[:1]
    standin.kick = 1012
    await reader.until(lambda: reader.of(Resync))
    standin.append(1)
    await reader.until(lambda: len(reader.seqs) == 4)
    assert reader.of(Resync) == [Resync(1)]
    assert reader.seqs == [1, 2, 3, 2]
    assert reader.feed.journal == "J2"


async def test_answers_pings_saying_how_long_no_key_was_pressed(standin: StandIn) -> None:
    standin.ping = 1
    reader = Reader(Feed(standin.url, TOKEN, idle=lambda: 41.6))
    await reader.until(lambda: {"pong": 1, "idle": 42} in standin.said)
    await reader.stop()


async def test_silence_is_a_lost_connection(standin: StandIn) -> None:
    standin.ping = 1
    standin.mute = True
    reader = Reader(Feed(standin.url, TOKEN))
    await reader.until(lambda: reader.of(Lost))
    await reader.stop()
    assert reader.of(Lost)[0].why == "nothing heard for 2 s"


@pytest.mark.parametrize("code", [4401, 4403, 4426])
async def test_close_codes_that_are_final(standin: StandIn, reader: Reader, code: int) -> None:
    standin.kick = code
    await reader.ended()
    assert isinstance(reader.events[-1], Closed)
    assert reader.events[-1].code == code
    assert reader.events[-1].why
    assert not reader.of(Lost)


async def test_too_slow_is_not_final(standin: StandIn, reader: Reader) -> None:
    standin.kick = 4408
    await reader.until(lambda: len(reader.of(Connected)) == 2)
    assert "slow" in reader.of(Lost)[0].why


@pytest.mark.parametrize(("status", "code"), [(401, 4401), (403, 4403), (426, 4426)])
async def test_an_upgrade_refused_is_final(standin: StandIn, status: int, code: int) -> None:
    standin.refuse = status
    reader = Reader(Feed(standin.url, TOKEN))
    await reader.ended()
    assert [type(event) for event in reader.events] == [Closed]
    assert reader.events[0].code == code


async def test_a_server_that_is_only_ill_is_tried_again(standin: StandIn) -> None:
    standin.refuse = 503
    reader = Reader(Feed(standin.url, TOKEN))
    await reader.until(lambda: reader.of(Lost))
    standin.refuse = 0
    await reader.until(lambda: reader.of(Entries))
    await reader.stop()
    assert reader.of(Lost)[0].why == "the server answered 503"


async def test_a_wrong_token_is_final(standin: StandIn) -> None:
    reader = Reader(Feed(standin.url, "another"))
    await reader.ended()
    assert reader.events == [Closed(4401, "the token is not known")]


async def test_another_version_of_the_protocol_is_final(standin: StandIn) -> None:
    standin.hello = {"api": 2}
    reader = Reader(Feed(standin.url, TOKEN))
    await reader.ended()
    assert [event.code for event in reader.events if isinstance(event, Closed)] == [4426]
    assert "version 2" in reader.events[-1].why


async def test_presence_is_told_once_and_again_after_a_reconnect(standin: StandIn, reader: Reader) -> None:
    def told() -> list[dict]:
        return [said["presence"] for said in standin.said if "presence" in said]

    here = {"message": "0000000000001", "pane": "headers"}
    await reader.feed.send_presence("0000000000001", "headers")
    await reader.feed.send_presence("0000000000001", "headers")
    await reader.until(lambda: told() == [here])
    standin.kick = 1012
    await reader.until(lambda: told() == [here, here])


async def test_presence_of_others_and_hostile_text(standin: StandIn, reader: Reader) -> None:
    evil = "\x1b]0;pwned\x07\u202eabc"
    standin.mangle = lambda frame: [{"presence": [{"who": evil, "message": None}]}, frame, {"a later kind": 1}]
    standin.append(1, actor=evil, note=evil)
    await reader.until(lambda: reader.seqs == [1])
    shown = [reader.of(PresenceChanged)[0].presence[0].who]
    shown += [text for event in reader.of(Entries) for entry in event.entries for text in (entry.actor, entry.note)]
    assert len(shown) == 3
    assert all("abc" in text and text.isprintable() and "\u202e" not in text for text in shown)


async def test_a_redirect_is_not_followed(standin: StandIn) -> None:
    from fastapi import Response

    other = StandIn()
    other.start()
    try:
        standin.refuse = 302
        original = Response.__init__

        def redirecting(self: Response, *args: object, **options: object) -> None:
            original(self, *args, **options)
            self.headers["Location"] = other.url + "/api/v1/feed"

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Response, "__init__", redirecting)
            reader = Reader(Feed(standin.url, TOKEN))
            await reader.until(lambda: reader.of(Lost))
            await reader.stop()
        assert reader.of(Lost)[0].why == "the server answered 302"
        assert not other.said
    finally:
        other.stop()


async def test_close_while_it_waits_to_reconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 60)
    reader = Reader(Feed(refuses(), TOKEN))
    await reader.until(lambda: reader.of(Lost))
    await reader.stop()
    assert len(reader.of(Lost)) == 1


async def test_no_proxy_from_the_environment(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "ws_proxy", "all_proxy"):
        monkeypatch.setenv(name, refuses())
    reader = Reader(Feed(standin.url, TOKEN))
    await reader.until(lambda: reader.of(Entries))
    await reader.stop()


def test_a_token_never_goes_in_clear_to_another_host() -> None:
    with pytest.raises(SessionError, match="in clear"):
        Feed("http://mail.example", TOKEN)
