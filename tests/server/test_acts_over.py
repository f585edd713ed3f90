"""Acts on many that are over: they lapse unconfirmed, and what became of each mail is purged, some rows at a time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from rcqueue.client.http import ApiProblem
from rcqueue.model.act import ActRequest, Verb
from rcqueue.server.marshal import Refusal, acts, past
from rcqueue.server.marshal.clockwork import Clockwork
from rcqueue.server.marshal.past import DropRows, PurgeAct
from rcqueue.server.marshal.selecting import Selection
from rcqueue.server.store import tables as t
from tests.scan.rulesite import Shell

from .harness import Queue
from .live import Live, mail

DAY = 86400 * 1_000_000
DELETE = ActRequest(verb=Verb.DELETE, query="status:onhold")


async def deleted(queue: Queue, mails: int) -> str:
    """An act that deleted so many."""
    for _ in range(mails):
        await queue.hold()
    ben = await queue.session("operator")
    act = await queue.marshal.store_act(ben, DELETE)
    await queue.marshal.do(acts.ConfirmAct(act, ben.session, mails, queue.terms))
    while await queue.marshal.do(acts.StepAct(act, queue.terms)):
        pass
    return act


def later(queue: Queue, monkeypatch: pytest.MonkeyPatch, us: int) -> None:
    real = type(queue.clock).now
    monkeypatch.setattr(queue.clock, "now", lambda: real(queue.clock) + us)


async def test_results_go_after_their_term_piece_by_piece_and_the_counts_stay(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(past, "PIECE", 3)
    act = await deleted(queue, 10)
    ended, kept = (await queue.rows(t.act, id=act))[0], await queue.rows(t.act_mail)
    later(queue, monkeypatch, 29 * DAY)
    await Clockwork(queue.marshal).clean()
    assert await queue.rows(t.act_mail) == kept and await queue.rows(t.act, id=act) == [ended]

    later(queue, monkeypatch, 31 * DAY)
    left, do = [], queue.marshal.do

    async def counted(operation, *, patient=False, **more):
        answer = await do(operation, patient=patient, **more)
        if isinstance(operation, DropRows):
            left.append((len(await queue.rows(t.act_mail)), patient))
        return answer

    monkeypatch.setattr(queue.marshal, "do", counted)
    await Clockwork(queue.marshal).clean()
    assert left == [(7, True), (4, True), (1, True), (0, True)]  # others' operations go in between
    (row,) = await queue.rows(t.act, id=act)
    assert row.pop("purged") is not None and row == {k: v for k, v in ended.items() if k != "purged"}
    assert (row["state"], json.loads(row["results"])) == ("done", {"done": 10})
    (entry,) = await queue.entries("act.purge")
    assert (entry["account"], entry["facts"]["act"]) == (None, act)
    await Clockwork(queue.marshal).clean()
    assert len(await queue.entries("act.purge")) == 1


async def test_a_purge_that_was_cut_short_goes_on(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(past, "PIECE", 2)
    other, act = await deleted(queue, 1), await deleted(queue, 5)  # its mails come before those that go
    await queue.marshal.do(PurgeAct(act, 0))
    await queue.marshal.do(DropRows("act_mail", act, await queue.read(past.first_rows, "act_mail", act)))
    await queue.reopen()
    assert len(await queue.rows(t.act_mail, act=act)) == 3
    await Clockwork(queue.marshal).clean()
    assert {row["act"] for row in await queue.rows(t.act_mail)} == {other}


async def test_nothing_of_an_act_is_undone_once_its_results_go(queue: Queue):
    act = await deleted(queue, 2)
    ben = await queue.session("operator")
    found = Selection(await queue.read(lambda c: c.execute(t.head.select()).one().seq), 1, (), acts.Reach())
    undo = ActRequest(verb=Verb.RESTORE)
    await queue.marshal.do(PurgeAct(act, 0))
    with pytest.raises(Refusal, match="only its counts are kept"):
        await queue.marshal.undo_act(ben, act)
    with pytest.raises(Refusal, match="only its counts are kept"):  # it had looked for what to take back before that
        await queue.marshal.do(acts.StoreAct("late", ben.session, undo, found, queue.terms, act))
    assert {row["status"] for row in await queue.rows(t.mail)} == {"DELETED"}


async def test_one_that_nobody_confirms_lapses_and_its_selection_goes(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    await queue.hold()
    ben = await queue.session("operator")
    act, stopped = [await queue.marshal.store_act(ben, DELETE) for _ in range(2)]
    later(queue, monkeypatch, acts.CONFIRM_WITHIN - 1_000_000)
    await Clockwork(queue.marshal).clean()
    assert {row["state"] for row in await queue.rows(t.act)} == {"stored"}
    await queue.marshal.stop_act(ben, stopped)
    later(queue, monkeypatch, acts.CONFIRM_WITHIN + 1_000_000)
    await Clockwork(queue.marshal).clean()
    assert {row["id"]: row["state"] for row in await queue.rows(t.act)} == {act: "lapsed", stopped: "stopped"}
    assert [(e["account"], e["facts"]["act"]) for e in await queue.entries("act.lapse")] == [(None, act)]
    assert not await queue.rows(t.act_mail)
    with pytest.raises(Refusal, match="lapsed already"):
        await queue.marshal.confirm_act(ben, act, 1)


async def test_each_is_looked_at_again_when_it_is_written(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    """It may have been confirmed meanwhile, or it is too early."""
    held = await deleted(queue, 1)
    await queue.hold()
    ben = await queue.session("operator")
    act, running = [await queue.marshal.store_act(ben, DELETE) for _ in range(2)]
    await queue.marshal.do(acts.ConfirmAct(running, ben.session, 1, queue.terms))
    before = await queue.rows(t.act)
    await queue.marshal.do(past.LapseActs(frozenset({act, running})))
    for one in (held, act, running):
        await queue.marshal.do(PurgeAct(one, DAY))
    later(queue, monkeypatch, acts.CONFIRM_WITHIN + 1_000_000)
    await queue.marshal.do(past.LapseActs(frozenset({held, running})))
    assert await queue.rows(t.act) == before


async def test_it_is_said_at_every_door_that_the_results_are_gone(tmp_path: Path, monkeypatch, capsys):
    async with Live(tmp_path) as live:
        for n in range(3):
            await live.send(mail(f"Number {n}"))
        ben, marshal = live.api("ben"), live.server.marshal
        act = await ben.store_act(DELETE)
        await ben.confirm_act(act.id, 3)
        while (act := await ben.act_progress(act.id)).state != "done":
            await asyncio.sleep(0.01)
        assert act.purged is None and len((await ben.act_results(act.id)).results) == 3
        marshal.terms = replace(marshal.terms, acts=-DAY)  # as if a month had gone by
        await Clockwork(marshal).clean()
        act = await ben.act_progress(act.id)
        assert act.purged is not None and (act.state, act.done, act.results) == ("done", 3, {"done": 3})
        for asked in (lambda: ben.act_results(act.id), lambda: ben.undo_act(act.id)):
            with pytest.raises(ApiProblem, match="only its counts are kept") as refused:
                await asked()
            assert (refused.value.type, refused.value.status) == ("gone", 410)
        (line,) = [json.loads(x) async for x in ben.acpi({"cmd": "act.show", "id": act.id, "results": "all"})]
        assert line["code"] == "ERROR" and "only its counts are kept" in line["message"]
        shell = Shell(live, tmp_path, monkeypatch, capsys)
        status, said = await shell("ben", "acts", act.id)
        assert status == 0 and said.endswith("3 of 3 mails done; what became of each mail is purged\n")
        status, said = await shell("ben", "acts", act.id, "--undo")
        assert status == 1 and "only its counts are kept" in said


async def test_no_lapse_waits_for_a_long_purge(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    begun, clockwork = asyncio.Event(), Clockwork(queue.marshal)

    async def for_ever() -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(clockwork, "clean", for_ever)
    held = await queue.hold()
    running = asyncio.create_task(clockwork.run())
    await begun.wait()
    await queue.act("operator", "claim", held.id)
    later(queue, monkeypatch, DAY)
    async with asyncio.timeout(5):
        while not await queue.entries("mail.lapse"):
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
