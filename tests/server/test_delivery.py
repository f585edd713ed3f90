"""Delivery to real next hops on loopback: released once, byte for byte, and what becomes of it is on record."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

import pytest

from rcqueue.demo.next_hop import Behaviour, NextHop
from rcqueue.server.config import SECOND
from rcqueue.server.delivery.parcel import parcel
from rcqueue.server.marshal import Refusal, Terms
from rcqueue.server.store import tables as t

from .harness import MAIL, Queue, free_port
from .post import MS, attempts, becomes, count, released, until
from .test_smtp import tricky

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


async def test_what_is_begun_at_once_is_4_mb_at_most_beyond_the_first(queue, hop, post):
    """What is begun is in memory, and can't be recalled."""
    raw = MAIL + (b"x" * 76 + b"\r\n") * 40_000
    held = [await released(queue, "ben@example.org", raw + b"%d\r\n" % n) for n in range(3)]
    await post.start()
    for one in held:
        await becomes(queue, one, "RELEASED")
    begun = Counter(row["started"] for row in await queue.rows(t.attempt))  # of one transaction
    assert sorted(begun.values()) == [1, 2]


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


async def test_the_one_of_five_that_is_refused_is_on_hold_again(queue, hop, post):
    await post.start()
    people = [f"{name}@example.org" for name in ("anna", "ben", "full", "cleo", "dora")]
    held = await queue.hold(recipients=tuple(people))
    await queue.act("operator", "release", held.id)
    await until(lambda: count(queue, "RELEASED"), 4)
    await until(lambda: count(queue, "ONHOLD"), 1)
    (refused,) = await queue.rows(t.mail, status="ONHOLD")
    assert (refused["rcpt"], refused["reply"]) == ("full@example.org", "552 5.2.2 Mailbox full")
    assert refused["due"] is None
    assert sorted(mail.recipients for mail in hop.received()) == [(to,) for to in sorted(people) if to[:4] != "full"]
    # and later, when there is room
    hop.behaviour = lambda _: Behaviour()
    await queue.act("operator", "release", held.mails[2])
    await until(lambda: count(queue, "RELEASED"), 5)
    assert len(hop.received()) == 5


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


async def test_two_admins_race_one_delivery(queue, hop, post):
    await post.start()
    for _ in range(10):
        held = await queue.hold(recipients=("ben@example.org",))
        both = [queue.act(role, "release", held.id) for role in ("admin", "operator")]
        done = [not isinstance(r, Exception) for r in await asyncio.gather(*both, return_exceptions=True)]
        assert sorted(done) == [False, True]
        await becomes(queue, held, "RELEASED")
    assert len(hop.received()) == 10
