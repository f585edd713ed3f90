"""Working together: the next mails are dealt to one alone, by one rule; a claim is handed over, and goes back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import update

from rcqueue.client.http import ApiProblem
from rcqueue.model.access import Grant
from rcqueue.model.act import ActBody, ActRequest, NextBody, Verb
from rcqueue.model.ids import parse_id
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.clockwork import Clockwork
from rcqueue.server.marshal.once import Idempotency
from rcqueue.server.marshal.people import ChangePerson
from rcqueue.server.store import tables as t

from .harness import NAMES, Queue
from .live import Live, mail
from .test_feed import Follower

DAY = 86400 * 1_000_000


@pytest.fixture
async def live(tmp_path: Path):
    async with Live(tmp_path) as live:
        yield live


@pytest.fixture
async def queue(tmp_path: Path):
    async with Queue(tmp_path) as queue:
        yield queue


async def set_(queue: Queue, id: str, **values: Any) -> None:
    """As it would be by now: expiry of a mail and its message, or the message's points."""
    message = parse_id(id)[0]
    with queue.database.write_engine.begin() as connection:
        if "expiry" in values:
            connection.execute(update(t.mail).where(t.mail.c.message == message).values(values))
            values = {"next_expiry": values["expiry"]}
        connection.execute(update(t.message).where(t.message.c.id == message).values(values))


async def deal(queue: Queue, role: str, count: int, query: str = "") -> list[str]:
    dealt = await queue.marshal.next(await queue.session(role), NextBody(count=count, query=query))
    return dealt.messages


# -- next


async def test_five_who_ask_at_once_are_dealt_different_mails_and_all_of_them(queue: Queue):
    held = {(await queue.hold()).id for _ in range(60)}
    people = [await queue.access(await queue.sign_in(role)) for role in ("admin", "operator", "blind") * 2][:5]
    hands = await asyncio.gather(*(queue.marshal.next(who, NextBody(count=12)) for who in people))
    dealt = [id for hand in hands for id in hand.messages]
    assert [len(hand.messages) for hand in hands] == [12] * 5 and len(set(dealt)) == 60 and set(dealt) == held
    entries = [e for e in await queue.entries("mail.claim") if e["facts"].get("next")]
    assert len(entries) == 60 and len(await queue.rows(t.claim)) == 60
    nothing = await queue.marshal.next(people[0], NextBody(count=12))
    assert (nothing.messages, nothing.mails) == ([], 0)


async def test_what_expires_within_a_day_is_next_and_then_the_fewest_points(queue: Queue):
    ids = [(await queue.hold()).id for _ in range(7)]
    now = queue.clock.now()
    for id, points in zip(ids, (9.0, 5.5, None, 7.0, 6.0, 12.0, 1.0), strict=True):
        await set_(queue, id, score=points)
    await set_(queue, ids[3], expiry=now + DAY // 2)
    await set_(queue, ids[5], expiry=now + DAY // 4)
    await set_(queue, ids[6], expiry=now + 2 * DAY)
    assert await deal(queue, "operator", 3) == [ids[5], ids[3], ids[6]]
    assert await deal(queue, "admin", 20) == [ids[1], ids[4], ids[0], ids[2]]


async def test_a_message_is_dealt_whole_and_not_at_all_where_somebody_holds_some_of_it(queue: Queue):
    many = await queue.hold(recipients=("a@x.example", "b@x.example", "c@x.example"))
    await queue.act("admin", "claim", many.mails[1])
    one = await queue.hold(recipients=("d@x.example", "e@x.example"))
    assert await deal(queue, "operator", 5) == [one.id]
    assert {row["n"] for row in await queue.rows(t.claim, message=one.number)} == {0, 1}
    await queue.act("admin", "unclaim", many.mails[1])
    assert await deal(queue, "operator", 5, "to:b@x.example") == [many.id]  # of a filter, the mails that match
    assert [row["n"] for row in await queue.rows(t.claim, message=many.number)] == [1]


async def test_only_where_one_may_claim_and_once_under_a_key(queue: Queue):
    await queue.hold(customer="beta")
    ours = [(await queue.hold(customer="acme")).id for _ in range(2)]
    admin = (await queue.session("admin")).session
    for what, at in (("revoke", "all"), ("grant", "acme")):
        await queue.marshal.do(ChangePerson(admin, what, NAMES["operator"], (Grant("operator", at),)))
    who = await queue.session("operator")
    once = Idempotency.of(who.account, "key", b"body")
    first = await queue.marshal.next(who, NextBody(count=1), once=once)
    assert await queue.marshal.next(who, NextBody(count=1), once=once) == first
    assert [*first.messages, *await deal(queue, "operator", 9)] == ours
    with pytest.raises(Refusal, match="no right to claim"):
        await deal(queue, "auditor", 9)
    with pytest.raises(Refusal, match="no right to claim"):  # who may not even view: on record too
        await deal(queue, "wall", 9)
    assert [e["facts"]["verb"] for e in await queue.entries("denied")] == ["next", "next"]


async def test_what_colleagues_took_meanwhile_is_made_up_for(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    """Those that were found are taken before the deal is made: it is looked for again."""
    ids = [(await queue.hold()).id for _ in range(4)]
    real = queue.database.read
    monkeypatch.setattr("rcqueue.server.marshal.door.SPARE", 0)

    async def taken(fn: Any, *args: Any, **kwargs: Any) -> Any:
        found = await real(fn, *args, **kwargs)
        if fn.__name__ == "candidates":
            monkeypatch.setattr(queue.database, "read", real)
            for id in ids[:2]:
                await queue.act("admin", "claim", id)
        return found

    monkeypatch.setattr(queue.database, "read", taken)
    assert await deal(queue, "operator", 2) == ids[2:]


async def test_over_the_api_acpi_and_for_a_time_of_ones_own(live: Live):
    ids = [(await live.send(mail(f"number {n}")))[0] for n in range(3)]
    ben = live.api("ben")
    dealt = await ben.next(2, "subject:number", 3600)
    assert dealt.messages == ids[:2] and dealt.mails == 2
    lines = [json.loads(line) async for line in live.api("otis").acpi({"cmd": "mail.next", "count": 9})]
    assert lines == [{"code": "OK", "seq": live.server.hub.head, "messages": ids[2:], "mails": 1}]
    row = (await ben.page("claim:me", "time")).rows[0]
    assert row.claim is not None and row.claim.who == "ben"
    with pytest.raises(ValidationError):
        await ben.next(0)


# -- assign


async def test_what_is_handed_over_is_theirs_with_what_was_said(live: Live):
    (one,) = await live.send(mail("one"))
    ben, otis, dora = live.api("ben"), live.api("otis"), await Follower(live, "otis").ready()
    await ben.act(one, Verb.CLAIM)
    await ben.act(one, Verb.ASSIGN, ActBody(person="otis", note="the bank wants this"))
    told = await dora.kind("mail.assign")
    assert (told.actor, told.note, told.mails[0].claim.who) == ("ben", "the bank wants this", "otis")
    row = (await otis.page("claim:me")).rows[0]
    assert row.claim is not None and (row.claim.by, row.claim.note) == ("ben", "the bank wants this")
    assert row.claim.of("otis", "s999") and not row.claim.of("ben", (await ben.whoami()).session)
    with pytest.raises(ApiProblem) as refused:
        await ben.act(one, Verb.RELEASE)
    assert refused.value.type == "claimed" and refused.value.extra["by"] == "otis"
    assert (await otis.act(one, Verb.RELEASE)).done == 1
    await dora.close()


async def test_it_waits_for_who_is_not_there_until_its_end_and_goes_back(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    one, two = await queue.hold(), await queue.hold()
    await queue.marshal.end_session((await queue.session("operator")).session)
    await queue.act("admin", "assign", one.id, person=NAMES["operator"], for_seconds=3600)
    await queue.act("admin", "assign", two.id, person=NAMES["operator"])
    await Clockwork(queue.marshal).beat()
    assert len(await queue.rows(t.claim)) == 2
    session = await queue.sign_in("operator")
    await queue.marshal.end_session(session)  # to come and go makes no difference
    assert len(await queue.rows(t.claim)) == 2
    real = queue.clock.now
    for hours, left in ((2, [two.number]), (9, [])):
        monkeypatch.setattr(queue.clock, "now", lambda hours=hours: real() + hours * DAY // 24)
        await Clockwork(queue.marshal).beat()
        assert [row["message"] for row in await queue.rows(t.claim)] == left
    assert [e["account"] for e in await queue.entries("mail.lapse")] == [None, None]


async def test_nobody_is_handed_what_they_may_not_claim_or_what_another_holds(queue: Queue):
    one = await queue.hold()
    for person in (NAMES["auditor"], "nobody"):
        with pytest.raises(Refusal, match=f"{person}: nobody of that name may claim at all"):
            await queue.act("operator", "assign", one.id, person=person)
    with pytest.raises(Refusal, match="say who gets it"):
        await queue.act("operator", "assign", one.id)
    with pytest.raises(Refusal, match="goes with assign alone"):
        await queue.act("operator", "delete", one.id, person="ben")
    await queue.act("admin", "claim", one.id)
    with pytest.raises(Refusal, match="anna holds it"):
        await queue.act("operator", "assign", one.id, person=NAMES["blind"])
    assert [row["account"] for row in await queue.rows(t.claim)] == [1]


async def test_a_filter_is_handed_over_as_an_act_on_many_that_outlives_a_restart(live: Live):
    ids = [(await live.send(mail(f"number {n}")))[0] for n in range(3)]
    ben = live.api("ben")
    act = await ben.store_act(ActRequest(verb=Verb.ASSIGN, query="subject:number", person="otis", note="all yours"))
    await live.restart()
    await ben.confirm_act(act.id, 3)
    async with asyncio.timeout(5):
        while (await ben.act_progress(act.id)).state != "done":
            await asyncio.sleep(0.01)
    assert [row.id for row in (await live.api("otis").page("claim:me", "time")).rows] == ids
