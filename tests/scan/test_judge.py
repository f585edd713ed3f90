"""The judge with real scanners: all at once, each recipient's own terms, and none of them away in silence."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from rcqueue.server.config import Config, ConfigMistake
from rcqueue.server.scan.base import ScanEnvelope
from rcqueue.server.scan.judge import Judge, Lesson
from tests.realparts.part import free_port

from .mails import CUSTOM_MAIL, EICAR_MAIL, GTUBE_MAIL, HAM, SPAM, with_file, zipped

pytestmark = pytest.mark.xdist_group("scanners")

POLICY = """
[default]
scanners = ["spamassassin", "clamav"]
virus = "reject"
[default.score.spamassassin]
tag = 5
hold = 100
[domain."strict.example"]
scanners = ["spamassassin", "clamav", "sophos-sssp"]
[domain."strict.example".score.spamassassin]
hold = 5
reject = 500
[[domain."strict.example".attachment]]
magic = "4d5a"
do = "isolate"
[[domain."strict.example".attachment]]
member = "*.exe"
do = "block"
[domain."open.example"]
scanners = []
"""
TO = ("bob@example.org", "eve@strict.example", "otto@open.example")


def config(folder: Path, policy: str = POLICY, **ports: int) -> Config:
    (folder / "policy.toml").write_text(policy)
    scanners = [
        {"type": type_.replace("_", "-"), "address": f"127.0.0.1:{port}", "timeout": "20s", "away": "defer"}
        for type_, port in ports.items()
    ]
    return Config(data_dir=folder, policy=folder / "policy.toml", scanner=scanners)


@pytest.fixture
async def judge(tmp_path, spamd, clamd, sssp) -> Any:
    judge = Judge(config(tmp_path, spamassassin=spamd.port, clamav=clamd.port, sophos_sssp=sssp.port))
    await judge.start()
    yield judge
    await judge.close()


async def actions(judge: Judge, raw: bytes) -> list[str]:
    judged = await judge.judge(raw, ScanEnvelope("ada@sender.example", TO))
    assert list(judged.by_recipient) == list(TO)
    return [str(decision.action) for decision in judged.by_recipient.values()]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (HAM, ["PASS", "PASS", "PASS"]),
        (SPAM, ["TAG", "HOLD", "PASS"]),
        (GTUBE_MAIL, ["HOLD", "REJECT", "PASS"]),
        (EICAR_MAIL, ["REJECT", "REJECT", "PASS"]),
        (CUSTOM_MAIL, ["REJECT", "REJECT", "PASS"]),
        (with_file("notes.txt", b"MZ\x90\x00", "text/plain"), ["PASS", "HOLD", "PASS"]),
        (with_file("a.zip", zipped(setup__exe=b"harmless")), ["PASS", "REJECT", "PASS"]),
    ],
    ids=["ham", "spam", "gtube", "eicar", "custom", "first bytes", "in an archive"],
)
async def test_each_recipient_by_the_terms_of_their_domain(judge, raw, expected):
    assert await actions(judge, raw) == expected


async def test_all_scanners_are_asked_once_and_at_the_same_time(tmp_path, spamd, clamd):
    """Two that hang cost the time of one."""
    judge = Judge(config(tmp_path, "", spamassassin=spamd.port, clamav=clamd.port))
    silent = [await asyncio.start_server(lambda *_: asyncio.sleep(30), "127.0.0.1", free_port()) for _ in range(2)]
    ports = [server.sockets[0].getsockname()[1] for server in silent]
    hanging = Judge(
        Config(
            data_dir=tmp_path,
            scanner=[
                {"type": "clamav", "name": f"one{number}", "address": f"127.0.0.1:{port}", "timeout": "400ms"}
                for number, port in enumerate(ports)
            ],
        )
    )
    began = time.monotonic()
    judged = await hanging.judge(HAM, ScanEnvelope("", TO))
    assert 0.4 <= time.monotonic() - began < 0.75
    assert [result.error for result in judged.results] == ["no answer within 0.4 s"] * 2
    assert {decision.action for decision in judged.by_recipient.values()} == {"HOLD"}
    assert len((await judge.judge(HAM, ScanEnvelope("", TO))).results) == 2
    for server in silent:
        server.close()
    await hanging.close()
    await judge.close()


async def test_one_that_is_away_is_named_and_what_the_policy_says_is_done(tmp_path, clamd):
    judge = Judge(config(tmp_path, "", spamassassin=free_port(), clamav=clamd.port))
    await judge.probe()
    assert [health.up for health in judge.health()] == [False, True]
    decision = (await judge.judge(HAM, ScanEnvelope("", TO))).by_recipient[TO[0]]
    assert decision.action == "DEFER" and "spamassassin is away" in decision.reason
    virus = (await judge.judge(EICAR_MAIL, ScanEnvelope("", TO))).by_recipient[TO[0]]
    assert (virus.action, virus.kind) == ("HOLD", "VIRUS") and "spamassassin is away" in virus.reason
    await judge.close()


async def test_it_learns_where_it_can_and_says_where_not(tmp_path, spamd, clamd):
    judge = Judge(config(tmp_path, "", spamassassin=spamd.port, clamav=clamd.port, rspamd=free_port()))
    assert await judge.learn(HAM, "ham") in (
        {"spamassassin": Lesson("learned as ham")},
        {"spamassassin": Lesson("known as ham already")},
    )
    await judge.close()
    away = Judge(config(tmp_path, "", spamassassin=free_port()))
    (said,) = (await away.learn(HAM, "ham")).values()
    assert said.said.startswith("not learned: spamassassin: ") and "can't be reached" in said.said and said.again
    await away.close()


async def test_with_nothing_configured_mail_passes_and_it_says_that_there_is_nothing(tmp_path):
    judge = Judge(Config(data_dir=tmp_path))
    assert not judge.configured and judge.health() == []
    judged = await judge.judge(EICAR_MAIL, ScanEnvelope("", TO))
    assert {decision.action for decision in judged.by_recipient.values()} == {"PASS"} and not judged.results
    await judge.close()


def test_a_policy_about_a_scanner_that_is_not_there_is_a_mistake(tmp_path):
    with pytest.raises(ConfigMistake, match="there is no scanner 'clamav'; one of rspamd was expected"):
        Judge(config(tmp_path, '[default]\nscanners = ["clamav"]', rspamd=1))
