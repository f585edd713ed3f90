"""A real amavis's quarantine: by SMTP and from its folder, released by amavis itself; and what is not believed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os

import aiosmtplib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcqueue.demo.next_hop import Behaviour, NextHop
from rcqueue.model.ids import encode_mail, encode_message
from rcqueue.server.config import Config
from rcqueue.server.delivery import Delivery
from rcqueue.server.intake import amavis as intake_amavis
from rcqueue.server.intake.amavis import AmavisFolder, quarantined
from rcqueue.server.intake.hold import Intake
from rcqueue.server.intake.smtp import SmtpIntake
from rcqueue.server.store import tables as t
from tests.realparts import amavis as real
from tests.realparts.postfix import comes, free_port
from tests.server.harness import Queue, Talk
from tests.server.post import MS, until

MAIL = (
    "X-Envelope-To-Blocked: <victim@rcq.example>\r\nFrom: Ada <ada@sender.example>\r\nTo: ben@rcq.example\r\n"
    f"Subject: spam\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@x.example>\r\n\r\n{real.GTUBE}\r\n"
).encode()


@pytest.fixture
async def hop(tmp_path):
    """Where amavis sends what passes, and what it releases; one recipient is refused there."""
    hop = NextHop(
        tmp_path / "hop", lambda to: Behaviour(refuse="550 5.1.1 No such user" if to.startswith("gone") else "")
    )
    await hop.start()
    yield hop
    await hop.stop()


async def send(port: int, *to: str) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
        await client.sendmail("ada@sender.example", [f"{name}@rcq.example" for name in to], MAIL)


async def delivering(queue: Queue, config: Config) -> Delivery:
    delivery = Delivery(queue.marshal, config, waits=(50 * MS,))
    loop = asyncio.get_running_loop()

    def committed(seq: int, kinds: frozenset[str]) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(delivery.wake)

    queue.writer.on_commit = committed
    await delivery.start()
    return delivery


async def test_by_smtp(queue, hop, tmp_path):
    port = free_port()
    config = Config(
        data_dir=tmp_path,
        smtp={"listen": f"127.0.0.1:{port}", "trusted": ["127.0.0.1"]},
        amavis={"address": "Quarantine@rcq.example"},
    )
    server = SmtpIntake(Intake(queue.marshal, config), config.smtp, quarantine=config.amavis.address)
    await server.start()
    with real.running(hop.port, quarantine=port) as amavis:
        await send(amavis.port, "ben", "cleo")
    await server.stop(grace=1)
    (row,), (detail,) = await queue.rows(t.message), await queue.rows(t.message_detail)
    assert (row["sender"], row["verdict"], row["subject"]) == ("ada@sender.example", "SPAM", "spam")
    assert row["origin"].startswith("amavis:") and " " not in row["origin"] and row["score"] > 900
    assert [m["rcpt"] for m in await queue.rows(t.mail)] == ["ben@rcq.example", "cleo@rcq.example"]
    assert "GTUBE" in json.loads(row["rules"])
    raw = await queue.raw(row["id"])
    assert raw.endswith(MAIL) and b"X-Envelope-To:" not in raw and b"X-Quarantine-ID" not in raw
    assert json.loads(detail["receipt"])["recipients"] == ["ben@rcq.example", "cleo@rcq.example"]
    assert not hop.received()


async def test_from_its_folder_and_released_by_amavis(queue, hop, tmp_path, monkeypatch):
    monkeypatch.setattr(intake_amavis, "SETTLED", 0.0)
    with real.running(hop.port) as amavis:
        await send(amavis.port, "ben", "cleo", "gone")
        config = Config(
            data_dir=tmp_path,
            amavis={"folder": amavis.quarantine, "release": f"127.0.0.1:{amavis.release}"},
            next_hop={"default": f"127.0.0.1:{free_port()}"},
        )
        intake = Intake(queue.marshal, config)
        for _ in range(2):  # the second as after a restart
            adoption = AmavisFolder(intake, amavis.quarantine, config.amavis, 1 << 20)
            await adoption.beat()
            await adoption.beat()
        (row,) = await queue.rows(t.message)
        mails = await queue.rows(t.mail)
        assert [m["rcpt"] for m in mails] == ["ben@rcq.example", "cleo@rcq.example", "gone@rcq.example"]
        assert row["verdict"] == "SPAM" and (await queue.raw(row["id"])).endswith(MAIL)
        mail_id, file = row["origin"].removeprefix("amavis:").split(" ")
        assert (amavis.quarantine / file).is_file() and file.endswith(f"/spam-{mail_id}.eml")

        delivery = await delivering(queue, config)
        await queue.act("operator", "release", encode_mail(mails[1]["message"], 1))
        await until(lambda: queue.status(encode_mail(mails[1]["message"], 1)), "RELEASED")
        (mail,) = hop.received()
        assert mail.recipients == ("cleo@rcq.example",) and mail.sender == "ada@sender.example"
        assert b"\r\nResent-From: <ben@" in b"\r\n" + mail.raw and mail.raw.endswith(MAIL.partition(b"\r\n")[2])
        await queue.act("operator", "release", encode_mail(mails[2]["message"], 2))
        await comes(lambda: _reply(queue, 2))
        assert await queue.status(encode_mail(mails[2]["message"], 2)) == "ONHOLD"
        await queue.act("operator", "release", encode_message(row["id"]))
        await until(lambda: queue.status(encode_mail(mails[0]["message"], 0)), "RELEASED")
        assert len(hop.received()) == 2
        await delivery.stop(1)


async def _reply(queue, n: int) -> bool:
    return "No such user" in (await queue.rows(t.mail))[n]["reply"]


async def test_amavis_away_and_its_answer_lost(queue, tmp_path):
    config = Config(data_dir=tmp_path, amavis={"folder": tmp_path, "release": f"127.0.0.1:{free_port()}"})
    (tmp_path / "spam-a.eml").write_bytes(_file())
    os.utime(tmp_path / "spam-a.eml", (0, 0))
    await AmavisFolder(Intake(queue.marshal, config), tmp_path, config.amavis, 1 << 20).beat()
    (row,) = await queue.rows(t.message)
    delivery = await delivering(queue, config)
    await queue.act("operator", "release", encode_message(row["id"]))

    async def tried() -> bool:
        return "amavis at 127.0.0.1" in (await queue.rows(t.mail))[0]["reply"]

    await comes(tried)
    assert [m["status"] for m in await queue.rows(t.mail)] == ["RELEASING"]

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    at = config.amavis.release
    async with await asyncio.start_server(mute, at.host, at.port):
        await until(lambda: queue.status(encode_message(row["id"])), "UNCERTAIN", 15)
    await delivery.stop(1)


def _file(head: str = "") -> bytes:
    top = "X-Envelope-From: <ada@sender.example>\nX-Envelope-To: <ben@rcq.example>\nX-Quarantine-ID: <Ab3-_cdEFgh1>\n"
    return (head + top).encode() + MAIL.replace(b"\r\n", b"\n")


def test_the_envelope_is_amavis_s_alone():
    crlf = _file("Return-Path: <x>\nX-Spam-Flag: YES\n").replace(b"\n", b"\r\n")
    mail = quarantined(crlf)
    assert mail is not None and mail.raw == b"Return-Path: <x>\r\nX-Spam-Flag: YES\r\n" + MAIL.partition(b"\r\n")[2]
    # What stands right below is read too, where amavis said nothing of it: no more than amavis itself would.
    assert mail.recipients == ["victim@rcq.example"]
    blocked = b'X-Envelope-To-Blocked: <ben@rcq.example>,\r\n <"a, >b"@rcq.example>, <ben@rcq.example>\r\n' + crlf
    again = quarantined(blocked)
    assert again is not None and again.recipients == ["ben@rcq.example", '"a, >b"@rcq.example']
    assert again.raw.endswith(MAIL)
    for cut in (b"X-Envelope-From", b"X-Quarantine-ID", b"Ab3-_cdEFgh1"):
        assert quarantined(crlf.replace(cut, b"X")) is None
    assert quarantined(b"Subject: x\r\n" + crlf) is None
    bounce = quarantined(crlf.replace(b"<ada@sender.example>\r\nX-Env", b"<>\r\nX-Env"))
    assert bounce is not None and bounce.sender == ""


@given(st.binary(max_size=300))
def test_any_bytes(raw):
    quarantined(raw)
    quarantined(_file().replace(b"\n", b"\r\n")[:200] + raw)


async def test_only_from_a_trusted_host_and_only_to_that_address(queue, tmp_path):
    for trusted, to, wanted in (
        (["192.0.2.1"], ["quarantine@rcq.example"], ["quarantine@rcq.example"]),
        (["127.0.0.1"], ["other@rcq.example"], ["other@rcq.example"]),
        (["127.0.0.1"], ["QUARANTINE@rcq.example"], ["ben@rcq.example"]),
    ):
        config = Config(data_dir=tmp_path, smtp={"listen": f"127.0.0.1:{free_port()}", "trusted": trusted})
        server = SmtpIntake(Intake(queue.marshal, config), config.smtp, quarantine="quarantine@rcq.example")
        await server.start()
        async with Talk.to(server.port) as talk:
            await talk.mail("", to)
            await talk.data(_file().replace(b"\n", b"\r\n").replace(b"X-Envelope-To-Blocked: <victim", b"X: <v"))
        await server.stop(grace=1)
        mails = await queue.rows(t.mail)
        assert [m["rcpt"] for m in mails if m["message"] == mails[-1]["message"]] == wanted


async def test_what_is_no_mail_of_amavis_stays_and_others_are_adopted(queue, tmp_path, caplog):
    folder = tmp_path / "quarantine"
    (folder / "a" / "deeper").mkdir(parents=True)
    (folder / "a" / "spam-1.eml").write_bytes(_file())
    (folder / "a" / "deeper" / "x").write_bytes(_file())
    (folder / "nonsense").write_bytes(b"\xff\x00" * 100)
    (folder / "broken.gz").write_bytes(b"\x1f\x8b\x08nonsense")
    (folder / "large").write_bytes(_file() + b"x" * 200_000)
    (folder / "link").symlink_to(folder / "a" / "spam-1.eml")
    os.mkfifo(folder / "fifo")
    for path in folder.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (0, 0))
    (folder / "fresh").write_bytes(_file())
    config = Config(data_dir=tmp_path, amavis={"folder": folder})
    adoption = AmavisFolder(Intake(queue.marshal, config), folder, config.amavis, 100_000)
    await adoption.beat()
    await adoption.beat()
    assert [row["origin"] for row in await queue.rows(t.message)] == ["amavis:Ab3-_cdEFgh1 a/spam-1.eml"]
    assert sorted(r.args[0] for r in caplog.records if "not adopted" in r.message) == ["broken.gz", "large", "nonsense"]
    folder.rename(tmp_path / "gone")
    with pytest.raises(OSError, match="No such file"):
        await adoption.beat()


# -- what amavis can't do


async def test_made_anew_or_to_others_it_goes_by_smtp(queue, hop, tmp_path):
    config = Config(
        data_dir=tmp_path,
        amavis={"folder": tmp_path, "release": f"127.0.0.1:{free_port()}"},
        next_hop={"default": f"127.0.0.1:{hop.port}"},
    )
    delivery = await delivering(queue, config)
    held = await queue.hold(MAIL, recipients=("ben@rcq.example",), origin="amavis:abc a/spam-abc.eml")
    await queue.act("operator", "release", held.id, to=["it@rcq.example"])
    await queue.act("operator", "release", held.mails[0], form="tagged")
    await until(lambda: queue.status(held.mails[0]), "RELEASED")
    await until(lambda: queue.status(encode_mail(held.number, 1)), "RELEASED")
    await delivery.stop(1)
    got = {mail.recipients[0]: mail.raw for mail in hop.received()}
    assert b"[SPAM] spam" in got["ben@rcq.example"] and b"[SPAM]" not in got["it@rcq.example"]


async def test_recalled_while_it_waits_for_amavis_and_released_tagged(queue, hop, tmp_path):
    """It is in the lane to amavis, which would hand it over as it came."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go_on.wait()
        writer.close()

    server = await asyncio.start_server(hangs, "127.0.0.1", 0)
    config = Config(
        data_dir=tmp_path,
        amavis={"folder": tmp_path, "release": f"127.0.0.1:{server.sockets[0].getsockname()[1]}"},
        next_hop={"default": f"127.0.0.1:{hop.port}", "sessions": 1},
    )
    delivery = await delivering(queue, config)
    one, ahead, two = [
        await queue.hold(MAIL, recipients=("ben@rcq.example",), origin=f"amavis:{name} {name}.eml") for name in "abc"
    ]
    await queue.act("operator", "release", one.id)
    await asked.wait()
    await queue.act("operator", "release", ahead.id)  # begun already, and beyond recall
    await until(lambda: ready(delivery), 1)
    await queue.act("operator", "release", two.id)
    await until(lambda: waiting(delivery), 1)
    await queue.act("operator", "recall", two.id)
    await queue.act("operator", "release", two.id, form="tagged")
    go_on.set()
    await until(lambda: queue.status(two.id), "RELEASED")
    await delivery.stop(1)
    server.close()
    assert await queue.status(one.id) == "UNCERTAIN"
    (got,) = hop.received()
    assert b"[SPAM] spam" in got.raw


async def ready(delivery: Delivery) -> int:
    return sum(lane.ready.qsize() for lane in delivery._lanes.values())


async def waiting(delivery: Delivery) -> int:
    return sum(lane.waiting for lane in delivery._lanes.values())
