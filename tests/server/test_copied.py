"""What `y` gives out after each kind of act, run as a script would, does the same again: the same entry."""

from __future__ import annotations

import json
import shlex
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from textual.events import Paste

from rcqueue.app import RcqueueApp, Start
from rcqueue.client.api import Api
from rcqueue.client.http import ApiProblem
from rcqueue.model.act import Verb
from rcqueue.screens.acpi import UNSAID
from rcqueue.widgets.plain_table import PlainTable
from tests.screens.terminal import Terminal

from .live import Live, mail

#: What an entry names that is another one the second time.
ITS_OWN = ("filter",)
Undo = Callable[[Api], Awaitable[object]]


def person(verb: str, **arguments: str) -> Undo:
    return lambda api: api.change_person("ben", verb, arguments)


async def give_back(api: Api) -> None:
    for row in (await api.page("claim:me")).rows:
        await api.act(row.id, Verb.UNCLAIM)


async def end_claims(api: Api) -> None:
    for one in (await api.claims()).standing:
        await api.end_standing(one.id)


def hop(verb: str, rate: int | None = None) -> Undo:
    return lambda api: api.set_hop(verb, HOP[0], "a reason", rate)


HOP: list[str] = []
#: Name of the act, the page that it is done on, keys and words, what takes it back.
STEPS: tuple[tuple[str, str, tuple[str, ...], Undo], ...] = (
    ("people.lock", "people.list", ("j", "l"), person("unlock", lock="bodies")),
    ("people.unlock", "people.list", ("j", "L"), person("lock", lock="bodies")),
    ("people.grant", "people.list", ("j", "g", "=blind", "enter"), person("revoke", role="blind", customer="all")),
    (
        "people.revoke",
        "people.list",
        ("j", "v", "=operator", "enter"),
        person("grant", role="operator", customer="all"),
    ),
    ("people.disable", "people.list", ("j", "D", "=ben", "enter"), person("enable")),
    ("people.enable", "people.list", ("j", "E"), person("disable")),
    ("filter.save", "filter.list", ("s", "=mine", "enter", "enter"), lambda api: api.delete_filter("mine")),
    ("filter.delete", "filter.list", ("d", "y", "enter"), lambda api: api.save_filter("mine", "size:>1")),
    ("outgoing.pause", "outgoing.list", ("p", "=they move", "enter"), hop("resume")),
    ("outgoing.resume", "outgoing.list", ("p", "=moved", "enter"), hop("pause")),
    ("outgoing.limit", "outgoing.list", ("l", "=60", "enter", "=asked", "enter"), hop("limit")),
    ("claim.stand", "", ("W", "enter"), end_claims),
    ("mail.next", "", ("w", "=2", "enter"), give_back),
    ("mail.claim", "", ("asterisk", "c"), give_back),
    ("mail.note", "", ("asterisk", "n", "=look", "enter"), give_back),
)


@pytest.mark.slow
async def test_what_is_copied_after_each_kind_of_act_does_it_again(tmp_path: Path) -> None:
    async with Live(tmp_path) as live:
        for n in range(3):
            await live.send(mail(f"Number {n}"))
        HOP[:] = [str(live.config.next_hop.default)]
        anna = live.api("anna")
        app = RcqueueApp(Start(server=live.url, token=live.tokens["anna"], filter="from:sender.example"))
        async with app.run_test(size=(120, 30)) as pilot:
            t = Terminal(app, SimpleNamespace(store=None), pilot)  # type: ignore[arg-type]
            await t.until(lambda: app.desk is not None and len(app.queue.view.lines) == 3, "the queue")
            for name, page, keys, undo in STEPS:
                await undone(anna, undo)
                done, request = await by_keys(t, anna, name, page, keys)
                await undone(anna, undo)
                seq = await last(anna)
                answer = await ask(live, request)
                assert all(one.get("code") != "ERROR" for one in answer), (request, answer)
                assert request["cmd"] == name and await since(anna, seq) == done, request
                await undone(anna, undo)
            for verb, keys in (("create", ("a", "=newt", "enter", "=blind", "enter")), ("password", ("j", "w"))):
                typed = (*keys, "=correct horse 9", "enter")
                _, request = await by_keys(t, anna, f"people.{verb}", "people.list", typed)
                assert request["password"] == UNSAID
                (said,) = await ask(live, request)
                assert said["code"] == "ERROR" and "password" in said["message"]


async def undone(api: Api, undo: Undo) -> None:
    with suppress(ApiProblem):  # there is nothing to take back
        await undo(api)


async def last(api: Api) -> int:
    return (await api.audit(limit=1000)).entries[-1].seq


async def since(api: Api, seq: int) -> list[tuple[Any, ...]]:
    """What is on record after an entry, of acts alone."""
    return sorted(
        (e.kind, e.message or "", e.note or "", str({k: v for k, v in e.facts.items() if k not in ITS_OWN}))
        for e in (await api.audit(since=seq, limit=1000)).entries
        if not e.kind.startswith(("act.", "session."))
    )


async def by_keys(
    t: Terminal, api: Api, name: str, page: str, keys: tuple[str, ...]
) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """What the keys of a page wrote, and the request that `y` shows there."""
    app, seq = t.app, await last(api)
    queue = app.queue
    assert queue.acting is not None
    queue.acting.request = ""
    if page:
        app.open(page)
        await t.until(lambda: any(table.rows or table.empty for table in app.screen.query(PlainTable)), page)
    else:
        queue.take("from:sender.example", "-time")
        await t.until(lambda: len(queue.view.lines) == 3, "the list")
    for key in keys:
        if key.startswith("="):
            app.post_message(Paste(key[1:]))
        else:
            await t.pilot.press(key)
        await t.pilot.pause(0.02)
    await t.until(lambda: queue.acting.request and queue.acting.running is None, f"the request of {name}")
    done = await since(api, seq)
    assert done, name
    await t.press("y")
    await t.shows("The last act:")
    assert queue.acting.request[:40] in t.text
    await t.press("escape", "escape")
    await t.until(lambda: app.screen is queue)
    program, written = shlex.split(queue.acting.request)
    assert program == "rc_acpi.sh"
    request = json.loads(written)
    assert isinstance(request, dict)
    return done, request


async def ask(live: Live, request: dict[str, Any]) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {live.tokens['anna']}"}
    async with httpx.AsyncClient(base_url=live.url, headers=headers, trust_env=False) as http:
        return [json.loads(line) for line in (await http.post("/acpi", json=request)).text.splitlines()]
