"""Rescan with real scanners: one mail, and many with a what-if first; exactly those that would pass are released."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from rcqueue.client.api import ApiProblem
from rcqueue.model.act import ActBody, ActProgress, ActRequest, Verb
from rcqueue.model.ids import parse_id
from rcqueue.model.scan import Found
from rcqueue.server.intake.returned import Returned
from rcqueue.server.marshal.clockwork import Clockwork
from rcqueue.server.passes import Pass
from rcqueue.server.store import tables as t
from tests.realparts import spamd as spamassassin
from tests.realparts.spamd import CUSTOM, Spamd
from tests.server.live import Live

from .mails import EICAR_MAIL, HAM, SPAM, mail, raw
from .rulesite import Shell, held, held_as, site

pytestmark = pytest.mark.xdist_group("scanners")
POLICY = """
[default]
scanners = ["spamassassin", "clamav"]
[default.score.spamassassin]
hold = 2.5
[domain."sub.acme.example"]
"""
RULE, _, _ = CUSTOM
POINTS = f"points.spamassassin.{RULE}"


def giraffe(number: int = 0) -> bytes:
    return raw(mail(f"A purple giraffe handshake, as agreed. {number}\n", f"Giraffe {number}"))


@pytest.fixture
async def live(tmp_path, spamd, clamd) -> Any:
    async with site(tmp_path, POLICY, spamassassin=spamd.port, clamav=clamd.port) as live:
        yield live


async def weighed(live: Live, who: str = "ben", query: str = "status:onhold") -> ActProgress:
    api = live.api(who)
    act = await api.store_act(ActRequest(verb="rescan", query=query))
    async with asyncio.timeout(30):
        while act.state == "weighing":
            await asyncio.sleep(0.05)
            act = await api.act_progress(act.id)
    return act


async def confirmed(live: Live, act: ActProgress, who: str = "ben") -> ActProgress:
    api = live.api(who)
    act = await api.confirm_act(act.id, act.would.get("pass", 0))
    async with asyncio.timeout(30):
        while act.state == "running":
            await asyncio.sleep(0.02)
            act = await api.act_progress(act.id)
    return act


async def status(live: Live, id: str) -> str:
    return str((await live.api("ben").summary(id)).row.status)


async def facts(live: Live, kind: str) -> list[dict[str, Any]]:
    query = select(t.entry.c.leaf).where(t.entry.c.kind == kind).order_by(t.entry.c.seq)
    leaves = await live.server.marshal.database.read(lambda c: c.execute(query).scalars().all())
    return [json.loads(leaf)["facts"] for leaf in leaves]


async def tallies_are_right(live: Live) -> None:
    """The kept counters are what a count of the mails says."""
    t_ = t.tally.c
    kept = select(t_.customer, t_.status, t_.verdict, t_.n).where(t_.n != 0)
    message, mail_ = t.message.c, t.mail.c
    counted = select(message.customer, mail_.status, message.verdict, func.count()).join(
        t.mail, mail_.message == message.id
    )
    counted = counted.group_by(message.customer, mail_.status, message.verdict)
    queries = (kept, counted)  # on one snapshot, since mails go out meanwhile
    read = await live.server.marshal.database.read(lambda c: [sorted(c.execute(query).all()) for query in queries])
    assert read[0] == read[1]


# -- one


async def test_one_mail_gets_its_new_verdict_and_it_is_told_what_the_policy_would_do(live):
    (id,) = await held(live, giraffe())
    ben, anna = live.api("ben"), live.api("anna")
    before = (await ben.summary(id)).row
    again = await ben.act(id, Verb.RESCAN)
    assert [(r.result, r.would) for r in again.results] == [("done", "hold")]
    await anna.set_policy(POINTS, -3, "it is a partner's phrase")
    answer = await ben.act(id, Verb.RESCAN, ActBody(reason="after the rule change"))
    assert (answer.done, answer.results[0].would, answer.results[0].status) == (1, "pass", "ONHOLD")
    after = await ben.summary(id)
    assert after.verdict is not None and after.verdict.reason == "scanned again: the policy would let it pass"
    assert [(r.name, r.points) for r in after.verdict.rules if r.name == RULE] == [(RULE, -3)]
    row = after.row
    assert (row.verdict, row.version > before.version, row.status) == ("POLICY", True, "ONHOLD")
    assert row.score is not None and before.score is not None and row.score == pytest.approx(before.score - 5.625)
    (_, told) = await facts(live, "mail.rescan")
    assert told["verdict"] == ["SPAM", "POLICY"] and told["score"] == [f"{before.score:g}", f"{row.score:g}"]
    assert (await ben.page("score:<1")).rows[0].id == id and (await ben.page("verdict:spam")).rows == []
    assert (await ben.counts()).verdict.get("POLICY") == 1
    await tallies_are_right(live)
    with pytest.raises(ApiProblem) as changed:
        await anna.act(id, Verb.RELEASE, ActBody(as_of=before.version))
    assert changed.value.type == "changed"


async def test_one_that_another_holds_is_left_alone(live):
    (id,) = await held(live, giraffe())
    await live.api("anna").act(id, Verb.CLAIM)
    with pytest.raises(ApiProblem) as refused:
        await live.api("ben").act(id, Verb.RESCAN)
    assert refused.value.type == "claimed" and await facts(live, "mail.rescan") == []


@pytest.mark.parametrize("who", ["dora", "otis"])
async def test_it_needs_the_right_to_release_there(live, who):
    (id,) = await held(live, giraffe())
    anna = live.api("anna")
    await anna.change_person("otis", "grant", {"role": "auditor", "customer": "acme"})
    await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
    asked: list[bytes] = []
    real = live.server.judge.judge
    live.server.judge.judge = lambda raw, envelope: asked.append(raw) or real(raw, envelope)
    with pytest.raises(ApiProblem) as refused:
        await live.api(who).act(id, Verb.RESCAN)
    assert refused.value.type == "forbidden" and refused.value.extra["right"] == "release" and asked == []
    assert [one["verb"] for one in await facts(live, "denied")] == ["rescan"]


async def test_without_anything_to_scan_by_it_is_refused(tmp_path):
    async with Live(tmp_path) as live:
        (id,) = await live.send(giraffe())
        for ask in (
            live.api("ben").act(id, Verb.RESCAN),
            live.api("ben").store_act(ActRequest(verb="rescan", query="status:onhold")),
        ):
            with pytest.raises(ApiProblem, match="no scanner and no policy to scan by"):
                await ask


async def test_recipients_of_one_message_each_by_their_own_terms(live):
    to = ("bob@acme.example", "eve@sub.acme.example")
    (id,) = await held(live, giraffe(), *to)
    await live.api("anna").set_policy(POINTS, -3, "theirs", "sub.acme.example")
    act = await weighed(live)
    assert (act.count, act.would) == (2, {"hold": 1, "pass": 1})
    done = await confirmed(live, act)
    assert done.results == {"done": 1, "held": 1}
    envelope = await live.api("ben").part(id, "envelope")
    assert {line.toEmail: line.status in ("RELEASING", "RELEASED") for line in envelope.mails} == {
        to[0]: False,
        to[1]: True,
    }
    assert (await live.api("ben").summary(id)).row.verdict == "SPAM"  # of the one that is held
    await tallies_are_right(live)


# -- many


@pytest.fixture(scope="module")
def own_spamd() -> Iterator[Spamd]:
    with spamassassin.running() as part:
        yield part


async def test_a_rule_changes_then_the_what_if_counts_then_exactly_those_are_released(
    tmp_path, own_spamd, clamd, monkeypatch, capsys
):
    async with site(tmp_path, POLICY, spamassassin=own_spamd.port, clamav=clamd.port) as live:
        passing = [id for n in range(4) for id in await held(live, giraffe(n))]
        others = [*await held(live, SPAM), *await held(live, EICAR_MAIL)]
        assert len(passing) == 4 and len(others) == 2
        shell = Shell(live, tmp_path, monkeypatch, capsys)
        words = ("rescan", "--filter", "status:onhold")
        code, text = await shell("ben", *words)
        assert code == 0 and text.startswith("0 of 6 would pass now (6 hold)")

        await asyncio.to_thread(own_spamd.with_rules, f"score {RULE} 0.01")
        code, text = await shell("ben", *words)
        assert (code, text) == (0, "4 of 6 would pass now (2 hold)\n")
        code, text = await shell("ben", *words, "--expect", "3")
        assert code == 1 and "4 of 6 would pass now (2 hold), not 3: nothing done" in text
        assert {await status(live, id) for id in passing + others} == {"ONHOLD"}
        assert await facts(live, "mail.rescan") == await facts(live, "mail.release") == []

        code, text = await shell("ben", *words, "--expect", "4", "--reason", "the rule was wrong")
        assert code == 0, text
        async with asyncio.timeout(20):
            while {await status(live, id) for id in passing} != {"RELEASED"}:
                await asyncio.sleep(0.05)
        assert {await status(live, id) for id in others} == {"ONHOLD"}
        released = await facts(live, "mail.release")
        assert len(released) == 4 and len(await facts(live, "mail.rescan")) == 6
        assert {one["act"] for one in released} == {(await live.api("ben").acts())[0].id}
        assert (await live.api("ben").summary(others[1])).row.verdict == "VIRUS"
        await tallies_are_right(live)
        read = live.server.marshal.database.read
        await Clockwork(live.server.marshal).clean()
        assert await read(lambda c: c.execute(select(t.act_judged)).all()) == []


async def test_what_is_claimed_or_was_changed_meanwhile_is_not_released(live):
    ids = [id for n in range(4) for id in await held(live, giraffe(n))]
    ben, anna = live.api("ben"), live.api("anna")
    await anna.set_policy(POINTS, 0, "wrong")
    act = await weighed(live)
    assert act.would == {"pass": 4} and (await ben.act_results(act.id)).results == []
    await anna.act(ids[0], Verb.CLAIM)
    await anna.act(ids[1], Verb.EXTEND)
    await anna.act(ids[2], Verb.DELETE)
    done = await confirmed(live, act)
    assert done.results == {"done": 1, "claimed": 1, "changed": 2}
    assert [await status(live, id) for id in ids[:3]] == ["ONHOLD", "ONHOLD", "DELETED"]
    assert await status(live, ids[3]) in ("RELEASING", "RELEASED")
    verdicts = [(await ben.summary(id)).row.verdict for id in ids]
    assert verdicts == ["SPAM", "SPAM", "SPAM", "POLICY"]  # nor do they get a new verdict
    await tallies_are_right(live)


async def test_the_server_restarts_in_the_middle_of_weighing_and_goes_on_where_it_was(live):
    for n in range(5):
        await held(live, giraffe(n))
    await live.api("anna").set_policy(POINTS, 0, "wrong")
    begun: list[bytes] = []
    real, enough, stuck = live.server.judge.judge, asyncio.Event(), asyncio.Event()

    async def slow(raw: bytes, envelope: Any) -> Any:
        begun.append(raw)
        if len(begun) > 2:
            enough.set()
            await stuck.wait()
        return await real(raw, envelope)

    live.server.judge.judge = slow
    ben = live.api("ben")
    act = await ben.store_act(ActRequest(verb="rescan", query="status:onhold"))
    assert act.state == "weighing"
    await asyncio.wait_for(enough.wait(), 20)
    async with asyncio.timeout(20):
        while sum((act := await ben.act_progress(act.id)).would.values()) < 2:
            await asyncio.sleep(0.02)
    assert (act.state, act.would) == ("weighing", {"pass": 2})
    for ask in (ben.confirm_act(act.id, 2), ben.confirm_act(act.id, 5)):
        with pytest.raises(ApiProblem, match="being weighed") as refused:
            await ask
        assert refused.value.type == "status"

    await live.restart()
    again: list[bytes] = []
    real_now = live.server.judge.judge
    live.server.judge.judge = lambda raw, envelope: again.append(raw) or real_now(raw, envelope)
    async with asyncio.timeout(30):
        while (act := await live.api("ben").act_progress(act.id)).state == "weighing":
            await asyncio.sleep(0.05)
    assert (act.state, act.would) == ("stored", {"pass": 5}) and not set(again) & set(begun[:2])
    assert (await confirmed(live, act)).results == {"done": 5}


async def test_it_is_stopped_while_it_is_weighed_and_confirmed_by_its_own_number_only(live):
    for n in range(3):
        await held(live, giraffe(n))
    await held(live, EICAR_MAIL)
    await live.api("anna").set_policy(POINTS, 0, "wrong")
    ben = live.api("ben")
    act = await ben.stop_act((await ben.store_act(ActRequest(verb="rescan", query="status:onhold"))).id)
    assert act.state == "stopped"
    act = await weighed(live)
    for expect in (4, 0):
        with pytest.raises(ApiProblem, match="3 mails would pass, not") as refused:
            await ben.confirm_act(act.id, expect)
        assert refused.value.type == "expect"
    with pytest.raises(ApiProblem, match="confirmed by the person who stored it"):
        await live.api("anna").confirm_act(act.id, 3)
    assert (await confirmed(live, act)).results == {"done": 3, "held": 1}


async def test_who_lost_the_right_before_confirming_releases_nothing(live):
    (id,) = await held(live, giraffe())
    anna = live.api("anna")
    await anna.set_policy(POINTS, 0, "wrong")
    act = await weighed(live, "otis")
    await anna.change_person("otis", "grant", {"role": "auditor", "customer": "all"})
    await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
    assert (await confirmed(live, act, "otis")).results == {"refused": 1}
    assert await status(live, id) == "ONHOLD" and await facts(live, "mail.rescan") == []


async def test_only_what_one_may_view_is_weighed(live):
    await held(live, giraffe())
    await held(live, giraffe(), "x@sales.example")
    anna = live.api("anna")
    await anna.change_person("otis", "grant", {"role": "operator", "customer": "acme/sales"})
    await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
    assert (await weighed(live, "otis")).count == 1


async def test_a_scanner_that_is_away_lets_nothing_pass(tmp_path, spamd):
    from tests.realparts.part import free_port

    async with site(tmp_path, POLICY, spamassassin=spamd.port, clamav=free_port()) as live:
        (id,) = await held(live, giraffe())
        await live.api("anna").set_policy(POINTS, 0, "wrong")
        act = await weighed(live)
        assert act.would == {"hold": 1}
        assert (await confirmed(live, act)).results == {"held": 1}
        assert "clamav is away" in (await live.api("ben").part(id, "verdict")).reason


async def test_a_mail_that_came_back_does_not_pass(live):
    back = Returned(Pass("1QGZ5CH2N8M4A000-1841", 1), "bob@acme.example", True)
    (id,) = await held_as(live, HAM, back.loops)
    assert [r.would for r in (await live.api("ben").act(id, Verb.RESCAN)).results] == ["hold"]
    assert (await weighed(live)).would == {"hold": 1}
    assert (await live.api("ben").part(id, "verdict")).reason.startswith("loop: released as")


async def test_what_the_policy_strips_now_is_stripped_on_release_and_a_way_of_its_own_stays_one(live):
    (id,) = await held(live, EICAR_MAIL)
    find = select(t.mail.c.way).where(t.mail.c.message == parse_id(id)[0])

    async def way() -> Any:
        kept = await live.server.marshal.database.read(lambda c: c.execute(find).scalar())
        return kept and json.loads(kept)

    stripped = Found(name="invoice.com", rule="name *.com", action="strip")
    real = live.server.judge.judge

    async def strips(raw: bytes, envelope: Any) -> Any:
        judgement = await real(raw, envelope)
        by = {to: replace(decision, found=(stripped,)) for to, decision in judgement.by_recipient.items()}
        return replace(judgement, by_recipient=by)

    await live.api("ben").act(id, Verb.RESCAN)
    assert await way() is None
    live.server.judge.judge = strips
    await live.api("ben").act(id, Verb.RESCAN)
    assert (await way())["form"] == "stripped" and (await way())["strip"] == ["invoice.com"]
    live.server.judge.judge = real
    await live.api("ben").act(id, Verb.RESCAN)
    assert (await way())["form"] == "original"


async def test_the_timeline_tells_when_it_was_scanned_and_what_changed(live):
    (id,) = await held(live, giraffe())
    await live.api("anna").set_policy(POINTS, -3, "wrong")
    await live.api("ben").act(id, Verb.RESCAN)
    steps = (await live.api("ben").part(id, "timeline")).steps
    told = [(step.what, step.detail) for step in steps[[s.what for s in steps].index("mail.hold") + 1 :]]
    assert [what for what, _ in told if what != "policy.set"] == ["scan", "scan", "decision", "mail.rescan"]
    assert dict(told)["mail.rescan"] == "SPAM -> POLICY" and "scanned again" in dict(told)["decision"]
    assert [step.at for step in steps] == sorted(step.at for step in steps)


async def test_by_the_command_line_and_acpi(live, tmp_path, monkeypatch, capsys):
    (id,) = await held(live, giraffe())
    shell = Shell(live, tmp_path, monkeypatch, capsys)
    code, text = await shell("ben", "rescan", id)
    assert code == 0 and text == f"{id}000\tdone\tONHOLD\twould hold\n"
    (line,) = [json.loads(line) async for line in live.api("cleo").acpi({"cmd": "mail.rescan", "id": id})]
    assert line["code"] == "OK" and line["results"][0]["would"] == "hold"
    code, text = await shell("ben", "rescan", "--filter", "status:onhold", "--json")
    assert code == 0 and json.loads(text)["would"] == {"hold": 1}
    code, text = await shell("ben", "release", id, "--for-all")
    assert code == 2 and "--for-all" in text
    code, text = await shell("ben", "release", id, "--allow-sender", "7d", "--reason", "known")
    assert code == 0
    assert [one.kind for one in (await live.api("ben").senders()).senders] == ["allow"]
    assert parse_id(id)
