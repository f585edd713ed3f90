"""What a sender asks to be told (DSN): taken at each way in, kept, and said again to a next hop that tells."""

from __future__ import annotations

import json

import pytest

from rcqueue.demo.next_hop import NextHop
from rcqueue.model.ids import encode_mail
from rcqueue.server.config import Config
from rcqueue.server.intake import dsn
from rcqueue.server.intake.content_filter import ContentFilter
from rcqueue.server.intake.hold import Intake
from rcqueue.server.intake.smtp import SmtpIntake
from rcqueue.server.store import tables as t
from tests.realparts.postfix import Postfix, comes
from tests.server.harness import MAIL, Queue, Talk, free_port
from tests.server.post import Post, until
from tests.server.test_delivery_faults import scripted

from .judging import ByRecipient


@pytest.fixture
async def smtp(queue, tmp_path):
    customers = [{"path": "acme", "domains": ["acme.example"]}]
    config = Config(data_dir=tmp_path, smtp={"listen": f"127.0.0.1:{free_port()}"}, customer=customers)
    server = SmtpIntake(Intake(queue.marshal, config), config.smtp)
    await server.start()
    yield server
    await server.stop(grace=1)


@pytest.fixture
async def post(queue):
    post = Post(queue, 0)
    yield post
    await post.stop()


async def asked(queue: Queue) -> list[dict | None]:
    return [json.loads(row["receipt"])["dsn"] for row in await queue.rows(t.message_detail)]


async def say(server: SmtpIntake, mail: str = "", *rcpt: str) -> None:
    async with Talk.to(server.port) as talk:
        await talk.say(f"MAIL FROM:<ada@rcq.example> {mail}".rstrip(), "250")
        for one in rcpt or ("<ben@rcq.example>",):
            await talk.say(f"RCPT TO:{one}", "250")
        assert (await talk.data(MAIL)).startswith("250")


async def released(queue: Queue, post: Post, **next_hop: object) -> list[dict]:
    """Releases what there is; the facts of what became of it."""
    mails = await queue.rows(t.mail)
    for message in {mail["message"] for mail in mails}:
        await queue.act("operator", "release", next(_id(m) for m in mails if m["message"] == message))
    await post.start(**next_hop)
    await until(lambda: _ended(queue), True)
    return [entry["facts"] for entry in await queue.entries("mail.released")]


def _id(mail: dict) -> str:
    return encode_mail(mail["message"], mail["n"])


async def _ended(queue: Queue) -> bool:
    return bool(await queue.entries("mail.released"))


async def test_taken_as_said_and_kept_for_whose_mail_it_is(queue, smtp):
    async with Talk.to(smtp.port) as talk:
        assert "250-DSN\r\n" in await talk.say("EHLO x.example", "250")
    await say(
        smtp,
        "size=100 ret=hdrs BODY=8BITMIME ENVID=Qq+2B31",
        '<"Ben notify=never"@rcq.example> notify=SUCCESS,delay ORCPT=rfc822;Ben+40rcq.example',
        "<cleo@rcq.example>",
        "<otis@acme.example> NOTIFY=NEVER",
    )
    await say(smtp)
    everybody, acme, nothing = await asked(queue)
    mail = "RET=hdrs ENVID=Qq+2B31"
    ben = {'"Ben notify=never"@rcq.example': "NOTIFY=SUCCESS,delay ORCPT=rfc822;Ben+40rcq.example"}
    assert everybody == {"mail": mail, "recipients": ben}
    assert acme == {"mail": mail, "recipients": {"otis@acme.example": "NOTIFY=NEVER"}}
    assert nothing is None


@pytest.mark.parametrize(
    ("command", "parameters", "expected"),
    [
        ("MAIL", "RET=ALL", "RET: FULL or HDRS was expected"),
        ("MAIL", "RET", "RET: FULL or HDRS was expected"),
        ("MAIL", "ENVID=a+zz", "ENVID: up to 100 characters of xtext was expected"),
        ("MAIL", "ENVID=" + "x" * 101, "ENVID: up to 100"),
        ("MAIL", "RET=FULL RET=HDRS", "RET is given twice"),
        ("MAIL", "NOTIFY=NEVER", "NOTIFY does not belong here, one of RET, ENVID was expected"),
        ("RCPT", "ENVID=1", "ENVID does not belong here, one of NOTIFY, ORCPT was expected"),
        ("RCPT", "NOTIFY=NEVER,SUCCESS", "NOTIFY: NEVER, or some of SUCCESS, FAILURE, DELAY was expected"),
        ("RCPT", "NOTIFY=", "NOTIFY: NEVER, or"),
        ("RCPT", "ORCPT=ben@x.example", "ORCPT: TYPE;ADDRESS, in xtext was expected"),
    ],
)
async def test_bad_parameters_are_named_and_do_nothing(queue, smtp, command, parameters, expected):
    async with Talk.to(smtp.port) as talk:
        if command == "RCPT":
            await talk.say("MAIL FROM:<a@x.example>", "250")
        address = "FROM:<a@x.example>" if command == "MAIL" else "TO:<b@x.example>"
        said = await talk.say(f"{command} {address} {parameters}", "501 5.5.4 Error: ")
        assert expected in said
        await talk.say("DATA", "503")


def test_what_only_some_next_hops_may_hear_is_no_reason_to_refuse():
    assert dsn.checked(["ORCPT=utf-8;δοκιμή@ü.example", "NOTIFY=NEVER"], dsn.OF_RCPT) == "NOTIFY=NEVER"


async def test_a_real_postfix_tells_the_sender(queue, smtp, post):
    """It is Postfix, to which the mail was released, that says "delivered", with the id and address of the sender."""
    async with Postfix() as postfix:
        await say(smtp, "RET=HDRS ENVID=QQ314159", "<ben@rcq.example> NOTIFY=SUCCESS ORCPT=rfc822;benny+40old.example")
        post.port = postfix.port
        (facts,) = await released(queue, post)
        mails = await comes(lambda: len(found := postfix.delivered()) == 2 and found)
        await post.stop()
    (told,) = [mail for mail in mails if b"multipart/report" in mail]
    assert b"\nOriginal-Envelope-Id: QQ314159\n" in told and b"\nX-Original-To: ada@rcq.example\n" in told
    assert b"\nOriginal-Recipient: rfc822;benny@old.example\n" in told and b"\nAction: delivered\n" in told
    assert "dsn" not in facts


async def test_a_next_hop_that_does_not_tell_is_asked_for_nothing(queue, smtp, post, tmp_path):
    hop = NextHop(tmp_path / "hop")
    await hop.start()
    await say(smtp, "ENVID=1", "<ben@rcq.example> NOTIFY=SUCCESS")
    post.port = hop.port
    (facts,) = await released(queue, post)
    assert facts["dsn"] == "not offered" and len(hop.received()) == 1
    await post.stop()
    await hop.stop()


@pytest.mark.parametrize("offers", [True, False])
async def test_the_content_filter_says_it_again(queue, tmp_path, offers):
    answers = ("220 hop", "250-hop\n250 DSN" if offers else "250 hop", "250 ok", "250 ok", "354 go", "250 ok")
    async with scripted(*answers) as (behind, said):
        config = Config(
            data_dir=tmp_path,
            filter={"listen": f"127.0.0.1:{free_port()}", "reinject": f"127.0.0.1:{behind}", "timeout": "5s"},
        )
        filter = ContentFilter(Intake(queue.marshal, config), ByRecipient(), config.filter, config.smtp)
        await filter.start()
        await say(filter, "RET=FULL", "<ben@rcq.example> NOTIFY=DELAY")
        await filter.stop(grace=1)
    mail, rcpt = (b" RET=FULL", b" NOTIFY=DELAY") if offers else (b"", b"")
    assert said[1:3] == [b"MAIL FROM:<ada@rcq.example>" + mail + b"\r\n", b"RCPT TO:<ben@rcq.example>" + rcpt + b"\r\n"]
