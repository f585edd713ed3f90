"""Each scanner against the real server: what it finds, what it learns, and what becomes of a mail when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from rcqueue.server.scan.base import NotLearned, ScanEnvelope, Scanner, ScanResult
from rcqueue.server.scan.judge import scanner_of
from tests.realparts import icap as real_icap
from tests.realparts import rspamd as real_rspamd
from tests.realparts import spamd as real_spamd
from tests.realparts.clamd import CUSTOM, EXACT, LARGEST
from tests.realparts.part import free_port

from .mails import CUSTOM_MAIL, EICAR_MAIL, ENVELOPE, GTUBE_MAIL, HAM, SPAM, at, mail, raw, with_file, zipped

pytestmark = pytest.mark.xdist_group("scanners")

TYPES = {"spamassassin": "spamd", "clamav": "clamd", "sophos-icap": "icap", "sophos-sssp": "sssp", "rspamd": "rspamd"}
VIRUS = ["clamav", "sophos-icap", "sophos-sssp"]


@contextlib.asynccontextmanager
async def scanner(type_: str, part: Any, **more: Any) -> Any:
    one = scanner_of(at(type_, f"127.0.0.1:{part.port}", **more))
    try:
        yield one
    finally:
        await one.close()


@pytest.fixture(params=TYPES)
def real(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """Each type of scanner, and the server that it is."""
    return request.param, request.getfixturevalue(TYPES[request.param])


@pytest.fixture(params=VIRUS)
def antivirus(request: pytest.FixtureRequest) -> tuple[str, Any]:
    return request.param, request.getfixturevalue(TYPES[request.param])


# -- what they find


async def test_ham_is_clean(real):
    async with scanner(*real) as one:
        result = await one.scan(HAM, ENVELOPE)
    assert (result.kind, result.threats, result.error, result.skipped) == (None, [], None, None)
    assert 0 < result.seconds < 10


@pytest.mark.parametrize("part", ["spamassassin", "rspamd"])
async def test_gtube_is_spam(part, request):
    async with scanner(part, request.getfixturevalue(TYPES[part])) as one:
        result = await one.scan(GTUBE_MAIL, ENVELOPE)
    assert result.kind == "SPAM" and "GTUBE" in [rule.name for rule in result.rules]
    assert result.score >= result.required > 0


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (EICAR_MAIL, "Rcq.Eicar.Test"),
        (CUSTOM_MAIL, "Rcq.Custom.Malware"),
        (with_file("a.zip", zipped(virus__com=EXACT)), "Rcq.Exact.File"),
    ],
    ids=["eicar", "custom", "zip"],
)
async def test_malware_has_its_name(antivirus, of, name):
    async with scanner(*antivirus) as one:
        for _ in range(2):  # the second on a connection that is kept, where the protocol has that
            result = await one.scan(of, ENVELOPE)
            assert (result.kind, result.threats, result.error) == ("VIRUS", [f"{name}.UNOFFICIAL"], None)
        assert (await one.scan(HAM, ENVELOPE)).kind is None


async def test_what_a_signature_calls_phishing_is_that(clamd):
    async with scanner("clamav", clamd) as one:
        result = await one.scan(raw(mail("RCQUEUE-TEST-" + "PHISH\n")), ENVELOPE)
    assert (result.kind, result.threats) == ("PHISH", ["Rcq.Phishing.Test.UNOFFICIAL"])


async def test_an_encrypted_archive_is_suspicious_and_no_virus(clamd):
    content = bytearray(zipped(a__txt=b"secret"))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1  # says that it is encrypted
    async with scanner("clamav", clamd) as one:
        result = await one.scan(with_file("a.zip", bytes(content)), ENVELOPE)
    assert result.kind == "POLICY" and result.threats[0].startswith("Heuristics.Encrypted")


async def test_clamd_over_a_unix_socket(clamd):
    one = scanner_of(at("clamav", f"unix:{clamd.socket}"))
    assert (await one.scan(EICAR_MAIL, ENVELOPE)).threats == ["Rcq.Eicar.Test.UNOFFICIAL"]
    await one.probe()
    assert one.health.up and one.health.version


async def test_sssp_lists_what_is_in_an_archive(sssp):
    async with scanner("sophos-sssp", sssp) as one:
        result = await one.scan(with_file("a.zip", zipped(setup__exe=b"MZ", readme__txt=b"")), ENVELOPE)
    assert result.members == ["a.zip/setup.exe", "a.zip/readme.txt"]


async def test_spamd_gives_every_rule_with_points_and_description(spamd):
    async with scanner("spamassassin", spamd) as one:
        result = await one.scan(raw(mail("The purple giraffe handshake.\n" + SPAM.decode())), ENVELOPE)
        assert one.health.version.startswith(("3.", "4."))
    rules = {rule.name: rule for rule in result.rules}
    name, points, description = real_spamd.CUSTOM
    assert rules[name].points == points and description in rules[name].description  # with more than one decimal
    assert all(rule.points is not None and rule.description for rule in result.rules) and len(rules) > 10
    assert sum(rule.points for rule in result.rules) == pytest.approx(result.score, abs=0.06)


async def test_rspamd_gives_every_symbol_with_its_points(rspamd):
    async with scanner("rspamd", rspamd) as one:
        result = await one.scan(SPAM, ENVELOPE)
    points = {rule.name: rule.points for rule in result.rules}
    assert points["SUBJ_ALL_CAPS"] > 0 and len(points) > 10
    assert sum(points.values()) == pytest.approx(result.score, abs=0.01)
    assert any(rule.description == "All capital letters in subject" for rule in result.rules)


async def test_rspamd_is_told_the_envelope(rspamd):
    """Symbols that can only come from the envelope; a line end in it is not passed on as one."""
    async with scanner("rspamd", rspamd) as one:
        same = await one.scan(HAM, ScanEnvelope("carol@partner.example", ("bob@example.org",)))
        other = await one.scan(HAM, ScanEnvelope("eve\r\nRcpt: x@y.example", ("someone@else.example",)))
    assert "TO_MATCH_ENVRCPT_ALL" in [rule.name for rule in same.rules]
    assert other.error is None and "TO_MATCH_ENVRCPT_ALL" not in [rule.name for rule in other.rules]


async def test_a_spamd_as_distributions_have_it_gives_every_rule_too():
    """Its HEADERS has no report in a mail that is no spam: it is asked for one, from then on at once."""
    with real_spamd.running(1, full=False, tell=False) as part:
        async with scanner("spamassassin", part) as one:
            ham, again = [await one.scan(HAM, ENVELOPE) for _ in range(2)]
            spam = await one.scan(SPAM, ENVELOPE)
            with pytest.raises(NotLearned, match="--allow-tell"):
                await one.learn(HAM, "ham")
            assert one.health.up
    assert ham.rules and [rule.name for rule in ham.rules] == [rule.name for rule in again.rules]
    for result in (ham, spam):
        assert all(rule.points is not None and rule.description for rule in result.rules)
    assert spam.kind == "SPAM" and len(spam.rules) > 10


# -- what they learn


async def learned(one: Scanner) -> tuple[ScanResult, ScanResult]:
    """What it says of a mail before and after it learned that this is spam."""
    text = raw(mail("Do you want to buy a very used submarine, with periscope and crew? " * 8, "Submarine"))
    before = await one.scan(text, ENVELOPE)
    assert await one.learn(text, "spam") == "learned as spam"
    assert await one.learn(text, "spam") == "known as spam already"
    assert await one.learn(HAM, "ham") == "learned as ham"
    return before, await one.scan(text, ENVELOPE)


def bayes(result: ScanResult) -> dict[str, float | None]:
    return {rule.name: rule.points for rule in result.rules if rule.name.startswith("BAYES")}


async def test_spamd_learns_and_that_counts():
    with real_spamd.running(1) as part:
        async with scanner("spamassassin", part) as one:
            before, after = await learned(one)
            ham = await one.scan(HAM, ENVELOPE)
    assert bayes(before) == {} and bayes(after)["BAYES_99"] > 3
    assert after.score > before.score and bayes(ham)["BAYES_00"] < 0


async def test_rspamd_learns_and_that_counts(tmp_path):
    password = tmp_path / "password"
    password.write_text(real_rspamd.PASSWORD + "\n")
    with real_rspamd.running() as part:
        more = {"controller": f"127.0.0.1:{part.controller}", "password_file": password}
        async with scanner("rspamd", part, **more) as one:
            before, after = await learned(one)
            password.write_text("another")
            with pytest.raises(NotLearned, match="refuses the password"):
                await one.learn(SPAM, "spam")
    assert bayes(before) == {} and bayes(after)["BAYES_SPAM"] > 0


async def test_what_can_not_learn_says_so(clamd):
    async with scanner("clamav", clamd) as one:
        assert not one.can_learn
        with pytest.raises(NotLearned, match="clamav can not learn"):
            await one.learn(SPAM, "spam")


# -- limits


async def test_over_the_size_limit_it_is_not_asked(real):
    async with scanner(*real, size_limit=len(HAM) - 1) as one:
        result = await one.scan(HAM, ENVELOPE)
        assert result.skipped == f"{len(HAM)} bytes, over size_limit, {len(HAM) - 1}"
        assert result.error is None and one.health.up is None


@pytest.mark.parametrize("way", ["tcp", "unix", "sssp"])
async def test_over_the_scanners_own_limit_it_is_skipped_and_the_scanner_is_well(way, clamd, sssp):
    address = {"tcp": f"127.0.0.1:{clamd.port}", "unix": f"unix:{clamd.socket}", "sssp": f"127.0.0.1:{sssp.port}"}
    one = scanner_of(at("sophos-sssp" if way == "sssp" else "clamav", address[way]))
    result = await one.scan(b"x" * (LARGEST + 1), ENVELOPE)
    assert f"{LARGEST + 1} bytes, over its own limit" in result.skipped
    assert one.health.up and (await one.scan(EICAR_MAIL, ENVELOPE)).threats
    await one.close()


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, (1 << 20) + 1])
async def test_mails_of_every_size_are_scanned_whole(antivirus, size):
    async with scanner(*antivirus) as one:
        assert (await one.scan(b"x" * size, ENVELOPE)).kind is None
        found = await one.scan(b"x" * size + CUSTOM.encode(), ENVELOPE)
        assert found.threats == ["Rcq.Custom.Malware.UNOFFICIAL"]


async def test_many_at_once_take_no_more_connections_than_the_pool_has(antivirus):
    async with scanner(*antivirus, pool=3) as one:
        most = 0
        scans = [asyncio.ensure_future(one.scan(EICAR_MAIL, ENVELOPE)) for _ in range(60)]
        while not all(scan.done() for scan in scans):
            most = max(most, len(_connections(antivirus[1].port)))
            await asyncio.sleep(0.002)
        assert all(result.threats for result in await asyncio.gather(*scans))
        assert 1 <= most <= 3


def _connections(port: int) -> set[str]:
    """Ours to that port, that are established."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{line[9]}]" for line in lines if line[2].endswith(f":{port:04X}") and line[3] == "01"}
    ours = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            ours.add(os.readlink(f"/proc/self/fd/{fd}"))
    return ours & inodes


# -- failures


async def test_a_kept_connection_that_died_is_replaced(clamd):
    with real_icap.running(clamd, idle=1) as part:
        async with scanner("sophos-icap", part) as one:
            assert (await one.scan(HAM, ENVELOPE)).error is None
            await asyncio.sleep(2.2)
            result = await one.scan(EICAR_MAIL, ENVELOPE)
    assert result.threats and result.error is None


async def test_one_that_hangs_is_given_up_and_comes_back(real):
    type_, part = real
    async with scanner(type_, part, timeout="400ms") as one:
        part.process.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            result = await one.scan(HAM, ENVELOPE)
            assert time.monotonic() - began < 3
            assert result.error == "no answer within 0.4 s"
            assert (one.health.up, one.health.error) == (False, result.error)
        finally:
            part.process.signal(signal.SIGCONT)
    async with scanner(type_, part) as one:
        assert (await one.scan(HAM, ENVELOPE)).error is None
        assert one.health.up and one.health.error is None


async def test_killed_in_the_middle_each_mail_gets_its_reason_and_a_new_one_is_found(real):
    type_, part = real
    async with scanner(type_, part) as one:
        assert (await one.scan(HAM, ENVELOPE)).error is None
        part.process.signal(signal.SIGSTOP)  # so that they are in the middle for sure
        scans = [asyncio.ensure_future(one.scan(HAM, ENVELOPE)) for _ in range(8)]
        await asyncio.sleep(0.1)
        part.process.kill()
        results = await asyncio.wait_for(asyncio.gather(*scans), 10)
        for result in results:
            assert result.error == "it closed the connection in the middle" or "can't be reached" in result.error
        gone = await one.scan(HAM, ENVELOPE)
        assert gone.error == f"127.0.0.1:{part.port} can't be reached: Connection refused"
        down = one.health
        assert (down.up, down.error) == (False, gone.error)
        await asyncio.to_thread(part.process.start)
        assert (await one.scan(HAM, ENVELOPE)).error is None
        assert one.health.up and one.health.since > down.since


async def test_a_probe_finds_out_by_itself(real):
    type_, part = real
    async with scanner(type_, part) as one:
        await one.probe()
        assert (one.health.up, one.health.error) == (True, None)
        assert one.health.version or type_ == "spamassassin"  # spamd tells it with the first mail
    nobody = scanner_of(at(type_, f"127.0.0.1:{free_port()}"))
    await nobody.probe()
    assert nobody.health.up is False and "can't be reached" in nobody.health.error
    await nobody.close()
