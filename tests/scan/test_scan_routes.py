"""A file to the scanners and the policy, by the API, the command line and acpi: for whom, and what they see."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from rcqueue.cli import main
from rcqueue.client.api import ApiProblem
from tests.server.live import Live

from .mails import EICAR_MAIL, GTUBE_MAIL, HAM, with_file, zipped
from .test_judge import POLICY

pytestmark = pytest.mark.xdist_group("scanners")
CUSTOMERS = [{"path": "strict", "domains": ["strict.example"]}]


@pytest.fixture
async def live(tmp_path, spamd, clamd, sssp) -> Any:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    ports = {"spamassassin": spamd.port, "clamav": clamd.port, "sophos-sssp": sssp.port}
    scanners = [{"type": type_, "address": f"127.0.0.1:{port}"} for type_, port in ports.items()]
    async with Live(tmp_path / "live", customers=CUSTOMERS, scanner=scanners, policy=policy) as live:
        yield live


async def test_each_scanner_answers_and_nothing_is_held(live):
    scanned = await live.api("ben").scan(EICAR_MAIL, "ada@sender.example", ["bob@example.org"])
    assert {result.scanner: result.kind for result in scanned.results} == {
        "spamassassin": None,
        "clamav": "VIRUS",
        "sophos-sssp": "VIRUS",
    }
    assert (await live.api("ben").page("status:any")).rows == []


async def test_the_policy_says_what_would_happen_to_each_and_why(live):
    tested = await live.api("ben").test_policy(GTUBE_MAIL, "", ["bob@example.org", "eve@strict.example"])
    first, second = tested.decisions
    assert (first.action, first.policy, first.kind) == ("HOLD", "default", "SPAM")
    assert (second.action, second.policy) == ("REJECT", "strict.example")
    assert "spamassassin: 100" in first.reason and "of 100" in first.reason and "of 500" in second.reason
    assert "GTUBE" in [rule.name for rule in first.rules if (rule.points or 0) >= 1000 and rule.description]


async def test_without_a_recipient_the_default_terms_are_told(live):
    (decision,) = (await live.api("ben").test_policy(EICAR_MAIL)).decisions
    assert (decision.recipient, decision.action, decision.policy) == ("", "REJECT", "default")


async def test_rule_text_and_names_of_attachments_are_for_who_has_the_class(live):
    raw = with_file("a.zip", zipped(setup__exe=b"x"))
    to = ["eve@strict.example"]
    ben, cleo = [await live.api(name).test_policy(raw, "", to) for name in ("ben", "cleo")]
    assert "setup.exe" in ben.model_dump_json() and "setup.exe" not in cleo.model_dump_json()
    assert any(rule.description for result in ben.results for rule in result.rules)
    assert not any(rule.description for result in cleo.results for rule in result.rules)
    assert [rule.name for rule in ben.results[0].rules] == [rule.name for rule in cleo.results[0].rules] != []
    assert (cleo.decisions[0].action, cleo.decisions[0].kind) == ("REJECT", "ATTACHMENT")
    assert cleo.decisions[0].attachments is None and cleo.decisions[0].headers == []


async def test_whose_mail_one_may_not_see_one_may_not_ask_about(live):
    anna = live.api("anna")
    await anna.change_person("otis", "grant", {"role": "operator", "customer": "strict"})
    await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
    otis = live.api("otis")
    assert (await otis.test_policy(HAM, "", ["eve@strict.example"])).decisions
    for ask in (otis.test_policy, otis.scan):
        with pytest.raises(ApiProblem, match="no right to view at all") as refused:
            await ask(HAM, "", ["bob@example.org"])
        assert refused.value.type == "forbidden"


async def test_what_is_no_message_is_refused(live):
    for raw, kind in ((b"", "bad-request"), (b"x" * ((50 << 20) + 1), "too-large")):
        with pytest.raises(ApiProblem) as refused:
            await live.api("ben").scan(raw)
        assert refused.value.type == kind


async def test_by_acpi(live):
    request = {"raw": with_file("a.zip", zipped(setup__exe=b"x")).decode("latin-1"), "rcpt": ["eve@strict.example"]}
    (line,) = [json.loads(line) async for line in live.api("ben").acpi({"cmd": "policy.test", **request})]
    assert (line["code"], line["decisions"][0]["action"]) == ("OK", "REJECT")
    (line,) = [json.loads(line) async for line in live.api("ben").acpi({"cmd": "scan.file", **request})]
    assert len(line["results"]) == 3
    for mistake in ({"raw": "\u20ac"}, {"raw": 1}, {}, {"raw": "x", "rcpt": "a@b"}):
        (line,) = [json.loads(line) async for line in live.api("ben").acpi({"cmd": "scan.file", **mistake})]
        assert line["code"] == "ERROR" and "expected" in line["message"]


async def test_by_the_command_line(live, tmp_path: Path, monkeypatch, capsys):
    token = tmp_path / "token"
    token.write_text(live.tokens["ben"])
    token.chmod(0o600)
    monkeypatch.setenv("RCQUEUE_SERVER", live.url)
    monkeypatch.setenv("RCQUEUE_TOKEN_FILE", str(token))
    file = tmp_path / "gtube.eml"
    file.write_bytes(GTUBE_MAIL)

    async def said(*words: str) -> tuple[int, str]:
        status = await asyncio.to_thread(main, words)
        out = capsys.readouterr()
        return status, out.out + out.err

    status, text = await said("policy", "test", str(file), "--rcpt", "bob@example.org", "--rcpt", "eve@strict.example")
    assert status == 0
    assert "bob@example.org: HOLD as SPAM, by the default terms" in text
    assert "eve@strict.example: REJECT as SPAM, by the terms of strict.example" in text
    assert "1000.000  GTUBE" in text and "clamav: clean" in text
    status, text = await said("scan", str(file), "--json")
    assert status == 0 and len(json.loads(text)["results"]) == 3
    status, text = await said("scan", str(tmp_path / "none.eml"))
    assert status == 1 and "none.eml: No such file" in text
    file.write_bytes(b"")
    status, text = await said("policy", "test", str(file))
    assert status == 1 and "it is empty; a message was expected" in text
