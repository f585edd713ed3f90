"""Rule files and signatures pushed to a real spamd and a real clamd: known to them, or as it was before."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from rcqueue.cli import main
from rcqueue.client.api import Api, ApiProblem
from rcqueue.model.scan import ScanResult
from rcqueue.server.rules import push
from rcqueue.server.store import tables as t
from tests.realparts import clamd as real_clamd
from tests.realparts import spamd as real_spamd
from tests.realparts.clamd import Clamd
from tests.realparts.spamd import Spamd
from tests.server.live import Live

from .mails import EICAR_MAIL, mail, raw

pytestmark = pytest.mark.xdist_group("rules")

RULE = "body RCQ_PUSHED /violet walrus {0}/\ndescribe RCQ_PUSHED The words {0} of a push\nscore RCQ_PUSHED {1}\n"
SIGNATURE = "Rcq.Pushed.{0}:0:*:{1}\n"


@pytest.fixture(scope="module")
def spamd() -> Iterator[Spamd]:
    with real_spamd.running(children=1) as part:
        yield part


@pytest.fixture(scope="module")
def clamd() -> Iterator[Clamd]:
    with real_clamd.running() as part:
        yield part


@asynccontextmanager
async def served(where: Path, spamd: Spamd, clamd: Clamd, **clamav: Any) -> AsyncIterator[Live]:
    """With a script in `where` that reloads spamd, so that a test can make them fail; clamd by its own protocol."""
    spamd_script(where).write_text(f"#!/bin/sh\nkill -HUP {spamd.process.pid}\n")
    spamd_script(where).chmod(0o755)
    rules = {
        "spamassassin": {"folder": spamd.site, "reload": [str(spamd_script(where))], "timeout": "30s"},
        "clamav": {"folder": clamd.db, "timeout": "30s", **clamav},
    }
    ports = {"spamassassin": spamd.port, "clamav": clamd.port}
    scanner = [{"type": type_, "address": f"127.0.0.1:{port}"} for type_, port in ports.items()]
    before = {folder: set(folder.iterdir()) for folder in (spamd.site, clamd.db)}
    try:
        async with Live(where / "live", scanner=scanner, rules=rules) as live:
            yield live
    finally:
        for folder, kept in before.items():
            for file in set(folder.iterdir()) - kept:
                file.unlink()


def spamd_script(folder: Path) -> Path:
    return folder / "reload-spamd"


@pytest.fixture
async def live(tmp_path: Path, spamd: Spamd, clamd: Clamd) -> AsyncIterator[Live]:
    async with served(tmp_path, spamd, clamd) as live:
        yield live


async def says(live: Live, scanner: str, text: str) -> ScanResult:
    results = (await live.api("anna").scan(raw(mail(text)))).results
    return next(result for result in results if result.scanner == scanner)


async def entries(live: Live, kind: str) -> list[dict[str, Any]]:
    query = select(t.entry.c.leaf, t.entry.c.account, t.entry.c.personal).where(t.entry.c.kind == kind)
    rows = await live.server.marshal.database.read(lambda c: c.execute(query.order_by(t.entry.c.seq)).all())
    return [{**json.loads(row.leaf)["facts"], "personal": json.loads(row.personal or "{}")} for row in rows]


def signature(word: str) -> str:
    return SIGNATURE.format(word, f"mauve meerkat {word}".encode().hex())


async def test_a_pushed_rule_hits_is_rolled_back_when_it_is_not_reloaded_and_taken_back(
    live: Live, spamd: Spamd, tmp_path: Path
):
    anna = live.api("anna")
    pushed = await anna.push_rules("own.cf", RULE.format("one", 3.25), "a campaign")
    assert (pushed.outcome, pushed.said, pushed.by) == ("installed", [], "anna")
    hit = await says(live, "spamassassin", "a violet walrus one")
    (rule,) = [rule for rule in hit.rules if rule.name == "RCQ_PUSHED"]
    assert (rule.points, rule.description) == (3.25, "BODY: The words one of a push")

    good, works = (spamd.site / "own.cf").read_bytes(), spamd_script(tmp_path).read_text()
    spamd_script(tmp_path).write_text("#!/bin/sh\necho 'spamd: \033[31mno such unit' >&2\nexit 3\n")
    second = await anna.push_rules("own.cf", RULE.format("two", 1), "better")
    assert second.outcome == "rolled back"
    assert second.said[:2] == ["the reload command ended with status 3", "spamd: [U+001B][31mno such unit"]
    assert (spamd.site / "own.cf").read_bytes() == good
    assert "RCQ_PUSHED" in str(await says(live, "spamassassin", "a violet walrus one"))
    assert "RCQ_PUSHED" not in str(await says(live, "spamassassin", "a violet walrus two"))
    assert [file.sha256 for file in await anna.rules()] == [pushed.sha256]

    spamd_script(tmp_path).write_text(works)
    assert (await anna.roll_back_rules("own.cf", "over")).outcome == "installed"
    assert await anna.rules() == [] and not (spamd.site / "own.cf").exists()
    assert "RCQ_PUSHED" not in str(await says(live, "spamassassin", "a violet walrus one"))
    said = await entries(live, "rules.push")
    assert [one["outcome"] for one in said] == ["begun", "installed", "begun", "rolled back"]
    assert said[0]["sha256"] == pushed.sha256 and said[0]["personal"] == {"reason": "a campaign"}
    assert "spamd: [U+001B][31mno such unit" in said[3]["personal"]["note"]
    assert [one["outcome"] for one in await entries(live, "rules.rollback")] == ["begun", "installed"]


async def test_a_push_that_can_neither_be_loaded_nor_put_back_has_failed(live: Live, spamd: Spamd, tmp_path: Path):
    anna, works = live.api("anna"), spamd_script(tmp_path).read_text()
    good = await anna.push_rules("own.cf", RULE.format("one", 3.25), "a campaign")
    spamd_script(tmp_path).write_text(f"#!/bin/sh\nmkdir {spamd.site}/.own.cf.part\necho ill >&2\nexit 3\n")
    try:
        pushed = await anna.push_rules("own.cf", RULE.format("two", 1), "better")
    finally:
        (spamd.site / ".own.cf.part").rmdir()
        spamd_script(tmp_path).write_text(works)
    why = ["the reload command ended with status 3", "ill"]
    assert pushed.outcome == "failed"
    assert pushed.said == [*why, "then, with the file put back:", f"{spamd.site}: Is a directory"]
    assert [file.sha256 for file in await anna.rules()] == [good.sha256]  # what is not sure is not in force
    last = (await anna.health()).rules
    assert last is not None and last.outcome == "failed"
    assert [one["outcome"] for one in await entries(live, "rules.push")] == ["begun", "installed", "begun", "failed"]


async def test_a_file_goes_back_one_push_at_a_time(live: Live, clamd: Clamd):
    anna = live.api("anna")
    pushed = [await anna.push_rules("own.ndb", signature(word), "a campaign") for word in ("one", "two")]
    (listed,) = await anna.rules()
    assert (listed.sha256, listed.scanner, listed.size, listed.by) == (pushed[1].sha256, "clamav", 54, "anna")
    assert [(await says(live, "clamav", f"mauve meerkat {word}")).kind for word in ("one", "two")] == [None, "VIRUS"]
    assert (await anna.roll_back_rules("own.ndb", "worse")).outcome == "installed"
    assert (await anna.rules())[0].sha256 == pushed[0].sha256
    assert [(await says(live, "clamav", f"mauve meerkat {word}")).kind for word in ("one", "two")] == ["VIRUS", None]
    assert (await anna.roll_back_rules("own.ndb", "over")).outcome == "installed"
    assert await anna.rules() == [] and not (clamd.db / "own.ndb").exists()
    assert (await says(live, "clamav", "mauve meerkat one")).kind is None
    with pytest.raises(ApiProblem, match=r"no push of own\.ndb to clamav is in force") as refused:
        await anna.roll_back_rules("own.ndb", "more")
    assert refused.value.status == 404


async def test_a_pushed_signature_finds(live: Live, clamd: Clamd):
    anna = live.api("anna")
    assert (await says(live, "clamav", "mauve meerkat one")).kind is None
    assert (await anna.push_rules("own.ndb", signature("one"), "a campaign")).outcome == "installed"
    found = await says(live, "clamav", "mauve meerkat one")
    assert (found.kind, found.threats) == ("VIRUS", ["Rcq.Pushed.one.UNOFFICIAL"])
    yara = 'rule Rcq_Yara { strings: $a = "mauve meerkat yara" condition: $a }\n'
    assert (await anna.push_rules("own.yar", yara, "a campaign")).outcome == "installed"
    assert (await says(live, "clamav", "mauve meerkat yara")).kind == "VIRUS"
    assert (await anna.push_rules("own.ign2", "Rcq.Pushed.one\n", "too much")).outcome == "installed"
    assert (await says(live, "clamav", "mauve meerkat one")).kind is None
    assert {file.name for file in await anna.rules()} == {"own.ndb", "own.yar", "own.ign2"}


BROKEN = [
    ("own.cf", "body RCQ_BROKEN /violet (walrus/\nscore RCQ_BROKEN 1\n", "invalid regexp for RCQ_BROKEN"),
    ("own.cf", "score A 1\nloadplugin Evil /tmp/own.cf\n", "line 2: 'loadplugin' is no rule"),
    ("own.cf", "pyzor_path /bin/sh\n", "line 1: 'pyzor_path' is no rule"),
    ("own.cf", "include /etc/shadow\n", "line 1: 'include' is no rule"),
    ("own.cf", "body A /x(?{ system 'id' })/\n", "line 1: a pattern that holds code"),
    ("own.cf", "header A eval:check_rbl('x', 'evil.example.')\n", "line 1: eval: calls code"),
    ("own.ndb", "Rcq.Broken:0:*:414\n", "Malformed"),
    ("own.ldb", "Rcq.Broken;Target:0;0&3;41424344;45464748\n", "doesn't match the IDs"),
    ("own.hdb", "zz:10:Rcq.Broken\n", "invalid hash"),
    ("own.yar", 'rule A { strings: $a = "foo condition: $a }\n', "unterminated string"),
    ("own.yar", 'include "/etc/shadow"\n', "include and import are not taken"),
    ("own.ndb", "   \n", "it is empty"),
    ("own.cf", "score A 1\0\n", "there is a NUL in it"),
]


async def test_what_is_broken_is_refused_and_nothing_is_changed(live: Live, spamd: Spamd, clamd: Clamd):
    before = contents(spamd.site), contents(clamd.db)
    for name, content, why in BROKEN:
        pushed = await live.api("anna").push_rules(name, content, "a try")
        assert pushed.outcome == "refused" and why in "\n".join(pushed.said), (name, content, pushed.said)
        assert not any("rcqueue-lint" in line for line in pushed.said)
    assert (contents(spamd.site), contents(clamd.db)) == before
    assert await live.api("anna").rules() == []
    assert [one["outcome"] for one in await entries(live, "rules.push")] == ["begun", "refused"] * len(BROKEN)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


async def test_what_changes_the_answer_to_known_mails_is_rolled_back(live: Live, clamd: Clamd):
    pushed = await live.api("anna").push_rules("own.ign2", "Rcq.Eicar.Test\n", "a mistake")
    assert pushed.outcome == "rolled back" and "no longer answers as before" in pushed.said[0]
    assert not (clamd.db / "own.ign2").exists()
    assert [r.kind for r in (await live.api("anna").scan(EICAR_MAIL)).results if r.scanner == "clamav"] == ["VIRUS"]


async def test_where_the_folder_is_not_the_one_that_the_scanner_reads_it_is_told(
    tmp_path: Path, spamd: Spamd, clamd: Clamd
):
    (tmp_path / "elsewhere").mkdir()
    async with served(tmp_path, spamd, clamd, folder=tmp_path / "elsewhere", timeout="1s") as live:
        pushed = await live.api("anna").push_rules("own.ndb", signature("one"), "a campaign")
    assert pushed.outcome == "rolled back" and "it still answers without what stands in" in pushed.said[0]
    assert not (tmp_path / "elsewhere" / "own.ndb").exists()


@pytest.mark.parametrize(
    ("lint", "why"),
    [
        (["no-such-program"], "lint: no-such-program: No such file or directory"),
        (["false"], "lint ended with status 1 and said nothing"),
        (["sh", "-c", "for n in $(seq 30); do echo line $n; done; exit 1"], "... and 10 more lines"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
async def test_a_lint_that_fails_refuses(tmp_path: Path, spamd: Spamd, clamd: Clamd, lint: list[str], why: str):
    async with served(tmp_path, spamd, clamd, lint=lint, timeout="1s") as live:
        pushed = await live.api("anna").push_rules("own.ndb", signature("one"), "a campaign")
        assert pushed.outcome == "refused" and why in pushed.said and len(pushed.said) <= 21
        assert not (clamd.db / "own.ndb").exists()


async def test_a_lint_that_does_not_end_is_ended(tmp_path: Path, spamd: Spamd, clamd: Clamd):
    lint = ["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"]
    async with served(tmp_path, spamd, clamd, lint=lint, timeout="1s") as live, asyncio.timeout(15):
        pushed = await live.api("anna").push_rules("own.ndb", signature("one"), "a campaign")
    assert (pushed.outcome, pushed.said) == ("refused", ["lint did not end within 1 s"])
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_where_the_folder_can_not_be_written_nothing_is_changed(live: Live, clamd: Clamd):
    (clamd.db / ".own.ndb.part").mkdir()  # stands where the file is written first
    try:
        pushed = await live.api("anna").push_rules("own.ndb", signature("one"), "a campaign")
    finally:
        (clamd.db / ".own.ndb.part").rmdir()
    assert (pushed.outcome, pushed.said) == ("refused", [f"{clamd.db}: Is a directory"])
    assert not (clamd.db / "own.ndb").exists() and await live.api("anna").rules() == []


async def test_a_process_is_told_by_its_pid_file(tmp_path: Path, clamd: Clamd):
    """It is not told where the file names none."""
    pid_file = tmp_path / "pid"
    waits = ("sh", "-c", f"trap 'touch {tmp_path}/told; exit' HUP; echo $$ > {pid_file}; while :; do sleep 0.05; done")
    process = await asyncio.create_subprocess_exec(*waits)
    scanner = [{"type": "clamav", "address": f"127.0.0.1:{clamd.port}"}]
    rules = {"clamav": {"folder": clamd.db, "timeout": "1s", "pid_file": pid_file}}
    async with Live(tmp_path / "live", scanner=scanner, rules=rules) as live:
        while not pid_file.exists() or not pid_file.read_text():
            await asyncio.sleep(0.01)
        pushed = await live.api("anna").push_rules("own.ndb", signature("one"), "a campaign")
        assert (tmp_path / "told").exists() and "it still answers without what stands in" in pushed.said[0]
        await process.wait()
        pid_file.write_text("nonsense\n")
        pushed = await live.api("anna").push_rules("own.ndb", signature("one"), "a campaign")
    assert pushed.said[0] == f"{pid_file}: SIGHUP could not be sent: a number was expected"
    assert pushed.outcome == "rolled back"
    (clamd.db / "rcqueue-probe.ndb").unlink()


async def test_of_the_past_of_a_file_so_much_is_kept(live: Live, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(push, "KEPT", 2)
    anna = live.api("anna")
    for word in ("one", "two", "three"):
        assert (await anna.push_rules("own.ndb", signature(word), "a campaign")).outcome == "installed"
        assert (await anna.push_rules("own.ndb", "nonsense\n", "a mistake")).outcome == "refused"
        assert (await anna.push_rules("own.ndb", "nonsense\n", "a mistake")).outcome == "refused"
    kept = await live.server.marshal.database.read(lambda c: c.execute(select(t.rule_file.c.state)).scalars().all())
    assert sorted(kept) == ["installed"] * 2 + ["refused"] * 3  # a push drops what is too much as it begins
    assert (await anna.roll_back_rules("own.ndb", "worse")).outcome == "installed"
    assert (await says(live, "clamav", "mauve meerkat two")).kind == "VIRUS"


async def test_a_file_that_was_not_pushed_from_here_is_left_alone(live: Live, spamd: Spamd, clamd: Clamd):
    anna = live.api("anna")
    local = (spamd.site / "local.cf").read_bytes()
    pushed = await anna.push_rules("local.cf", "score A 1\n", "a try")
    assert pushed.outcome == "refused" and "was not pushed from here" in pushed.said[0]
    assert (spamd.site / "local.cf").read_bytes() == local
    assert (await anna.push_rules("own.ndb", signature("one"), "a campaign")).outcome == "installed"
    (clamd.db / "own.ndb").write_text(signature("hand"))
    pushed = await anna.push_rules("own.ndb", signature("two"), "a campaign")
    assert pushed.outcome == "refused" and "is not as it was pushed" in pushed.said[0]
    assert (clamd.db / "own.ndb").read_text() == signature("hand")


async def test_without_the_right_it_is_refused_and_on_record(live: Live, spamd: Spamd, clamd: Clamd):
    before = contents(spamd.site), contents(clamd.db)
    for name in ("ben", "cleo", "dora"):
        for ask in (
            live.api(name).push_rules("own.cf", "score A 1\n", "because"),
            live.api(name).roll_back_rules("own.cf", "because"),
            live.api(name).push_rules("no such name", "", ""),
        ):
            with pytest.raises(ApiProblem, match="no right to administer at all") as refused:
                await ask
            assert refused.value.status == 403
        with pytest.raises(ApiProblem, match="no right to administer at all"):
            await live.api(name).rules()
    denied = await entries(live, "denied")
    assert [one["verb"] for one in denied] == ["rules.push", "rules.rollback", "rules.push"] * 3
    assert (contents(spamd.site), contents(clamd.db)) == before and not await entries(live, "rules.push")


async def test_an_administrator_of_one_customer_is_none_of_the_scanners(live: Live):
    anna = live.api("anna")
    await anna.change_person("otis", "grant", {"role": "admin", "customer": "acme"})
    with pytest.raises(ApiProblem, match="no right to administer at all"):
        await live.api("otis").push_rules("own.cf", "score A 1\n", "because")


MISTAKES: list[tuple[dict[str, str], str]] = [
    ({"name": "../own.cf"}, "a plain file name"),
    ({"name": "own.cf/x.cf"}, "a plain file name"),
    ({"name": ".own.cf"}, "a plain file name"),
    ({"name": "own.cf\n"}, "a plain file name"),
    ({"name": "own.cvd"}, "ends in .cf, .ndb"),
    ({"name": "own.cbc"}, "ends in .cf, .ndb"),
    ({"name": "rcqueue-probe.cf"}, "is the server's own"),
    ({"reason": "  "}, "reason: why the scanner's rules change was expected"),
    ({"scanner": "rspamd"}, "no spamassassin called rspamd takes files"),
    ({"content": "x" * ((8 << 20) + 1)}, "at most 8388608 characters"),
]


async def test_bad_input_is_told(live: Live):
    for asked, why in MISTAKES:
        given = {"name": "own.cf", "content": "score A 1\n", "reason": "because", "scanner": ""} | asked
        with pytest.raises(ApiProblem) as refused:
            await live.api("anna").push_rules(**given)
        assert why in str(refused.value) and refused.value.status == 400, (asked, refused.value)
    assert not await entries(live, "rules.push")


async def test_a_second_push_meanwhile_is_refused_and_the_same_key_is_one_push(live: Live):
    anna = live.api("anna")
    body = {"name": "own.ndb", "content": signature("one"), "reason": "because"}

    async def push(api: Api, key: str) -> Any:
        return await api.post("/api/v1/rules", body, key=key)

    first = asyncio.create_task(push(anna, "one"))
    while not await entries(live, "rules.push"):
        await asyncio.sleep(0.01)
    with pytest.raises(ApiProblem, match="another push is under way") as refused:
        await push(anna, "two")
    assert refused.value.status == 409
    again = await push(anna, "one")
    assert again == await first and again["outcome"] == "installed"
    assert await push(anna, "one") == again
    assert len(await entries(live, "rules.push")) == 2


async def test_a_push_that_a_stop_cut_off_is_put_back_at_the_next_start(tmp_path: Path, spamd: Spamd, clamd: Clamd):
    script = tmp_path / "reload-clamd"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nexec sleep 60\n")
    script.chmod(0o755)
    async with served(tmp_path, spamd, clamd, reload=[str(script)]) as live:
        pushing = asyncio.create_task(live.api("anna").push_rules("own.ndb", signature("one"), "a campaign"))
        while not (tmp_path / "asked").exists():
            await asyncio.sleep(0.01)
        assert (clamd.db / "own.ndb").exists()
        pushing.cancel()  # whoever asked has gone, and it goes on
        with contextlib.suppress(asyncio.CancelledError):
            await pushing
        await live.server.stop()
        script.write_text(f"#!/bin/bash\nprintf 'nRELOAD\\n' > /dev/tcp/127.0.0.1/{clamd.port}\n")
        await live.open()
        async with asyncio.timeout(20):
            while len(ended := await entries(live, "rules.push")) < 2:
                await asyncio.sleep(0.02)
        assert ended[1]["outcome"] == "rolled back" and "the server was stopped" in ended[1]["personal"]["note"]
        assert not (clamd.db / "own.ndb").exists()
        assert (await says(live, "clamav", "mauve meerkat one")).kind is None
        assert await live.api("anna").rules() == []


async def test_by_acpi_and_by_the_command_line(live: Live, tmp_path: Path, monkeypatch, capsys):
    token = tmp_path / "token"
    token.write_text(live.tokens["anna"])
    token.chmod(0o600)
    monkeypatch.setenv("RCQUEUE_SERVER", live.url)
    monkeypatch.setenv("RCQUEUE_TOKEN_FILE", str(token))
    for name, text in {"own.ndb": signature("one"), "broken.ndb": "nonsense\n"}.items():
        (tmp_path / name).write_text(text)

    async def said(*words: str) -> tuple[int, str]:
        status = await asyncio.to_thread(main, words)
        out = capsys.readouterr()
        return status, out.out + out.err

    files = [str(tmp_path / name) for name in ("own.ndb", "broken.ndb")]
    status, text = await said("rules", "push", *files, "--reason", "because")
    assert status == 1 and "own.ndb at clamav: installed" in text and "broken.ndb at clamav: refused\n  Lib" in text
    status, text = await said("rules", "list")
    assert status == 0 and "own.ndb" in text and "anna" in text and "broken" not in text

    async def acpi(**request: Any) -> list[dict[str, Any]]:
        return [json.loads(line) async for line in live.api("anna").acpi(request)]

    (line,) = await acpi(cmd="rules.list")
    assert (line["name"], line["scanner"]) == ("own.ndb", "clamav")
    (line,) = await acpi(cmd="rules.push", name="own.ndb", content="x", reason="because", colour="red")
    assert (line["code"], line["message"]) == ("ERROR", "unknown key 'colour' for rules.push")
    (line,) = await acpi(cmd="rules.push", name="two.ndb", content=signature("two"), reason="because")
    assert (line["code"], line["outcome"]) == ("OK", "installed")
    (line,) = await acpi(cmd="rules.rollback", name="two.ndb", reason="because")
    assert (line["code"], line["outcome"]) == ("OK", "installed")
    status, text = await said("rules", "rollback", "own.ndb", "--reason", "over")
    assert (status, text) == (0, "own.ndb at clamav: taken back\n")
    with pytest.raises(SystemExit, match="2"):
        await said("rules", "push", files[0])
    assert "the following arguments are required: --reason" in capsys.readouterr().err
