"""What is on its way out: pausing and limiting next hops, trying at once, what each viewer is told. A real next hop."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update

from rcqueue.cli import main
from rcqueue.client.api import ApiProblem
from rcqueue.demo.next_hop import Behaviour, by_local_part
from rcqueue.model.act import Verb
from rcqueue.model.ids import parse_id
from rcqueue.model.mail import Status
from rcqueue.model.outgoing import Outgoing, OutgoingMail
from rcqueue.server.config import SECOND
from rcqueue.server.marshal import Refusal, Terms
from rcqueue.server.marshal.outgoing import outgoing
from rcqueue.server.store import tables as t

from .harness import Queue
from .live import Live, mail

DEFERRED = "451 4.7.1 <x@example.org> said: your secret invoice"


async def released(live: Live, number: int) -> list[str]:
    """So many mails that were let go."""
    ids = [id for _ in range(number) for id in await live.send(mail(), "ada@sender.example", "x@example.org")]
    for id in ids:
        await live.api("anna").act(id, Verb.RELEASE)
    return ids


async def until(live: Live, fits: Callable[[Outgoing], bool], name: str = "anna") -> Outgoing:
    async with asyncio.timeout(20):
        while not fits(found := await live.api(name).outgoing()):
            await asyncio.sleep(0.02)
    return found


def deferred(found: Outgoing) -> bool:
    return any(one.reply and one.next for one in found.mails)


async def test_a_paused_next_hop_gets_nothing_until_it_is_resumed(tmp_path: Path):
    async with Live(tmp_path, recall="0s", alerts={"paused": "1ms"}) as live:
        anna, hop = live.api("anna"), str(live.config.next_hop.default)
        await anna.set_hop("pause", hop, "they move to another machine")
        (id,) = await released(live, 1)
        found = await until(live, lambda found: len(found.mails) == 1)
        assert found.next_hops[0].paused is not None and found.next_hops[0].waiting == 1
        await live.restart()  # it is kept
        await released(live, 1)
        await asyncio.sleep(0.3)  # as long as it would take many times over
        assert not live.next_hop.attempts["x@example.org"]
        assert [(one.attempts, one.reply) for one in (await anna.outgoing()).mails] == [(0, "")] * 2
        await live.server.monitor.beat()
        health = await live.api("cleo").health()
        assert [alert.text for alert in health.alerts] == [f"the next hop {hop} is paused"]
        assert (await anna.act(id, Verb.RECALL)).done == 1
        await anna.set_hop("resume", hop, "they have moved")
        await until(live, lambda found: not found.mails)
        assert live.next_hop.attempts["x@example.org"] == 1
        await live.server.monitor.beat()
        assert (await live.api("cleo").health()).alerts == []
        entries = (await anna.history(verb="outgoing.pause")).entries
        assert [(e.note, e.facts) for e in entries] == [("they move to another machine", {"next_hop": hop})]


async def test_a_limit_is_kept(tmp_path: Path):
    async with Live(tmp_path, recall="0s") as live:
        anna, hop = live.api("anna"), str(live.config.next_hop.default)
        await anna.set_hop("limit", hop, "they asked for it", 600)  # one in 100 ms
        await released(live, 6)
        found = await until(live, lambda found: not found.mails)
        assert found.next_hops[0].rate == 600
        started = select(t.attempt.c.started).order_by(t.attempt.c.started)
        times = await live.server.marshal.database.read(lambda c: c.execute(started).scalars().all())
        gaps = [(later - earlier) / SECOND for earlier, later in itertools.pairwise(times)]
        assert len(times) == 6 and min(gaps) > 0.05 and 0.45 < sum(gaps) < 5
        await anna.set_hop("limit", hop, "no longer")
        assert (await anna.outgoing()).next_hops[0].rate is None


async def test_one_that_was_put_off_is_tried_at_once(tmp_path: Path):
    async with Live(tmp_path, recall="0s") as live:
        live.next_hop.behaviour = lambda _: Behaviour(refuse=DEFERRED)
        (id,) = await released(live, 1)
        (one,) = (await until(live, deferred)).mails
        assert (one.status, one.attempts, one.toEmail) == (Status.RELEASING, 1, "x@example.org")
        assert one.reply == DEFERRED and one.next is not None and one.last is not None and one.next > one.last
        live.next_hop.behaviour = by_local_part
        assert (await live.api("ben").act(one.id, Verb.TRY)).done == 1
        began = time.monotonic()
        await until(live, lambda found: not found.mails)
        assert time.monotonic() - began < 4  # it was to wait 5 s
        assert (await live.api("ben").summary(id)).row.status == Status.RELEASED


async def test_a_recall_window_is_not_cut_short(tmp_path: Path):
    async with Live(tmp_path, recall="1h") as live:
        (id,) = await released(live, 1)
        with pytest.raises(ApiProblem, match="recall window"):
            await live.api("anna").act(id, Verb.TRY)


async def test_replies_and_names_are_told_to_who_has_the_class(tmp_path: Path):
    customers = [{"path": "acme", "domains": ["acme.example"]}]
    async with Live(tmp_path, recall="0s", customers=customers) as live:
        live.next_hop.behaviour = lambda _: Behaviour(refuse=DEFERRED)
        await released(live, 1)
        await until(live, deferred)
        (seen,) = (await live.api("cleo").outgoing()).mails
        assert (seen.reply, seen.toEmail, seen.subject) == ("451 4.7.1", "x@example.org", "Hello")
        anna = live.api("anna")
        await anna.change_person("otis", "grant", {"role": "operator", "customer": "acme"})
        await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
        assert ((found := await live.api("otis").outgoing()).mails, found.more) == ([], 0)
        with pytest.raises(ApiProblem, match="no right to view"):
            await live.api("wally").outgoing()


async def test_only_who_administers_everything_sets_a_next_hop_and_each_try_is_on_record(tmp_path: Path):
    async with Live(tmp_path) as live:
        hop = str(live.config.next_hop.default)
        for name in ("ben", "cleo", "dora", "wally"):
            for verb in ("pause", "resume", "limit"):
                with pytest.raises(ApiProblem, match="no right to administer"):
                    await live.api(name).set_hop(verb, hop, "because")
        anna = live.api("anna")
        denied = [e for e in (await anna.audit()).entries if e.kind == "denied"]
        assert len(denied) == 12 and denied[0].facts["verb"] == "outgoing.pause"
        for at, reason, why in (("h:1", "because", "there is no next hop"), (hop, " ", "say why")):
            with pytest.raises(ApiProblem, match=why):
                await anna.set_hop("pause", at, reason)
        with pytest.raises(ApiProblem, match="is not paused"):
            await anna.set_hop("resume", hop, "because")


async def test_what_waits_for_a_person_comes_first_and_more_is_said(tmp_path: Path):
    async with Live(tmp_path, recall="0s") as live:
        live.next_hop.behaviour = lambda _: Behaviour(refuse=DEFERRED)
        first, second = await released(live, 2)
        await until(live, lambda found: sum(bool(one.reply and one.next) for one in found.mails) == 2)
        live.next_hop.behaviour = lambda _: Behaviour(lose_answer=True)
        await live.api("anna").act(second, Verb.TRY)
        found = await until(live, lambda found: found.mails[0].status == Status.UNCERTAIN)
        assert [one.id[:13] for one in found.mails] == [second, first]
        found = await live.api("anna").outgoing(limit=1)
        assert (len(found.mails), found.more) == (1, 1)
        assert (await live.api("anna").outgoing("h:1")).mails == []


async def test_by_the_command_line(tmp_path: Path, monkeypatch, capsys):
    async with Live(tmp_path, recall="0s") as live:
        live.next_hop.behaviour = lambda _: Behaviour(refuse=DEFERRED)
        (id,) = await released(live, 1)
        await until(live, deferred)
        monkeypatch.setenv("RCQUEUE_SERVER", live.url)

        async def said(name: str, *words: str) -> tuple[int, str]:
            (tmp_path / "token").write_text(live.tokens[name])
            (tmp_path / "token").chmod(0o600)
            monkeypatch.setenv("RCQUEUE_TOKEN_FILE", str(tmp_path / "token"))
            status = await asyncio.to_thread(main, words)
            said = capsys.readouterr()
            return status, said.out + said.err

        hop = str(live.config.next_hop.default)
        status, text = await said("anna", "outgoing")
        assert status == 0 and f"{hop}: refuses 451, 1 waiting" in text and DEFERRED in text
        assert (await said("ben", "outgoing", hop, "--pause", "--reason", "because"))[0] == 3
        assert (await said("anna", "outgoing", hop, "--pause"))[0] == 2
        assert (await said("anna", "outgoing", hop, "--pause", "--reason", "because"))[0] == 0
        assert (await said("anna", "outgoing", hop, "--limit", "60", "--reason", "because"))[0] == 0
        assert "paused, at most 60/min" in (await said("cleo", "outgoing"))[1]
        status, text = await said("anna", "history", "--verb", "release")
        assert status == 0 and id in text and "mail.release" in text
        assert (await said("ben", "history", "--of", "anna"))[0] == 3
        status, text = await said("dora", "history", "--of", "anna", "--limit", "2")
        assert status == 0 and [line.split("\t")[2] for line in text.splitlines()] == [
            "outgoing.limit",
            "outgoing.pause",
        ]


def test_a_mail_of_which_one_lacks_the_classes_has_no_keys_for_them():
    one = OutgoingMail(id="x", status=Status.RELEASING, customer="all", version=1)
    assert not {"toEmail", "fromEmail", "subject"} & one.model_dump(exclude_none=True).keys()


async def test_page_by_page_it_is_all_of_it(tmp_path: Path):
    """In whatever order mails are, pages of any size make the whole list, no mail twice."""
    async with Queue(tmp_path, terms=Terms(recall=3600 * SECOND)) as queue:
        held = [await queue.hold(recipients=tuple(f"{n}@{'ab'[n % 2]}.example" for n in range(3))) for _ in range(5)]
        for one in held:
            await queue.act("operator", "release", one.id)
        with queue.database.write_engine.begin() as connection:
            for n, id in enumerate(id for one in held for id in one.mails):
                message, number = parse_id(id)
                where = (t.mail.c.message == message) & (t.mail.c.n == number)
                values = {"tries": n * 7 % 4} | ({"status": Status.UNCERTAIN} if n % 3 == 1 else {})
                connection.execute(update(t.mail).where(where).values(values))
            connection.execute(update(t.message).values(releasing=2, uncertain=1))
        ben, hop_of = await queue.session("operator"), lambda to: to.rpartition("@")[2]
        read = lambda *args: queue.read(outgoing, ben, hop_of, *args)  # noqa: E731
        for hop in (None, "b.example"):
            _, whole, _, following = await read(hop, 100)
            assert following is None and len(whole) == (15 if hop is None else 5)
            order = [(mail.status != Status.UNCERTAIN, mail.id) for mail in whole]
            assert [first for first, _ in order] == sorted(first for first, _ in order)
            for size in (1, 2, 4, 5):
                paged, after = [], None
                while True:
                    _, page, _, after = await read(hop, size, after)
                    assert len(page) <= size
                    paged += page
                    if after is None:
                        break
                assert paged == whole, size
        for wrong in ("", "x", "ONHOLD.1." + held[0].mails[0], "RELEASING.-1." + held[0].mails[0], "RELEASING.1.x"):
            with pytest.raises(Refusal, match="is no cursor"):
                await read(None, 2, wrong)
