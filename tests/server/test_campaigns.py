"""Campaigns: what belongs together has one name from the moment it comes in, and each viewer is told of it only by what
they may know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rcqueue.client.http import ApiProblem
from rcqueue.model.access import ROOT
from rcqueue.model.act import ActRequest, Verb

from .live import Live

TEXT = (
    "Dear customer,\r\n\r\nyour parcel {ref} could not be delivered because a fee of EUR {n} has not been paid. Please "
    "pay within {n} days or it will be returned to the sender.\r\n\r\nhttps://{host}/pay/{ref}\r\n"
)
OTHER = (
    "Hello,\r\n\r\nour warehouse closes soon: watches, shoes and bags at half the price, while they last. You get this "
    "mail because you signed up. To leave it, answer with STOP.\r\n\r\nhttps://{host}/s/{ref}\r\n"
)


def mail(
    n: int, *, text: str = TEXT, host: str = "parcel.example", subject: str = "Parcel {ref} waits for you"
) -> bytes:
    ref = f"A{n:07}"
    body = text.format(ref=ref, n=n, host=host)
    head = f"From: Courier <desk{n}@{host}>\r\nTo: <x@example.org>\r\nSubject: {subject.format(ref=ref)}\r\n"
    return (head + f"Message-ID: <{n}@{host}>\r\nX-Spam-Flag: YES\r\n\r\n" + body).encode()


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    customers = [{"path": "acme", "domains": ["acme.example"]}, {"path": "bank", "domains": ["bank.example"]}]
    async with Live(tmp_path, customers=customers) as live:
        yield live


async def send(live: Live, n: int, to: str = "x@acme.example", **more: str) -> str:
    host = more.get("host", "parcel.example")
    (id,) = await live.send(mail(n, **more), f"desk{n}@{host}", to)
    return id


async def test_what_belongs_together_has_one_name_and_one_row(live: Live):
    ids = [await send(live, n, to=f"{to}@acme.example") for n, to in enumerate(("ada", "bob", "cyd", "dan"), 1)]
    other = await send(live, 9, text=OTHER)
    anna = live.api("anna")
    rows = {row.id: row.campaign for row in (await anna.page()).rows}
    assert len({rows[id] for id in ids}) == 1 and rows[other] not in (None, rows[ids[0]])
    assert rows[ids[0]] is not None and rows[ids[0]].startswith("C")
    page = await anna.campaigns()
    assert [(one.id, one.mails) for one in page.campaigns] == [(rows[other], 1), (rows[ids[0]], 4)]
    one = page.campaigns[1]
    assert one.fromDomains == ["parcel.example"] and one.status == {"ONHOLD": 4} and one.verdict == "SPAM"
    assert one.toEmails == ["dan@acme.example", "cyd@acme.example", "bob@acme.example"]
    assert one.subjects == [f"Parcel A000000{n} waits for you" for n in (4, 3, 2)]
    assert one.first < one.last and page.next is None and not page.partial
    assert {row.id for row in (await anna.page(f"campaign:{one.id}")).rows} == set(ids)
    assert {row.id for row in (await anna.page(f"-campaign:{one.id}")).rows} == {other}


async def test_it_counts_what_became_of_its_mails_and_who_holds_them(live: Live):
    ids = [await send(live, n) for n in range(1, 6)]
    anna, ben = live.api("anna"), live.api("ben")
    name = (await anna.page()).rows[0].campaign
    await anna.act(ids[0], Verb.DELETE)
    await ben.act(ids[1], Verb.CLAIM)
    (one,) = (await anna.campaigns()).campaigns
    assert (one.mails, one.status) == (4, {"ONHOLD": 4, "DELETED": 1})
    assert [(claim.who, claim.mails) for claim in one.claims] == [("ben", 1)]
    assert (await anna.summary(ids[2])).campaign == one
    # All of it by one filter, confirmed by its count; what others hold is left.
    act = await anna.store_act(ActRequest(verb=Verb.DELETE, query=f"campaign:{name}"))
    assert act.count == 4
    await anna.confirm_act(act.id, 4)
    async with asyncio.timeout(20):
        while (act := await anna.act_progress(act.id)).state not in ("done", "stopped"):
            await asyncio.sleep(0.05)
    assert act.results == {"done": 3, "claimed": 1}
    (one,) = (await anna.campaigns(f"campaign:{name}")).campaigns
    assert (one.mails, one.status) == (1, {"ONHOLD": 1, "DELETED": 4})
    (one,) = (await anna.campaigns("status:deleted")).campaigns
    assert one.mails == 4


async def test_pages_by_counters_and_by_mails_list_each_campaign_once(live: Live):
    names: list[str] = []
    for n in range(12):  # one of them goes on under the others
        await send(live, 100 + n, host=f"h{n}.example", text=OTHER)
        await send(live, n)
    anna = live.api("anna")
    rows = (await anna.page()).rows
    names = list(dict.fromkeys(row.campaign or "" for row in rows))
    assert len(names) == 13
    for query in ("", "size:>1", "to:acme.example -subject:nothing", "customer:acme", "-customer:bank status:any"):
        listed: list[str] = []
        after = None
        while True:
            page = await anna.campaigns(query, after=after, limit=5)
            listed += [one.id for one in page.campaigns]
            assert {one.mails for one in page.campaigns} <= {1, 12}
            after = page.next
            if after is None:
                break
        assert listed == names, query
    assert (await anna.campaigns("customer:bank")).campaigns == []
    with pytest.raises(ApiProblem, match="no cursor"):
        await anna.campaigns(after="7")


# -- what who lacks bodies may know


async def test_who_lacks_bodies_is_told_of_campaigns_that_bodies_have_no_part_in(live: Live):
    """A person could write to the queue what they guess stands in a mail, and see whether it is joined to it."""
    secret = await send(live, 1, subject="Board meeting on Monday")
    guess = await send(live, 2, subject="A guess at what it says")
    wrong = await send(live, 3, text=OTHER, subject="Another guess at it")
    same = await send(live, 4, text=OTHER, subject="Board meeting on Monday")
    anna, cleo = live.api("anna"), live.api("cleo")
    whole = {row.id: row.campaign or "" for row in (await anna.page()).rows}
    told = {row.id: row.campaign or "" for row in (await cleo.page()).rows}
    assert whole[secret] == whole[guess] != whole[wrong]  # as who sees bodies is told
    assert {name[0] for name in told.values()} == {"E"}
    assert told[secret] == told[same] and len({told[secret], told[guess], told[wrong]}) == 3
    listed = {one.id: one.mails for one in (await cleo.campaigns()).campaigns}
    assert listed == {told[secret]: 2, told[guess]: 1, told[wrong]: 1}
    found = (await cleo.summary(secret)).campaign
    assert found is not None and found.id == told[secret]
    for ask in (cleo.page, cleo.campaigns, cleo.counts):
        with pytest.raises(ApiProblem) as refused:
            await ask(f"campaign:{whole[secret]}")
        assert refused.value.status == 403
    assert len((await cleo.page(f"campaign:{told[secret]}")).rows) == 2


async def test_a_lock_takes_the_whole_campaign_away(live: Live):
    id = await send(live, 1)
    ben = live.api("ben")
    name = (await ben.page()).rows[0].campaign
    await live.api("anna").change_person("ben", "lock", {"lock": "bodies"})
    row = (await ben.page()).rows[0]
    assert row.campaign is not None and row.campaign[0] == "E"
    with pytest.raises(ApiProblem, match=r"class"):
        await ben.page(f"campaign:{name}")
    assert [one.id for one in (await ben.campaigns()).campaigns] == [row.campaign]
    assert (await ben.summary(id)).campaign is not None


async def test_another_customer_is_not_told_of(live: Live):
    await send(live, 1, to="x@bank.example")
    mine = await send(live, 2)
    await send(live, 3, to="x@bank.example")
    anna = live.api("anna")
    await anna.change_person("otis", "grant", {"role": "operator", "customer": "acme"})
    await anna.change_person("otis", "revoke", {"role": "operator", "customer": ROOT})
    otis = live.api("otis")
    for query in ("", "size:>1"):
        (all_of_it,) = (await anna.campaigns(query)).campaigns
        (one,) = (await otis.campaigns(query)).campaigns
        assert (all_of_it.mails, one.mails) == (3, 1)
        assert one.status == {"ONHOLD": 1} and one.first == one.last and one.toEmails == ["x@acme.example"]
    assert (await otis.summary(mine)).campaign.mails == 1  # type: ignore[union-attr]
    assert (await otis.campaigns("customer:bank")).campaigns == []


async def test_who_sees_bodies_at_one_customer_is_told_there_of_all_and_elsewhere_of_less(live: Live):
    await send(live, 1)
    await send(live, 2, to="x@bank.example")
    anna = live.api("anna")
    await anna.change_person("otis", "grant", {"role": "operator", "customer": "acme"})
    await anna.change_person("otis", "grant", {"role": "blind", "customer": "bank"})
    await anna.change_person("otis", "revoke", {"role": "operator", "customer": ROOT})
    otis = live.api("otis")
    rows = {row.customer: row.campaign or "" for row in (await otis.page()).rows}
    assert (rows["acme"][0], rows["bank"][0]) == ("C", "E")
    for query in ("", "size:>1"):
        listed = {one.id: one.mails for one in (await otis.campaigns(query)).campaigns}
        assert listed == {rows["acme"]: 1, rows["bank"]: 1}, query
    # Each can be opened, counted and decided for as it is listed: its term looks where it is told of.
    held = {one.id: one for one in (await otis.campaigns()).campaigns}
    for customer, name in rows.items():
        page = await otis.page(held[name].term)
        assert [(row.customer, row.campaign) for row in page.rows] == [(customer, name)]
        act = await otis.store_act(ActRequest(verb=Verb.DELETE, query=held[name].term))
        assert act.count == held[name].mails == 1
    assert held[rows["acme"]].term == f"campaign:{rows['acme']} customer:acme"
    whole = rows["acme"]
    for beside in ("", " customer:bank", " customer:acme,bank", " -customer:bank", " -customer:acme", " customer:all"):
        with pytest.raises(ApiProblem, match="class"):
            await otis.page(f"campaign:{whole}{beside}")
    (one,) = (await anna.campaigns()).campaigns  # who reads them everywhere needs no place beside it
    assert one.term == f"campaign:{one.id}"
