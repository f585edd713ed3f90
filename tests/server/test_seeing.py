"""Seen by: who looked at a message, when and how; by presence, the body, an act; what the filter says of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rcqueue.model.access import Grant
from rcqueue.model.act import ActBody, ActRequest, Verb
from rcqueue.model.ids import parse_id
from rcqueue.server.marshal.ends import Purge
from rcqueue.server.marshal.people import ChangePerson
from rcqueue.server.marshal.seeing import Look
from rcqueue.server.marshal.show import OpenBody
from rcqueue.server.store import tables as t

from .harness import HOUR, NAMES, Queue
from .live import Live, mail
from .test_feed import Follower


@pytest.fixture
async def live(tmp_path: Path):
    async with Live(tmp_path) as live:
        yield live


async def seen(live: Live, id: str, as_: str = "anna") -> dict[str, str]:
    return {one.who: one.how for one in (await live.api(as_).summary(id)).seen}


async def found(live: Live, query: str, as_: str = "anna") -> list[str]:
    return [row.id for row in (await live.api(as_).page(query, "time")).rows]


async def test_who_rests_on_a_mail_reads_or_decides_it_has_seen_it(live: Live):
    ids = [(await live.send(mail(f"number {n}")))[0] for n in range(4)]
    ben = await Follower(live, "ben").ready()
    await ben.feed.send_presence(ids[0], "headers")
    async with asyncio.timeout(5):
        while not await seen(live, ids[0]):
            await asyncio.sleep(0.01)
    await live.api("otis").part(ids[0], "text")
    await live.api("ben").act(ids[1], Verb.NOTE, ActBody(note="looks fine"))
    await live.api("ben").act(ids[2], Verb.CLAIM)  # from a list, perhaps by a script: that is not looking
    assert await seen(live, ids[0]) == {"ben": "looked", "otis": "read"}
    assert await seen(live, ids[1]) == {"ben": "acted"} and await seen(live, ids[2]) == {}
    assert await found(live, "seen:none") == ids[2:]
    assert await found(live, "seen:me", "ben") == ids[:2] and await found(live, "seen:otis") == ids[:1]
    assert await found(live, "-seen:none seen:any") == ids[:2]
    await ben.close()


async def test_an_act_by_a_filter_looks_at_nothing_and_one_in_a_list_of_the_unseen_finds_its_mail(live: Live):
    (one,), (two,) = await live.send(mail("one")), await live.send(mail("two"))
    ben, head = live.api("ben"), live.server.hub.head
    await live.server.marshal.do(Look((await live.server.identity.who(live.tokens["ben"])).session, parse_id(two)[0]))
    assert live.server.hub.head == head  # no entry
    # Looked at by now, it is still the mail of the list that was looked through.
    assert (await ben.act(two, Verb.EXTEND, ActBody(query="seen:none", expiry="2027-01-01T00:00Z"))).done == 1
    act = await ben.store_act(ActRequest(verb=Verb.DELETE, query="seen:none"))
    assert (await ben.confirm_act(act.id, 1)).count == 1
    async with asyncio.timeout(5):
        while (await ben.act_progress(act.id)).state != "done":
            await asyncio.sleep(0.01)
    assert await seen(live, one) == {}


async def everything(queue: Queue) -> dict[str, list[dict[str, Any]]]:
    return {table.name: await queue.rows(table) for table in t.metadata.sorted_tables}


async def test_who_may_not_see_it_leaves_no_trace_and_what_is_purged_keeps_none(tmp_path: Path):
    async with Queue(tmp_path) as queue:
        held = await queue.hold(customer="acme")
        admin = (await queue.session("admin")).session
        operator = (await queue.session("operator")).session
        await queue.marshal.do(Look(operator, held.number))
        await queue.marshal.do(OpenBody(operator, held.number, "text"))
        (row,) = await queue.rows(t.seen)
        assert row["message"] == held.number and row["how"] == 1  # to look after reading is less than to read
        away = ChangePerson(admin, "revoke", NAMES["blind"], (Grant("blind", "all"),))
        await queue.marshal.do(away)
        blind = (await queue.session("blind")).session
        await queue.marshal.do(Look(blind, held.number))
        assert len(await queue.rows(t.seen)) == 1
        other = await queue.hold(customer="acme")  # the same bytes
        await queue.marshal.do(OpenBody(operator, other.number, "text"))
        await queue.act("operator", "delete", held.id)
        for one in (held, other):
            await queue.act("admin", "note", one.id, note="looks fine")
        before = await everything(queue)
        assert await queue.marshal.do(Purge(frozenset({held.number}), -HOUR)) == 1
        after = await everything(queue)
        (purged,) = await queue.rows(t.message, id=held.number)
        assert purged["purged"] is not None
        gone = {name: [row for row in rows if row not in after[name]] for name, rows in before.items()}
        assert {name: [row.get("message", row.get("id")) for row in rows] for name, rows in gone.items() if rows} == {
            "seen": [held.number] * 2,
            "message_detail": [held.number],
            "message": [held.number],  # it says when
            "head": [1],
        }
        await queue.marshal.do(Look(operator, held.number))
        assert await queue.rows(t.seen, message=held.number) == []
