"""Notices, once and to those who opted in, whatever fails: each guard is needed, and without it this is seen."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rcqueue.demo.next_hop import Behaviour
from rcqueue.server.config import Notices as Settings
from rcqueue.server.marshal.notices import HandOver
from rcqueue.server.notices import held, sender
from rcqueue.server.store.writer import Decision

from .live import Live, mail
from .noticing import (
    arrived,
    kinds,
    noticing,
    notified,
    rows,
    settled,
    until,
)


async def loses_an_end(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice is sent, what became of it can't be written, and the sender looks again."""
    real, lost = sender.EndNotice, []

    def failing(*args: Any) -> Any:
        if not lost:
            lost.append(args)
            raise OSError("no space left")
        return real(*args)

    monkeypatch.setattr(sender, "EndNotice", failing)
    await live.send(mail(), "ada@sender.example", "carl@acme.example")
    await notified(live, "carl@acme.example")
    await until(lambda: lost)
    live.server.notices.wake()
    await settled(live)


async def test_what_became_of_one_is_not_known_so_it_is_not_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with noticing(tmp_path) as live:
        await loses_an_end(live, monkeypatch)
        assert len(arrived(live, "carl@acme.example")) == 1
        assert kinds(live)["notice.uncertain"] == 1


async def test_without_the_mark_before_the_dot_it_would_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(HandOver, "decide", lambda *_: Decision())
    async with noticing(tmp_path) as live:
        await loses_an_end(live, monkeypatch)
        assert len(arrived(live, "carl@acme.example")) == 2


async def test_once_a_day_is_held_by_the_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Though whoever looks for recipients believes that nobody was told, and several do at once."""
    monkeypatch.setattr(held, "_told", lambda *_: {})
    async with noticing(tmp_path) as live:
        await live.send(mail(), "ada@sender.example", "carl@acme.example")
        anna = live.api("anna")
        made = [(await anna.send_notices("acme.example", now=True)).made for _ in range(2)]
        made += [
            asked.made
            for asked in await asyncio.gather(*(anna.send_notices("acme.example", now=True) for _ in range(2)))
        ]
        await live.restart()
        assert (made, (await live.api("anna").send_notices("acme.example", now=True)).made) == ([1, 0, 0, 0], 0)
        await settled(live)
        assert len(arrived(live, "carl@acme.example")) == 1


async def test_without_the_opt_in_others_would_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Settings, "asked_for", lambda *_: True)
    async with noticing(tmp_path) as live:
        await live.send(mail(), "ada@sender.example", "x@elsewhere.example")
        assert await notified(live, "x@elsewhere.example")


async def test_one_that_cannot_be_written_does_not_keep_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = sender.digest

    def digest(letter: Any, *more: Any) -> bytes:
        if letter.to.startswith("bad"):
            raise RuntimeError("no such luck")
        return real(letter, *more)

    monkeypatch.setattr(sender, "digest", digest)
    async with noticing(tmp_path) as live:
        await live.send(mail(), "ada@sender.example", "bad@acme.example", "carl@acme.example")
        await notified(live, "carl@acme.example")
        await until(lambda: kinds(live).get("notice.retry") == 1)
        assert rows(live, "SELECT count(*) FROM notice_link WHERE recipient LIKE 'bad%'") == [(0,)]


async def test_a_stop_lets_one_under_way_end(tmp_path: Path):
    async with noticing(tmp_path) as live:
        live.next_hop.behaviour = lambda _: Behaviour(delay=0.7)
        await live.send(mail(), "ada@sender.example", "carl@acme.example")
        await live.api("anna").send_notices("acme.example", now=True)
        await until(lambda: rows(live, "SELECT count(*) FROM task WHERE payload LIKE '%handed_over%'") == [(1,)])
        await live.restart()
        (day,) = await live.api("anna").notices()
        assert (day.sent, day.uncertain, day.waiting) == (1, 0, 0)
