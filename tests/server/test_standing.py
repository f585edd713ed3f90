"""Claims of filters: what arrives and matches is claimed as it is held; they end as claims do; overlap is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rcqueue.client.http import ApiProblem
from rcqueue.model.access import ROLES, Grant
from rcqueue.server.marshal import Refusal, standing
from rcqueue.server.marshal.clockwork import Clockwork
from rcqueue.server.marshal.people import ChangePerson
from rcqueue.server.marshal.standing import EndStanding, Stand
from rcqueue.server.store import tables as t

from .harness import NAMES, Queue
from .live import Live, mail
from .test_classes import NARROW


@pytest.fixture
async def queue(tmp_path: Path):
    async with Queue(tmp_path) as queue:
        yield queue


async def stand(queue: Queue, role: str, query: str, for_seconds: int | None = None) -> int:
    return int(await queue.marshal.do(Stand((await queue.session(role)).session, query, for_seconds)))


async def holders(queue: Queue, message: int) -> dict[int, str]:
    names = {row["id"]: row["name"] for row in await queue.rows(t.account)}
    return {row["n"]: names[row["account"]] for row in await queue.rows(t.claim, message=message)}


async def test_what_arrives_and_matches_is_claimed_by_an_entry_and_the_oldest_filter_takes_it(queue: Queue):
    before = await queue.hold()
    id = await stand(queue, "operator", "to:b@x.example")
    await stand(queue, "blind", "from:sender.example")
    assert await stand(queue, "operator", "to:b@x.example") == id
    held = await queue.hold(recipients=("a@x.example", "b@x.example"))
    other = await queue.hold(sender="x@else.example", raw=b"From: x@else.example\r\n\r\nx\r\n")
    assert await holders(queue, before.number) == {} and await holders(queue, other.number) == {}
    assert await holders(queue, held.number) == {0: NAMES["blind"], 1: NAMES["operator"]}
    hold, *claims = [e for e in await queue.entries() if e["message"] == held.number]
    assert [e["kind"] for e in (hold, *claims)] == ["mail.hold", "mail.claim", "mail.claim"]
    rows = await queue.rows(t.claim, message=held.number)
    assert [row["fence"] for row in sorted(rows, key=lambda row: row["n"], reverse=True)] == [e["seq"] for e in claims]
    await queue.marshal.do(EndStanding((await queue.session("operator")).session, id))
    assert await holders(queue, (await queue.hold(recipients=("b@x.example",))).number) == {0: NAMES["blind"]}
    assert [len(await queue.entries(kind)) for kind in ("claim.stand", "claim.end")] == [2, 1]


async def test_it_ends_with_the_lease_or_the_session_or_the_right(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    await stand(queue, "operator", "from:sender.example")
    admin = (await queue.session("admin")).session
    for what, at in (("revoke", "all"), ("grant", "acme")):
        await queue.marshal.do(ChangePerson(admin, what, NAMES["operator"], (Grant("operator", at),)))
    assert await holders(queue, (await queue.hold(customer="beta")).number) == {}
    assert await holders(queue, (await queue.hold(customer="acme")).number) == {0: NAMES["operator"]}
    await queue.marshal.end_session((await queue.session("operator")).session)
    assert await holders(queue, (await queue.hold(customer="acme")).number) == {}  # at once, before it has lapsed
    await stand(queue, "blind", "from:sender.example", for_seconds=60)
    await Clockwork(queue.marshal).beat()
    assert len(await queue.entries("claim.lapse")) == 1 and len(await queue.rows(t.standing)) == 1
    real = queue.clock.now
    monkeypatch.setattr(queue.clock, "now", lambda: real() + 61_000_000)
    assert await holders(queue, (await queue.hold()).number) == {}
    await Clockwork(queue.marshal).beat()
    assert await queue.rows(t.standing) == []


async def test_no_filter_takes_what_its_holder_may_not_see_the_grounds_of(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
):
    """The subject is of a class that they have at one customer and lack at another: nothing is learned by claiming."""
    monkeypatch.setitem(ROLES, NARROW.name, NARROW)
    await stand(queue, "operator", "subject:hello")
    assert await holders(queue, (await queue.hold()).number) == {0: NAMES["operator"]}
    admin, name = (await queue.session("admin")).session, NAMES["operator"]
    for what, grant in (
        ("revoke", Grant("operator", "all")),
        ("grant", Grant("operator", "acme")),
        ("grant", Grant(NARROW.name, "bank")),
        ("grant", Grant("auditor", "books")),
    ):
        await queue.marshal.do(ChangePerson(admin, what, name, (grant,)))
    assert await holders(queue, (await queue.hold(customer="acme")).number) == {0: name}
    assert await holders(queue, (await queue.hold(customer="bank")).number) == {}
    assert await holders(queue, (await queue.hold(customer="books")).number) == {}  # who may look and not claim


async def test_few_of_one_person_and_none_of_who_may_claim_nothing(queue: Queue):
    for n in range(standing.MOST):
        await stand(queue, "operator", f"to:{n}@x.example")
    with pytest.raises(Refusal, match="give one back first"):
        await stand(queue, "operator", "to:more@x.example")
    with pytest.raises(Refusal, match="no right to claim"):
        await stand(queue, "auditor", "to:x.example")
    with pytest.raises(Refusal, match="you claim no filter"):
        await queue.marshal.do(
            EndStanding((await queue.session("blind")).session, (await queue.rows(t.standing))[0]["id"])
        )


async def test_overlap_is_told_before_it_is_taken(tmp_path: Path):
    customers = [{"path": "acme", "domains": ["acme.example"]}, {"path": "bank", "domains": ["bank.example"]}]
    async with Live(tmp_path, customers=customers) as live:
        for n in range(3):
            await live.send(mail(f"Invoice {n}"), f"a{n}@sender.example", "x@acme.example")
        anna, ben, otis = live.api("anna"), live.api("ben"), live.api("otis")
        await ben.next(1, "subject:invoice")
        await ben.stand("from:a1@sender.example")
        told = await otis.claims("subject:invoice")
        assert told.held == {"ben": 1}
        assert [(one.who, one.query, one.both) for one in told.standing] == [("ben", "from:a1@sender.example", 1)]
        # Who works elsewhere is told nothing of it.
        await anna.change_person("otis", "grant", {"role": "operator", "customer": "bank"})
        await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
        await anna.change_person("ben", "grant", {"role": "operator", "customer": "acme"})
        await anna.change_person("ben", "revoke", {"role": "operator", "customer": "all"})
        told = await otis.claims("subject:invoice")
        assert (told.standing, told.held) == ([], {})
        (id,) = [one.id for one in (await ben.claims()).standing]
        with pytest.raises(ApiProblem) as refused:
            await otis.end_standing(id)
        assert refused.value.type == "not-found"
        for query in ("", "status:onhold", "status:deleted from:x.example"):
            with pytest.raises(ApiProblem, match="with a term beside its status"):
                await ben.stand(query)
        await live.send(mail("Other"), "a1@sender.example", "x@acme.example")
        async with asyncio.timeout(5):
            row = (await ben.page("subject:other")).rows[0]
        assert row.claim is not None and row.claim.who == "ben"


async def test_who_may_view_nothing_claims_no_filter_and_that_is_on_record(tmp_path: Path):
    async with Live(tmp_path) as live:
        with pytest.raises(ApiProblem, match="no right to claim"):
            await live.api("wally").stand("age:<1d")  # a filter on no class
        found = [entry.actor for entry in (await live.api("anna").audit()).entries if entry.kind == "denied"]
        assert found == ["wally"]
