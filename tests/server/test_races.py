"""Many at once, through the marshal as it runs: a writer with its thread, batches as they happen to gather."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict

import pytest
from sqlalchemy import select, update

from rcqueue.model.act import ActAnswer, ActBody, ActRequest, Verb
from rcqueue.server.marshal import Idempotency, Refusal
from rcqueue.server.marshal import acts as many
from rcqueue.server.marshal.clockwork import Clockwork
from rcqueue.server.marshal.ends import Expire, Lapse, Purge
from rcqueue.server.marshal.outcomes import BeginAttempt, Begun, NotWaiting
from rcqueue.server.store import rows as store_rows
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import first_fault

from .harness import MAIL, Queue

CLIENTS, MAILS = 50, 200


async def refused(call) -> str | ActAnswer:
    try:
        return await call
    except Refusal as refusal:
        return refusal.kind


async def shuffled(clients: int, ids: list[str], act) -> list[list]:
    """Each client does `act(client, id)` with every id, in an order of its own, not waiting for the answers."""

    async def client(number: int) -> list:
        order = random.Random(number).sample(ids, len(ids))
        return await asyncio.gather(*(refused(act(number, id)) for id in order))

    return await asyncio.gather(*(client(number) for number in range(clients)))


async def test_of_fifty_who_release_the_same_mails_one_wins_each(queue: Queue):
    held = [(await queue.hold()).mails[0] for _ in range(MAILS)]
    sessions = [await queue.access(await queue.sign_in(("admin", "operator", "blind")[n % 3])) for n in range(CLIENTS)]
    seen = (await queue.entries())[-1]["seq"]

    async def release(client: int, mail: str) -> ActAnswer:
        return await queue.marshal.act(sessions[client], Verb.RELEASE, [mail], ActBody(as_of=seen))

    said = [answer for answers in await shuffled(CLIENTS, held, release) for answer in answers]
    won = [answer for answer in said if isinstance(answer, ActAnswer)]
    assert Counter(result.id for answer in won for result in answer.results) == Counter(held)
    assert Counter(answer for answer in said if isinstance(answer, str)) == {"changed": (CLIENTS - 1) * MAILS}
    entries = await queue.entries("mail.release")
    assert len(entries) == MAILS and len({answer.release for answer in won}) == MAILS
    assert {answer.seq for answer in won} == {entry["seq"] for entry in entries}, "each is answered with its own entry"
    assert {await queue.status(mail) for mail in held} == {"RELEASING"}
    assert first_fault(await queue.read(lambda c: c.execute(select(t.entry).order_by(t.entry.c.seq)).all())) is None


async def test_of_fifty_who_claim_the_same_mails_one_holds_each_and_only_that_one_acts(queue: Queue):
    held = [(await queue.hold()).mails[0] for _ in range(40)]
    roles = ("admin", "operator", "blind")
    sessions = [await queue.access(await queue.sign_in(roles[n % 3])) for n in range(CLIENTS)]
    got: dict[str, set[int]] = defaultdict(set)

    async def claim(client: int, mail: str) -> ActAnswer:
        answer = await queue.marshal.act(sessions[client], Verb.CLAIM, [mail], ActBody())
        got[mail].add(client % 3)
        return answer

    await shuffled(CLIENTS, held, claim)
    assert all(len(people) == 1 for people in got.values()) and len(got) == len(held)
    rows = await queue.rows(t.claim)
    assert len(rows) == len(held)

    async def delete(client: int, mail: str) -> ActAnswer:
        return await queue.marshal.act(sessions[client], Verb.DELETE, [mail], ActBody())

    said = await shuffled(3, held, delete)
    for person, answers in enumerate(said):
        for answer in answers:
            if isinstance(answer, ActAnswer):
                assert got[answer.results[0].id] == {person}, "only the holder"
            else:
                assert answer in ("claimed", "status"), answer  # held, or gone from the hold
    assert sum(isinstance(answer, ActAnswer) for answers in said for answer in answers) == len(held)
    assert not await queue.rows(t.claim)


async def test_a_mail_is_acted_on_or_expires_and_never_both(queue: Queue):
    queue.terms = queue.marshal.terms = type(queue.terms)(expiry=200_000, recall=0)
    held = [await queue.hold() for _ in range(60)]
    admin = await queue.session("admin")
    await asyncio.sleep(0.2)

    async def act(mail: str) -> ActAnswer:
        await asyncio.sleep(random.random() * 0.05)
        return await queue.marshal.act(admin, Verb.RELEASE, [mail], ActBody())

    async def expire(number: int) -> int:
        await asyncio.sleep(random.random() * 0.05)
        return await queue.marshal.do(Expire(frozenset({number})))

    acts = asyncio.gather(*(refused(act(message.mails[0])) for message in held))
    expired = asyncio.gather(*(expire(message.number) for message in held))
    for message, answer, gone in zip(held, await acts, await expired, strict=True):
        released = isinstance(answer, ActAnswer)
        assert released != bool(gone), (answer, gone)
        assert released or answer == "status"
        assert await queue.status(message.id) == ("RELEASING" if released else "EXPIRED")


async def test_a_renewal_that_comes_first_keeps_the_claim(queue: Queue):
    held = await queue.hold()
    await queue.act("operator", "claim", held.mails[0])
    # It was found while its lease had ended, and is looked at again when the renewal is written.
    assert await queue.marshal.do(Lapse(frozenset({held.number}))) == 0
    assert len(await queue.rows(t.claim)) == 1


async def test_fifty_attempts_of_one_mail_begin_once(queue: Queue):
    held = await queue.hold()
    answer = await queue.act("admin", "release", held.mails[0])
    begun = await asyncio.gather(
        *(queue.marshal.begin_attempt(held.number, 0, "192.0.2.2:25") for _ in range(CLIENTS)), return_exceptions=True
    )
    assert [b.release for b in begun if isinstance(b, Begun)] == [answer.release]
    assert sum(isinstance(b, NotWaiting) for b in begun) == CLIENTS - 1
    recalled = await refused(queue.act("admin", "recall", held.mails[0]))
    assert recalled == "status", "it is being handed over"


async def test_recall_or_attempt(queue: Queue):
    """What is recalled is not sent; what is being sent is not recalled."""
    for _ in range(40):
        held = await queue.hold()
        await queue.act("admin", "release", held.mails[0])
        calls = [queue.act("admin", "recall", held.mails[0]), queue.marshal.do(BeginAttempt(held.number, 0, "hop"))]
        if random.random() < 0.5:
            calls.reverse()
        said = await asyncio.gather(*map(refused, calls))
        assert sum(answer == "status" for answer in said) == 1, said


async def test_one_key_many_times_at_once(queue: Queue):
    held, admin = await queue.hold(), await queue.session("admin")
    once = Idempotency.of(admin.account, "key", "body")
    acts = (queue.marshal.act(admin, Verb.RELEASE, held.mails, ActBody(), once=once) for _ in range(CLIENTS))
    said = await asyncio.gather(*acts)
    assert len({answer.model_dump_json() for answer in said}) == 1
    assert len(await queue.entries("mail.release")) == 1


async def test_an_act_on_many_with_two_runners_tries_each_mail_once(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_rows, "STEP", 7)
    held = [await queue.hold() for _ in range(60)]
    admin = await queue.session("admin")
    act = await queue.marshal.store_act(admin, ActRequest(verb=Verb.DELETE, query="status:onhold"))
    await queue.marshal.do(many.ConfirmAct(act, admin.session, len(held), queue.terms))

    async def runs() -> None:
        while await queue.marshal.do(many.StepAct(act, queue.terms)):
            pass

    await asyncio.gather(runs(), runs(), runs())
    assert Counter(row["result"] for row in await queue.rows(t.act_mail, act=act)) == {"done": 60}
    assert len(await queue.entries("mail.delete")) == 60
    assert len(await queue.entries("act.done")) == 1


async def test_an_act_on_many_goes_on_after_a_restart(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_rows, "STEP", 7)
    held = [await queue.hold() for _ in range(30)]
    admin = await queue.session("admin")
    act = await queue.marshal.store_act(admin, ActRequest(verb=Verb.DELETE, ids=[m.id for m in held]))
    await queue.marshal.do(many.ConfirmAct(act, admin.session, len(held), queue.terms))
    await queue.marshal.do(many.StepAct(act, queue.terms))
    await queue.reopen()
    await queue.marshal.resume_acts()
    for _ in range(200):
        if (await queue.rows(t.act, id=act))[0]["state"] == "done":
            break
        await asyncio.sleep(0.02)
    assert {await queue.status(m.id) for m in held} == {"DELETED"}
    assert len(await queue.entries("act.done")) == 1


async def test_an_act_on_many_of_a_session_whose_lease_is_over_keeps_its_claims_that_have_an_end(queue: Queue):
    held, admin = await queue.hold(), await queue.session("admin")
    await queue.act("admin", "claim", held.id, for_seconds=3600)
    claims = await queue.rows(t.claim)
    request = ActRequest(verb=Verb.TAKEOVER, ids=[held.id], reason="the shift ends")
    act = await queue.marshal.store_act(admin, request)
    await queue.marshal.do(many.ConfirmAct(act, admin.session, 1, queue.terms))
    with queue.database.write_engine.begin() as connection:
        connection.execute(update(t.session).values(lease=0).where(t.session.c.id == admin.session))
    while await queue.marshal.do(many.StepAct(act, queue.terms)):
        pass
    assert [row["result"] for row in await queue.rows(t.act_mail, act=act)] == ["refused"]
    assert await queue.rows(t.claim) == claims


@pytest.mark.parametrize("first", ["purge", "hold"])
async def test_bytes_that_arrive_again_while_they_are_purged_stay(queue: Queue, first: str):
    old = await queue.hold()
    await queue.act("admin", "delete", old.mails[0])
    calls = [queue.marshal.do(Purge(frozenset({old.number}), 0)), queue.hold()]
    purged, again = await asyncio.gather(*(calls if first == "purge" else reversed(calls)))
    new = again if first == "purge" else purged
    assert await queue.raw(new.id) == MAIL
    assert len(await queue.entries("mail.purge")) == 1


async def test_who_signs_out_holds_nothing_even_if_a_claim_was_under_way(queue: Queue):
    held = [await queue.hold() for _ in range(20)]
    cleo = await queue.access(await queue.sign_in("blind"))
    claims = [refused(queue.marshal.act(cleo, Verb.CLAIM, [m.id], ActBody(for_seconds=3600))) for m in held]
    await asyncio.gather(*claims[:10], queue.marshal.end_session(cleo.session), *claims[10:])
    await Clockwork(queue.marshal).beat()
    assert not await queue.rows(t.claim)
