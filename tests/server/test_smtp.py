"""Intake over real SMTP on loopback: what was sent is what is stored, and a 250 means that it is."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import re
import smtplib
import threading

import pytest

from rcqueue.model.ids import parse_id
from rcqueue.server.config import Config, Customer
from rcqueue.server.intake.hold import Intake
from rcqueue.server.intake.smtp import SmtpIntake
from rcqueue.server.store import tables as t

from .harness import Talk, free_port
from .test_writer import Slow

HEADER = b"From: a@sender.example\r\nSubject: x\r\n\r\n"


@pytest.fixture
async def listening(queue, tmp_path):
    """`await listening(...)` starts an SMTP intake with these [smtp] keys; the port is `.port`."""
    started = []

    async def start(max_waiting: int = 2000, **smtp: object) -> SmtpIntake:
        config = Config(
            data_dir=tmp_path,
            smtp={"listen": f"127.0.0.1:{free_port()}", **smtp},
            customer=(
                Customer(path="acme", domains=("acme.example",)),
                Customer(path="acme/sales", domains=("sales.acme.example",)),
                Customer(path="books", domains=("bücher.example",)),
            ),
        )
        server = SmtpIntake(Intake(queue.marshal, config, max_waiting=max_waiting), config.smtp)
        await server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        await server.stop(grace=1)


def ids_in(reply: str) -> list[str]:
    assert reply.startswith("250 2.0.0 Held as "), reply
    return re.findall(r"[0-9A-HJKMNP-TV-Z]{13}", reply)


async def receipt(queue, message: str) -> dict:
    (row,) = await queue.rows(t.message_detail, message=parse_id(message)[0])
    return json.loads(row["receipt"])


def tricky() -> dict[str, bytes]:
    """Messages that some SMTP software changes, refuses or ends early."""
    ends = {"crlf": b"\r\n", "lf": b"\n", "cr": b"\r", "lfcr": b"\n\r", "crcrlf": b"\r\r\n"}
    cases = {f"dot between {a} and {b}": b"x" + ends[a] + b"." + ends[b] + b"y\r\n" for a in ends for b in ends}
    del cases["dot between crlf and crlf"]  # that one is the end of data, or stuffed: below
    del cases["dot between crcrlf and crlf"], cases["dot between lfcr and lf"]
    cases |= {
        "a stuffed dot alone": b"x\r\n.\r\ny\r\n",
        "cr, crlf, dot, crlf": b"x\r\r\n.\r\ny\r\n",
        "lf, crlf dot": b"x\n\r\n.\r\n",
        "two dots": b"..\r\n",
        "dots at each line": b".a\r\n..b\r\n...c\r\n.\r\n",
        "dot first": b".first\r\n",
        "nothing": b"",
        "only crlf": b"\r\n",
        "many crlf": b"\r\n" * 500,
        "smuggled mail": b"x\n.\nMAIL FROM:<evil@x.example>\nRCPT TO:<a@b.example>\nDATA\ny\r\n",
        "smuggled by cr": b"x\r.\rMAIL FROM:<evil@x.example>\r\n",
        "smuggled by lf.crlf": b"x\n.\r\nMAIL FROM:<evil@x.example>\r\n",
        "no last crlf but lf": b"x\r\nlast\n\r\n",
        "ends with dot": b"the end.\r\n",
        "every byte": bytes(range(256)) + b"\r\n",
        "every byte thrice": bytes(itertools.chain.from_iterable((b,) * 3 for b in range(256))) + b"\r\n",
        "nul": b"a\x00b\r\n\x00\r\n",
        "only nul": b"\x00" * 3000 + b"\r\n",
        "utf-8": "Ünïcödé 漢字 🎉\r\n".encode(),
        "latin-1": "Größe\r\n".encode("latin-1"),
        "broken utf-8": b"\xc3\x28\xa0\xa1\xf8\x88\r\n",
        "escape": b"\x1b]52;c;ZXZpbA==\x07\x1b[2J\r\n",
        "a line of 998": b"l" * 998 + b"\r\n",
        "a line of 999": b"l" * 999 + b"\r\n",
        "a line of 70,000": b"l" * 70_000 + b"\r\n",
        "a line of 2 MB": b"l" * 2_000_000 + b"\r\n",
        "dots at the edge of a chunk": b"x" * (65536 - len(HEADER) - 4) + b"\r\n..\r\n" + b"y" * 9 + b"\r\n",
        "end of data at the edge": b"x" * (65536 - len(HEADER) - 2) + b"\r\n.\r\n" + b"y\r\n",
        "split crlf at the edge": b"x" * (65536 - len(HEADER) - 1) + b"\r\n.y\r\n",
        "only dots": b"." * 10_000 + b"\r\n",
        "dot lines": b".\r\n" * 10_000,
        "cr only": b"\r" * 999 + b"\r\n",
        "lf only": b"\n" * 999 + b"\r\n",
        "mbox from line": b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\r\n>From x\r\n",
        "smtp commands": b"QUIT\r\nRSET\r\nDATA\r\n",
        "trailing spaces": b"x   \r\n\t\r\n \r\n",
    }
    return {name: HEADER + body for name, body in cases.items()} | {
        "no header": b"just words\r\n",
        "header without end": b"Subject: x\r\n",
        "header with bare lf": b"Subject: x\nFrom: y\n\nbody\r\n",
        "empty": b"",
        "starts with dot": b".Subject: x\r\n\r\n",
        "no colon": b"nonsense\r\n\r\nbody\r\n",
        "8-bit header": b"Subject: \xe4\xf6\xfc\r\n\r\n",
        "a header of 300 KB": b"X-Long: " + b"h" * 300_000 + b"\r\n\r\n",
    }


async def test_tricky_messages_are_stored_as_they_were_sent(queue, listening):
    server, messages = await listening(), tricky()
    assert len(messages) >= 60
    async with Talk.to(server.port) as talk:
        for name, raw in messages.items():
            await talk.mail("a@sender.example", ["b@acme.example"], " BODY=8BITMIME")
            (message,) = ids_in(await talk.data(raw))
            assert await queue.raw(message) == raw, name
    rows = await queue.rows(t.message)
    assert len(rows) == len(messages)  # nothing was smuggled in beside them
    assert [row["sha256"] for row in rows] == [hashlib.sha256(raw).digest() for raw in messages.values()]
    assert {row["sender"] for row in rows} == {"a@sender.example"}


async def test_pipelined_commands_and_two_mails_in_one_write(queue, listening):
    server = await listening()
    one = "MAIL FROM:<a@s.example>\r\nRCPT TO:<b@acme.example>\r\nDATA\r\n"
    async with Talk.to(server.port) as talk:
        assert "PIPELINING" in await talk.say("EHLO c.example")
        talk.writer.write((one + "Subject: 1\r\n\r\n.\r\n" + one + "Subject: 2\r\n\r\n.\r\nQUIT\r\n").encode())
        replies = [(await talk.reply())[:3] for _ in range(9)]
    assert replies == ["250", "250", "354", "250", "250", "250", "354", "250", "221"]
    assert [row["subject"] for row in await queue.rows(t.message)] == ["1", "2"]


async def test_the_standard_client(queue, listening):
    port = (await listening()).port

    def send() -> dict:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            return client.sendmail("a@s.example", ["b@acme.example"], HEADER + b"hello\r\n")

    assert await asyncio.to_thread(send) == {}
    (row,) = await queue.rows(t.message)
    assert await queue.raw(row["id"]) == HEADER + b"hello\r\n"


async def test_one_transaction_for_two_customers_makes_two_messages(queue, listening):
    server = await listening()
    async with Talk.to(server.port) as talk:
        to = ["b@acme.example", "s@x.sales.acme.example", "c@ACME.example", "b@acme.example", "x@other.example"]
        await talk.mail("a@s.example", to)
        reply = await talk.data(HEADER)
    rows = {row["customer"]: row for row in await queue.rows(t.message)}
    assert set(rows) == {"acme", "acme/sales", "all"}
    assert len(ids_in(reply)) == 3
    mails = await queue.rows(t.mail, message=rows["acme"]["id"])
    assert [m["rcpt"] for m in mails] == ["b@acme.example", "c@ACME.example"]
    said = [await receipt(queue, id) for id in ids_in(reply)]
    assert [r["recipients"] for r in said] == [to[0:3:2], [to[1]], [to[4]]]
    assert len(await queue.entries("mail.hold")) == 3


async def test_the_receipt_log(queue, listening):
    server = await listening()
    raw = (
        b"Received: from mx.far.example by gw.near.example with ESMTPS id 77; Tue, 24 Nov 2026 10:00:00 +0000\r\n"
        b"Authentication-Results: gw.near.example; spf=fail\r\nX-Spam-Score: 9.1\r\n" + HEADER
    )
    async with Talk.to(server.port, ehlo=False) as talk:
        await talk.say("EHLO evil\x1b[2J.example", "250")
        port = talk.writer.get_extra_info("sockname")[1]
        await talk.mail("", ["δ@bücher.example"], f" SIZE={len(raw)} BODY=8BITMIME SMTPUTF8")
        (message,) = ids_in(await talk.data(raw))
    said = await receipt(queue, message)
    assert (said["client"], said["port"]) == ("127.0.0.1", port)
    assert said["helo"] == "evil\ufffd[2J.example"
    assert (said["protocol"], said["smtputf8"], said["body_8bit"]) == ("ESMTP", True, True)
    assert (said["sender"], said["recipients"], said["size"]) == ("", ["δ@bücher.example"], len(raw))
    assert said["trace"][0]["by"] == "gw.near.example"
    assert said["authentication"] == ["Authentication-Results: gw.near.example; spf=fail"]
    assert said["connected_at"] <= said["data_at"] <= said["at"]
    assert (await queue.rows(t.message))[0]["customer"] == "books"


async def test_plain_helo(queue, listening):
    server = await listening()
    async with Talk.to(server.port, ehlo=False) as talk:
        await talk.say("MAIL FROM:<a@s.example>", "503")
        await talk.say("HELO old.example", "250 ")
        await talk.mail("a@s.example", ["postmaster"])
        (message,) = ids_in(await talk.data(HEADER))
    assert (await receipt(queue, message))["protocol"] == "SMTP"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("<a@b.example>", "a@b.example"),
        ("<A.B+c@B.Example>", "A.B+c@B.Example"),
        ('<"odd one"@b.example>', '"odd one"@b.example'),
        ('<"a>\\"b"@b.example>', '"a>\\"b"@b.example'),
        ("<@x,@y:a@b.example>", "a@b.example"),
        ("<a..b@b.example>", "a..b@b.example"),
        ("<postmaster>", "postmaster"),
        ("a@b.example", "a@b.example"),
        ("<δοκιμή@ü.example>", "δοκιμή@ü.example"),
    ],
)
async def test_addresses_are_kept_as_they_were_written(queue, listening, written, kept):
    server = await listening()
    async with Talk.to(server.port) as talk:
        await talk.say(f"MAIL FROM:{written} SMTPUTF8", "250")
        await talk.say(f"RCPT TO:{written}", "250")
        ids_in(await talk.data(HEADER))
    assert [row["sender"] for row in await queue.rows(t.message)] == [kept]
    assert [row["rcpt"] for row in await queue.rows(t.mail)] == [kept]


async def test_addresses_that_could_not_be_said_again_are_refused(queue, listening):
    server = await listening()
    async with Talk.to(server.port) as talk:
        await talk.say("MAIL FROM:<a\x00b@c.example>", "553")
        await talk.say("MAIL FROM:<a\udcff@c.example>", "553")
        await talk.say('MAIL FROM:<"a@c.example>', "553")
        await talk.say("MAIL FROM:<a@c.example>", "250")
        await talk.say("RCPT TO:<>", "553")
        await talk.say("RCPT TO:<b\x1b@c.example>", "553")
        await talk.say("DATA", "503")
        await talk.say("VRFY root", "252")
        await talk.say("EXPN staff", "502")


async def test_size_limit_at_mail_from_and_while_reading(queue, listening):
    server = await listening(size_limit="10K")
    async with Talk.to(server.port) as talk:
        assert "SIZE 10240" in await talk.say("EHLO c.example")
        await talk.say("MAIL FROM:<a@s.example> SIZE=10241", "552")
        for size, code in ((10_240, "250"), (10_241, "552"), (1_000_000, "552")):
            await talk.mail("a@s.example", ["b@acme.example"])
            reply = await talk.data(b"S: x\r\n\r\n" + b"." * (size - 10) + b"\r\n")
            assert reply.startswith(code), reply
        await talk.mail("a@s.example", ["b@acme.example"])
        ids_in(await talk.data(HEADER))
    assert [row["size"] for row in await queue.rows(t.message)] == [10_240, len(HEADER)]


async def test_recipient_limit(queue, listening):
    server = await listening(recipient_limit=100)
    async with Talk.to(server.port) as talk:
        await talk.mail("a@s.example", [f"u{i}@acme.example" for i in range(100)])
        await talk.say("RCPT TO:<u100@acme.example>", "452")
        ids_in(await talk.data(HEADER))
    assert len(await queue.rows(t.mail)) == 100


async def test_a_mail_cut_off_in_the_middle_is_not_taken(queue, listening):
    server = await listening()
    async with Talk.to(server.port) as talk:
        await talk.mail("a@s.example", ["b@acme.example"])
        await talk.say("DATA", "354")
        talk.writer.write(HEADER + b"half of it\r\n")
        talk.writer.write_eof()
        assert not (await talk.reply()).startswith("250")
    async with Talk.to(server.port) as talk:  # the server goes on
        await talk.mail("a@s.example", ["b@acme.example"])
        ids_in(await talk.data(HEADER))
    assert len(await queue.rows(t.message)) == 1


@pytest.mark.parametrize("said", ["", "MAIL FROM:<a@s.example>\r\nRCPT TO:<b@acme.example>\r\nDATA\r\nSubject: x\r\n"])
async def test_a_connection_on_which_nothing_comes_is_ended(queue, listening, said):
    server = await listening(timeout="300ms")
    async with Talk.to(server.port) as talk:
        talk.writer.write(said.encode())
        read = await asyncio.wait_for(talk.reader.read(), 5)
        assert read.splitlines()[-1].startswith(b"421 4.4.2")
    assert await queue.rows(t.message) == []


async def test_no_250_before_it_is_durable(queue, listening):
    server, go_on = await listening(), threading.Event()
    busy = asyncio.create_task(queue.marshal.do(Slow(go_on)))
    async with Talk.to(server.port) as talk:
        await talk.mail("a@s.example", ["b@acme.example"])
        answer = asyncio.create_task(talk.data(HEADER))
        await asyncio.sleep(0.2)
        assert not answer.done()
        assert await queue.rows(t.message) == []
        go_on.set()
        (message,) = ids_in(await answer)
        assert await queue.raw(message) == HEADER
    await busy


async def test_more_than_the_bound_waits_451_and_nothing_is_stored(queue, listening):
    server, go_on = await listening(max_waiting=3), threading.Event()
    work = [asyncio.create_task(queue.marshal.do(Slow(go_on))) for _ in range(2)]
    async with Talk.to(server.port) as talk:
        await talk.mail("a@s.example", ["b@acme.example"])
        work += [asyncio.create_task(queue.marshal.do(Slow(go_on))) for _ in range(6)]
        assert (await talk.data(HEADER)).startswith("451 4.3.1")
        await talk.say("MAIL FROM:<a@s.example>", "451 4.3.1")
        go_on.set()
        await asyncio.gather(*work)
        assert await queue.rows(t.message) == []
        await talk.mail("a@s.example", ["b@acme.example"])
        ids_in(await talk.data(HEADER))


async def test_writer_stopped_451_and_nothing_is_stored(queue, listening):
    server = await listening()
    async with Talk.to(server.port) as talk:
        await talk.mail("a@s.example", ["b@acme.example"])
        queue.writer.close()
        assert (await talk.data(HEADER)).startswith("451 4.3.2")
    assert await queue.rows(t.message) == []


async def test_stop_lets_a_transaction_end_and_takes_no_other(queue, listening):
    server = await listening()
    async with Talk.to(server.port) as talk, Talk.to(server.port) as idle:
        await talk.mail("a@s.example", ["b@acme.example"])
        await talk.say("DATA", "354")
        stopping = asyncio.create_task(server.stop())
        assert (await idle.reply()).startswith("421 4.3.2")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", talk.writer.get_extra_info("peername")[1])
        talk.writer.write(HEADER + b".\r\n")
        ids_in(await talk.reply())
        await asyncio.wait_for(stopping, 5)
        assert (await talk.reply()).startswith("421 4.3.2")
    assert len(await queue.rows(t.message)) == 1


async def test_stop_cuts_a_client_that_does_not_end(queue, listening):
    server = await listening()
    async with Talk.to(server.port) as talk:
        await talk.mail("a@s.example", ["b@acme.example"])
        await asyncio.wait_for(server.stop(grace=0.1), 5)
    assert await queue.rows(t.message) == []


async def test_many_clients_at_once(queue, listening):
    server = await listening()

    async def client(n: int) -> list[str]:
        async with Talk.to(server.port) as talk:
            found = []
            for i in range(5):
                await talk.mail("a@s.example", ["b@acme.example"])
                found += ids_in(await talk.data(HEADER + b"%d.%d\r\n" % (n, i)))
            return found

    found = [id for ids in await asyncio.gather(*map(client, range(20))) for id in ids]
    assert len(set(found)) == 100
    assert {await queue.raw(id) for id in found} == {
        HEADER + b"%d.%d\r\n" % (n, i) for n in range(20) for i in range(5)
    }
