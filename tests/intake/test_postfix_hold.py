"""A real Postfix's hold queue adopted, through the real helper: released by its own queue file, or one by one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rcqueue.demo.next_hop import Behaviour, NextHop
from rcqueue.model.ids import encode_mail, encode_message, parse_id
from rcqueue.server.config import Config
from rcqueue.server.delivery import Delivery
from rcqueue.server.intake.hold import Intake
from rcqueue.server.intake.postfix_hold import PostfixHold
from rcqueue.server.marshal.outcomes import EndAtOrigin
from rcqueue.server.postfix import Away, PostfixHelper
from rcqueue.server.store import tables as t
from tests.realparts import rspamd
from tests.realparts.postfix import Postfix, comes, free_port
from tests.scan.mails import SPAM
from tests.server.harness import Queue, Talk
from tests.server.post import MS, until

HELPER = Path(__file__).parents[2] / "packaging/rcqueue-postfix-helper"
MAIL = (
    b"X-Hold: yes\r\nFrom: Ada <ada@sender.example>\r\nSubject: folded\r\n subject\r\n"
    b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n.dot\r\n"
    + b"l" * 5000
    + b"\r\nnul \x00\r\n\r\n"
)


pytestmark = pytest.mark.xdist_group("postfix-hold")  # one Postfix for all of them


class Helper:
    """The helper's process."""

    def __init__(self, postfix: Postfix) -> None:
        self.socket = postfix.folder / "helper.sock"
        self._command = [str(HELPER), "--socket", str(self.socket), "--user", "root", "--config", str(postfix.etc)]
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        client = PostfixHelper(self.socket)

        async def answers() -> bool:
            with contextlib.suppress(Away):
                await client.messages()
                return True
            return False

        await comes(answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)
        self._process = None


@pytest.fixture(scope="module")
async def postfix():
    main = {
        "header_checks": "regexp:${config_directory}/header_checks",
        "virtual_mailbox_domains": "rcq.example acme.rcq.example",
        "virtual_mailbox_maps": "static:all/",
        "transport_maps": "inline:{ {later@rcq.example = smtp:[127.0.0.1]:1} }",
    }
    quarantining, milter = free_port(), free_port()
    master = f"127.0.0.1:{quarantining} inet n - n - - smtpd -o smtpd_milters=inet:127.0.0.1:{milter}\n"
    async with Postfix(main, master) as postfix:
        postfix.quarantining, postfix.milter = quarantining, milter
        (postfix.etc / "header_checks").write_text("/^X-Hold:/ HOLD by a header check\n")
        await postfix.run("postfix", "reload")
        yield postfix


@pytest.fixture
async def helper(postfix):
    helper = Helper(postfix)
    await helper.start()
    yield helper
    helper.stop()
    await postfix.run("postsuper", "-d", "ALL")
    for mail in postfix.mail.glob("all/new/*"):
        mail.unlink()


class World:
    def __init__(self, queue: Queue, postfix: Postfix, helper: Helper, hop: NextHop) -> None:
        self.queue, self.postfix, self.helper, self.hop = queue, postfix, helper, hop
        customers = ({"path": "acme", "domains": ["acme.rcq.example"]},)
        self.config = Config(
            data_dir=queue.folder,
            postfix={"helper": helper.socket},
            next_hop={"default": f"127.0.0.1:{hop.port}"},
            customer=customers,
        )
        self.delivery: Delivery | None = None
        self.open()

    def open(self) -> None:
        intake = Intake(self.queue.marshal, self.config)
        self.adoption = PostfixHold(intake, PostfixHelper(self.helper.socket), 5_000_000, 1 << 20)

    async def deliver(self) -> None:
        self.delivery = delivery = Delivery(self.queue.marshal, self.config, waits=(100 * MS,))
        loop = asyncio.get_running_loop()

        def committed(seq: int, kinds: frozenset[str]) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(delivery.wake)

        self.queue.writer.on_commit = committed
        await delivery.start()

    async def stop(self) -> None:
        if self.delivery is not None:
            await self.delivery.stop(1)
        self.delivery = None

    async def adopt(self, *to: str, raw: bytes = MAIL) -> tuple[str, str]:
        """A mail put on hold there, and adopted: (its message's id here, its queue id there)."""
        async with Talk.to(self.postfix.port) as talk:
            await talk.say("XCLIENT ADDR=198.51.100.7 NAME=mail.sender.example PORT=4711", "220")
            await talk.say("EHLO their.helo.example", "250")
            await talk.mail("ada@sender.example", [f"{name}@rcq.example" for name in to or ("ben",)], " BODY=8BITMIME")
            queue_id = (await talk.data(raw)).split()[-1]
        await self.adoption.beat()
        row = [r for r in await self.queue.rows(t.message) if queue_id in r["origin"]][-1]
        return encode_message(row["id"]), queue_id

    async def there(self) -> list[str]:
        """Queue ids in the hold queue."""
        return [m["queue_id"] for m in await self.postfix.queue() if m["queue_name"] == "hold"]

    async def statuses(self) -> list[str]:
        return [m["status"] for m in await self.queue.rows(t.mail)]

    async def origin(self) -> str:
        return str((await self.queue.rows(t.message))[0]["origin"])

    async def becomes(self, *statuses: str) -> None:
        await until(self.statuses, list(statuses))


@pytest.fixture
async def world(queue, postfix, helper, tmp_path):
    hop = NextHop(tmp_path / "hop", lambda _: Behaviour())
    await hop.start()
    world = World(queue, postfix, helper, hop)
    yield world
    await world.stop()
    await hop.stop()


async def test_adopted_as_it_is_and_once(world):
    message, queue_id = await world.adopt("ben", "cleo")
    await world.adoption.beat()
    world.open()  # as after a restart
    await world.adoption.beat()
    (row,), (detail,) = await world.queue.rows(t.message), await world.queue.rows(t.message_detail)
    raw = await world.queue.raw(message)
    assert raw.endswith(MAIL) and raw.startswith(
        b"Received: from their.helo.example (mail.sender.example [198.51.100.7])"
    )
    assert (row["origin"], row["sender"]) == (f"postfix:mx.rcq.example/{queue_id}", "ada@sender.example")
    assert [m["rcpt"] for m in await world.queue.rows(t.mail)] == ["ben@rcq.example", "cleo@rcq.example"]
    receipt = json.loads(detail["receipt"])
    assert (receipt["client"], receipt["name"]) == ("198.51.100.7", "mail.sender.example")
    assert (receipt["helo"], receipt["protocol"], receipt["ident"]) == ("their.helo.example", "ESMTP", queue_id)
    assert await world.there() == [queue_id]


async def test_released_by_its_own_queue_file_once(world):
    message, queue_id = await world.adopt("ben", "cleo")
    await world.deliver()
    await world.queue.act("operator", "release", message)
    await world.becomes("RELEASED", "RELEASED")
    found = await comes(lambda: len(mails := world.postfix.delivered()) == 2 and mails)
    raw = await world.queue.raw(message)
    assert all(mail.replace(b"\n", b"\r\n").endswith(raw) for mail in found)
    assert not await world.there() and not world.hop.received()
    assert queue_id in (await world.queue.rows(t.mail))[0]["reply"]
    (entry,) = await world.queue.entries("mail.released")
    assert entry["facts"]["code"] == 250 and (await world.origin()).endswith(" released")
    await world.adoption.beat()
    await world.queue.act("operator", "restore", message)  # and released again: its original is gone, ours is not
    await world.queue.act("operator", "release", message)
    await comes(lambda: len(world.hop.received()) == 2)


async def test_what_rspamd_s_milter_quarantines(world):
    """Adopted with every symbol that rspamd wrote into it, released by -H, and not caught again."""
    with rspamd.running(milter=world.postfix.milter):
        async with Talk.to(world.postfix.quarantining) as talk:
            await talk.mail("ada@sender.example", ["ben@rcq.example"])
            queue_id = (await talk.data(SPAM)).split()[-1]
        assert await world.there() == [queue_id]
        await world.adoption.beat()
        (row,), (detail,) = await world.queue.rows(t.message), await world.queue.rows(t.message_detail)
        rules = json.loads(detail["verdict"])["rules"]
        assert (row["verdict"], row["score"] > 6) == ("SPAM", True) and len(rules) > 10
        assert any(rule["points"] for rule in rules)
        await world.deliver()
        await world.queue.act("operator", "release", encode_message(row["id"]))
        await world.becomes("RELEASED")
        (mail,) = await comes(world.postfix.delivered)
    assert mail.replace(b"\n", b"\r\n").endswith(await world.queue.raw(row["id"]))
    assert not await world.postfix.queue()


async def test_to_one_of_three_by_smtp_and_the_original_goes_once_all_have_ended(world):
    message, queue_id = await world.adopt("ben", "cleo", "otis")
    mails = [encode_mail(m["message"], m["n"]) for m in await world.queue.rows(t.mail)]
    await world.deliver()
    await world.queue.act("operator", "release", mails[1])
    await world.becomes("ONHOLD", "RELEASED", "ONHOLD")
    (mail,) = world.hop.received()
    assert mail.recipients == ("cleo@rcq.example",) and mail.raw.endswith(await world.queue.raw(message))
    await world.adoption.beat()
    assert await world.there() == [queue_id]
    await world.queue.act("operator", "delete", mails[0])
    await world.queue.act("operator", "release", mails[2])
    await world.becomes("DELETED", "RELEASED", "RELEASED")
    await world.adoption.beat()
    assert not await world.there() and not world.postfix.delivered()
    assert (await world.origin()).endswith(f"{queue_id} dropped")
    await world.queue.act("operator", "restore", mails[0])
    await world.queue.act("operator", "release", mails[0])
    await comes(lambda: len(world.hop.received()) == 3)


async def test_to_others_it_goes_by_smtp_and_so_does_what_is_made_anew(world):
    """Postfix knows whole messages and their own recipients: its queue file does not reach whom it was not sent to."""
    message, queue_id = await world.adopt()
    await world.deliver()
    await world.queue.act("operator", "release", message, to=["it@rcq.example"])
    await world.becomes("ONHOLD", "RELEASED")
    assert [got.recipients for got in world.hop.received()] == [("it@rcq.example",)]
    assert await world.there() == [queue_id]
    await world.queue.act("operator", "release", message, form="tagged")
    await world.becomes("RELEASED", "RELEASED")
    to_ben = world.hop.received()[1]
    assert to_ben.recipients == ("ben@rcq.example",) and b"Subject: [SPAM] folded" in to_ben.raw
    await world.adoption.beat()
    assert await world.there() == []  # all have ended: it is deleted there
    assert list(world.postfix.mail.glob("all/new/*")) == []


async def test_released_whole_and_to_others_at_once_it_goes_to_all_of_them_by_smtp(world):
    message, _ = await world.adopt()
    await world.queue.act("operator", "release", message, to=["it@rcq.example"])
    await world.queue.act("operator", "release", encode_mail(parse_id(message)[0], 0))
    await world.deliver()
    await world.becomes("RELEASED", "RELEASED")
    got = {mail.recipients for mail in world.hop.received()}
    assert got == {("ben@rcq.example",), ("it@rcq.example",)}
    await world.adoption.beat()
    assert await world.there() == [] and list(world.postfix.mail.glob("all/new/*")) == []


async def test_released_there_by_hand_is_for_a_person_to_settle(world):
    message, queue_id = await world.adopt("ben")
    await world.postfix.run("postsuper", "-H", queue_id)
    await world.deliver()
    await world.queue.act("operator", "release", message)
    await world.becomes("UNCERTAIN")
    assert "somebody released or deleted" in (await world.queue.rows(t.mail))[0]["reply"]
    assert not world.hop.received()
    await world.queue.act("operator", "settle", message, settle="again")
    await comes(lambda: world.hop.received())
    await world.becomes("RELEASED")


async def test_put_on_hold_again_there_is_adopted_again(world):
    message, queue_id = await world.adopt("later")
    await world.deliver()
    await world.queue.act("operator", "release", message)
    await world.becomes("RELEASED")

    async def held_again() -> list[str]:
        await world.postfix.run("postsuper", "-h", queue_id)
        return await world.there()

    assert await comes(held_again) == [queue_id]
    await world.adoption.beat()
    await world.adoption.beat()
    assert await world.statuses() == ["RELEASED", "ONHOLD"] and await world.there() == [queue_id]


async def test_a_crash_after_the_hand_over_sends_nothing_twice(world, monkeypatch):
    message, _ = await world.adopt("ben", "cleo")
    do = world.queue.marshal.do

    async def crashes(operation):
        if isinstance(operation, EndAtOrigin):
            raise OSError("power cut")
        return await do(operation)

    monkeypatch.setattr(world.queue.marshal, "do", crashes)
    await world.deliver()
    await world.queue.act("operator", "release", message)
    await comes(lambda: len(world.postfix.delivered()) == 2)
    await world.stop()
    monkeypatch.undo()
    await world.deliver()
    await world.becomes("RELEASED", "RELEASED")
    await asyncio.sleep(0.3)
    assert len(world.postfix.delivered()) == 2 and not world.hop.received()


async def test_helper_away_then_back(world):
    message, _ = await world.adopt("ben")
    world.helper.stop()
    with pytest.raises(Away):
        await world.adoption.beat()
    await world.deliver()
    await world.queue.act("operator", "release", message)
    await until(lambda: _reply(world), True)
    assert await world.statuses() == ["RELEASING"]
    await world.helper.start()
    await world.becomes("RELEASED")
    await comes(lambda: len(world.postfix.delivered()) == 1)


async def _reply(world: World) -> bool:
    return "helper.sock" in (await world.queue.rows(t.mail))[0]["reply"]


async def test_recipients_of_two_customers_share_an_original(world):
    async with Talk.to(world.postfix.port) as talk:
        await talk.mail("ada@sender.example", ["ben@rcq.example", "cleo@acme.rcq.example"])
        await talk.data(MAIL)
    await world.adoption.beat()
    rows = await world.queue.rows(t.message)
    assert len(rows) == 2 and all(row["origin"].endswith(" shared") for row in rows)
    await world.deliver()
    await world.queue.act("admin", "release", encode_message(rows[0]["id"]))
    await comes(lambda: len(world.hop.received()) == 1)
    await world.adoption.beat()
    assert len(await world.there()) == 1  # the other customer's still waits
    await world.queue.act("admin", "release", encode_message(rows[1]["id"]))
    await comes(lambda: len(world.hop.received()) == 2)
    await until(world.statuses, ["RELEASED", "RELEASED"])
    await world.adoption.beat()
    assert not await world.there() and not world.postfix.delivered()


async def test_the_helper_takes_three_verbs_and_long_queue_ids(world):
    _, queue_id = await world.adopt("ben")

    async def ask(line: bytes) -> dict:
        reader, writer = await asyncio.open_unix_connection(world.helper.socket)
        writer.write(line)
        writer.write_eof()
        said = json.loads(await reader.readline())
        writer.close()
        return said

    for request in (
        *(
            {"verb": verb, "queue_id": i}
            for verb in ("release", "delete")
            for i in ("ALL", "-", "../x", "A1B2C3", "", 7)
        ),
        {"verb": "release"},
        {"verb": "list", "queue_id": f"../hold/{queue_id}"},
        {"verb": "list", "queue_id": f"{queue_id}\n"},
        {"verb": "requeue", "queue_id": queue_id},
        {"verb": "list", "more": 1},
        {},
        [],
        7,
    ):
        said = await ask(json.dumps(request).encode() + b"\n")
        assert not said["ok"] and "expected" in said["error"], request
    for line in (b"\n", b"nonsense\n", b'{"verb": "list"}', b"x" * 5000 + b"\n", b"[" * 4000 + b"\n"):
        assert not (await ask(line))["ok"]
    gone = queue_id[:-1] + ("b" if queue_id[-1] != "b" else "c")
    for verb in ("list", "release", "delete"):
        assert (await ask(json.dumps({"verb": verb, "queue_id": gone}).encode() + b"\n"))["held"] is False
    assert await world.there() == [queue_id]


async def test_the_helper_answers_its_user_only(world):
    world.helper.socket.chmod(0o666)
    script = textwrap.dedent(
        """
        import os, socket, sys
        os.setuid(65534)
        s = socket.socket(socket.AF_UNIX)
        s.connect(sys.argv[1])
        try:
            s.sendall(b'{"verb": "list"}\\n')
        except BrokenPipeError:
            pass  # it has answered already: who we are is all that it looks at
        print(s.recv(4096).decode())
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(world.helper.socket)], capture_output=True, check=False, env=os.environ
    )
    assert not done.returncode, done.stderr
    assert json.loads(done.stdout) == {"ok": False, "error": "user 65534 has no business here"}
