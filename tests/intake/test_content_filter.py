"""The content filter behind a real Postfix, over SMTP and LMTP; and a server behind it that refuses, loses, is away."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter

import pytest

from rcqueue.demo.next_hop import Behaviour, NextHop
from rcqueue.server.config import Config
from rcqueue.server.intake.content_filter import ContentFilter
from rcqueue.server.intake.hold import Intake
from rcqueue.server.store import tables as t
from tests.realparts.postfix import Postfix, comes, free_port
from tests.server.harness import Queue, Talk

from .judging import ByRecipient

MAIL = (
    b"From: Ada <ada@sender.example>\r\nX-Rcq-Verdict: forged\r\n folded\r\nSubject: x\r\n\r\n.dot\r\n"
    b"X-Rcq-In: body\r\nsmuggled\n.\nMAIL FROM:<evil@x.example>\r\n"
)
PASSED = MAIL.replace(b"X-Rcq-Verdict: forged\r\n folded\r\n", b"").replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
BEHAVIOURS = {
    "gone": Behaviour(refuse="550 5.1.1 No such user here"),
    "later": Behaviour(refuse="451 4.2.1 Not now", times=1),
    "atdata": Behaviour(refuse="554 5.6.0 Not this content", at_data=True),
    "dataonce": Behaviour(refuse="450 4.6.0 Not this content now", at_data=True, times=1),
    "lost": Behaviour(lose_answer=True, times=1),
}


class World:
    """A filter on its own, and a server behind it that behaves by local part."""

    def __init__(self, queue: Queue, filter: ContentFilter, behind: NextHop, judge: ByRecipient) -> None:
        self.queue, self.filter, self.behind, self.judge = queue, filter, behind, judge

    async def say(self, *to: str, lmtp: bool = False, raw: bytes = MAIL) -> list[str]:
        async with Talk.to(self.filter.port, ehlo=not lmtp) as talk:
            if lmtp:
                await talk.say("LHLO mx.example", "250")
            await talk.mail("ada@sender.example", [f"{name}@rcq.example" for name in to])
            return [await talk.data(raw)] + [await talk.reply() for _ in to[1:] if lmtp]

    async def held(self) -> dict[str, str]:
        """The reason of each mail on hold, by local part."""
        details = {d["message"]: json.loads(d["verdict"])["reason"] for d in await self.queue.rows(t.message_detail)}
        return {m["rcpt"].partition("@")[0]: details[m["message"]] for m in await self.on_hold()}

    async def on_hold(self) -> list[dict]:
        return await self.queue.rows(t.mail, status="ONHOLD")

    def passed(self) -> Counter[str]:
        return Counter(to.partition("@")[0] for mail in self.behind.received() for to in mail.recipients)


@pytest.fixture
async def world(queue, tmp_path):
    behind = NextHop(tmp_path / "behind", lambda to: BEHAVIOURS.get(re.split("[+@]", to)[0], Behaviour()))
    await behind.start()
    config = Config(
        data_dir=tmp_path,
        filter={"listen": f"127.0.0.1:{free_port()}", "reinject": f"127.0.0.1:{behind.port}", "timeout": "5s"},
    )
    judge = ByRecipient()
    filter = ContentFilter(Intake(queue.marshal, config), judge, config.filter, config.smtp)
    await filter.start()
    yield World(queue, filter, behind, judge)
    await filter.stop(grace=1)
    await behind.stop()


@pytest.mark.parametrize("lmtp", [False, True])
async def test_clean_mail_goes_on_at_once(world, lmtp):
    for _ in range(3):
        assert all(
            said.startswith("250 2.0.0 Ok: passed on: 250") for said in await world.say("ben", "cleo", lmtp=lmtp)
        )
    assert world.passed() == {"ben": 3, "cleo": 3} and not await world.held()
    assert {mail.raw for mail in world.behind.received()} == {PASSED}


async def test_tagged_refused_deferred_held(world):
    assert (await world.say("tag.ben", "cleo"))[0].startswith("250 2.0.0 Ok")
    (mail,) = world.behind.received()
    assert mail.raw == b"X-Rcq-Verdict: SPAM; names\r\nX-Spam-Flag: YES\r\n" + PASSED
    assert (await world.say("reject.ben"))[0].startswith("550 5.7.1")
    assert (await world.say("ben", "defer.cleo", "hold.x"))[0].startswith("451 4.7.1")
    assert not await world.held()
    assert (await world.say("hold.ben"))[0].startswith("250 2.0.0 Held as ")
    assert (await world.say("ben", "hold.cleo", "reject.dora"))[0].startswith("250 2.0.0 Ok")
    assert world.passed() == {"tag.ben": 1, "cleo": 1, "ben": 1}
    assert set(await world.held()) == {"hold.ben", "hold.cleo", "reject.dora"}
    await comes(lambda: _lengths(world, PASSED=3, REJECTED=1))
    assert {row["origin"] for row in await world.queue.rows(t.message)} == {"filter"}


async def test_lmtp_answers_each(world):
    said = await world.say("ben", "hold.cleo", "reject.dora", "defer.otis", "gone", "later", lmtp=True)
    assert [line[:9] for line in said] == ["250 2.0.0", "250 2.0.0", "550 5.7.1", "451 4.7.1", "550 5.1.1", "451 4.2.1"]
    assert world.passed() == {"ben": 1} and set(await world.held()) == {"hold.cleo"}


async def test_one_answer_is_never_a_second_delivery(world):
    """A client that tries again until it hears 250 or 5xx: each recipient's mail is passed on or held, once."""
    cases = (
        (("ben", "gone"), ["250"], ["ben"], {"gone": "No such user"}),
        (("gone",), ["550"], [], {}),
        (("ben", "later"), ["451", "250"], ["ben", "later"], {}),
        (("later", "hold.x"), ["451", "250"], ["later"], {"hold.x": "names"}),
        (("ben", "atdata"), ["554"], [], {}),
        (("atdata", "hold.x"), ["250"], [], {"atdata": "Not this content", "hold.x": "names"}),
        (("dataonce", "ben"), ["450", "250"], ["ben", "dataonce"], {}),
        (("dataonce", "hold.x"), ["250"], [], {"dataonce": "Not this content now", "hold.x": "names"}),
        (("lost", "hold.x"), ["250"], ["lost"], {"lost": "it may have arrived", "hold.x": "names"}),
        (("ben", "gone", "hold.x"), ["250"], ["ben"], {"gone": "No such user", "hold.x": "names"}),
    )
    for number, (to, answers, passed, held) in enumerate(cases):
        names = [f"{name}+{number}" for name in to]  # a behaviour of once is once for each of these
        for answer in answers:
            assert (await world.say(*names))[0].startswith(answer), to
        assert {n: c for n, c in world.passed().items() if n in names} == {f"{n}+{number}": 1 for n in passed}, to
        mails = [m["rcpt"] for m in await world.on_hold()]
        assert sorted(m for m in mails if f"+{number}@" in m) == sorted(f"{n}+{number}@rcq.example" for n in held), to
        reasons = await world.held()
        assert all(why in reasons[f"{name}+{number}"] for name, why in held.items()), (to, reasons)


async def test_away_then_back(world):
    port = world.behind.port
    await world.say("ben")
    await world.behind.stop()
    assert (await world.say("ben"))[0].startswith("451 4.4.1")
    said = await world.say("ben", "hold.x", "reject.y", lmtp=True)
    assert [line[:9] for line in said] == ["451 4.4.1", "451 4.7.1", "550 5.7.1"]
    assert not await world.held()
    world.behind = NextHop(world.behind.folder, lambda _: Behaviour(), port=port)
    await world.behind.start()
    assert (await world.say("ben"))[0].startswith("250")


async def test_cannot_be_stored_then_nothing_is_passed_on(world, monkeypatch):
    async def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(world.queue.marshal, "hold", fails)
    assert (await world.say("ben", "hold.x"))[0].startswith("451 4.3.0")
    await asyncio.sleep(0.1)
    assert not world.passed()


@pytest.mark.parametrize("transport", ["smtp", "lmtp"])
async def test_behind_postfix(queue, tmp_path, transport):
    filter_port, behind_port = free_port(), free_port()
    main = {"content_filter": f"scan:[127.0.0.1]:{filter_port}"}
    master = (
        f"scan unix - - n - 4 {transport} -o {transport}_send_xforward_command=yes\n"
        f"127.0.0.1:{behind_port} inet n - n - - smtpd -o content_filter= -o smtpd_milters=\n"
        "  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters\n"
        "  -o smtpd_authorized_xforward_hosts=127.0.0.0/8 -o local_header_rewrite_clients=\n"
    )
    config = Config(
        data_dir=tmp_path,
        smtp={"trusted": ["127.0.0.1"]},
        filter={"listen": f"127.0.0.1:{filter_port}", "reinject": f"127.0.0.1:{behind_port}"},
    )
    judge = ByRecipient()
    filter = ContentFilter(Intake(queue.marshal, config), judge, config.filter, config.smtp)
    await filter.start()
    try:
        async with Postfix(main, master) as postfix, Talk.to(postfix.port) as talk:
            await talk.say("XCLIENT ADDR=198.51.100.7 NAME=mail.sender.example", "220")
            await talk.say("EHLO their.helo.example", "250")
            await talk.mail("ada@sender.example", ["ben@rcq.example", "hold.cleo@rcq.example", "tag.otis@rcq.example"])
            first = (await talk.data(MAIL)).split()[-1]
            await comes(lambda: len(postfix.delivered()) == 2)
            (held,) = await comes(lambda: queue.rows(t.mail, status="ONHOLD"))
            (detail,) = await queue.rows(t.message_detail, message=held["message"])
            log = postfix.log()
            await comes(lambda: _empty(postfix))
    finally:
        await filter.stop(grace=1)
    receipt = json.loads(detail["receipt"])
    assert (receipt["client"], receipt["name"]) == ("198.51.100.7", "mail.sender.example")
    assert (receipt["helo"], receipt["ident"]) == ("their.helo.example", first)
    assert (judge.asked[0][1].queue_id, judge.asked[0][1].client) == (first, "198.51.100.7")
    assert f"orig_queue_id={first}" in log and "orig_client=mail.sender.example[198.51.100.7]" in log


async def _lengths(world: World, **wanted: int) -> bool:
    return {s: len(await world.queue.rows(t.mail, status=s)) for s in wanted} == wanted


async def _empty(postfix: Postfix) -> bool:
    return not await postfix.queue()
