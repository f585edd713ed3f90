"""Random keys at random rates while the feed runs: each act hits the mail that stood under the cursor at its key.

The real application on a server in memory. What stands under the cursor is read off the screen, by the address that
each mail alone has, when the key's action begins; what is acted on is what reaches the server. 100,000 keys with
RCQUEUE_FULL.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest
from textual import events
from textual.keys import _character_to_key

from rcqueue.client.feed import Connected, Lost, Resync
from rcqueue.model.act import ActBody, ActRequest
from rcqueue.model.journal import Hello
from rcqueue.model.mail import Status
from rcqueue.screens.acting import Acting, Target
from rcqueue.screens.message import MessageScreen
from rcqueue.screens.queue import QueueScreen
from tests.fakes import NOW, Message, Store
from tests.screens.terminal import Terminal, terminal

KEYS = 100_000 if os.environ.get("RCQUEUE_FULL") else 3_000
ROUND = 500  #: keys in one queue
_MOVES = ["j"] * 12 + ["k"] * 8 + ["space", "pageup", "g", "G", "home", "end", "ctrl+f", "ctrl+b"]
_ACTS = ["c", "C", "r", "r", "d", "d", "x", "n", "t", "u", "R", "s", "ctrl+r", "ctrl+d"]
_VIEW = [
    "v",
    "v",
    "V",
    "asterisk",
    "tab",
    "shift+tab",
    "p",
    "o",
    "S",
    "z",
    "apostrophe",
    "f",
    "y",
    "left_square_bracket",
]
_OPEN = ["enter", "e", "escape", "escape", "q", "J", "K"]
_TYPED = [*"123 y", "enter", "enter", *["escape"] * 6, "backspace", "slash", "minus"]
_ALL = _MOVES * 2 + _ACTS * 3 + _VIEW + _OPEN + _TYPED

#: What stood under the cursor when the key came whose work this is: a message's number; None: nothing, or on no screen.
_seen: ContextVar[int | None] = ContextVar("seen", default=None)


class Watch:
    """Compares what was seen with what the server is asked to do."""

    def __init__(self, t: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        self.t = t
        self.acts = 0
        self.many = 0
        self.wrong: list[str] = []
        self.marked: set[int] = set()  # what was seen when it was marked
        self.all_marked = False
        self.released: set[int] = set()
        for screen in (QueueScreen, MessageScreen):
            monkeypatch.setattr(screen, "action_do", self._watched(screen.action_do))
        act, store_act = t.api.act, t.api.store_act
        monkeypatch.setattr(t.api, "act", self._compared(act))
        monkeypatch.setattr(t.api, "store_act", self._compared_many(store_act))

    def _watched(self, do: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
        def action_do(screen: Any, name: str) -> None:
            seen = self.seen()
            _seen.set(seen)
            if name == "view.select" and seen is not None and isinstance(screen, QueueScreen):
                self.marked.add(seen)
            do(screen, name)

        return action_do

    def seen(self) -> int | None:
        """The number in the address that stands under the cursor, or that the open mail is titled with."""
        lines = self.t.shown
        if isinstance(self.t.app.screen, MessageScreen):
            found = re.search(r"m(\d+)@x\.example", lines[1])
        else:
            left = self.t.app.queue.table.region.x  # of the list: facets stand beside it
            row = next((line[left:] for line in lines[3:] if line[left:].startswith(">")), "")
            found = re.search(r"m(\d+)@x\.example", row)
        return int(found[1]) if found else None

    def number(self, id: str) -> int:
        found = re.search(r"\d+", self.t.store.messages[id[:13]].sender)
        assert found is not None
        return int(found[0])

    def _compared(self, act: Any) -> Any:
        async def compared(id: str, verb: str, body: ActBody | None = None, **more: Any) -> Any:
            self.acts += 1
            number, seen = self.number(id), _seen.get()
            last = verb == "recall" and number in self.released  # what was just released, wherever the cursor is
            if number != seen and not last:
                self.wrong.append(f"{verb} hit m{number}, and m{seen} was under the cursor")
            if verb == "release":
                self.released.add(number)
            return await act(id, verb, body, **more)

        return compared

    def _compared_many(self, store_act: Any) -> Any:
        async def compared(request: ActRequest, **more: Any) -> Any:
            self.many += 1
            strange = {self.number(id) for id in request.ids or ()} - self.marked
            if strange:
                self.wrong.append(f"{request.verb} of many had {strange}, which were never marked")
            return await store_act(request, **more)

        return compared


def hold(store: Store, number: int, recipients: int = 1) -> Message:
    to = [f"r{n}@acme.example" for n in range(recipients)]
    return store.hold(f"m{number}@x.example", to, f"mail {number}", score=float(number % 9))


def colleagues(store: Store, chance: random.Random, t: Terminal) -> None:
    """Something happens: mail comes, or a colleague is faster, near the cursor or anywhere."""
    store.now += timedelta(milliseconds=200)
    if chance.random() < 0.4:
        hold(store, len(store.messages), 1 if chance.random() < 0.8 else 3)
        return
    near = [store.messages[line.id] for line in t.app.queue.view.visible() if line.id in store.messages]
    message = chance.choice(near or list(store.messages.values())) if chance.random() < 0.7 else None
    message = message or chance.choice(list(store.messages.values()))
    kind, to = chance.choice(
        [
            ("mail.claim", {"claim": "bob"}),
            ("mail.unclaim", {"claim": None}),
            ("mail.delete", {"status": Status.DELETED, "claim": None}),
            ("mail.restore", {"status": Status.ONHOLD}),
            ("mail.extend", {"status": Status.ONHOLD}),
        ]
    )
    store.change(kind, "bob", message, range(len(message.mails)), **to)


def press(t: Terminal, key: str) -> None:
    t.app.post_message(events.Key(_character_to_key(key) if len(key) == 1 else key, key if len(key) == 1 else None))


async def played(t: Terminal, watch: Watch, keys: int, seed: int, *, until_wrong: bool = False) -> None:
    chance = random.Random(seed)
    pressed = 0
    while pressed < keys and not (until_wrong and watch.wrong):
        for _ in range(min(keys - pressed, chance.choice([1, 1, 2, 3, 8, 20]))):
            press(t, chance.choice(_ALL))
            pressed += 1
            if chance.random() < 0.4:
                colleagues(t.store, chance, t)
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        if chance.random() < 0.25:  # back to the list, where most acts are made
            await t.network.feeds[-1].events_now.put(Connected(Hello(api=1, server="test", journal="J")))
            for key in ("escape", "escape", "V", *(["z"] if t.app.desk and t.app.desk.paused_at else [])):
                press(t, key)
        t.api.down = chance.random() < 0.02
        if chance.random() < 0.04:
            back = Connected(Hello(api=1, server="test", journal="J"))
            for event in chance.choice([[Lost("gone", NOW, 1)], [back], [back, Resync(t.store.seq)]]):
                await t.network.feeds[-1].events_now.put(event)
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.01]))
        if chance.random() < 0.9:
            await given_out(t)
        if t.app._exception is not None or not t.app.is_running:
            break
    t.api.down = False
    await given_out(t)
    await t.pilot.pause(0.1)


async def given_out(t: Terminal) -> None:
    """Each key that waits for its turn has had it."""
    while t.app._waiting and t.app._exception is None:
        await asyncio.sleep(0.001)


def full() -> Store:
    store = Store()
    store.now = NOW - timedelta(hours=2)
    for number in range(150):
        store.now += timedelta(seconds=30)
        hold(store, number, 3 if number % 7 == 0 else 1)
    store.now = NOW
    return store


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_every_act_hits_the_mail_under_the_cursor(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    acts, many, left = 0, 0, KEYS // 2
    while left:  # in a queue of its own each: a filter that nothing matches stays for long
        keys = min(ROUND, left)
        with monkeypatch.context() as patched:
            async with terminal(full(), size=size) as t:
                watch = Watch(t, patched)
                await played(t, watch, keys, seed=size[0] + left)
                assert not watch.wrong, watch.wrong[:5]
        acts, many, left = acts + watch.acts, many + watch.many, left - keys
    assert acts > KEYS // 100 and many > 0, (acts, many)


async def test_acts_that_are_bound_to_a_row_number_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard is taken out: what a key acts on is looked up by its line of the screen when the act is sent."""
    do = Acting.do

    async def by_line(self: Acting, name: str, target: Target | None, *, one: bool = False) -> None:
        view = self.desk.view
        line = view.position - view.first
        await asyncio.sleep(0.005)  # as an answer of the server would take
        shown = view.visible()
        await do(self, name, self.target(shown[line]) if line < len(shown) else None, one=one)

    monkeypatch.setattr(Acting, "do", by_line)
    async with terminal(full()) as t:
        watch = Watch(t, monkeypatch)
        await played(t, watch, 3_000, seed=1, until_wrong=True)
        assert watch.wrong
