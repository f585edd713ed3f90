"""Acts on many: whom they reach is said before, a cap stops them at every door, and what can be is taken back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from rcqueue.client.api import Api
from rcqueue.client.http import ApiProblem
from rcqueue.model.access import ROOT, Access, Grant
from rcqueue.model.act import ActBody, ActProgress, ActRequest, Verb
from rcqueue.model.ids import encode_mail
from rcqueue.server.marshal import Idempotency, Refusal, Terms, acts, caps, selecting
from rcqueue.server.store import tables as t

from .harness import Queue
from .live import Live, mail

CUSTOMERS = ({"path": "acme", "domains": ["example.org"]},)


async def ended(api: Api, act: ActProgress) -> ActProgress:
    while (act := await api.act_progress(act.id)).state == "running":
        await asyncio.sleep(0.01)
    return act


async def done(api: Api, verb: Verb, query: str = "status:onhold") -> ActProgress:
    act = await api.store_act(ActRequest(verb=verb, query=query))
    return await ended(api, await api.confirm_act(act.id, act.count))


async def test_whom_it_reaches_is_said_before(tmp_path: Path):
    async with Live(tmp_path, customers=CUSTOMERS) as live:
        to = ("a@example.org", "A@sub.example.org", "b@gmail.example", "c@gmail.example", "d@other.example")
        await live.send(mail(), "ada@sender.example", *to)
        await live.send(mail(), "ada@sender.example", "a@example.org", "b@GMAIL.example")
        act = await live.api("ben").store_act(ActRequest(verb=Verb.RELEASE, query="status:onhold"))
        assert (act.count, act.reach.recipients, act.reach.outside) == (7, 5, 4)
        assert act.reach.domains == {"gmail.example": 3, "other.example": 1}
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {live.tokens['ben']}"}) as http:
            asked = {"set": "RELEASED", "status": "ONHOLD", "filter": "from:sender.example"}
            said = (await http.post(f"{live.url}/acpi", json=asked)).json()
            assert (said["matches"], said["reach"]) == (7, act.reach.model_dump(mode="json"))
            assert set(act.sample) <= set(said["sample"]) and said["confirmationRequired"]
            assert act.reach.words in said["confirmationText"]
            assert act.reach.words == (
                " to 5 recipients; 4 mails go outside your domains: gmail.example 3, other.example 1"
            )
            said = (await http.post(f"{live.url}/acpi", json=asked | {"to": "postmaster"})).json()
            assert said["confirmationText"].startswith("RELEASED 7 mails to postmaster. ")
    async with Live(tmp_path / "root") as live:  # nobody's domains are known: none is outside
        await live.send(mail())
        act = await live.api("ben").store_act(ActRequest(verb=Verb.RELEASE, query="status:onhold"))
        assert (act.reach.recipients, act.reach.outside) == (1, 0)


async def test_undo_recalls_what_is_in_its_window_and_restores_what_was_deleted(tmp_path: Path):
    async with Live(tmp_path, recall="1h") as live:
        ben = live.api("ben")
        for n in range(7):
            await live.send(mail(f"Number {n}"))
        released = await done(ben, Verb.RELEASE)
        # One was recalled by anna, who released it again: that is her decision, and not what is undone.
        anna, hers = live.api("anna"), (await ben.page("status:releasing")).rows[0].id
        for verb in (Verb.RECALL, Verb.RELEASE):
            await anna.act(hers, verb, ActBody())
        undone = await ended(ben, await ben.undo_act(released.id))
        assert (undone.verb, undone.undoes, undone.done) == ("recall", released.id, 6)
        assert [row.id for row in (await ben.page("status:releasing")).rows] == [hers]
        deleted = await done(ben, Verb.DELETE)
        row = (await ben.page("status:deleted")).rows[0]
        for verb in (Verb.RESTORE, Verb.DELETE):
            await anna.act(row.id, verb, ActBody())
        undone = await ended(ben, await ben.undo_act(deleted.id))
        assert (undone.verb, undone.count, undone.done) == ("restore", 5, 5)
        assert [row.id for row in (await ben.page("status:deleted")).rows] == [row.id]
        with pytest.raises(ApiProblem) as refused:
            await ben.undo_act(deleted.id)
        assert refused.value.type == "status"
        extended = await ben.store_act(ActRequest(verb=Verb.CLAIM, query="status:onhold"))
        with pytest.raises(ApiProblem, match="can't be taken back"):
            await ben.undo_act(extended.id)
        assert [e.kind for e in (await anna.audit(limit=1000)).entries].count("act.undo") == 2


async def test_an_act_is_of_the_person_who_stored_it_and_an_admin_may_only_stop_and_undo_it(tmp_path: Path):
    async with Live(tmp_path, recall="1h") as live:
        await live.send(mail())
        ben, otis, anna = live.api("ben"), live.api("otis"), live.api("anna")
        act = await ben.store_act(ActRequest(verb=Verb.RELEASE, query="status:onhold"))
        with pytest.raises(ApiProblem, match="confirmed by the person who stored it"):
            await anna.confirm_act(act.id, act.count)
        for state in ("stored", "done"):
            for asked in (
                otis.act_progress(act.id),
                otis.act_results(act.id),
                otis.confirm_act(act.id, 1),
                otis.stop_act(act.id),
                otis.undo_act(act.id),
            ):
                with pytest.raises(ApiProblem, match="you have no act") as refused:
                    await asked
                assert refused.value.type == "not-found"
            assert (await ben.act_progress(act.id)).state == state
            if state == "stored":
                await ended(ben, await ben.confirm_act(act.id, 1))
        assert (await ben.counts("status:any")).status["RELEASING"] == 1
        assert (await ended(anna, await anna.undo_act(act.id))).done == 1
        assert (await ben.counts("status:any")).status["ONHOLD"] == 1


async def test_undo_stops_an_act_that_is_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rcqueue.server.store.rows.STEP", 3)
    async with Queue(tmp_path) as queue:
        for _ in range(10):
            await queue.hold()
        ben = await queue.session("operator")
        act = await queue.marshal.store_act(ben, ActRequest(verb=Verb.DELETE, query="status:onhold"))
        await queue.marshal.do(acts.ConfirmAct(act, ben.session, 10, queue.terms))
        await queue.marshal.do(acts.StepAct(act, queue.terms))
        undo = await queue.marshal.undo_act(ben, act)
        while await queue.marshal.do(acts.StepAct(undo, queue.terms)):
            pass
        assert {row["status"] for row in await queue.rows(t.mail)} == {"ONHOLD"}
        states = {row["id"]: (row["state"], json.loads(row["results"])) for row in await queue.rows(t.act)}
        assert states == {act: ("stopped", {"done": 3}), undo: ("done", {"done": 3})}


async def test_a_release_to_others_is_undone_too(tmp_path: Path):
    async with Queue(tmp_path, terms=Terms()) as queue:
        held = await queue.hold(recipients=("a@example.org", "b@example.org"))
        again = await queue.hold()
        admin = await queue.session("admin")
        request = ActRequest(verb=Verb.RELEASE, query="status:onhold", to=["eve@example.org"])
        act = await queue.marshal.store_act(admin, request)
        await queue.marshal.do(acts.ConfirmAct(act, admin.session, 3, queue.terms))
        while await queue.marshal.do(acts.StepAct(act, queue.terms)):
            pass
        await queue.act("admin", "recall", again.id)
        await queue.act("admin", "release", encode_mail(again.number, 1))  # a decision of its own
        since = await queue.rows(t.mail, message=again.number)
        undo = await queue.marshal.undo_act(admin, act)
        while await queue.marshal.do(acts.StepAct(undo, queue.terms)):
            pass
        assert [row["status"] for row in await queue.rows(t.mail, message=held.number)] == ["ONHOLD"] * 3
        assert await queue.rows(t.mail, message=again.number) == since


# -- caps


async def test_a_cap_stops_an_act_at_every_door_and_is_on_record(tmp_path: Path):
    async with Live(tmp_path, caps={"operator": 2}) as live:
        first, *_ = await live.send(
            mail("Number 0"), "ada@sender.example", "a@example.org", "b@example.org", "c@x.example"
        )
        await live.send(mail("Number 1"))
        ben, headers = live.api("ben"), {"Authorization": f"Bearer {live.tokens['ben']}"}
        for refused in (
            lambda: ben.store_act(ActRequest(verb=Verb.DELETE, query="subject:number")),
            lambda: ben.store_act(ActRequest(verb=Verb.RELEASE, ids=[first])),
            lambda: ben.act(first, Verb.RELEASE),
        ):
            with pytest.raises(ApiProblem, match="a second person is needed") as said:
                await refused()
            assert (said.value.type, said.value.status) == ("forbidden", 403)
        async with httpx.AsyncClient(base_url=live.url, headers=headers) as http:
            for asked in (
                {"cmd": "mail.delete", "id": first},
                {"subject": "number", "set": "DELETED", "confirmation": True, "expect": 4},
            ):
                answer = await http.post("/acpi", json=asked)
                assert answer.status_code == 403 and answer.json()["cap"] == 2
        assert (await ben.counts()).status["ONHOLD"] == 4
        denied = [e for e in (await live.api("anna").audit(limit=1000)).entries if e.kind == "denied"]
        assert [e.actor for e in denied] == ["ben"] * 5
        assert not await live.server.marshal.database.read(lambda c: c.execute(t.act_mail.select()).all())
        assert (await done(ben, Verb.RELEASE, "subject:1")).done == 1  # as many as may be
        assert (await done(live.api("anna"), Verb.DELETE)).done == 3  # an admin has no cap


async def test_the_cap_is_looked_at_again_when_an_act_is_confirmed(tmp_path: Path):
    async with Queue(tmp_path) as queue:
        for _ in range(3):
            await queue.hold()
        ben = await queue.session("operator")
        act = await queue.marshal.store_act(ben, ActRequest(verb=Verb.DELETE, query="status:onhold"))
        queue.marshal.terms = Terms(caps={"operator": 2})  # as after a restart
        with pytest.raises(Refusal, match="a second person is needed"):
            await queue.marshal.confirm_act(ben, act, 3)
        assert (await queue.rows(t.act, id=act))[0]["state"] == "stored"
        assert (await queue.entries("denied"))[-1]["facts"] == {"verb": "delete", "cap": 2, "count": 3}


@pytest.mark.parametrize(
    "grants, cap",
    [
        ([("operator", ROOT)], 1000),
        ([("operator", ROOT), ("admin", ROOT)], None),
        ([("operator", "acme"), ("admin", ROOT)], None),
        ([("operator", ROOT), ("admin", "acme")], 1000),  # elsewhere it still holds
        ([("operator", "acme"), ("blind", "acme/sales")], 1000),
        ([("blind", "acme"), ("operator", "acme/sales")], 10),
        ([("auditor", ROOT)], None),  # who may not release is refused for that
    ],
)
def test_the_cap_of_several_roles(grants: list[tuple[str, str]], cap: int | None):
    who = Access(1, "ben", 1, tuple(Grant(*grant) for grant in grants))
    assert caps.cap_of(who, Verb.RELEASE, {"operator": 1000, "blind": 10}) == cap
    assert caps.cap_of(who, Verb.EXTEND, {"operator": 1000, "blind": 10}) is None


# -- selections


async def test_what_is_confirmed_is_what_was_stored_whatever_arrives_meanwhile(tmp_path: Path):
    async with Queue(tmp_path) as queue:
        held = [await queue.hold() for _ in range(1200)]  # some slices
        ben = await queue.session("operator")
        act = await queue.marshal.store_act(ben, ActRequest(verb=Verb.DELETE, query="status:onhold"))
        late = await queue.hold()
        await queue.marshal.confirm_act(ben, act, len(held))
        while (await queue.rows(t.act, id=act))[0]["state"] != "done":
            await asyncio.sleep(0.01)
        tried = {row["message"] for row in await queue.rows(t.act_mail, act=act)}
        assert tried == {h.number for h in held}
        assert await queue.status(late.id) == "ONHOLD"


async def test_what_changes_while_it_is_looked_for_is_not_in_it(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    """It is read in blocks, each as it is by then."""
    monkeypatch.setattr(selecting, "BLOCK", 2)
    held = [await queue.hold() for _ in range(6)]
    do, late = queue.marshal.do, []

    async def changes(operation, **more):
        answer = await do(operation, **more)
        if isinstance(operation, acts.AddSelection) and not late:
            late.append(await queue.hold())
            await queue.act("operator", "extend", held[4].id)
        return answer

    monkeypatch.setattr(queue.marshal, "do", changes)
    ben = await queue.session("operator")
    act = await queue.marshal.store_act(ben, ActRequest(verb=Verb.DELETE, query="status:onhold"))
    await queue.marshal.confirm_act(ben, act, 5)
    while (await queue.rows(t.act, id=act))[0]["state"] != "done":
        await asyncio.sleep(0.01)
    on_hold = {row["message"] for row in await queue.rows(t.mail, status="ONHOLD")}
    assert on_hold == {held[4].number, late[0].number}


async def test_more_ids_than_an_act_takes_are_refused_and_nothing_is_stored(tmp_path: Path):
    async with Live(tmp_path) as live:
        (message,) = await live.send(mail())
        with pytest.raises(ApiProblem, match=r"ids: .*at most 100000 items") as refused:
            await live.api("ben").store_act(ActRequest.model_construct(verb=Verb.DELETE, ids=[message] * 100_001))
        assert (refused.value.type, refused.value.status) == ("bad-request", 400)
        assert await live.api("ben").acts() == []
        assert not await live.server.marshal.database.read(lambda c: c.execute(t.act_mail.select()).all())


async def test_a_selection_of_which_no_act_came_is_forgotten(queue: Queue):
    held = await queue.hold()
    for act in ("one", "two"):
        await queue.marshal.do(acts.AddSelection(act, ((held.number, 0),)))
    ben = await queue.session("operator")
    stored = await queue.marshal.store_act(ben, ActRequest(verb=Verb.DELETE, query="status:onhold"))
    await queue.marshal.resume_acts()
    async with asyncio.timeout(5):
        while {row["act"] for row in await queue.rows(t.act_mail)} != {stored}:
            await asyncio.sleep(0.01)


async def test_a_selection_that_takes_long_is_announced_and_stored_behind(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rcqueue.server.marshal.door.SOON", 0)
    for _ in range(3):
        await queue.hold()
    ben = await queue.session("operator")
    request = ActRequest(verb=Verb.DELETE, query="status:onhold")
    once = Idempotency.of(ben.account, "a key", "a body")
    act = await queue.marshal.store_act(ben, request, once=once)
    while (row := (await queue.rows(t.act, id=act))[0])["state"] == "selecting":
        await asyncio.sleep(0.01)
    assert (row["state"], row["count"]) == ("stored", 3)
    assert await queue.marshal.store_act(ben, request, once=once) == act
    await queue.marshal.confirm_act(ben, act, 3)
    while (await queue.rows(t.act, id=act))[0]["state"] != "done":
        await asyncio.sleep(0.01)
    undo = await queue.marshal.undo_act(ben, act)
    while (row := (await queue.rows(t.act, id=undo))[0])["state"] in ("selecting", "running"):
        await asyncio.sleep(0.01)
    assert (row["state"], json.loads(row["results"])) == ("done", {"done": 3})
    # One that is refused behind, or that a restart finds, comes to nothing.
    queue.marshal.terms = Terms(caps={"operator": 2})
    refused = await queue.marshal.store_act(ben, request)
    while (row := (await queue.rows(t.act, id=refused))[0])["state"] == "selecting":
        await asyncio.sleep(0.01)
    assert row["state"] == "stopped" and not await queue.rows(t.act_mail, act=refused)
    await queue.marshal.do(acts.AnnounceAct("left", ben.session, request))
    await queue.reopen()
    await queue.marshal.resume_acts()
    assert (await queue.rows(t.act, id="left"))[0]["state"] == "stopped"


def test_a_step_tries_as_many_as_are_done_in_its_time():
    pace = acts.Pace()
    for _ in range(50):
        pace.heard(pace.mails * acts.AIM / 10.5)
    assert pace.mails == 10
    for _ in range(50):
        pace.heard(pace.mails * acts.AIM / 1000)
    assert pace.mails == acts.STEP  # and a colleague's act never waits for more
    for _ in range(50):
        pace.heard(pace.mails * 1.0)
    assert pace.mails == acts.FEWEST  # it goes on, however slow the disk is
