"""Delivery when something breaks: the next hop, the store, the server, the bytes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event, text

from rcqueue.demo.ports import bind
from rcqueue.server.delivery import dispatch
from rcqueue.server.store import tables as t

from .harness import MAIL, Queue
from .post import MS, attempts, becomes, count, released, until

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
    answers = (*GREETING, *("250 ok", "250 ok", "354 go", "250 kept") * 3)
    async with scripted(*answers) as (post.port, said):
        held = [await released(queue, "ben@example.org") for _ in range(3)]
        await post.start(sessions=1)
        for one in held:
            await becomes(queue, one, "RELEASED")
    verbs = [line.split()[0].upper() for line in said]
    assert verbs.count(b"EHLO") == 1
    assert verbs.count(b"MAIL") == 3


async def test_a_next_hop_that_ends_the_connection_after_each_mail(queue, hop, post):
    """What comes after has a connection of its own, at once: it is not put off."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"220 hop", b"250 hop", b"250 ok", b"250 ok", b"354 go"):
            writer.write(answer + b"\r\n")
            await reader.readline()
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 kept\r\n")
        writer.close()

    sock = bind("127.0.0.1")
    server = await asyncio.start_server(client, sock=sock)
    post.port = sock.getsockname()[1]
    held = [await released(queue, "ben@example.org") for _ in range(4)]
    await post.start(sessions=1)
    for one in held:
        await becomes(queue, one, "RELEASED")
    assert len(await queue.rows(t.attempt)) == 4
    server.close()


async def test_at_most_so_many_sessions_and_customers_take_turns(queue, hop, post):
    for _ in range(6):
        held = await queue.hold(recipients=("slow@example.org",), customer="acme")
        await queue.act("operator", "release", held.id)
    small = await queue.hold(recipients=("slow@example.org",), customer="books")
    await queue.act("operator", "release", small.id)
    at_once = 0
    await post.start(sessions=2)
    while await queue.status(small.id) != "RELEASED":
        open_now = [a for a in await queue.rows(t.attempt) if a["dot"] is not None and a["finished"] is None]
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


async def test_a_commit_that_takes_long_is_not_overlooked(queue, hop, post, monkeypatch):
    """Its mails are due since before the looks that did not see them."""
    monkeypatch.setattr(dispatch, "LOOK_BACK", 10 * MS)
    await post.start()
    held = await queue.hold(MAIL, recipients=("ben@example.org",))
    slow = threading.Event()

    def sleeps(_: object) -> None:
        if not slow.is_set():
            slow.set()
            time.sleep(0.5)

    event.listen(queue.database.write_engine, "commit", sleeps)
    release = asyncio.create_task(queue.act("operator", "release", held.id))
    while not release.done():
        post.now.wake()
        await asyncio.sleep(0.01)
    assert slow.is_set()
    await becomes(queue, held, "RELEASED")


async def test_after_a_look_that_takes_long_what_became_due_meanwhile_goes_once_the_rest_is_sent(
    queue, hop, post, monkeypatch
):
    """Looks take a share of the time; a lane that has nothing more to send waits for none of it."""
    real = dispatch._due

    def slow(*asked: Any) -> Any:
        time.sleep(0.05)
        return real(*asked)

    monkeypatch.setattr(dispatch, "_due", slow)
    monkeypatch.setattr(dispatch, "SHARE", 0.0001)  # minutes of rest after each look
    first = [await released(queue, "ben@example.org") for _ in range(30)]
    await post.start()
    for held in first:
        await becomes(queue, held, "RELEASED")
        await becomes(queue, await released(queue, "ben@example.org"), "RELEASED")


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
    await until(lambda: dots(queue), 1)
    await post.stop(grace=5)
    assert await count(queue, "RELEASED") == await attempts(queue) == 2  # one was sent, one begun ahead
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
