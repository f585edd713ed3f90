"""Delivery to real next hops on loopback: released once, byte for byte, and what becomes of it is on record."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text

from rcqueue.demo.next_hop import Behaviour, NextHop
from rcqueue.demo.ports import bind
from rcqueue.server.config import SECOND, Config
from rcqueue.server.delivery import Delivery
from rcqueue.server.delivery.parcel import parcel
from rcqueue.server.marshal import Refusal, Terms
from rcqueue.server.store import tables as t

from .harness import MAIL, Held, Queue, free_port
from .test_smtp import tricky

MS = SECOND // 1000
BEHAVIOURS = {
    "full": Behaviour(refuse="552 5.2.2 Mailbox full"),
    "data": Behaviour(refuse="554 5.7.1 Looks like spam", at_data=True),
    "grey": Behaviour(refuse="451 4.7.1 Greylisted", times=1),
    "never": Behaviour(refuse="450 4.2.0 Not now"),
    "lost": Behaviour(lose_answer=True, times=1),
    "lostnot": Behaviour(lose_answer=True, kept=False, times=1),
    "slow": Behaviour(delay=0.5),
}


@pytest.fixture
async def hop(tmp_path):
    hop = NextHop(tmp_path / "hop", lambda to: BEHAVIOURS.get(to.partition("@")[0], Behaviour()))
    await hop.start()
    yield hop
    await hop.stop()


class Post:
    """Deliveries of a queue; one after the other, as a server that is restarted has them."""

    def __init__(self, queue: Queue, port: int) -> None:
        self.queue, self.port, self.now = queue, port, None

    async def start(self, **next_hop: object) -> Delivery:
        config = Config(data_dir=self.queue.folder, next_hop={"default": f"127.0.0.1:{self.port}", **next_hop})
        self.now = delivery = Delivery(self.queue.marshal, config, waits=(50 * MS, 100 * MS))
        loop = asyncio.get_running_loop()

        def committed(seq: int) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(delivery.wake)

        self.queue.writer.on_commit = committed
        await delivery.start()
        return delivery

    async def stop(self, grace: float = 1) -> None:
        if self.now is not None:
            await self.now.stop(grace)
        self.now = None


@pytest.fixture
async def post(queue, hop):
    post = Post(queue, hop.port)
    yield post
    await post.stop()


async def until(status: Callable[[], Awaitable[object]], wanted: object, seconds: float = 8) -> None:
    end = time.monotonic() + seconds
    while (found := await status()) != wanted:
        assert time.monotonic() < end, f"{found}, not {wanted}"
        await asyncio.sleep(0.02)


async def released(queue: Queue, to: str, raw: bytes = MAIL) -> Held:
    held = await queue.hold(raw, recipients=(to,))
    await queue.act("operator", "release", held.id)
    return held


async def becomes(queue: Queue, held: Held, status: str) -> None:
    await until(lambda: queue.status(held.id), status)


# -- what is sent


async def test_what_arrives_is_what_is_stored_with_the_release_id_on_top(queue, hop, post):
    await post.start()
    held = await released(queue, "ben@example.org")
    await becomes(queue, held, "RELEASED")
    (got,) = hop.received()
    release = (await queue.mail(held.id))["release"]
    assert got.raw == b"X-Rcqueue-Release: %s\r\n" % release.encode() + MAIL
    assert (got.sender, got.recipients) == ("ada@sender.example", ("ben@example.org",))
    (entry,) = await queue.entries("mail.released")
    assert entry["facts"] == {"release": release, "attempt": 1, "code": 250}
    assert entry["personal"]["reply"].startswith("250 2.0.0 Ok")
    assert entry["account"] is None
    (attempt,) = await queue.rows(t.attempt)
    assert attempt["started"] <= attempt["dot"] <= attempt["finished"]


async def test_tricky_messages_arrive_as_stored_line_ends_aside(queue, hop, post):
    messages = tricky()
    held = {name: await released(queue, "ben@example.org", raw) for name, raw in messages.items()}
    await post.start()
    await until(lambda: count(queue, "RELEASED"), len(messages))
    got = {}
    for mail in hop.received():
        first, _, rest = mail.raw.partition(b"\r\n")
        got[first.removeprefix(b"X-Rcqueue-Release: ").decode()] = rest
    assert len(got) == len(messages)  # nothing was smuggled in beside them
    entries = {entry["facts"]["release"]: entry["facts"] for entry in await queue.entries("mail.released")}
    for name, raw in messages.items():
        release = (await queue.mail(held[name].id))["release"]
        assert got[release] == re.sub(rb"\r\n|\r|\n", b"\r\n", raw), name
        assert entries[release].get("normalised", False) == (got[release] != raw), name


async def count(queue: Queue, status: str) -> int:
    return len(await queue.rows(t.mail, status=status))


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\r\n.\r\n"])
def test_on_the_wire_no_reader_finds_an_end_in_the_middle(end):
    goods = parcel(b"Subject: x\r\n\r\nbefore" + end + b"after\r\n", "r-1", "a@b.example", "c@d.example", False)
    wire = b"".join(goods.stuffed())
    for mark in (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\n", b"\r\n.\r\n"):
        assert mark not in wire
    assert wire.endswith(b"after\r\n")
    assert wire.replace(b"\r\n..", b"\r\n.") == goods.data


def test_what_a_mail_needs():
    def needs(raw: bytes, sender: str = "a@b.example", smtputf8: bool = False) -> set[str]:
        return set(parcel(raw, "r-1", sender, "c@d.example", smtputf8).needs)

    assert needs(MAIL) == set()
    assert needs(MAIL + b"\xff\r\n") == {"8bitmime"}
    assert needs(b"Subject: \xc3\xa4\r\n\r\n") == {"8bitmime"}
    assert needs(b"Subject: \xc3\xa4\r\n\r\n", smtputf8=True) == {"8bitmime", "smtputf8"}
    assert needs(MAIL + b"\xff\r\n", smtputf8=True) == {"8bitmime"}
    assert needs(MAIL, "δ@b.example") == {"smtputf8"}


async def test_a_bounce_and_smtputf8(queue, hop, post):
    await post.start()
    bounce = await queue.hold(sender="", recipients=("δοκιμή@ü.example",))
    await queue.act("operator", "release", bounce.id)
    await becomes(queue, bounce, "RELEASED")
    (got,) = hop.received()
    assert (got.sender, got.recipients) == ("", ("δοκιμή@ü.example",))


async def test_each_recipient_its_own_transaction_to_the_next_hop_of_its_domain(queue, hop, post, tmp_path):
    other = NextHop(tmp_path / "other", lambda to: Behaviour())
    await other.start()
    await post.start(domains={"acme.example": f"127.0.0.1:{other.port}"})
    held = await queue.hold(recipients=("a@example.org", "b@mail.acme.example", "c@example.org"))
    await queue.act("operator", "release", held.id)
    await until(lambda: count(queue, "RELEASED"), 3)
    assert sorted(mail.recipients for mail in hop.received()) == [("a@example.org",), ("c@example.org",)]
    assert [mail.recipients for mail in other.received()] == [("b@mail.acme.example",)]
    await other.stop()


# -- what the next hop may answer


@pytest.mark.parametrize(
    ("who", "code", "reply", "dot"),
    [("full", 552, "552 5.2.2 Mailbox full", False), ("data", 554, "554 5.7.1 Looks like spam", True)],
)
async def test_5xx_puts_it_back_on_hold_with_the_reply(queue, hop, post, who, code, reply, dot):
    await post.start()
    held = await released(queue, f"{who}@example.org")
    await becomes(queue, held, "ONHOLD")
    mail = await queue.mail(held.id)
    assert mail["reply"] == reply
    assert mail["expiry"] > queue.clock.now() + 23 * 3600 * SECOND
    (entry,) = await queue.entries("mail.refused")
    assert (entry["facts"]["code"], entry["personal"]["reply"]) == (code, reply)
    (attempt,) = await queue.rows(t.attempt)
    assert (attempt["dot"] is not None) == dot
    assert hop.received() == []
    # and can be released again: another attempt, of another release
    await queue.act("operator", "release", held.id)
    await until(lambda: refusals(queue), 2)
    assert [a["number"] for a in await queue.rows(t.attempt)] == [1, 2]
    assert len({a["release"] for a in await queue.rows(t.attempt)}) == 2


async def refusals(queue: Queue) -> int:
    return len(await queue.entries("mail.refused"))


async def test_4xx_is_tried_again_under_the_same_release_id(queue, hop, post):
    await post.start()
    held = await released(queue, "grey@example.org")
    await becomes(queue, held, "RELEASED")
    assert hop.attempts["grey@example.org"] == 2
    one, two = await queue.rows(t.attempt)
    assert (one["code"], two["code"]) == (451, 250)
    assert one["release"] == two["release"]
    assert two["started"] - one["finished"] >= 50 * MS
    assert len(await queue.entries("mail.retry")) == 1
    assert len(hop.received()) == 1


async def test_it_gives_up_in_the_end(queue, hop, post):
    await post.start(give_up="400ms")
    held = await released(queue, "never@example.org")
    await becomes(queue, held, "ONHOLD")
    attempts = await queue.rows(t.attempt)
    assert 3 <= len(attempts) <= 7
    reply = (await queue.mail(held.id))["reply"]
    assert reply == f"given up after {len(attempts)} attempts: 450 4.2.0 Not now"
    assert attempts[-1]["started"] - attempts[0]["started"] >= 400 * MS


async def test_nobody_listens_then_somebody_does(queue, hop, post, monkeypatch):
    monkeypatch.setattr("rcqueue.server.delivery.dispatch.DOWN", 100 * MS)
    post.port = free_port()
    await post.start()
    held = await released(queue, "ben@example.org")
    await until(lambda: retries(queue), 2)
    assert await queue.status(held.id) == "RELEASING"
    assert "127.0.0.1:" in (await queue.mail(held.id))["reply"]
    late = NextHop(hop.folder, lambda to: Behaviour(), port=post.port)
    await late.start()
    await becomes(queue, held, "RELEASED")
    await late.stop()


async def retries(queue: Queue) -> int:
    return min(2, len(await queue.entries("mail.retry")))


# -- the answer is lost


@pytest.mark.parametrize(("who", "arrived"), [("lost", 1), ("lostnot", 0)])
async def test_lost_after_the_dot_is_uncertain_and_waits_for_a_person(queue, hop, post, who, arrived):
    await post.start()
    held = await released(queue, f"{who}@example.org")
    await becomes(queue, held, "UNCERTAIN")
    await asyncio.sleep(0.3)
    assert hop.attempts[f"{who}@example.org"] == 1
    assert len(hop.received()) == arrived
    assert "the answer to the mail was lost" in (await queue.mail(held.id))["reply"]


@pytest.mark.parametrize(
    ("way", "status", "copies"), [("arrived", "RELEASED", 1), ("again", "RELEASED", 2), ("hold", "ONHOLD", 1)]
)
async def test_the_three_ways_out_of_uncertain(queue, hop, post, way, status, copies):
    await post.start()
    held = await released(queue, "lost@example.org")
    await becomes(queue, held, "UNCERTAIN")
    await queue.act("operator", "settle", held.id, settle=way)
    await becomes(queue, held, status)
    got = hop.received()
    assert len(got) == copies
    assert len({mail.raw for mail in got}) == 1  # the same release id, so that the next hop can tell


async def test_sent_again_and_put_off_has_the_whole_time_anew(queue, hop, post):
    """What came before a person said "again" does not count towards giving up."""
    by_attempt = {1: Behaviour(lose_answer=True, kept=False), 2: Behaviour(refuse="451 later")}
    hop.behaviour = lambda to: by_attempt.get(hop.attempts[to], Behaviour())
    await post.start(give_up="300ms")
    held = await released(queue, "ben@example.org")
    await becomes(queue, held, "UNCERTAIN")
    await asyncio.sleep(0.4)
    await queue.act("operator", "settle", held.id, settle="again")
    await becomes(queue, held, "RELEASED")
    assert [a["code"] for a in await queue.rows(t.attempt)] == [0, 451, 250]


# -- next hops that misbehave


@contextlib.asynccontextmanager
async def scripted(*answers: str) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A next hop that answers each line of the client by the next of `answers`; after a 354 it reads up to the dot.
    "" closes the connection; "-" says nothing more. (port, all that the clients said)"""
    said: list[bytes] = []

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            for answer in answers:
                if answer == "":
                    break
                if answer == "-":
                    await reader.read()
                    break
                writer.write(answer.encode().replace(b"\n", b"\r\n") + b"\r\n")
                until = b"\r\n.\r\n" if answer.startswith("354") else b"\r\n"
                said.append(await reader.readuntil(until))
        writer.close()

    sock = bind("127.0.0.1")
    server = await asyncio.start_server(client, sock=sock)
    try:
        yield sock.getsockname()[1], said
    finally:
        server.close()


GREETING = ("220 hop", "250-hop\n250-8BITMIME\n250 SIZE")


@pytest.mark.parametrize(
    ("answers", "raw", "status", "reply"),
    [
        (("421 busy",), MAIL, "retry", "421 busy"),
        (("554 go away",), MAIL, "retry", "554 go away"),
        (("220 hop", ""), MAIL, "retry", "the connection was lost"),
        ((*GREETING, "550 no senders"), MAIL, "refused", "550 no senders"),
        ((*GREETING, "421 shutting down"), MAIL, "retry", "421 shutting down"),
        ((*GREETING, "250 ok", "250 ok", "250 what data"), MAIL, "retry", "250 what data"),
        ((*GREETING, "250 ok", "250 ok", "554 no data"), MAIL, "refused", "554 no data"),
        ((*GREETING, "250 ok", "250 ok", ""), MAIL, "retry", "the connection was lost"),
        ((*GREETING, "250 ok", "250 ok", "-"), MAIL, "retry", "no answer in time"),
        ((*GREETING, "250 ok", "250 ok", "354 go", "250 ok\x00\x1b[2J"), MAIL, "released", "250 ok [2J"),
        ((*GREETING, "250 ok", "250 ok", "354 go", "452 disk full"), MAIL, "retry", "452 disk full"),
        ((*GREETING, "250 ok", "250 ok", "354 go", "354 go on"), MAIL, "uncertain", "354 go on"),
        ((*GREETING, "250 ok", "250 ok", "354 go", "nonsense"), MAIL, "uncertain", "answer to the mail was lost"),
        ((*GREETING, "250 ok", "250 ok", "354 go", ""), MAIL, "uncertain", "answer to the mail was lost"),
        ((*GREETING, "250 ok", "250 ok", "354 go", "-"), MAIL, "uncertain", "no answer in time"),
        (("220 hop", "250 hop"), MAIL + b"\xe4\r\n", "refused", "does not offer 8BITMIME"),
        (("220 hop", "502 what", "250 hop"), MAIL + b"\xe4\r\n", "refused", "does not offer 8BITMIME"),
    ],
)
async def test_next_hops_that_misbehave(queue, hop, post, answers, raw, status, reply):
    async with scripted(*answers) as (post.port, _said):
        await post.start(timeout="300ms", sessions=1)
        held = await released(queue, "ben@example.org", raw)
        await until(lambda: at_least_one(queue, f"mail.{status}"), True)
        await post.stop()
    entry = (await queue.entries(f"mail.{status}"))[0]
    assert reply in entry["personal"]["reply"]
    (first, *_) = await queue.rows(t.attempt)
    assert (first["dot"] is not None) == ("354 go" in answers)
    assert held.number == first["message"]


async def at_least_one(queue: Queue, kind: str) -> bool:
    return bool(await queue.entries(kind))


async def test_an_answer_in_the_middle_of_the_mail(queue, hop, post):
    """The next hop has had enough after the first bytes: a refusal, and no dot is sent."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"220 hop", b"250-hop\r\n250 8BITMIME", b"250 ok", b"250 ok", b"354 go"):
            writer.write(answer + b"\r\n")
            await reader.readline()
        writer.write(b"552 5.3.4 Too big\r\n")
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass
        writer.close()

    sock = bind("127.0.0.1")
    server = await asyncio.start_server(client, sock=sock)
    post.port = sock.getsockname()[1]
    await post.start()
    held = await released(queue, "ben@example.org", MAIL + b"x" * 20_000_000 + b"\r\n")
    await becomes(queue, held, "ONHOLD")
    assert (await queue.mail(held.id))["reply"] == "552 5.3.4 Too big"
    (attempt,) = await queue.rows(t.attempt)
    assert attempt["dot"] is None
    server.close()


async def test_one_connection_for_several_mails(queue, hop, post):
    answers = (*GREETING, *("250 ok", "250 ok", "354 go", "250 kept", "250 reset") * 3)
    async with scripted(*answers) as (post.port, said):
        held = [await released(queue, "ben@example.org") for _ in range(3)]
        await post.start(sessions=1)
        for one in held:
            await becomes(queue, one, "RELEASED")
    verbs = [line.split()[0].upper() for line in said]
    assert verbs.count(b"EHLO") == 1
    assert verbs.count(b"MAIL") == 3
    assert verbs.count(b"RSET") == 2


async def test_at_most_so_many_sessions_and_customers_take_turns(queue, hop, post):
    for _ in range(6):
        held = await queue.hold(recipients=("slow@example.org",), customer="acme")
        await queue.act("operator", "release", held.id)
    small = await queue.hold(recipients=("slow@example.org",), customer="books")
    await queue.act("operator", "release", small.id)
    at_once = 0
    await post.start(sessions=2)
    while await queue.status(small.id) != "RELEASED":
        open_now = [a for a in await queue.rows(t.attempt) if a["finished"] is None]
        at_once = max(at_once, len(open_now))
        await asyncio.sleep(0.02)
    assert at_once == 2
    assert await count(queue, "RELEASED") <= 3  # not behind the six of the other customer
    await until(lambda: count(queue, "RELEASED"), 7)


async def test_mail_that_cannot_be_written_is_tried_again_not_lost(queue, hop, post, monkeypatch):
    """The commit before the dot fails once: no dot, no delivery, then another attempt."""
    real, failures = queue.marshal.before_dot, iter([True])

    async def failing(begun):
        if next(failures, False):
            raise RuntimeError("no space")
        await real(begun)

    monkeypatch.setattr(queue.marshal, "before_dot", failing)
    await post.start()
    held = await released(queue, "ben@example.org")
    await becomes(queue, held, "RELEASED")
    assert len(hop.received()) == 1
    (retry,) = await queue.entries("mail.retry")
    assert "could not hand it over (RuntimeError)" in retry["personal"]["reply"]


async def test_an_outcome_that_could_not_be_recorded_is_uncertain(queue, hop, post, monkeypatch):
    async def failing(*_, **__):
        raise RuntimeError("no space")

    with monkeypatch.context() as broken:
        broken.setattr(queue.marshal, "end_attempt", failing)
        await post.start()
        held = await released(queue, "ben@example.org")
        await until(lambda: asyncio.sleep(0, len(hop.received())), 1)
        await becomes(queue, held, "UNCERTAIN")
    assert len(hop.received()) == 1


# -- people


async def test_recall_within_the_window(queue, hop, post):
    queue.marshal.terms = Terms(recall=400 * MS)
    await post.start()
    kept, gone = await released(queue, "a@example.org"), await released(queue, "b@example.org")
    await queue.act("operator", "recall", kept.id)
    assert await queue.status(kept.id) == "ONHOLD"
    await becomes(queue, gone, "RELEASED")
    assert [mail.recipients for mail in hop.received()] == [("b@example.org",)]
    with pytest.raises(Refusal):
        await queue.act("operator", "recall", gone.id)


async def test_recall_comes_too_late_while_it_is_handed_over(queue, hop, post):
    await post.start()
    held = await released(queue, "slow@example.org")
    await until(lambda: attempts(queue), 1)
    with pytest.raises(Refusal) as refused:
        await queue.act("operator", "recall", held.id)
    assert "handed to the next hop" in refused.value.extra["results"][0]["detail"]
    await becomes(queue, held, "RELEASED")


async def attempts(queue: Queue) -> int:
    return len(await queue.rows(t.attempt))


async def test_two_admins_race_one_delivery(queue, hop, post):
    await post.start()
    for _ in range(10):
        held = await queue.hold(recipients=("ben@example.org",))
        both = [queue.act(role, "release", held.id) for role in ("admin", "operator")]
        done = [not isinstance(r, Exception) for r in await asyncio.gather(*both, return_exceptions=True)]
        assert sorted(done) == [False, True]
        await becomes(queue, held, "RELEASED")
    assert len(hop.received()) == 10


# -- stop and crash


async def test_stop_lets_an_attempt_end(queue, hop, post):
    await post.start()
    held = await released(queue, "slow@example.org")
    await until(lambda: attempts(queue), 1)
    await post.stop(grace=5)
    assert await queue.status(held.id) == "RELEASED"


async def test_stop_ends_whatever_comes_with_it(queue, hop, post):
    """A commit wakes delivery in the very moment in which it is stopped."""
    for steps in range(8):
        delivery = await post.start()
        await asyncio.sleep(0.1)
        delivery.wake()
        for _ in range(steps):
            await asyncio.sleep(0)
        await asyncio.wait_for(post.stop(), 5)


async def test_stop_begins_nothing_and_the_next_start_goes_on(queue, hop, post):
    held = [await released(queue, "slow@example.org") for _ in range(4)]
    await post.start(sessions=1)
    await until(lambda: attempts(queue), 1)
    await post.stop(grace=5)
    assert await count(queue, "RELEASED") == 1
    await post.start()
    for one in held:
        await becomes(queue, one, "RELEASED")
    assert len(hop.received()) == 4


async def test_a_crash_before_the_dot_is_tried_again_after_it_uncertain(queue, hop, post):
    before, after = await released(queue, "a@example.org"), await released(queue, "b@example.org")
    await queue.marshal.begin_attempt(before.number, 0, "x:1")
    begun = await queue.marshal.begin_attempt(after.number, 0, "x:1")
    await queue.marshal.before_dot(begun)
    await queue.reopen()
    await post.stop()
    post.queue = queue
    await post.start()
    assert await queue.status(after.id) == "UNCERTAIN"
    await becomes(queue, before, "RELEASED")
    assert [mail.recipients for mail in hop.received()] == [("a@example.org",)]
    assert "stopped before the next hop answered" in (await queue.mail(after.id))["reply"]


async def test_a_crash_while_the_answer_is_awaited(queue, hop, post):
    """Cut off in the middle of an attempt: at the next start it is UNCERTAIN, and was delivered once."""
    await post.start()
    held = await released(queue, "slow@example.org")
    await until(lambda: dots(queue), 1)
    await post.stop(grace=0)
    await asyncio.sleep(0.6)
    await queue.reopen()
    await post.start()
    await becomes(queue, held, "UNCERTAIN")
    assert len(hop.received()) == 1


async def dots(queue: Queue) -> int:
    return len([a for a in await queue.rows(t.attempt) if a["dot"] is not None])


# -- stored bytes


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE blob SET data = x'00'", "stored bytes do not match their hash"),
        ("UPDATE blob SET codec = 'zlib'", "stored bytes do not match their hash"),
        ("DELETE FROM blob", "its bytes were purged"),
    ],
)
async def test_damaged_bytes_are_not_sent(queue, hop, post, damage, said):
    held = await released(queue, "ben@example.org")
    with queue.database.write_engine.begin() as connection:
        connection.execute(text(damage))
    await post.start()
    await becomes(queue, held, "ONHOLD")
    assert said in (await queue.mail(held.id))["reply"]
    assert hop.received() == []
