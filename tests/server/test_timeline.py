"""Where is my mail: one list from the first connect to the next hop's 250, built from what its viewer may see."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from rcqueue.client.api import Api
from rcqueue.demo.next_hop import Behaviour
from rcqueue.model.access import ROLES, ROOT, Right, Role
from rcqueue.model.act import ActBody, Verb
from rcqueue.model.ids import parse_id
from rcqueue.model.journal import Step, Timeline
from rcqueue.model.mail import Hop, Part, Receipt, RuleHit, ScanResult, VerdictKind, from_us
from rcqueue.server.marshal import entries, show, timeline
from rcqueue.server.marshal.hold import Arrival
from rcqueue.server.reading.scan import scan
from rcqueue.server.scan.judge import Judge
from rcqueue.server.store import tables as t
from tests.intake.judging import ByRecipient
from tests.realparts.postfix import Postfix, comes, free_port

from .harness import Talk
from .live import Live, mail

HOPS = (
    "Received: from mx.sender.example (mx.sender.example [192.0.2.1]) by gate.example.org with ESMTPS id A1\r\n"
    " for <ben@example.org>; Thu, 1 Jan 2026 00:00:07 +0000\r\n"
    "Received: from laptop by mx.sender.example with ESMTPSA id 77; a while ago\r\n"
)


async def way(api: Api, id: str) -> list[Step]:
    answer = await api.part(id, Part.TIMELINE)
    assert isinstance(answer, Timeline) and answer.id == id and answer.more == 0
    return answer.steps


async def ends(api: Api, id: str, kind: str) -> list[Step]:
    """The way, once an entry of this kind is its last step."""

    async def there() -> list[Step] | None:
        steps = await way(api, id)
        return steps if steps[-1].what == kind else None

    steps: list[Step] = await comes(there)
    return steps


async def test_a_mail_through_a_milter_to_the_next_hop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A real Postfix asks our milter; the mail is held, claimed, looked at, released and taken by the next hop."""
    port = free_port()
    async with (
        Live(tmp_path, recall="0s", milter={"listen": f"127.0.0.1:{port}"}) as live,
        Postfix({"smtpd_milters": f"inet:127.0.0.1:{port}", "milter_default_action": "tempfail"}) as postfix,
    ):
        monkeypatch.setattr(Judge, "judge", lambda self, raw, envelope: ByRecipient().judge(raw, envelope))
        async with Talk.to(postfix.port) as talk:
            await talk.say("XCLIENT ADDR=198.51.100.7 NAME=mail.sender.example PORT=4711", "220")
            await talk.say("EHLO their.helo.example", "250")
            await talk.mail("ada@sender.example", ["hold.ben@rcq.example"])
            assert (await talk.data(mail(more=HOPS))).startswith("250")
        ben = live.api("ben")
        (row,) = (await ben.page()).rows
        await ben.act(row.id, Verb.CLAIM)
        await ben.act(row.id, Verb.NOTE, ActBody(note="looks like a newsletter"))
        await ben.part(row.id, Part.TEXT)
        await ben.act(row.id, Verb.RELEASE, ActBody(reason="the recipient waits for it"))
        steps = await ends(ben, row.id, "mail.released")
        assert [step.what for step in steps] == [
            *("hop", "hop", "connect", "data", "scan", "decision", "mail.hold"),
            *("mail.claim", "mail.note", "mail.read", "mail.release", "attempt", "dot", "mail.released"),
        ]
        by = {step.what: step for step in steps}
        assert [(s.who, s.at is None, s.hearsay) for s in steps[:3]] == [
            ("mx.sender.example", True, True),
            ("gate.example.org", False, True),
            ("198.51.100.7", False, False),
        ]
        assert steps[0].detail == "from laptop with ESMTPSA id 77"
        assert steps[1].detail.endswith("for <ben@example.org>")
        for word in ("mail.sender.example", "helo their.helo.example", "through 127.0.0.1 as ", "milter"):
            assert word in by["connect"].detail
        assert by["data"].detail == f"from <ada@sender.example> to 1 recipient, {row.size} bytes"
        assert (by["scan"].who, by["scan"].detail) == ("names", "SPAM, 7.5 of 5, 0.00 s")
        assert (by["decision"].who, by["decision"].detail) == ("policy", "SPAM: names: 7.5 of 5")
        assert [by[f"mail.{verb}"].who for verb in ("hold", "claim", "note", "read", "release")] == [
            *("system", "ben", "ben", "ben", "ben")
        ]
        assert by["mail.note"].detail == "looks like a newsletter"
        assert by["mail.read"].detail == "the text"
        assert by["mail.release"].detail == "the recipient waits for it"
        hop = f"127.0.0.1:{live.next_hop.port}"
        assert by["attempt"].who == by["dot"].who == by["mail.released"].who == hop
        assert by["mail.released"].detail.startswith("250 2.0.0 Ok")
        times = [step.at for step in steps if step.at is not None and not step.hearsay]
        assert times == sorted(times)
        assert len(live.next_hop.received()) == 1


# -- by class


SCANS = [
    ScanResult(
        scanner="spamd",
        kind=VerdictKind.SPAM,
        score=9.5,
        required=5,
        rules=[RuleHit(name="BAYES_99", points=3.5, description="quotesthebody")],
        members=["nameofafile.exe"],
        reason="quotesthebody",
        seconds=0.25,
    ),
    ScanResult(scanner="clamav", error="no answer within 5 s", seconds=5.0),
    ScanResult(scanner="sophos", skipped="9 bytes, over size_limit, 8"),
]
SEES_NOTHING = Role("narrow", frozenset({Right.VIEW}), frozenset())


async def arrive(live: Live, status: str = "ONHOLD", *recipients: str, scans: list[ScanResult] = SCANS) -> str:
    """A mail that our scanners have judged, whose reason quotes its body; its id."""
    raw, now = mail(), from_us(live.server.marshal.clock.now())
    receipt = Receipt(at=now, client="192.0.2.7", name="mx.sender.example", helo="hello.sender.example")
    receipt.connected_at = receipt.data_at = now
    receipt.trace = [Hop(by="gate.example.org", from_="mx.sender.example", for_="<ben@example.org>", at="never")]
    read = replace(scan(raw), verdict=VerdictKind.SPAM, score=9.5, required=5.0, reason="quotesthebody")
    to = recipients or ("ben@example.org",)
    stored = json.dumps([result.model_dump(mode="json") for result in scans])
    arrival = Arrival(ROOT, "ada@sender.example", to, raw, read, receipt, status=status, scans=stored)
    await live.server.marshal.hold([arrival])
    return (await live.api("anna").page("status:any")).rows[0].id


@pytest.fixture
async def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Live]:
    """The next hop sends everything back, and says why; otis may see nothing but that there is mail."""
    monkeypatch.setitem(ROLES, SEES_NOTHING.name, SEES_NOTHING)
    async with Live(tmp_path, recall="0s") as live:
        live.next_hop.behaviour = lambda _: Behaviour(refuse="554 5.7.0 found nameofafile.exe")
        await live.api("anna").change_person("otis", "grant", {"role": "narrow", "customer": ROOT})
        await live.api("anna").change_person("otis", "revoke", {"role": "operator", "customer": ROOT})
        yield live


async def refused(live: Live, id: str) -> None:
    await live.api("anna").act(id, Verb.RELEASE)
    await ends(live.api("anna"), id, "mail.refused")


async def test_each_class_adds_what_is_its_own(live: Live):
    id = await arrive(live)
    await refused(live, id)
    told = {name: "\n".join(map(str, await way(live.api(name), id))) for name in ("ben", "cleo", "otis")}
    of_rules = ("quotesthebody", "found nameofafile.exe")
    of_envelope = ("ada@sender.example", "ben@example.org", "192.0.2.7", "hello.sender", "gate.example.org", "127.0")
    of_headers = ("spamd", "9.5 of 5", "no answer within 5 s", "not asked: 9 bytes")
    for word in (*of_rules, *of_envelope, *of_headers):
        assert word in told["ben"], word
        assert (word in told["cleo"]) == (word not in of_rules), word
        assert word not in told["otis"], word
    assert "554 5.7.0" in told["cleo"] and "554" not in told["otis"]
    steps = await way(live.api("otis"), id)
    assert [s.what for s in steps][:4] == ["connect", "data", "decision", "mail.hold"]
    assert steps[0].at is not None and (steps[0].who, steps[0].detail) == ("", "")
    assert steps[2].detail == "SPAM"  # which the list shows to everybody


async def test_the_verdict_shows_each_scanner_by_class(live: Live):
    id = await arrive(live)
    ben, cleo = [await live.api(name).part(id, Part.VERDICT) for name in ("ben", "cleo")]
    assert ben.scans == SCANS
    assert [(s.scanner, s.score, s.error, s.skipped) for s in cleo.scans] == [
        (s.scanner, s.score, s.error, s.skipped) for s in SCANS
    ]
    assert cleo.scans[0].rules == [RuleHit(name="BAYES_99", points=3.5)]
    assert "quotesthebody" not in str(cleo) and "nameofafile" not in str(cleo)


#: What is left out, and the word that is then told to whom.
GUARDS: dict[str, tuple[Any, str, Any, str, str]] = {
    "the codes of replies": (entries, "reply_for", lambda who, customer, reply: reply, "cleo", "found nameofafile.exe"),
    "the words of a scanner": (show, "result_for", lambda classes, result: result, "cleo", "'nameofafile.exe'"),
    "the descriptions of rules": (show, "rules_for", lambda classes, rules: rules, "cleo", "quotesthebody"),
    "the classes of the receipt log": (
        timeline,
        "_client_for",
        lambda classes, row, log: (log.client, timeline._client(log, row.origin)),
        "otis",
        "hello.sender",
    ),
}


@pytest.mark.parametrize("guard", GUARDS)
async def test_without_any_one_guard_more_is_told(guard: str, live: Live, monkeypatch: pytest.MonkeyPatch):
    module, name, without, who, word = GUARDS[guard]
    id = await arrive(live)
    await refused(live, id)

    async def told() -> str:
        http = live.api(who)
        said = str(await way(http, id))
        return said if who == "otis" else said + str(await http.part(id, Part.VERDICT))

    assert word not in await told()
    monkeypatch.setattr(module, name, without)
    assert word in await told()


# -- other mail


@pytest.mark.parametrize(("status", "kind"), [("PASSED", "mail.pass"), ("REJECTED", "mail.reject")])
async def test_what_was_not_held_has_its_way_too(status: str, kind: str, live: Live):
    id = await arrive(live, status)
    steps = await way(live.api("ben"), id)
    assert [s.what for s in steps] == ["hop", "connect", "data", "scan", "scan", "scan", "decision", kind]


async def test_what_passed_with_nothing_against_it_says_so(live: Live):
    raw = mail()
    receipt = Receipt(at=from_us(live.server.marshal.clock.now()), client="192.0.2.7")
    clean = json.dumps([ScanResult(scanner="spamd", score=0.5).model_dump(mode="json")])
    read = replace(scan(raw), verdict=VerdictKind.POLICY, score=0.5, required=5.0, reason="")
    arrival = Arrival(ROOT, "a@b.example", ("ben@example.org",), raw, read, receipt, status="PASSED", scans=clean)
    await live.server.marshal.hold([arrival])
    (row,) = (await live.api("ben").page("status:passed")).rows
    steps = await way(live.api("ben"), row.id)
    assert [(s.what, s.detail) for s in steps if s.what in ("scan", "decision")] == [
        ("scan", "clean, 0.5, 0.00 s"),
        ("decision", "nothing stands against it, 0.5 of 5"),
    ]


async def test_a_verdict_of_the_header_is_hearsay(live: Live):
    (id,) = await live.send(mail(more="X-Spam-Status: Yes, score=9.1 required=5.0 tests=BAYES_99=3.5\r\n"))
    (decision,) = [s for s in await way(live.api("ben"), id) if s.what == "decision"]
    assert (decision.who, decision.hearsay) == ("header", True)


async def test_one_mail_of_several_has_its_own_way(live: Live):
    live.next_hop.behaviour = lambda to: Behaviour(refuse="550 no such user" if to.startswith("otto") else "")
    id = await arrive(live, "ONHOLD", "ben@example.org", "otto@example.org")
    ben = live.api("ben")
    await ben.act(f"{id}001", Verb.RELEASE)
    await ends(ben, f"{id}001", "mail.refused")
    assert "550 no such user" in str(await way(ben, id))
    assert "attempt" not in str(await way(ben, f"{id}000"))
    (step,) = [s for s in await way(ben, id) if s.what == "attempt"]
    assert step.mail == f"{id}001" and step.detail.startswith("<otto@example.org>; attempt 1")
    (step,) = [s for s in await way(live.api("otis"), id) if s.what == "attempt"]
    assert step.detail.startswith("attempt 1")


async def test_it_says_in_which_form_and_to_whom_else_it_went(live: Live):
    live.next_hop.behaviour = lambda _: Behaviour()
    (id,) = await live.send(mail())
    await live.api("anna").act(id, Verb.RELEASE, ActBody(to=["bea@example.org"], form="attachment", reason="asked"))
    steps = await ends(live.api("ben"), id, "mail.released")
    (released,) = [s for s in steps if s.what == "mail.release"]
    assert released.detail == "as attachment; to bea@example.org; asked"
    assert steps[-1].detail.startswith("<bea@example.org>; as attachment; 250 ")
    told = str(await way(live.api("otis"), id))
    assert "bea@" not in told and "as attachment" in told


async def test_of_very_many_steps_the_newest_are_shown(live: Live, monkeypatch: pytest.MonkeyPatch):
    id = await arrive(live)
    for n in range(5):
        await live.api("ben").act(id, Verb.NOTE, ActBody(note=f"note {n}"))
    monkeypatch.setattr(timeline, "MOST", 3)
    answer = await live.api("ben").part(id, Part.TIMELINE)
    assert [s.detail for s in answer.steps][-3:] == ["note 2", "note 3", "note 4"] and answer.more == 3


async def test_after_the_purge_the_entries_and_attempts_are_left(live: Live):
    id = await arrive(live)
    await refused(live, id)
    with live.server.marshal.database.write_engine.begin() as connection:
        connection.execute(t.message_detail.delete().where(t.message_detail.c.message == parse_id(id)[0]))
    steps = await way(live.api("ben"), id)
    assert [s.what for s in steps] == ["mail.hold", "mail.release", "attempt", "mail.refused"]


async def test_who_may_not_see_the_mail_gets_no_way(live: Live):
    id = await arrive(live)
    await live.api("anna").change_person("otis", "revoke", {"role": "narrow", "customer": ROOT})
    headers = {"Authorization": f"Bearer {live.tokens['otis']}"}
    async with httpx.AsyncClient(base_url=live.url, headers=headers) as http:
        assert (await http.get(f"/api/v1/mails/{id}/timeline")).status_code in (403, 404)


@pytest.mark.parametrize(
    ("said", "year"),
    [
        ("Thu, 1 Jan 2026 00:00:07 +0000", 2026),
        ("Thu, 1 Jan 2026 00:00:07", 2026),
        ("Thu, 1 Jan 1950 00:00:07 +2359", None),
        ("Thu, 31 Dec 9999 23:59:59 -2359", None),
        ("Thu, 99 Jan 2026 99:99:99 +0000", None),
        ("x" * 100_000, None),
        ("", None),
        ("\0\x1b[2J", None),
    ],
)
def test_a_date_of_another_server_is_a_time_or_none(said: str, year: int | None):
    at = timeline._said_at(said)
    assert (at and at.year) == year and (at is None or at.tzinfo is not None)
