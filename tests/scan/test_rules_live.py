"""Senders and settings on a running server with real scanners: who may, what is on record, and the next mail."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select

from rcqueue.client.api import ApiProblem
from rcqueue.model.act import ActBody, ActRequest, SenderWish, Verb
from rcqueue.model.policy import SenderBody
from rcqueue.server.store import tables as t
from tests.realparts.spamd import CUSTOM

from .mails import EICAR_MAIL, HAM, mail, raw
from .rulesite import Shell, held, judged, site

pytestmark = pytest.mark.xdist_group("scanners")
POLICY = """
[default]
scanners = ["spamassassin", "clamav"]
[default.score.spamassassin]
hold = 2.5
reject = 500
[domain."sales.example"]
"""
RULE, POINTS, _ = CUSTOM
GIRAFFE = raw(mail("A purple giraffe handshake, as agreed.\n"))
CAROL = "carol@partner.example"


@pytest.fixture
async def live(tmp_path, spamd, clamd) -> Any:
    async with site(tmp_path, POLICY, spamassassin=spamd.port, clamav=clamd.port) as live:
        anna = live.api("anna")
        await anna.change_person("otis", "grant", {"role": "operator", "customer": "acme/sales"})
        await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
        yield live


def sender(who: str = CAROL, **more: Any) -> SenderBody:
    whom = more if {"recipient", "customer"} & more.keys() else more | {"recipient": "bob@acme.example"}
    return SenderBody(sender=who, **({"days": 30} | whom))


async def entries(live: Any, *kinds: str) -> list[dict[str, Any]]:
    query = select(t.entry).where(t.entry.c.kind.in_(kinds)).order_by(t.entry.c.seq)
    rows = await live.server.marshal.database.read(lambda c: c.execute(query).all())
    return [{"kind": r.kind, **json.loads(r.leaf)["facts"], "personal": json.loads(r.personal or "{}")} for r in rows]


async def action(live: Any, message: bytes = GIRAFFE, to: str = "bob@acme.example") -> str:
    return str((await judged(live, message, to, sender=CAROL))[to].action)


# -- senders


async def test_a_blocked_sender_s_next_mail_is_held_with_the_name_of_who_blocked_and_after_its_end_not(live):
    assert await action(live, HAM) == "PASS"
    id = await live.api("ben").add_sender("block", sender(reason="tricks"))
    (decision,) = (await judged(live, HAM, sender="other@elsewhere.example")).values()
    assert (decision.action, decision.kind) == ("HOLD", "POLICY") and "blocked by ben until " in decision.reason
    assert await action(live, HAM, "eve@acme.example") == "PASS"
    (ids,) = await held(live, HAM)
    assert "blocked by ben until " in (await live.api("ben").part(ids, "verdict")).reason
    assert (await live.api("cleo").part(ids, "verdict")).reason == ""  # it is rule text
    await live.api("ben").end_sender(id, "a mistake")
    assert await action(live, HAM) == "PASS"
    block, end = await entries(live, "sender.block", "sender.end")
    assert block["personal"] == {"address": CAROL, "recipient": "bob@acme.example", "reason": "tricks"}
    assert (
        block["sender"] == end["sender"] == id and "address" not in block and end["personal"]["reason"] == "a mistake"
    )


async def test_an_allowed_sender_is_let_through_but_never_with_a_virus(live):
    assert await action(live) == "HOLD"
    await live.api("ben").add_sender("allow", sender())
    (decision,) = (await judged(live, GIRAFFE)).values()
    assert decision.action == "PASS" and "allowed by ben until " in decision.reason
    (virus,) = (await judged(live, EICAR_MAIL)).values()
    assert (virus.action, virus.kind) == ("HOLD", "VIRUS")
    fields = b"Authentication-Results: mx.acme.example; dmarc=fail header.from=partner.example\r\n"
    (forged,) = (await judged(live, fields + GIRAFFE)).values()
    assert forged.action == "HOLD" and "but DMARC fails for it" in forged.reason


async def test_what_was_said_outlives_a_restart_and_ends_by_itself(live):
    await live.api("ben").add_sender("allow", sender())
    await live.restart()
    assert await action(live) == "PASS"
    live.server.rules.now = lambda: live.server.marshal.clock.now() + 31 * 86400 * 1_000_000
    assert await action(live) == "HOLD"


async def test_released_and_allowed_deleted_and_blocked_in_one_act(live):
    (id,) = await held(live, GIRAFFE)
    ben = live.api("ben")
    answer = await ben.act(id, Verb.RELEASE, ActBody(sender=SenderWish(days=3), reason="known"))
    assert answer.done == 1 and await action(live) == "PASS" and await action(live, to="eve@acme.example") == "HOLD"
    (allow,) = await entries(live, "sender.allow")
    assert allow["personal"] == {"address": CAROL, "recipient": "bob@acme.example", "reason": "known"}
    (one,) = (await ben.senders()).senders
    assert (one.kind, one.sender, one.recipient, one.by, (one.ends - one.created).days) == (
        "allow",
        CAROL,
        "bob@acme.example",
        "ben",
        3,
    )
    await live.api("anna").add_sender("block", sender(customer="acme/sales"))
    (other,) = await held(live, GIRAFFE, "bob@sales.example")
    await ben.act(other, Verb.DELETE, ActBody(sender=SenderWish()))
    newest = (await ben.senders()).senders[0]
    assert (newest.kind, newest.recipient) == ("block", "bob@sales.example")


async def test_in_an_act_on_many_each_recipient_is_said_once(live):
    for to in ("bob@acme.example", "eve@acme.example", "bob@acme.example"):
        await held(live, GIRAFFE, to)
    ben = live.api("ben")
    stored = await ben.store_act(ActRequest(verb="delete", query="status:onhold", sender=SenderWish()))
    act = await ben.confirm_act(stored.id, 3)
    while act.state == "running":
        act = await ben.act_progress(act.id)
    assert act.results == {"done": 3}
    assert sorted(one.recipient for one in (await ben.senders()).senders) == ["bob@acme.example", "eve@acme.example"]


@pytest.mark.parametrize(
    ("who", "kind", "more", "right"),
    [
        ("dora", "allow", {}, "release"),
        ("dora", "block", {}, "delete"),
        ("otis", "allow", {}, "release"),
        ("ben", "allow", {"customer": "acme"}, "administer"),
        ("ben", "block", {"who": "partner.example"}, "administer"),
    ],
)
async def test_it_needs_the_right_of_the_act_there_and_for_more_than_one_address_an_administrator(
    live, who, kind, more, right
):
    with pytest.raises(ApiProblem) as refused:
        await live.api(who).add_sender(kind, sender(**more))
    assert (refused.value.type, refused.value.extra["right"]) == ("forbidden", right)
    (denied,) = await entries(live, "denied")
    assert (denied["verb"], denied["right"]) == (f"sender.{kind}", right)
    assert await live.api("anna").add_sender(kind, sender(**more))
    (rule,) = (await live.api("anna").senders()).senders
    with pytest.raises(ApiProblem):
        await live.api(who).end_sender(rule.id)
    assert (await live.api("otis").senders()).senders == []  # of customers that one may view alone


async def test_with_an_act_for_the_whole_customer_it_is_an_administrator_s_and_nothing_is_done_without(live):
    (id,) = await held(live, GIRAFFE)
    body = ActBody(sender=SenderWish(scope="customer"))
    with pytest.raises(ApiProblem, match="no right to administer at acme"):
        await live.api("ben").act(id, Verb.RELEASE, body)
    assert (await live.api("ben").summary(id)).row.status == "ONHOLD"
    with pytest.raises(ApiProblem, match="it goes with release"):
        await live.api("anna").act(id, Verb.EXTEND, ActBody(sender=SenderWish()))
    await live.api("anna").act(id, Verb.RELEASE, body)
    assert await action(live, to="eve@acme.example") == "PASS" and await action(live, to="x@other.example") == "HOLD"


async def test_a_mail_that_names_no_sender_is_left_alone(live):
    (id,) = await held(live, GIRAFFE.replace(b"From: ", b"Form: "), sender="")
    with pytest.raises(ApiProblem, match="names no sender"):
        await live.api("ben").act(id, Verb.RELEASE, ActBody(sender=SenderWish()))
    assert (await live.api("ben").summary(id)).row.status == "ONHOLD"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"days": None}, "its end: either days or until was expected"),
        ({"recipient": None}, "for whom: either recipient, an address, or customer was expected"),
        ({"customer": "acme"}, "for whom: either recipient"),
        ({"recipient": None, "customer": "nowhere"}, "there is no customer nowhere"),
        ({"who": "carol"}, "an address as ada@sender.example, or a domain"),
        ({"recipient": "acme.example"}, "recipient: 'acme.example'; an address was expected"),
        ({"days": None, "until": "2020-01-01T00:00:00Z"}, "a time from now to 366 days from now"),
        ({"days": None, "until": "2099-01-01T00:00:00Z"}, "a time from now to 366 days from now"),
    ],
)
async def test_one_without_whom_or_an_end_is_refused(live, body, expected):
    given = {"recipient": "bob@acme.example", "who": CAROL, "days": 30} | body
    with pytest.raises(ApiProblem) as refused:
        await live.api("anna").add_sender("block", sender(**given))
    assert refused.value.type == "bad-request" and expected in refused.value.detail
    assert (await live.api("anna").senders(all=True)).senders == []


# -- settings


async def test_points_and_thresholds_flip_the_decision_of_the_next_mail(live):
    anna = live.api("anna")
    assert await action(live) == "HOLD"
    await anna.set_policy(f"points.spamassassin.{RULE}", 0.1, "too many invoices")
    assert await action(live) == "PASS"
    await anna.set_policy(f"points.spamassassin.{RULE}", None, "no")
    assert await action(live) == "HOLD"
    await anna.set_policy("score.spamassassin.hold", 400, "for the test", "sales.example")
    assert await action(live, to="x@sales.example") == "PASS" and await action(live) == "HOLD"
    await live.restart()
    assert await action(live, to="x@sales.example") == "PASS"
    told = [(e["key"], e["old"], e["new"], e["personal"]["reason"]) for e in await entries(live, "policy.set")]
    assert told == [
        (f"points.spamassassin.{RULE}", None, "0.1", "too many invoices"),
        (f"points.spamassassin.{RULE}", "0.1", None, "no"),
        ("score.spamassassin.hold", "2.5", "400", "for the test"),
    ]


async def test_policy_test_tells_the_settings_at_work(live, tmp_path, monkeypatch, capsys):
    shell = Shell(live, tmp_path, monkeypatch, capsys)
    assert await shell("anna", "policy", "set", f"points.spamassassin.{RULE}=9.5", "--reason", "it is spam") == (0, "")
    file = tmp_path / "giraffe.eml"
    file.write_bytes(GIRAFFE)
    status, text = await shell("ben", "policy", "test", str(file), "--rcpt", "bob@acme.example")
    assert status == 0 and f"set       points.spamassassin.{RULE} = 9.5" in text and "HOLD as SPAM" in text
    status, text = await shell("anna", "policy", "show")
    assert status == 0 and "spamassassin (hold 2.5, reject 500)" in text
    assert f"set: points.spamassassin.{RULE} = 9.5 for default, by anna" in text and "(in the file: not said)" in text
    for words, code, expected in (
        (("score.spamassassin.hold=501", "--reason", "x"), 2, "hold = 501, reject = 500: some of tag, hold and reject"),
        (("score.clam.hold=5", "--reason", "x"), 2, "no scanner 'clam'; one of spamassassin, clamav was expected"),
        (("score.spamassassin.hold=5", "--scope", "x.example", "--reason", "x"), 2, "one of default, sales.example"),
        (("points.spamassassin.X=1", "--reason", " "), 2, "say why; it goes on record"),
    ):
        status, text = await shell("anna", "policy", "set", *words)
        assert status == code and expected in text, text
    status, text = await shell("ben", "policy", "set", "points.spamassassin.X=1", "--reason", "x")
    assert status == 3 and "no right to administer at all" in text
    status, text = await shell("ben", "policy", "show")
    assert status == 3


async def test_of_two_settings_at_once_that_do_not_fit_together_one_holds(live):
    anna = live.api("anna")
    said = await asyncio.gather(
        anna.set_policy("score.spamassassin.hold", 400, "one"),
        anna.set_policy("score.spamassassin.reject", 300, "other"),
        return_exceptions=True,
    )
    (refused,) = [one for one in said if one is not None]
    assert isinstance(refused, ApiProblem) and refused.type == "bad-request" and "score.spamassassin" in refused.detail
    assert [one.fault for one in (await anna.policy()).settings] == [None]


async def test_an_administrator_of_one_customer_does_not_set_everybody_s_policy(live):
    await live.api("anna").change_person("otis", "grant", {"role": "admin", "customer": "acme/sales"})
    with pytest.raises(ApiProblem, match="no right to administer at all"):
        await live.api("otis").set_policy("score.spamassassin.hold", 5, "mine", "sales.example")
    (denied,) = await entries(live, "denied")
    assert denied["verb"] == "policy.set"


async def test_a_setting_that_the_changed_file_does_not_fit_is_told_and_the_file_holds(live, caplog):
    await live.api("anna").set_policy("score.spamassassin.hold", 400, "let all through")
    assert await action(live) == "PASS"
    live.config.policy.write_text(POLICY.replace("reject = 500", "reject = 5"))
    await live.restart()
    assert (await judged(live, raw(mail("Nothing.\n"))))["bob@acme.example"].action == "PASS"
    assert await action(live) == "HOLD" and "does not fit the policy's file, whose value holds" in caplog.text
    (setting,) = (await live.api("anna").policy()).settings
    assert setting.fault is not None and "hold = 400, reject = 5" in setting.fault and setting.file == 2.5
    await live.api("anna").set_policy("score.spamassassin.hold", None, "it does not fit any more")
    assert (await live.api("anna").policy()).settings == []


async def test_by_acpi_and_the_command_line(live, tmp_path, monkeypatch, capsys):
    async def ask(who: str, **request: Any) -> list[dict[str, Any]]:
        return [json.loads(line) async for line in live.api(who).acpi(request)]

    said = {"sender": CAROL, "recipient": "bob@acme.example", "days": 7, "reason": "known"}
    ((answer),) = await ask("ben", cmd="sender.allow", **said)
    assert answer["code"] == "OK"
    (line,) = await ask("ben", cmd="sender.list")
    assert (line["id"], line["kind"], line["by"]) == (answer["id"], "allow", "ben")
    for mistake in ({"days": "7"}, {"until": "soon"}, {"dys": 7}, {"days": 0}):
        (line,) = await ask("ben", cmd="sender.block", **(said | mistake))
        assert line["code"] == "ERROR", mistake
    assert (await ask("ben", cmd="sender.end", id=answer["id"]))[0]["code"] == "OK"
    (line,) = await ask("ben", cmd="sender.end", id=answer["id"])
    assert "has ended already" in line["message"]
    setting = {"key": "score.spamassassin.hold", "value": 3, "reason": "x"}
    assert (await ask("anna", cmd="policy.set", **setting))[0]["code"] == "OK"
    assert (await ask("anna", cmd="policy.show"))[0]["settings"][0]["value"] == 3
    for mistake in ({"value": "3x"}, {"value": [1]}, {"reason": 1}):
        assert (await ask("anna", cmd="policy.set", **(setting | mistake)))[0]["code"] == "ERROR"
    shell = Shell(live, tmp_path, monkeypatch, capsys)
    status, id = await shell("ben", "senders", "block", CAROL, "--recipient", "bob@acme.example", "--for", "7d")
    assert status == 0
    status, text = await shell("ben", "senders", "list")
    assert status == 0 and f"block\t{CAROL}\tbob@acme.example\t" in text and "allow" not in text
    assert (await shell("ben", "senders", "end", id.strip()))[0] == 0
    assert (await shell("ben", "senders", "list"))[1] == ""
    assert "allow" in (await shell("ben", "senders", "list", "--all"))[1]
