"""Health: what is amiss is seen, is an alert once, and is over when it is. Real scanners and next hops."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from rcqueue import __version__
from rcqueue.cli import main
from rcqueue.client.api import Api, ApiProblem
from rcqueue.demo.next_hop import Behaviour, by_local_part
from rcqueue.model.act import Verb
from rcqueue.model.health import Alert, Health, NextHopState, ScannerState
from rcqueue.server.asgi import Server
from rcqueue.server.config import SECOND, Alerts
from rcqueue.server.health import troubles, unknown
from rcqueue.server.marshal.clockwork import ForgetKeys
from rcqueue.server.store.database import head_seq
from tests.realparts import clamd as real_clamd
from tests.realparts.clamd import Clamd, daily

from .live import HOUR, Live, mail, port

pytestmark = pytest.mark.xdist_group("health")

PASSWORD = "correct horse battery 9"
#: Alerts at once, so that no test waits.
NOW = {"down": "1ms"}


@pytest.fixture(scope="module")
def clamd() -> Iterator[Clamd]:
    with real_clamd.running() as part:
        yield part


def serve(folder: Path, clamd: Clamd | None = None, **more: Any) -> Live:
    scanner = [] if clamd is None else [{"type": "clamav", "address": f"127.0.0.1:{clamd.port}", "timeout": "2s"}]
    return Live(folder, scanner=scanner, **({"alerts": NOW} | more))


async def beat(live: Live, times: int = 2) -> list[str]:
    """The names of the alerts that stand when it was looked again. What has to last a moment is seen twice."""
    await live.server.judge.probe()
    for _ in range(times):
        await asyncio.sleep(0.002)
        await live.server.monitor.beat()
    return [alert.name for alert in (await live.api("ben").health()).alerts]


async def told(live: Live) -> list[tuple[str, str]]:
    """(kind, alert) of the entries about alerts, as an operator sees them."""
    head = await live.server.marshal.database.read(head_seq)
    await live.server.hub.wait(head - 1, 5)  # the feed is a moment behind the journal
    part = await live.api("ben").entries(0)
    return [(entry.kind, entry.note or "") for entry in part.entries if entry.kind.startswith("alert.")]


async def test_whoever_may_view_is_told_how_the_server_does(tmp_path: Path, clamd: Clamd):
    async with serve(tmp_path, clamd, lmtp={"listen": str(port())}, milter={"listen": str(port())}) as live:
        began = datetime.now(UTC)
        for _ in range(3):
            await live.send(mail())
        await beat(live)
        for name in ("anna", "ben", "cleo", "dora"):
            health = await live.api(name).health()
            assert (health.status["ONHOLD"], health.server) == (3, __version__)
            assert health.oldest is not None and began - timedelta(seconds=1) < health.oldest < health.now
            assert 0 < health.disk_used < 1 and health.disk_free > 0 and 0 < health.lag < 5 and health.waiting == 0
            (scanner,) = health.scanners
            assert (scanner.name, scanner.up, scanner.error) == ("clamav", True, None) and scanner.version
            assert [(way.name, way.up) for way in health.ways_in] == [("smtp", True), ("lmtp", True), ("milter", True)]
            assert health.ways_in[0].at == str(live.config.smtp.listen)
            (hop,) = health.next_hops
            assert (hop.at, hop.up, hop.waiting) == (str(live.config.next_hop.default), None, 0)
            assert health.rules is None and health.alerts == []


async def test_mails_are_counted_where_one_may_view(tmp_path: Path):
    customers = [{"path": p, "domains": [f"{p}.example"]} for p in ("acme", "bank")]
    async with serve(tmp_path, customers=customers) as live:
        await live.send(mail(), "ada@sender.example", "x@bank.example")
        anna, otis = live.api("anna"), live.api("otis")
        await anna.change_person("otis", "grant", {"role": "operator", "customer": "acme"})
        await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
        mine = await otis.health()
        assert (mine.status["ONHOLD"], mine.oldest) == (0, None)
        await live.send(mail(), "ada@sender.example", "x@acme.example")
        mine, all_ = await otis.health(), await anna.health()
        assert (mine.status["ONHOLD"], all_.status["ONHOLD"]) == (1, 2)
        assert all_.oldest is not None and mine.oldest is not None and all_.oldest < mine.oldest


async def test_a_token_that_may_not_view_gets_nothing(tmp_path: Path):
    async with serve(tmp_path) as live:
        live.tokens["filter"] = (await live.api("anna").create_token("a filter", "hold")).token
        with pytest.raises(ApiProblem, match="no right to view") as refused:
            await live.api("filter").health()
        assert refused.value.status == 403
        async with httpx.AsyncClient(base_url=live.url) as http:
            assert (await http.get("/api/v1/health")).status_code == 401


async def test_a_scanner_that_dies_is_an_alert_once_until_it_answers(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "rcqueue.server.health")
    with real_clamd.running() as clamd:
        async with serve(tmp_path, clamd) as live:
            assert await beat(live) == []
            clamd.process.kill()
            assert await beat(live, 4) == ["scanner.clamav"]
            (scanner,) = (await live.api("ben").health()).scanners
            assert scanner.up is False and "can't be reached: Connection refused" in (scanner.error or "")
            await live.server.stop()
            async with Server(live.config, synchronous="OFF") as server:  # one that has asked no scanner yet
                server.judge.scanners["clamav"]._health.up = None  # type: ignore[attr-defined]
                await server.monitor.beat()
            await live.open()
            assert await beat(live, 4) == ["scanner.clamav"]  # it stood before, and is not raised again
            clamd.process.start()
            assert await beat(live) == []
            text = f"clamav is down: 127.0.0.1:{clamd.port} can't be reached: Connection refused"
            assert await told(live) == [("alert.raise", text), ("alert.clear", "")]
    logged = [record.getMessage() for record in caplog.records if record.name == "rcqueue.server.health"]
    assert logged == [f"alert: {text}", f"alert is over: {text}"]


async def test_what_is_amiss_for_a_moment_is_no_alert(tmp_path: Path, clamd: Clamd):
    async with serve(tmp_path, clamd, alerts={"down": "1h"}) as live:
        live.server.judge.scanners["clamav"]._health.mark("for a moment")  # type: ignore[attr-defined]
        await live.server.monitor.beat()
        await live.server.monitor.beat()
        assert await told(live) == [] and (await live.api("ben").health()).alerts == []


async def renew(live: Live, clamd: Clamd, hours: float) -> None:
    """Gives clamd an official database that was made so many hours ago, and waits until it says so."""
    made = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=hours)
    (clamd.db / "daily.cud").write_bytes(daily(made))
    scanner = live.server.judge.scanners["clamav"]
    assert await scanner.reload() is None  # type: ignore[attr-defined]
    async with asyncio.timeout(20):
        while scanner.health.signatures_at != made:
            await asyncio.sleep(0.02)
            await scanner.probe()


async def test_signatures_over_48_hours_are_an_alert_until_they_are_renewed(tmp_path: Path):
    with real_clamd.running() as clamd:
        async with serve(tmp_path, clamd) as live:
            await renew(live, clamd, 47)
            assert await beat(live, 1) == []
            await renew(live, clamd, 49)
            assert await beat(live, 1) == ["signatures.clamav"]
            (scanner,) = (await live.api("cleo").health()).scanners
            assert scanner.old and scanner.version.endswith("/27811") and scanner.age is not None
            assert 0 <= scanner.age - 49 * 3600 < 120
            async with httpx.AsyncClient(base_url=live.url) as http:
                metrics = (await http.get("/metrics")).text
            assert 'rcqueue_signatures_age_seconds{scanner="clamav"} 1764' in metrics  # 176,400 s and a few
            await renew(live, clamd, 1)
            assert await beat(live, 1) == []
            raised, cleared = await told(live)
            assert (raised[0], cleared[0]) == ("alert.raise", "alert.clear")
            assert "clamav are older than 48 h" in raised[1]


async def test_the_age_of_spamassassins_rules_is_that_of_the_newest_update(tmp_path: Path):
    updates, site = tmp_path / "updates" / "4.000001", tmp_path / "site"
    updates.mkdir(parents=True)
    site.mkdir()
    for name, hours in (("a.cf", 90), ("b.cf", 60)):
        (updates / name).touch()
        os.utime(updates / name, (at := time.time() - hours * 3600, at))
    (site / "own.cf").touch()
    scanner = [{"type": "spamassassin", "address": str(port()), "signatures": updates.parent}]
    rules = {"spamassassin": {"folder": site, "reload": ["true"]}}
    async with Live(tmp_path / "live", scanner=scanner, rules=rules, alerts={"down": "1h"}) as live:
        assert await beat(live) == ["signatures.spamassassin"]
        (scanner_,) = (await live.api("ben").health()).scanners
        assert scanner_.age is not None and 0 <= scanner_.age - 60 * 3600 < 120
        (updates / "c.cf").touch()
        assert await beat(live) == []


async def test_a_next_hop_that_refuses_or_is_away_is_told_with_what_waits(tmp_path: Path):
    async with serve(tmp_path, recall="0s") as live:
        anna, name = live.api("anna"), f"next_hop.{live.config.next_hop.default}"
        live.server.delivery._waits = (HOUR,)  # what is put off stays so, however slow the machine

        async def release(up: bool, code: int, waiting: int) -> NextHopState:
            (id,) = await live.send(mail())
            await anna.act(id, Verb.RELEASE)
            async with asyncio.timeout(20):
                while ((hop := (await anna.health()).next_hops[0]).up, hop.code, hop.waiting) != (up, code, waiting):
                    await asyncio.sleep(0.02)
            return hop

        live.next_hop.behaviour = lambda _: Behaviour(refuse="451 4.7.1 Greylisted, try again later")
        await release(False, 451, 1)
        assert await beat(live) == [name]
        async with httpx.AsyncClient(base_url=live.url) as http:
            at = live.config.next_hop.default
            assert f'rcqueue_next_hop_up{{next_hop="{at}"}} 0.0' in (await http.get("/metrics")).text
        live.next_hop.behaviour = by_local_part
        hop = await release(True, 250, 1)
        assert hop.next is not None and hop.last is not None and hop.next > hop.last  # the one of before waits
        assert await beat(live) == []
        await live.next_hop.stop()
        await release(False, 0, 2)
        assert await beat(live) == [name]
        assert [text for _, text in await told(live)][::2] == [
            f"the next hop {at} refuses with 451",
            f"the next hop {at} can't be reached",
        ]


async def test_a_disk_that_fills_and_a_way_in_that_is_not_there(tmp_path: Path):
    async with serve(tmp_path, alerts=NOW | {"disk": 1}, postfix={"helper": tmp_path / "none"}) as live:
        async with asyncio.timeout(10):
            while (way := (await live.api("ben").health()).ways_in[-1]).up:
                await asyncio.sleep(0.02)
        assert (way.name, way.at) == ("postfix", str(tmp_path / "none")) and way.reason
        assert sorted(await beat(live)) == ["disk", "way.postfix"]
        async with httpx.AsyncClient(base_url=live.url) as http:
            metrics = (await http.get("/metrics")).text
        assert 'rcqueue_way_in_up{way="postfix"} 0.0' in metrics and "rcqueue_alerts 2.0" in metrics
        assert "rcqueue_disk_used_ratio 0." in metrics


async def test_by_the_command_line_and_by_acpi(tmp_path: Path, monkeypatch, capsys):
    async with serve(tmp_path, alerts={"disk": 1}) as live:
        (tmp_path / "token").write_text(live.tokens["cleo"])
        (tmp_path / "token").chmod(0o600)
        monkeypatch.setenv("RCQUEUE_SERVER", live.url)
        monkeypatch.setenv("RCQUEUE_TOKEN_FILE", str(tmp_path / "token"))

        async def said(*words: str) -> tuple[int, str]:
            status = await asyncio.to_thread(main, words)
            return status, capsys.readouterr().out

        await live.send(mail())
        await beat(live)
        status, text = await said("status")
        assert status == 0 and "1 held, the oldest " in text and "the disk of data_dir is used to 1 %" in text
        assert f"smtp  up   {live.config.smtp.listen}" in text
        status, text = await said("status", "--check", "--json")
        assert status == 1
        assert (await said("status", "--check"))[1].startswith("WARNING: the disk of data_dir")
        shown = json.loads(text)
        assert shown["status"]["ONHOLD"] == 1 and shown["alerts"][0]["name"] == "disk" and "seq" in shown
        (line,) = [json.loads(line) async for line in live.api("cleo").acpi({"cmd": "health.show"})]
        assert (line["code"], line["alerts"][0]["name"]) == ("OK", "disk")


async def test_a_check_ends_as_a_monitor_expects(tmp_path: Path, monkeypatch, capsys):
    async with serve(tmp_path) as live:
        (tmp_path / "token").write_text(live.tokens["cleo"])
        (tmp_path / "token").chmod(0o600)
        monkeypatch.setenv("RCQUEUE_SERVER", live.url)
        monkeypatch.setenv("RCQUEUE_TOKEN_FILE", str(tmp_path / "token"))

        async def check() -> tuple[int, str]:
            status = await asyncio.to_thread(main, ("status", "--check"))
            said = capsys.readouterr()
            return status, (said.out or said.err).splitlines()[0]

        assert await check() == (0, "OK: 0 mails held, no alert")
        live.server.monitor._standing["way.x"] = Alert(name="way.x", since=datetime.now(UTC), text="nothing comes in")
        assert await check() == (2, "CRITICAL: nothing comes in")
        await live.server.stop()
        assert (await check())[0] == 2
        await live.open()
        (tmp_path / "token").write_text("forged")
        status, text = await check()
        assert status == 3 and text.startswith("rcqueue: UNKNOWN: ")


async def test_what_comes_and_goes_is_counted_by_the_minute(tmp_path: Path):
    customers = [{"path": p, "domains": [f"{p}.example"]} for p in ("acme", "bank")]
    async with serve(tmp_path, customers=customers) as live:
        ids = [
            id for _ in range(3) for id in await live.send(mail(), "a@b.example", "x@acme.example", "y@bank.example")
        ]
        anna, otis = live.api("anna"), live.api("otis")
        await anna.act(ids[0], Verb.DELETE)
        await anna.act(ids[0], Verb.RESTORE)
        await anna.act(ids[1], Verb.DELETE)
        await anna.change_person("otis", "grant", {"role": "wall", "customer": "acme"})
        await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
        health, wall = await anna.health(), await otis.wall()
        assert (sum(health.flow.came), sum(health.flow.went)) == (7, 2)
        assert (sum(health.flow.came_day), sum(health.flow.went_day)) == (7, 2)
        assert len(health.flow.came) == 60 and len(health.flow.came_day) == 48
        mine = {id for id in ids if (await anna.summary(id)).row.customer == "acme"}
        assert sum(wall.flow.came) == 3 + len(mine & {ids[0]})
        assert wall.customers == {"acme": 3 - len(mine & {ids[1]})} and wall.status["ONHOLD"] == wall.customers["acme"]
        assert wall.oldest is not None
        now = live.server.marshal.clock.now()
        await live.server.marshal.do(ForgetKeys(now + 120_000_000))  # a day later
        assert sum((await anna.health()).flow.came_day) == 0


async def test_a_display_on_a_wall_stays_signed_in_for_weeks_and_only_counts(tmp_path: Path):
    async with serve(tmp_path) as live:
        anna, clock = live.api("anna"), live.server.marshal.clock
        await anna.set_password("wally", PASSWORD)
        live.tokens["wally"] = (await Api(live.url, None).login("wally", PASSWORD, "terminal")).token
        wally = live.api("wally")
        real = clock.now
        clock.now = lambda: real() + 29 * 86400 * SECOND  # type: ignore[method-assign]
        assert (await wally.wall()).status["ONHOLD"] == 0
        clock.now = real  # type: ignore[method-assign]
        # Granted more, it still does no more than count until it signs in again.
        await anna.change_person("wally", "grant", {"role": "operator", "customer": "all"})
        assert (await wally.whoami()).rights == ["count"]
        with pytest.raises(ApiProblem, match="no right to view"):
            await wally.health()
        assert "release" in (await Api(live.url, None).login("wally", PASSWORD, "terminal")).whoami.rights


async def test_nothing_of_it_names_anybody(tmp_path: Path):
    """Addresses of people and subjects are in no part of it, whoever asks."""
    async with serve(tmp_path, recall="0s") as live:
        live.next_hop.behaviour = lambda to: Behaviour(refuse=f"451 4.7.1 <{to}> is greylisted")
        (id,) = await live.send(mail("A subject"), "ada@sender.example", "eve@private.example")
        await live.api("anna").act(id, Verb.RELEASE)
        async with asyncio.timeout(20):
            while (await live.api("anna").health()).next_hops[0].code != 451:
                await asyncio.sleep(0.02)
        assert len(await beat(live)) == 1
        text = (await live.api("anna").health()).model_dump_json() + str(await told(live))
        for word in ("ada", "sender.example", "eve", "private.example", "subject"):
            assert word not in text


def test_what_is_amiss_is_worked_out_from_what_is_seen():
    now = datetime(2026, 3, 14, 3, tzinfo=UTC)
    terms = Alerts(signatures="48h", down="1m", disk=90)  # type: ignore[arg-type]
    well = Health(now=now, server="1", started=now, disk_used=0.899)
    assert troubles(well, terms) == {}
    ill = well.model_copy(
        update={
            "disk_used": 0.9,
            "scanners": [
                ScannerState(name="a", up=None),
                ScannerState(name="b", up=False, since=now, error="no answer"),
                ScannerState(name="c", up=True, signatures_at=now, old=True),
            ],
            "next_hops": [NextHopState(at="h:1"), NextHopState(at="h:2", up=False, code=451)],
        }
    )
    found = troubles(ill, terms)
    assert {name: trouble.at_once for name, trouble in found.items()} == {
        "scanner.b": False,
        "signatures.c": True,
        "next_hop.h:2": False,
        "disk": True,
    }
    assert unknown(ill) == {"scanner.a", "signatures.a"}
    assert found["scanner.b"].since == int(now.timestamp()) * SECOND
    assert found["next_hop.h:2"].text == "the next hop h:2 refuses with 451"
