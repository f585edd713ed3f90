"""A mail that was released from here and comes back is not caught again, and goes on once: at each way in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from rcqueue.demo.next_hop import Behaviour, NextHop
from rcqueue.server import passes
from rcqueue.server.config import Config
from rcqueue.server.intake.content_filter import ContentFilter
from rcqueue.server.intake.hold import Intake
from rcqueue.server.intake.milter import MilterIntake
from rcqueue.server.intake.returned import Returned
from rcqueue.server.intake.smtp import LmtpIntake, SmtpIntake
from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import Rows
from tests.realparts.postfix import Postfix, comes, free_port
from tests.server.harness import Queue, Talk
from tests.server.post import Post, becomes, until

from .judging import ByRecipient

pytestmark = pytest.mark.xdist_group("milter")  # one Postfix for all of them

KEY = b"k" * 32
SENDER, BEN = "ada@sender.example", "hold.ben@rcq.example"
FORGED = (
    b"X-Rcq-Verdict: NONE; forged\r\nX-Rcqueue-Release: 1\r\nX-Rcqueue-Pass: a=1; t=9999999999; h=00\r\n folded\r\n"
)
MAIL = (
    b"From: Ada <ada@sender.example>\r\nTo: hold.ben@rcq.example\r\nSubject: x\r\nX-Mine: stays\r\n"
    b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\n.dot\r\n X-Rcq-In: body\r\n\r\n\r\n"
)


class Seen(Intake):
    """Remembers what came in, as it came."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)
        self.came: list[bytes] = []

    async def returned(self, sender: str, recipients: Sequence[str], raw: bytes) -> Returned | None:
        self.came.append(raw)
        return await super().returned(sender, recipients, raw)


class World:
    """Mail is held, released to where it is judged again, and comes back from there."""

    def __init__(self, queue: Queue, post: Post, judge: ByRecipient, intake: Seen) -> None:
        self.queue, self.post, self.judge, self.intake = queue, post, judge, intake

    async def released(self, to: str = BEN, sender: str = SENDER, **how: object) -> bytes:
        """Holds a mail and releases it; what came back, as it came."""
        held = await self.queue.hold(FORGED + MAIL, recipients=(to,), sender=sender)
        await self.queue.act("operator", "release", held.id, **how)
        await becomes(self.queue, held, "RELEASED")
        self.first = held
        return self.intake.came[-1]

    async def say(self, raw: bytes, to: str = BEN, *, port: int = 0, lmtp: bool = False) -> str:
        async with Talk.to(port or self.post.port, ehlo=False) as talk:
            await talk.say(f"{'LHLO' if lmtp else 'EHLO'} x.example", "250")
            await talk.mail(SENDER, [to])
            return await talk.data(raw)

    async def others(self, status: str) -> list[dict[str, object]]:
        """Of the messages but the first those with a mail of this status, with their verdicts."""
        rows = [r for r in await self.queue.rows(t.message) if r["id"] != self.first.number and r[status.lower()]]
        details = {d["message"]: json.loads(d["verdict"]) for d in await self.queue.rows(t.message_detail)}
        return [{**row, "reason": details[row["id"]]["reason"]} for row in rows]

    async def reasons(self, status: str) -> list[str]:
        return [f"{row['verdict']} {row['reason']}" for row in await self.others(status)]


@pytest.fixture
async def world(queue, tmp_path):
    intake = Seen(queue.marshal, Config(data_dir=tmp_path), keys=(b"n" * 32, KEY))  # the key was changed meanwhile
    post = Post(queue, 0)
    post.key = KEY
    yield World(queue, post, ByRecipient(), intake)
    await post.stop()


@pytest.fixture(scope="module")
async def postfix():
    port = free_port()
    main = {"smtpd_milters": f"inet:127.0.0.1:{port}", "milter_default_action": "tempfail"}
    async with Postfix(main) as postfix:
        postfix.milter_port = port
        yield postfix


@pytest.fixture
async def milter(world, postfix, tmp_path):
    config = Config(data_dir=tmp_path, milter={"listen": f"127.0.0.1:{postfix.milter_port}"})
    milter = MilterIntake(world.intake, world.judge, config.milter, 200_000)
    await milter.start()
    world.post.port = postfix.port
    await world.post.start()
    yield milter
    await world.post.stop()
    await milter.stop(grace=1)
    for mail in postfix.mail.glob("all/new/*"):
        mail.unlink()


async def test_milter_lets_it_go_on_once_and_holds_it_when_it_comes_again(world, milter, postfix):
    raw = await world.released()
    (mail,) = await comes(postfix.delivered)
    release = (await world.queue.rows(t.attempt))[0]["release"]
    assert mail.replace(b"\n", b"\r\n").endswith(f"X-Rcqueue-Release: {release}\r\n".encode() + MAIL)
    assert mail.partition(b"\n\n")[0].lower().count(b"x-rcq") == 1
    assert not world.judge.asked
    (row,) = await world.others("PASSED")
    assert (row["origin"], row["reason"]) == ("milter", f"released from here as {release}")
    (entry,) = await world.queue.entries("mail.pass")
    assert entry["facts"]["release"] == release
    (entry,) = await world.queue.entries("mail.released")
    assert entry["facts"]["ours_removed"] == 3 and entry["facts"]["queue_id"] in postfix.log()
    assert await world.queue.raw(world.first.number) == FORGED + MAIL

    assert raw.count(b"X-Rcqueue-") == 2 and b"X-Rcq-Verdict" not in raw
    for _ in range(2):
        assert (await world.say(raw)).startswith("250")
    assert await world.reasons("ONHOLD") == [f"POLICY loop: released as {release}, and came back again"] * 2
    assert {await world.queue.raw(row["id"]) for row in await world.others("ONHOLD")} == {raw}
    assert not world.judge.asked and not await postfix.queue() and len(postfix.delivered()) == 1
    posted = await world.queue.rows(t.posting, term=f"release:{release}")
    assert len(posted) == 3


@pytest.mark.parametrize(
    ("sender", "to"),
    [
        ("", "HOLD.Ben+x@RCQ.example"),
        ('"a b"@sender.example', '"hold.a\\"b"@rcq.example'),
        ("δοκιμή@ü.example", "hold.ä@rcq.example"),
        ("a..b@[192.0.2.1]", BEN),
        ("nodomain", BEN),
    ],
)
async def test_whatever_the_addresses_are(world, milter, postfix, sender, to):
    await world.released(to, sender)
    assert not world.judge.asked and len(await world.others("PASSED")) == 1


async def test_what_a_form_says_stays_on_it(world, milter, postfix):
    await world.released(form="tagged")
    (mail,) = await comes(postfix.delivered)
    header = mail.partition(b"\n\n")[0]
    assert b"\nX-Rcq-Verdict: " in header and b"\nX-Rcqueue-Remade: tagged" in header
    assert b"forged" not in header and b"X-Rcqueue-Pass" not in header and not world.judge.asked


async def test_of_copies_at_once_one_goes_on(world, milter, postfix, monkeypatch):
    lets_go, all_there, waiting = world.intake.lets_go, asyncio.Event(), []

    async def together(*args, **more):
        waiting.append(1)
        if len(waiting) == 4:
            all_there.set()
        await asyncio.wait_for(all_there.wait(), 10)
        return await lets_go(*args, **more)

    monkeypatch.setattr(world.intake, "lets_go", together)
    released = asyncio.create_task(world.released())
    await until(lambda: asyncio.sleep(0, len(waiting)), 1)
    await asyncio.gather(*(world.say(world.intake.came[0]) for _ in range(3)))
    await released
    assert len(await world.others("PASSED")) == 1 and len(await world.others("ONHOLD")) == 3
    await comes(postfix.delivered)
    assert not await postfix.queue() and len(postfix.delivered()) == 1


async def test_it_is_the_record_of_what_came_back_that_holds_it(world, milter, postfix, monkeypatch):
    raw = await world.released()
    monkeypatch.setattr("rcqueue.server.intake.returned._came_back", lambda *_: False)
    await world.say(raw)
    assert len(await world.others("ONHOLD")) == 1  # by the writer alone
    monkeypatch.setattr(Rows, "posted", lambda *_: False)
    await world.say(raw)
    await comes(lambda: len(postfix.delivered()) == 2)


async def test_forged_it_is_judged_like_any_mail(world, milter, postfix):
    raw = await world.released()
    (attempt,) = await world.queue.rows(t.attempt)
    (release, start) = attempt["release"], attempt["started"] // 1_000_000
    await comes(postfix.delivered)

    def by(key=KEY, release=release, number=1, end=start + 3600):
        name, value = passes.sign(key, release, number, end, SENDER, BEN, raw)
        return f"X-Rcqueue-Release: {release}\r\n{name}: {value}\r\n".encode() + MAIL

    assert by() == raw
    forged = {
        "another body": raw + b"more\r\n",
        "another key": by(key=b"o" * 32),
        "over": by(end=start - 1),
        "no such attempt": by(number=2),
        "no such release": by(release=release + "0"),
        "no such mail": by(release="0000000000000000-1"),
        "no id": by(release="rel"),
        "no pass": raw.replace(b"X-Rcqueue-Pass", b"X-Rcqueue-Past"),
    }
    for name, one in forged.items():
        world.judge.asked.clear()
        assert (await world.say(one)).startswith("250"), name
        assert len(world.judge.asked) == 1, name
    assert await world.reasons("ONHOLD") == ["SPAM names: 7.5 of 5"] * len(forged)
    await world.say(raw, "hold.cleo@rcq.example")
    assert len(world.judge.asked) == 2 and len(postfix.delivered()) == 1
    world.intake._keys = ()  # [release] pass = false
    await world.say(raw)
    assert len(world.judge.asked) == 3


@pytest.fixture
async def filter(world, tmp_path):
    behaviours = {"hold.later@rcq.example": Behaviour(refuse="451 4.2.1 Not now", times=1)}
    behind = NextHop(tmp_path / "behind", lambda to: behaviours.get(to, Behaviour()))
    await behind.start()
    config = Config(
        data_dir=tmp_path,
        filter={"listen": f"127.0.0.1:{free_port()}", "reinject": f"127.0.0.1:{behind.port}", "timeout": "5s"},
    )
    filter = ContentFilter(world.intake, world.judge, config.filter, config.smtp)
    filter.behind = behind
    await filter.start()
    world.post.port = filter.port
    await world.post.start()
    yield filter
    await world.post.stop()
    await filter.stop(grace=1)
    await behind.stop()


@pytest.mark.parametrize("lmtp", [False, True])
async def test_content_filter(world, filter, lmtp):
    raw = await world.released()
    (mail,) = filter.behind.received()
    assert mail.raw == raw.partition(b"\r\n")[0] + b"\r\n" + MAIL and mail.raw.startswith(b"X-Rcqueue-Release: ")
    assert [r.partition(" as ")[0] for r in await world.reasons("PASSED")] == ["POLICY released from here"]
    assert "Held as" in await world.say(raw, lmtp=lmtp)
    (reason,) = await world.reasons("ONHOLD")
    assert reason.startswith("POLICY loop: ") and not world.judge.asked and len(filter.behind.received()) == 1
    assert "Held as" in await world.say(raw + b"more\r\n", lmtp=lmtp) and len(world.judge.asked) == 1


async def test_what_is_to_be_tried_again_has_not_come_back(world, filter):
    """The server behind the filter puts it off once: neither Delivery's next attempt nor a mail server's is a loop."""
    await world.released("hold.later@rcq.example")
    one, two = await world.queue.rows(t.attempt)
    assert (one["code"], two["code"]) == (451, 250) and one["release"] == two["release"]
    assert len(filter.behind.received()) == 1 and not await world.others("ONHOLD")
    filter.behind.attempts.clear()
    first = next(raw for raw in world.intake.came if b"a=1;" in raw)
    assert (await world.say(first, "hold.later@rcq.example")).startswith("451 4.2.1")
    assert (await world.say(first, "hold.later@rcq.example")).startswith("250 2.0.0 Ok: passed on")
    assert "Held as" in await world.say(first, "hold.later@rcq.example")


@pytest.mark.parametrize("way", ["smtp", "lmtp"])
async def test_a_way_that_only_holds_says_loop(world, tmp_path, way):
    config = Config(data_dir=tmp_path, smtp={"listen": f"127.0.0.1:{free_port()}"}, lmtp={"listen": "127.0.0.1:0"})
    smtp, lmtp = SmtpIntake(world.intake, config.smtp), LmtpIntake(world.intake, config.smtp, config.lmtp.listen)
    await smtp.start()
    await lmtp.start()
    world.post.port = smtp.port
    await world.post.start()
    raw = await world.released()
    if way == "lmtp":
        await world.say(raw, port=lmtp.port, lmtp=True)
    reasons = await world.reasons("ONHOLD")
    assert len(reasons) == (1 if way == "smtp" else 2) and all(
        r.startswith("POLICY loop: released as ") for r in reasons
    )
    await world.say(raw + b"more\r\n", port=smtp.port)
    assert "loop" not in (await world.reasons("ONHOLD"))[-1]
    await world.post.stop()
    await smtp.stop(grace=1)
    await lmtp.stop(grace=1)
