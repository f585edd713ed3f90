"""Notices to recipients, on a running server and through a real next hop: who gets one, once, and what is in it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx
import pytest

from rcqueue.cli import main
from rcqueue.client.api import Api, ApiProblem
from rcqueue.demo.next_hop import NextHop
from rcqueue.model.act import Verb

from .child import Child
from .live import Live, mail, port
from .noticing import (
    LINK,
    NOTICES,
    VIRUS,
    arrived,
    kinds,
    links,
    noticing,
    notified,
    read,
    rows,
    settled,
    subjects,
    texts,
    until,
)


async def test_a_recipient_is_told_once_what_is_held_for_them(tmp_path: Path):
    async with noticing(tmp_path) as live:
        await live.send(mail("Invoice 7"), "ada@sender.example", "carl@acme.example")
        await live.send(mail("Second"), "ada@sender.example", "carl@acme.example", "carla@acme.example")
        notice = await notified(live, "carl@acme.example")
        plain, html = texts(notice)
        assert notice.sender == ""
        said = read(notice)
        assert said["From"] == "Quarantine <postmaster@acme.example>" and said["To"] == "carl@acme.example"
        assert said["Auto-Submitted"] == "auto-generated" and said["List-Unsubscribe"] is None
        for text in (plain, html):
            assert "2 mails for carl@acme.example are on hold" in text
            assert "ada@sender.example" in text and "Invoice 7" in text and "Second" in text and "A body" not in text
        assert len(links(notice)) == 3 and all(path in html for path in links(notice))
        await until(lambda: arrived(live, "carla@acme.example"))
        await live.api("anna").send_notices("acme.example", now=True)
        await live.send(mail("Third"), "ada@sender.example", "carl@acme.example")
        await live.api("anna").send_notices("acme.example", now=True)
        await settled(live)
        assert [(day.notices, day.sent, day.mails) for day in await live.api("anna").notices()] == [(2, 2, 3)]
        assert len(arrived(live, "carl@acme.example")) == len(arrived(live, "carla@acme.example")) == 1


async def test_a_notice_that_comes_by_our_own_filter_is_known(tmp_path: Path):
    """By its pass, as a release is: where mail can go on it does, and here, where it can't, that is said."""
    async with noticing(tmp_path) as live:
        await live.send(mail("GTUBE and the like"), "ada@sender.example", "carl@acme.example")
        notice = await notified(live, "carl@acme.example")
        for raw, known in ((notice.raw, True), (notice.raw.replace(b"carl", b"karl"), False)):
            (back,) = await live.send(raw, "", "carl@acme.example")
            verdict = await live.api("ben").part(back, "verdict")
            assert verdict.reason.startswith("loop: released as notice-") is known


async def test_who_gets_none(tmp_path: Path):
    """Other domains; recipients of nothing but dangerous mail; and nobody gets one for mail that is gone."""
    async with noticing(tmp_path) as live:
        sent = "ada@sender.example"
        await live.send(mail(), sent, "x@elsewhere.example", "x@notacme.example")
        await live.send(mail("Virus", more=VIRUS), sent, "carl@acme.example", "vic@acme.example")
        await live.send(mail("Good"), sent, "carl@acme.example", "x@mail.acme.example")
        (gone,) = await live.send(mail("Gone"), sent, "gone@acme.example")
        await live.api("ben").act(gone, Verb.DELETE)
        plain, html = texts(await notified(live, "carl@acme.example"))
        for text in (plain, html):
            assert "Good" in text and "Virus" not in text and "as dangerous, and not listed: 1." in text
        assert len(LINK.findall(plain)) == 2
        await settled(live)
        told = {one.recipients for one in live.next_hop.received()}
        assert told == {("carl@acme.example",), ("x@mail.acme.example",)}  # a domain, and those below it
        with pytest.raises(ApiProblem, match="not among those that get notices"):
            await live.api("anna").send_notices("elsewhere.example", now=True)


async def test_once_a_day_at_its_time_also_after_a_restart(tmp_path: Path):
    async with noticing(tmp_path) as live:

        def days_pass(days: float) -> None:
            live.server.marshal.clock._at += round(days * 86400_000_000)
            live.server.notices.wake()

        async def beats(notices: int) -> None:
            """A day begins; the notices of it are made and sent; there are so many in all then."""
            days_pass(1)
            await until(lambda: live.server.notices._made == live.server.notices._today())
            await until(lambda: len(arrived(live, "carl@acme.example")) >= notices)
            assert len(arrived(live, "carl@acme.example")) == notices

        await live.send(mail("One"), "ada@sender.example", "carl@acme.example")
        assert arrived(live, "carl@acme.example") == []
        await beats(1)
        await beats(1)  # of what was told, nobody is told again
        await live.send(mail("Two"), "ada@sender.example", "carl@acme.example")
        await beats(2)
        await live.send(mail("Three"), "ada@sender.example", "carl@acme.example")
        now = live.server.marshal.clock.now()
        await live.restart()
        live.server.marshal.clock._at = max(now, live.server.marshal.clock._at)
        live.server.notices.wake()
        await beats(3)
        assert [subjects(one) for one in arrived(live, "carl@acme.example")] == [
            ["One"],
            ["Two", "One"],
            ["Three", "Two", "One"],
        ]
        links_ended = "SELECT count(*) FROM notice_link WHERE ends < ?"
        assert rows(live, links_ended, live.server.marshal.clock.now()) == [(0,)]
        days_pass(8)
        await until(lambda: rows(live, "SELECT count(*) FROM notice_link") == [(0,)])


async def test_a_next_hop_that_is_down_asks_to_wait_or_refuses(tmp_path: Path):
    """Retried until it is taken; what is refused is not sent again; through the next hop of the recipient's domain."""
    down = port()
    hop = {"domains": {"down.acme.example": str(down)}}
    async with noticing(tmp_path, next_hop=hop) as live:
        live.server.notices._waits = (1000,)
        everybody = ("greylisted@acme.example", "left.company@acme.example", "x@down.acme.example")
        await live.send(mail(), "ada@sender.example", *everybody)
        await live.api("anna").send_notices("acme.example", now=True)
        await until(lambda: arrived(live, "greylisted@acme.example"))
        await until(lambda: kinds(live).get("notice.retry", 0) >= 3 and kinds(live).get("notice.refused"))
        other = NextHop(tmp_path / "other", host=down.host, port=down.port)
        await other.start()
        await until(other.received)
        await settled(live)
        await other.stop()
        assert [one.recipients for one in other.received()] == [("x@down.acme.example",)]
        (day,) = await live.api("anna").notices()
        assert (day.notices, day.sent, day.refused) == (3, 2, 1)
        assert live.next_hop.attempts["left.company@acme.example"] == 1


async def test_a_lost_answer_after_the_dot_is_not_sent_again(tmp_path: Path):
    async with noticing(tmp_path) as live:
        live.server.notices._waits = (1000,)
        await live.send(mail(), "ada@sender.example", "lost.answer@acme.example")
        one = await notified(live, "lost.answer@acme.example")
        await settled(live)
        (day,) = await live.api("anna").notices()
        assert (day.sent, day.uncertain) == (0, 1)
        assert len(arrived(live, "lost.answer@acme.example")) == 1
        async with httpx.AsyncClient(base_url=live.url) as http:
            assert "Ask for it" in (await http.get(links(one)[0])).text  # it arrived, and its links are good


class Stuck(NextHop):
    """Keeps what it gets, and gives no answer to it until it `answers`."""

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(folder, port=number)
        self.answers = False

    async def handle_DATA_bytes(self, server: Any, session: Any, envelope: Any, data: bytes) -> str:
        self._keep(envelope, data)
        if not self.answers:
            await asyncio.Event().wait()
        return "250 2.0.0 Ok"


async def test_a_kill_between_leaves_one_notice(tmp_path: Path):
    """kill -9 after it was made and before it could be sent: it goes out after the restart. kill -9 after the next hop
    has it and before the server knows: it is not sent again, and said to be uncertain."""
    came = asyncio.Event()
    silent = await asyncio.start_server(lambda *_: came.set(), "127.0.0.1", 0)
    number = silent.sockets[0].getsockname()[1]
    more = {"notices": NOTICES, "next_hop": {"default": f"127.0.0.1:{number}"}}

    def start() -> Child:
        return Child(tmp_path / "queue", "OFF", **more)

    async def settled_at(child: Child) -> Any:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {child.ready['tokens']['anna']}"}) as http:

            async def days() -> Any:
                return (await http.get(child.ready["http"] + "/api/v1/notices")).json()["notices"]

            async with asyncio.timeout(20):
                while any(day.get("waiting") for day in await days()):
                    await asyncio.sleep(0.02)
            return await days()

    with start() as child:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=child.ready["smtp"], start_tls=False) as client:
            await client.sendmail("ada@sender.example", ["carl@acme.example"], mail())
        api = Api(child.ready["http"], child.ready["tokens"]["anna"])
        assert (await api.send_notices("acme.example", now=True)).made == 1
        await api.close()
        await asyncio.wait_for(came.wait(), 10)  # it waits for the next hop's greeting
        child.kill()
    silent.close()
    hop = Stuck(tmp_path / "hop", number)
    await hop.start()
    try:
        with start() as child:
            (one,) = await until(hop.received, 20)
            child.kill()
        hop.answers = True
        with start() as child:
            days = await settled_at(child)
            assert [(day["notices"], day.get("uncertain")) for day in days] == [(1, 1)]
            async with httpx.AsyncClient(base_url=child.ready["http"]) as http:
                assert (await http.get(links(one)[0])).status_code == 200
        assert [other.path for other in hop.received()] == [one.path]
    finally:
        await hop.stop()


async def test_who_administers_a_customer_has_its_notices_and_no_others(tmp_path: Path):
    customers = [{"path": "acme", "domains": ["acme.example"]}, {"path": "bank", "domains": ["bank.example"]}]
    more = {"domains": ["acme.example", "bank.example"]}
    async with Live(tmp_path, customers=customers, notices=NOTICES | {"at": "00:00"} | more) as live:
        anna, otis = live.api("anna"), live.api("otis")
        await anna.change_person("otis", "grant", {"role": "admin", "customer": "acme"})
        await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
        for to in ("a@acme.example", "b@bank.example"):
            await live.send(mail(), "ada@sender.example", to)
        for now in (False, True):
            with pytest.raises(ApiProblem, match="no right to administer at bank"):
                await otis.send_notices("bank.example", now=now)
        assert (await otis.send_notices("acme.example", now=False)).waiting == 1
        assert (await otis.send_notices("acme.example", now=True)).made == 1
        assert (await anna.send_notices("bank.example", now=True)).made == 1
        assert [day.notices for day in await anna.notices()] == [2]
        assert [day.notices for day in await otis.notices()] == [1]
        for name in ("ben", "cleo", "dora"):
            with pytest.raises(ApiProblem, match="no right to administer"):
                await live.api(name).notices()
        assert kinds(live)["denied"] == 1 and kinds(live)["notice.send"] == 2


async def test_a_call_under_its_key_is_done_once(tmp_path: Path):
    async with noticing(tmp_path) as live:
        await live.send(mail(), "ada@sender.example", "carl@acme.example")
        headers = {"Authorization": f"Bearer {live.tokens['anna']}", "Idempotency-Key": "one"}
        async with httpx.AsyncClient(base_url=live.url, headers=headers) as http:
            said = [
                (await http.post("/api/v1/notices/send", json={"domain": "ACME.example", "now": True})).json()
                for _ in range(2)
            ]
            assert said == [{"domain": "acme.example", "waiting": 1, "made": 1}] * 2
            lines = await http.post("/acpi", json={"cmd": "notice.list"}, headers={"Idempotency-Key": "two"})
            assert lines.json()["notices"] == 1
            wrong = await http.post("/acpi", json={"cmd": "notice.send", "domain": "no domain", "now": True})
            assert wrong.json()["code"] == "ERROR" and "a domain was expected" in wrong.json()["message"]


async def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    token = tmp_path / "token"
    async with noticing(tmp_path) as live:
        token.touch(0o600)
        token.write_text(live.tokens["anna"])
        monkeypatch.setenv("RCQUEUE_SERVER", live.url)
        monkeypatch.setenv("RCQUEUE_TOKEN_FILE", str(token))

        async def run(*words: str) -> tuple[int, str]:
            status = await asyncio.to_thread(main, words)
            return status, capsys.readouterr().out

        await live.send(mail(), "ada@sender.example", "carl@acme.example")
        send = ("notices", "send", "--domain", "acme.example")
        assert await run(*send) == (0, "recipients at acme.example who wait for a notice: 1; --now sends them\n")
        assert await run(*send, "--now") == (0, "notices on their way to acme.example: 1\n")
        await settled(live)
        assert (await run("notices", "list"))[1].split("\t")[1:] == ["1", "1", "0", "1", "0", "0", "0\n"]
        assert json.loads((await run("notices", "list", "--json"))[1])["sent"] == 1
        assert (await run("notices", "start", "carl@acme.example"))[0] == 4

        (id,) = [row.id for row in (await live.api("ben").page()).rows]
        async with httpx.AsyncClient(base_url=live.url) as http:
            await http.post(links(arrived(live, "carl@acme.example")[0])[0], content=b"ask=yes")
        status, shown = await run("list", "requested:yes")
        assert status == 0 and shown.startswith(id) and "\tasks\t" in shown
        assert "asks for it since" in (await run("show", id, "--part", "envelope"))[1]
        assert "its recipient asks for a release" in (await run("show", id, "--part", "timeline"))[1].splitlines()[-1]
        assert json.loads((await run("list", "requested:<1h", "--json", "--mails"))[1])["requested"] == 1
