"""The milter under a real Postfix: passed, tagged, refused, held, and different things for different recipients."""

from __future__ import annotations

import asyncio
import json

import pytest

from rcqueue.server.config import Config
from rcqueue.server.intake.hold import Intake
from rcqueue.server.intake.milter import MilterIntake
from rcqueue.server.store import tables as t
from tests.realparts.postfix import Postfix, comes, free_port
from tests.server.harness import Queue, Talk

from .judging import ByRecipient

MAIL = (
    b"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\nFrom: Ada <ada@sender.example>\r\n"
    b"DKIM-Signature: v=1; a=rsa-sha256;\r\n\tbh=abc=;  b=de\r\n  fg\r\nX-Odd:no space\r\nX-Empty:\r\n"
    b"Subject:   three spaces, \xc3\xbc \r\nTo: ben@rcq.example\r\n"
    b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\nA body.\r\n.\r\n..dots\r\n trailing \r\n\r\n\r\n"
)


class World:
    def __init__(self, queue: Queue, postfix: Postfix, judge: ByRecipient, milter: MilterIntake) -> None:
        self.queue, self.postfix, self.judge, self.milter = queue, postfix, judge, milter

    async def send(self, *to: str, raw: bytes = MAIL, helo: str = "their.helo.example") -> str:
        """The answer to a mail to these local parts."""
        async with Talk.to(self.postfix.port) as talk:
            await talk.say("XCLIENT ADDR=198.51.100.7 NAME=mail.sender.example PORT=4711", "220")
            await talk.say(f"EHLO {helo}", "250")
            await talk.mail("ada@sender.example", [f"{name}@rcq.example" for name in to])
            return await talk.data(raw)

    async def arrives(self, count: int = 1) -> list[bytes]:
        return await comes(lambda: len(found := self.postfix.delivered()) >= count and found)


@pytest.fixture(scope="module")
async def postfix():
    port = free_port()
    main = {"smtpd_milters": f"inet:127.0.0.1:{port}", "milter_default_action": "tempfail"}
    async with Postfix(main) as postfix:
        postfix.milter_port = port
        yield postfix


@pytest.fixture
async def world(queue, postfix, tmp_path):
    config = Config(data_dir=tmp_path, milter={"listen": f"127.0.0.1:{postfix.milter_port}"})
    judge = ByRecipient()
    milter = MilterIntake(Intake(queue.marshal, config), judge, config.milter, 200_000)
    await milter.start()
    yield World(queue, postfix, judge, milter)
    await milter.stop(grace=1)
    for mail in postfix.mail.glob("all/new/*"):
        mail.unlink()


pytestmark = pytest.mark.xdist_group("milter")  # one Postfix for all of them


async def test_passed_as_it_came(world):
    assert (await world.send("ben")).startswith("250 2.0.0 Ok")
    (mail,) = await world.arrives()
    assert mail.replace(b"\n", b"\r\n").endswith(MAIL)
    ((raw, envelope),) = world.judge.asked
    assert raw == MAIL
    assert (envelope.sender, envelope.recipients) == ("ada@sender.example", ("ben@rcq.example",))
    assert (envelope.client, envelope.helo) == ("198.51.100.7", "their.helo.example")
    (row,) = await comes(lambda: world.queue.rows(t.message))
    assert (row["passed"], row["onhold"], row["origin"]) == (1, 0, "milter")


async def test_tagged(world):
    forged = b"X-Rcq-Verdict: NONE; forged\r\nX-RCQ-verdict: again\r\nX-Rcqueue-Release: 1\r\n"
    await world.send("tag.ben", raw=forged + MAIL)
    (mail,) = await world.arrives()
    header = mail.partition(b"\n\n")[0]
    assert header.endswith(b"X-Rcq-Verdict: SPAM; names\nX-Spam-Flag: YES")
    assert header.lower().count(b"x-rcq-") == 1 and b"Rcqueue-Release" not in header


async def test_refused_with_our_words(world):
    assert (await world.send("reject.ben", "reject.cleo")).startswith("550 5.7.1 Error: refused by policy")
    (row,) = await comes(lambda: world.queue.rows(t.message))
    assert (row["rejected"], row["verdict"], row["score"]) == (2, "SPAM", 7.5)
    assert not await world.queue.rows(t.blob)


async def test_deferred(world):
    assert (await world.send("ben", "defer.cleo", "hold.dora")).startswith("451 4.7.1 ")
    assert not await world.queue.rows(t.message) and not world.postfix.delivered()


async def test_held_here_and_discarded_there(world):
    said = await world.send("hold.ben", "hold.cleo")
    assert said.startswith("250 2.0.0 Ok")
    (row,), (detail,) = await world.queue.rows(t.message), await world.queue.rows(t.message_detail)
    assert await world.queue.raw(row["id"]) == MAIL
    assert (row["origin"], row["recipients"], row["verdict"], row["score"]) == ("milter", 2, "SPAM", 7.5)
    receipt, verdict = json.loads(detail["receipt"]), json.loads(detail["verdict"])
    assert (receipt["client"], receipt["port"]) == ("198.51.100.7", 4711)
    assert (receipt["name"], receipt["helo"]) == ("mail.sender.example", "their.helo.example")
    assert said.strip().endswith(receipt["ident"]) and receipt["ident"]
    assert (
        verdict["rules"] == [{"name": "BY_NAME", "points": 7.5, "description": "the recipient's name says so"}]
        and verdict["reason"] == "names: 7.5 of 5"
    )
    (result,) = json.loads(detail["scans"])
    assert (result["scanner"], result["score"], result["required"]) == ("names", 7.5, 5.0)
    assert "milter-discard: END-OF-MESSAGE" in world.postfix.log()
    assert not await world.postfix.queue() and not world.postfix.delivered()


async def test_what_the_sender_asks_to_be_told_is_kept(world):
    async with Talk.to(world.postfix.port) as talk:
        await talk.say("MAIL FROM:<a@x.example> RET=HDRS ENVID=Qq31", "250")
        await talk.say("RCPT TO:<hold.ben@rcq.example> NOTIFY=DELAY ORCPT=rfc822;ben@x.example", "250")
        await talk.data(MAIL)
    (detail,) = await world.queue.rows(t.message_detail)
    asked = json.loads(detail["receipt"])["dsn"]
    assert asked["mail"] == "RET=HDRS ENVID=Qq31"
    assert asked["recipients"] == {"hold.ben@rcq.example": "NOTIFY=DELAY ORCPT=rfc822;ben@x.example"}


async def test_for_each_recipient_what_was_decided(world):
    await world.send("ben", "hold.cleo", "reject.dora", "tag.otis", "hold.anna")
    await comes(lambda: world.queue.rows(t.mail, status="PASSED"))
    mails = await world.queue.rows(t.mail, status="ONHOLD")
    names = ["hold.cleo", "hold.anna", "reject.dora"]
    assert [m["rcpt"] for m in mails] == [f"{name}@rcq.example" for name in names]
    found = await world.arrives(2)
    to = sorted(line for mail in found for line in mail.splitlines() if line.startswith(b"X-Original-To"))
    assert to == [b"X-Original-To: ben@rcq.example", b"X-Original-To: tag.otis@rcq.example"]


async def test_too_large_and_cannot_be_stored(world, monkeypatch):
    assert (await world.send("hold.ben", raw=MAIL + b"x" * 300_000 + b"\r\n")).startswith("552 5.3.4 ")

    async def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(world.queue.marshal, "hold", fails)
    assert (await world.send("hold.ben", "cleo")).startswith("451 4.3.0 ")
    assert not await world.queue.rows(t.message) and not world.postfix.delivered()


@pytest.mark.parametrize("helo", ["a..b", "x" * 200, "-", "b\xfccher.example", "xn--\x7f"])
async def test_no_greeting_gets_mail_past_it(world, helo):
    await world.send("hold.ben", helo=helo)
    assert len(await world.queue.rows(t.message)) == 1


async def test_two_mails_of_one_session_and_an_abort_between(world):
    async with Talk.to(world.postfix.port) as talk:
        await talk.mail("a@x.example", ["hold.one@rcq.example"])
        assert (await talk.data(MAIL)).startswith("250")
        await talk.mail("b@x.example", ["hold.two@rcq.example"])
        await talk.say("RSET", "250")
        await talk.mail("", ["hold.three@rcq.example"])
        assert (await talk.data(MAIL)).startswith("250")
    assert [m["rcpt"].partition("@")[0] for m in await world.queue.rows(t.mail)] == ["hold.one", "hold.three"]
    assert [m["sender"] for m in await world.queue.rows(t.message)] == ["a@x.example", ""]


async def test_the_mail_server_gone_in_the_middle_holds_nothing(world):
    """The client was told nothing, and comes again: what would be held now, would be held twice."""
    world.judge.go_on.clear()
    _, writer = await asyncio.open_connection("127.0.0.1", world.milter.port)
    for command, data in (
        (b"O", b"\0\0\0\6\0\0\1\xff\0\x1f\xff\xff"),
        (b"C", b"h\0" + b"4\0\x19198.51.100.7\0"),
        (b"M", b"<a@x.example>\0"),
        (b"R", b"<hold.b@x.example>\0"),
        (b"L", b"Subject\0 x\0"),
        (b"N", b""),
        (b"E", b"body"),
    ):
        writer.write((len(data) + 1).to_bytes(4, "big") + command + data)
    await asyncio.wait_for(world.judge.waiting.wait(), 5)
    writer.close()
    await asyncio.sleep(0.05)
    world.judge.go_on.set()
    await asyncio.sleep(0.1)
    assert world.judge.asked[0][0] == b"Subject: x\r\n\r\nbody"
    assert not await world.queue.rows(t.message)


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\0\0\0\0\0",
        b"\xff\xff\xff\xffB",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\2Lx",
        b"\0\0\0\5O\0\0\0\6",
        b"\0\0\0\2Ex",
    ],
)
async def test_what_is_not_a_milter_protocol_ends_that_session_only(world, rubbish):
    reader, writer = await asyncio.open_connection("127.0.0.1", world.milter.port)
    writer.write(rubbish)
    with pytest.raises(ConnectionError):
        while await asyncio.wait_for(reader.read(100), 5):
            pass
        raise ConnectionError
    assert (await world.send("hold.ben")).startswith("250")


async def test_away(world):
    """What then happens is the mail server's `milter_default_action`: here the client is told to come again."""
    await world.milter.stop()
    async with Talk.to(world.postfix.port, ehlo=False) as talk:
        said = await talk.say("EHLO x.example")
        said = await talk.say("MAIL FROM:<a@x.example>") if said.startswith("250") else said
        assert said.startswith("451 4.7.1")
