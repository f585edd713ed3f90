"""XFORWARD and XCLIENT: believed from trusted hosts alone, for as long as they are meant."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcqueue.model.ids import parse_id
from rcqueue.server.config import Config
from rcqueue.server.intake.forwarded import ATTRIBUTES, Client, attributes
from rcqueue.server.intake.hold import Intake
from rcqueue.server.intake.smtp import SmtpIntake
from rcqueue.server.store import tables as t
from tests.server.harness import MAIL, Talk, free_port


@pytest.fixture
async def listening(queue, tmp_path):
    started = []

    async def start(*trusted: str) -> int:
        config = Config(data_dir=tmp_path, smtp={"listen": f"127.0.0.1:{free_port()}", "trusted": trusted})
        server = SmtpIntake(Intake(queue.marshal, config), config.smtp)
        await server.start()
        started.append(server)
        return server.port

    yield start
    for server in started:
        await server.stop(grace=1)


async def send(queue, talk: Talk) -> dict:
    await talk.mail("a@x.example", ["b@y.example"])
    message = (await talk.data(MAIL)).split()[-1]
    (row,) = await queue.rows(t.message_detail, message=parse_id(message)[0])
    return json.loads(row["receipt"])


FORWARD = (
    "XFORWARD NAME=mail.sender.example ADDR=198.51.100.7 PORT=4711 "
    "PROTO=ESMTP HELO=their+2Ehelo IDENT=4Zq SOURCE=REMOTE"
)


async def test_what_a_trusted_host_forwards_is_in_the_receipt_of_the_next_mail_only(queue, listening):
    async with Talk.to(await listening("127.0.0.0/8")) as talk:
        assert "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE" in await talk.say("EHLO relay.example", "250")
        await talk.say(FORWARD, "250")
        receipt = await send(queue, talk)
        assert (receipt["client"], receipt["port"], receipt["name"]) == ("198.51.100.7", 4711, "mail.sender.example")
        assert (receipt["helo"], receipt["protocol"], receipt["ident"]) == ("their.helo", "ESMTP", "4Zq")
        assert receipt["forwarded_by"] == "127.0.0.1"
        receipt = await send(queue, talk)
        assert (receipt["client"], receipt["helo"], receipt["ident"]) == ("127.0.0.1", "relay.example", "")
        assert receipt["forwarded_by"] == ""
        await talk.say(FORWARD, "250")
        await talk.say("RSET", "250")
        assert (await send(queue, talk))["client"] == "127.0.0.1"


async def test_what_is_handed_over_once_more_is_held_once(queue, listening):
    """As after a crash on either side: the same mail of the other's queue, whoever of its recipients it is for now."""
    port = await listening("127.0.0.1")

    async def hand_over(to: list[str], ident: str = "4Zq", raw: bytes = MAIL, sender: str = "a@x.example") -> set[str]:
        async with Talk.to(port) as talk:
            if ident:
                await talk.say(f"XFORWARD ADDR=198.51.100.7 IDENT={ident}", "250")
            await talk.mail(sender, to)
            return set((await talk.data(raw)).replace(",", "").split()[4:])

    first = await hand_over(["b@y.example", "c@y.example"])
    assert await hand_over(["b@y.example", "c@y.example"]) == await hand_over(["c@y.example"]) == first
    await queue.act("operator", "release", next(iter(first)))
    assert await hand_over(["b@y.example"]) == first
    more = await hand_over(["d@y.example", "b@y.example"])
    assert len(more) == 2 and first < more
    assert [m["rcpt"][0] for m in await queue.rows(t.mail)] == ["b", "c", "d"]
    anew = [("4Zr", MAIL, "a@x.example"), ("4Zq", MAIL + b"x\r\n", "a@x.example"), ("4Zq", MAIL, "b@x.example")]
    for ident, raw, sender in (*anew, ("", MAIL, "a@x.example"), ("", MAIL, "a@x.example")):
        await hand_over(["b@y.example"], ident, raw, sender)
    assert len(await queue.rows(t.message)) == 2 + 5


async def test_in_two_commands_and_unknown_values(queue, listening):
    async with Talk.to(await listening("127.0.0.1")) as talk:
        await talk.say("XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::0:1 PORT=[UNAVAILABLE]", "250")
        await talk.say("XFORWARD HELO=[UNAVAILABLE] PROTO=SMTP", "250")
        receipt = await send(queue, talk)
        assert (receipt["client"], receipt["name"], receipt["port"]) == ("2001:db8::1", "", 0)
        assert (receipt["helo"], receipt["protocol"]) == ("", "SMTP")


async def test_nobody_else_is_believed(queue, listening):
    async with Talk.to(await listening("192.0.2.1", "198.51.100.0/24")) as talk:
        assert "XFORWARD" not in await talk.say("EHLO x.example", "250")
        await talk.say("XFORWARD ADDR=198.51.100.7", "550 5.7.0")
        await talk.say("XCLIENT ADDR=198.51.100.7", "550 5.7.0")
        assert (await send(queue, talk))["client"] == "127.0.0.1"


async def test_xclient_begins_the_session_anew_as_that_client(queue, listening):
    async with Talk.to(await listening("127.0.0.1")) as talk:
        await talk.say("XCLIENT NAME=spike.example ADDR=198.51.100.9 PORT=25 HELO=spike PROTO=SMTP LOGIN=anna", "220")
        await talk.say("MAIL FROM:<a@x.example>", "503")  # greet first
        assert "XCLIENT" not in await talk.say("EHLO other.example", "250")  # 198.51.100.9 is not trusted
        await talk.say("XCLIENT ADDR=203.0.113.1", "550 5.7.0")
        receipt = await send(queue, talk)
        assert (receipt["client"], receipt["helo"], receipt["name"]) == ("198.51.100.9", "spike", "spike.example")
        assert receipt["forwarded_by"] == "127.0.0.1"


@pytest.mark.parametrize(
    "line",
    [
        "XFORWARD",
        "XFORWARD ADDR",
        "XFORWARD ADDR=nonsense",
        "XFORWARD ADDR=198.51.100.7;x",
        "XFORWARD LOGIN=x",
        "XFORWARD PORT=65536",
        "XFORWARD PORT=+2D1",
        "XFORWARD HELO=a+0Ab",
        "XFORWARD HELO=a+1Bb",
        "XFORWARD HELO=" + "h" * 256,
        "XCLIENT IDENT=x",
    ],
)
async def test_a_mistake_is_named_and_changes_nothing(queue, listening, line):
    async with Talk.to(await listening("127.0.0.1")) as talk:
        assert "expected" in await talk.say(line, "501 5.5.4")
        assert (await send(queue, talk))["client"] == "127.0.0.1"


async def test_not_in_a_transaction(listening):
    async with Talk.to(await listening("127.0.0.1")) as talk:
        await talk.say("MAIL FROM:<a@x.example>", "250")
        await talk.say(FORWARD, "503")


@given(st.sampled_from(sorted(ATTRIBUTES)), st.text(max_size=80))
def test_any_argument_is_read_or_refused_by_name(command, argument):
    try:
        said = attributes(command, argument)
    except ValueError as error:
        assert str(error)
    else:
        assert said and set(said) <= set(ATTRIBUTES[command])
        Client().updated(said)
