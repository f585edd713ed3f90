"""LMTP, and STARTTLS, from a real Postfix."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path

import aiosmtplib
import pytest

from rcqueue.server.config import Config
from rcqueue.server.intake.hold import Intake
from rcqueue.server.intake.smtp import LmtpIntake, SmtpIntake
from rcqueue.server.store import tables as t
from tests.realparts.postfix import Postfix, comes
from tests.server.harness import MAIL, Talk, free_port

TLS = Path(__file__).parent.parent / "client/tls"


@pytest.fixture
async def lmtp(queue, tmp_path):
    config = Config(
        data_dir=tmp_path,
        lmtp={"listen": f"127.0.0.1:{free_port()}"},
        smtp={"cert": TLS / "cert.pem", "key": TLS / "key.pem", "trusted": ["127.0.0.1"], "size_limit": "100K"},
    )
    server = LmtpIntake(Intake(queue.marshal, config), config.smtp, config.lmtp.listen)
    await server.start()
    yield server
    await server.stop(grace=1)


async def test_each_recipient_is_answered(queue, lmtp):
    async with Talk.to(lmtp.port, ehlo=False) as talk:
        await talk.say("EHLO x.example", "500 5.5.1")
        await talk.say("MAIL FROM:<a@x.example>", "503")
        await talk.say("LHLO x.example", "250")
        await talk.mail("a@x.example", ["b@y.example", "c@y.example"])
        await talk.say("RCPT TO:<>", "553")
        answers = [await talk.data(MAIL), await talk.reply()]
        assert answers[0] == answers[1] and answers[0].startswith("250 2.0.0 Held as ")
        await talk.mail("a@x.example", ["b@y.example", "c@y.example", "d@y.example"])
        answers = [await talk.data(b"x" * 200_000), await talk.reply(), await talk.reply()]
        assert [a[:9] for a in answers] == ["552 5.3.4"] * 3
        await talk.say("MAIL FROM:<a@x.example>", "250")
        await talk.say("DATA", "503")
    (row,) = await queue.rows(t.message)
    assert (row["origin"], row["recipients"]) == ("lmtp", 2)


async def test_when_it_cannot_be_stored_each_recipient_is_told_so(queue, lmtp, monkeypatch):
    async def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(queue.marshal, "hold", fails)
    async with Talk.to(lmtp.port, ehlo=False) as talk:
        await talk.say("LHLO x.example", "250")
        await talk.mail("a@x.example", ["b@y.example", "c@y.example"])
        assert [(await talk.data(MAIL))[:4], (await talk.reply())[:4]] == ["451 ", "451 "]


async def test_postfix_hands_over_by_lmtp_with_tls_and_says_who_the_client_was(queue, lmtp):
    main = {
        "virtual_transport": f"lmtp:inet:127.0.0.1:{lmtp.port}",
        "lmtp_tls_security_level": "encrypt",
        "lmtp_send_xforward_command": "yes",
    }
    async with Postfix(main) as postfix, Talk.to(postfix.port) as talk:
        await talk.say("XCLIENT ADDR=198.51.100.7 NAME=mail.sender.example", "220")
        await talk.say("EHLO their.helo.example", "250")
        await talk.mail("ada@sender.example", ["ben@rcq.example", "cleo@rcq.example"], " RET=HDRS ENVID=QQ314159")
        said = await talk.data(MAIL)
        await comes(lambda: queue.rows(t.message))
        (row,), (detail,) = await queue.rows(t.message), await queue.rows(t.message_detail)
        await comes(lambda: postfix.log().count("status=sent (250 2.0.0 Held as") == 2)
    assert (row["sender"], row["recipients"]) == ("ada@sender.example", 2)
    receipt = json.loads(detail["receipt"])
    assert (receipt["client"], receipt["name"]) == ("198.51.100.7", "mail.sender.example")
    assert (receipt["helo"], receipt["protocol"]) == ("their.helo.example", "ESMTP")
    assert receipt["ident"] and said.strip().endswith(receipt["ident"])
    assert receipt["dsn"]["mail"] == "ENVID=QQ314159 RET=HDRS"
    assert receipt["dsn"]["recipients"]["cleo@rcq.example"] == "ORCPT=rfc822;cleo@rcq.example"
    assert receipt["tls"].startswith("TLSv1.3 TLS_") and receipt["forwarded_by"] == "127.0.0.1"


async def test_starttls_over_smtp(queue, tmp_path):
    config = Config(
        data_dir=tmp_path,
        smtp={"listen": f"127.0.0.1:{free_port()}", "cert": TLS / "cert.pem", "key": TLS / "key.pem"},
    )
    server = SmtpIntake(Intake(queue.marshal, config), config.smtp)
    await server.start()
    trust = ssl.create_default_context(cafile=str(TLS / "cert.pem"))
    trust.check_hostname = False
    large = MAIL + b"0123456789abcdef\r\n" * 100_000
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=server.port, start_tls=True, tls_context=trust) as client:
        for raw in (MAIL, large):
            await client.sendmail("a@x.example", ["b@y.example"], raw)
    details = await queue.rows(t.message_detail)
    assert [json.loads(d["receipt"])["tls"].split()[0] for d in details] == ["TLSv1.3"] * 2
    assert json.loads(details[0]["receipt"])["protocol"] == "ESMTPS"
    assert await queue.raw(details[1]["message"]) == large

    async with Talk.to(server.port) as talk:  # what is slipped in before TLS is not heard after it
        talk.writer.write(b"STARTTLS\r\nMAIL FROM:<evil@x.example>\r\n")
        assert (await talk.reply()).startswith("220 ")
        await talk.writer.start_tls(trust)
        talk.reader._transport = talk.writer.transport
        await talk.say("MAIL FROM:<a@x.example>", "503")  # greeted in clear text is not greeted
        assert "STARTTLS" not in await talk.say("EHLO x.example", "250")
        await talk.say("STARTTLS", "454")
        await talk.say("RCPT TO:<b@x.example>", "503")

    async with Talk.to(server.port) as talk:  # no handshake: the connection ends, others go on
        await talk.say("STARTTLS", "220")
        talk.writer.write(b"this is not TLS\r\n" * 10)
        assert await asyncio.wait_for(talk.reader.read(), 5) is not None
    async with Talk.to(server.port) as talk:
        await talk.mail("a@x.example", ["b@y.example"])
    await server.stop(grace=1)
