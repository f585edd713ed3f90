"""The same commands against the real server: one demo, without colleagues and without mail of its own coming in."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rcqueue.client.api import Api, ApiProblem
from rcqueue.client.feed import Connected, Entries, Feed, PresenceChanged
from rcqueue.model.act import ActBody
from rcqueue.model.actions import server_actions
from tests import surface
from tests.server.harness import free_port

from .conftest import Cli

MAIL = (
    b"From: Ann <rackcorptest345@gmail.com>\r\nTo: salestest@rackcorp.example\r\n"
    b"Subject: This is a test email\r\n\r\nA body.\rWith a bare CR and \x00\xff\n"
)
FORM = '{ "startTime":0 , "endTime":2147483647 ,"fromDomain":"gmail.com", "status":"ONHOLD" }'


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "rcqueue", "demo", "--serve-only", "--mails", "0", "--rate", "0"]
    folder = tmp_path_factory.mktemp("demo")
    process = subprocess.Popen(
        [*command, "--colleagues", "0", "--data-dir", str(folder / "data")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        ready = json.loads(process.stdout.readline())
        yield ready | {"by_role": {account["role"]: account for account in reversed(ready["accounts"])}}
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


@pytest.fixture
def as_(demo: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    """Signs in as the account with a role."""

    def use(role: str) -> None:
        monkeypatch.setenv("RCQUEUE_TOKEN_FILE", demo["by_role"][role]["token_file"])

    monkeypatch.setenv("RCQUEUE_SERVER", demo["http"])
    use("admin")
    return use


@pytest.fixture
def held(as_, cli: Cli, home: Path) -> str:
    """The id of a message that was imported just now."""
    number = os.urandom(4).hex()
    (home / "a.eml").write_bytes(MAIL + number.encode())
    ended = cli("import", str(home / "a.eml"), "--from", "ann@gmail.com", "--json")
    assert ended.status == 0, ended.err
    (id,) = json.loads(ended.out)["ids"]
    return str(id)


def test_facets_name_the_terms_that_narrow(held: str, cli: Cli) -> None:
    shown = [line.split("\t") for line in cli("facets", f"id:{held}", "--by", "domain,recipient").out.splitlines()]
    assert shown == [["domain", "1", "from:gmail.com"], ["recipient", "1", "to:salestest@rackcorp.example"]]
    (facet,) = [json.loads(line) for line in cli("facets", f"id:{held}", "--by", "domain", "--json").out.splitlines()]
    assert facet["values"] == [{"value": "gmail.com", "mails": 1, "term": "from:gmail.com"}]
    assert cli("list", "--json", f"id:{held}", facet["values"][0]["term"]).out
    ended = cli("facets", "--by", "colour")
    assert ended.status == 2 and "some of sender" in ended.err
    assert (
        cli("acpi", '{"cmd": "mail.facets", "by": "domain", "filter": "id:' + held + '"}').out.count("gmail.com") == 2
    )


def test_import_show_and_again(held: str, cli: Cli, home: Path) -> None:
    again = cli("import", str(home / "a.eml"), "--from", "ann@gmail.com", "--json")
    assert json.loads(again.out)["ids"] == [held], "a repeat does nothing"
    raw = subprocess.run([sys.executable, "-m", "rcqueue", "show", held, "--part", "raw"], capture_output=True)
    assert raw.stdout == (home / "a.eml").read_bytes()
    for part in ("summary", "envelope", "headers", "verdict", "receipt", "history", "attachments", "text"):
        assert cli("show", held, "--part", part).status == 0
        assert json.loads(cli("show", held, "--part", part, "--json").out)
    assert "mail.read" in cli("show", held, "--part", "history").out


def test_the_verbs(held: str, cli: Cli, as_) -> None:
    mail = json.loads(cli("list", "--mails", "--json", f"id:{held}").out)["id"]
    assert cli("claim", held, "--for", "10m").out == f"{mail}\tdone\tONHOLD\t\n"
    as_("operator")
    ended = cli("release", held)
    assert (ended.status, "anna" in ended.err) == (3, True)
    as_("blind")
    assert cli("takeover", held, "--reason", "x").status == 3
    as_("admin")
    for command in (["note", held, "--text", "seen"], ["extend", mail, "--by", "2d"], ["delete", held]):
        assert cli(*command).status == 0
    assert cli("delete", held).status == 1, "it is deleted already"
    assert cli("restore", held).status == 0
    assert cli("release", mail).out == f"{mail}\tdone\tRELEASING\t\n"
    assert cli("recall", held).status == 0
    assert cli("settle", held, "--as", "hold").status == 1
    kinds = [json.loads(line)["kind"] for line in cli("audit", "list", "--message", held, "--json").out.splitlines()]
    assert [kind for kind in kinds if kind != "denied"] == [
        *("mail.hold", "mail.claim", "mail.note", "mail.extend"),
        *("mail.delete", "mail.restore", "mail.release", "mail.recall"),
    ]


def test_many(held: str, cli: Cli, as_) -> None:
    wrong = cli("claim", "--filter", f"id:{held}", "--expect", "2")
    assert wrong == (1, "", "rcqueue: 1 mails match, not 2: nothing done\n")
    ended = cli("claim", "--filter", f"id:{held}", "--expect", "1", "--json")
    assert (ended.status, json.loads(ended.out)["result"]) == (0, "done")
    assert json.loads(cli("acts", "--json").out.splitlines()[0])["done"] == 1


def test_nobody_reads_a_body_who_may_not(held: str, cli: Cli, as_) -> None:
    as_("blind")
    assert cli("show", held, "--part", "raw", "--output", "/dev/null").status == 3
    ended = cli("show", held, "--part", "text")
    assert (ended.status, ended.out) == (3, "")
    assert cli("list", "rule:X", "--limit", "1").status == 0
    assert cli("people", "list").status == 3
    as_("auditor")
    assert cli("delete", held).status == 3


def test_people(cli: Cli, as_, demo: dict[str, Any]) -> None:
    name = demo["by_role"]["operator"]["name"]
    assert cli("people", "lock", name, "bodies").status == 0
    assert f"{name}\tenabled\t1\tbodies\toperator@all\n" in cli("people", "list").out
    assert cli("people", "unlock", name).status == 0
    assert cli("people", "grant", "nobody", "blind").status == 4
    assert cli("people", "revoke", demo["by_role"]["admin"]["name"], "admin").status == 3, "not one's own"


def test_the_form_of_customers_scripts(held: str, cli: Cli, as_) -> None:
    line = cli("acpi", FORM).out.splitlines()[0]
    shown = json.loads(line)
    assert list(shown) == ["timestamp", "status", "expiry", "fromDomain", "fromEmail", "toEmail", "subject"]
    assert (type(shown["timestamp"]), type(shown["expiry"])) == (float, int)
    assert shown["fromEmail"] == "rackcorptest345@gmail.com"
    assert cli("acpi", '{"fromDoman":"gmail.com"}').status == 2
    first = cli("acpi", json.dumps({"id": held, "set": "DELETED"}))
    assert json.loads(first.out)["matches"] == 1
    done = cli("acpi", json.dumps({"id": held, "set": "DELETED", "confirmation": True, "expect": 1}))
    assert (done.status, json.loads(done.out)["result"]) == (0, "done")


@pytest.mark.parametrize("action", server_actions(), ids=lambda action: action.name)
def test_every_action_is_an_acpi_verb(as_, cli: Cli, action: Any) -> None:
    ended = cli("acpi", json.dumps({"cmd": action.name, "id": "0" * 13, "name": "nobody"}))
    for line in ended.out.splitlines():
        assert "there is no '" not in json.loads(line).get("message", "")
    assert ended.status in (0, 2, 3, 4)


async def test_feed_and_api(demo: dict[str, Any], held: str) -> None:
    tokens = {role: Path(account["token_file"]).read_text().strip() for role, account in demo["by_role"].items()}
    api = Api(demo["http"], tokens["admin"])
    other = Feed(demo["http"], tokens["operator"])
    feed = Feed(demo["http"], tokens["admin"])
    seen: list[Any] = []

    async def read(one: Feed, into: list[Any]) -> None:
        async for event in one.events():
            into.append(event)  # noqa: PERF401 - as they come, to be looked at meanwhile

    tasks = [asyncio.create_task(read(feed, seen)), asyncio.create_task(read(other, []))]
    try:
        async with asyncio.timeout(10):
            while not any(isinstance(event, Entries) for event in seen):
                await asyncio.sleep(0.01)
            await other.send_presence(held, "headers")
            answer = await api.act(held, "claim", ActBody(reason="mine"), key="a-key-of-mine-" + held)
            again = await api.act(held, "claim", ActBody(reason="mine"), key="a-key-of-mine-" + held)
            assert again == answer, "the same key, the same answer"
            with pytest.raises(ApiProblem) as caught:
                await api.act(held, "claim", ActBody(reason="other"), key="a-key-of-mine-" + held)
            assert (caught.value.type, caught.value.status) == ("idempotency-key", 422)
            while feed.seq is None or feed.seq < answer.seq:
                await asyncio.sleep(0.01)
            while not any(isinstance(event, PresenceChanged) and event.presence for event in seen):
                await asyncio.sleep(0.01)
        part = await api.entries(answer.seq - 1)
    finally:
        for one in (feed, other):
            await one.close()
        await asyncio.gather(*tasks)
        await api.close()
    assert isinstance(seen[0], Connected)
    entries = [entry for event in seen if isinstance(event, Entries) for entry in event.entries]
    (claim,) = [entry for entry in entries if entry.seq == answer.seq]
    assert (claim.kind, claim.message, claim.actor) == ("mail.claim", held, demo["by_role"]["admin"]["name"])
    assert claim.mails[0].claim is not None
    assert part.entries[0] == claim


#: Commands that take no --json, and why.
NO_JSON = {
    ("acpi",): "it answers in JSON",
    ("completion",): "a shell reads it",
    ("demo",): "--serve-only is a line of JSON",
    ("man",): "man reads it",
}
#: Of each other command what it is run with; $ID is a mail, $DIR a folder. Those that end otherwise than by 0: how.
REASON = ("--reason", "because")
ARGUMENTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("takeover",): ("$ID", *REASON),
    ("extend",): ("$ID", "--until", "9d"),
    ("note",): ("$ID", "--text", "seen"),
    ("settle",): ("$ID", "--as", "hold"),
    ("assign",): ("$ID", "--to", "eve"),
    ("next",): ("2", "score:>8"),
    ("show",): ("$ID",),
    ("import",): ("$DIR/b.eml", "--from", "a@b.example", "--to", "c@d.example"),
    ("scan",): ("$DIR/b.eml",),
    ("policy", "test"): ("$DIR/b.eml",),
    ("policy", "set"): ("score.spamassassin.hold=7", *REASON),
    ("people", "create"): ("eve", "--role", "blind"),
    ("people", "password"): ("eve",),
    **{("people", verb): ("eve",) for verb in ("lock", "unlock", "disable", "enable")},
    **{("people", verb): ("eve", "auditor") for verb in ("grant", "revoke")},
    **{("senders", kind): ("x@y.example", "--customer", "all", "--for", "7d") for kind in ("allow", "block")},
    ("senders", "end"): ("1",),
    ("filters", "save"): ("mine", "score:>8"),
    ("filters", "delete"): ("mine",),
    ("notices", "send"): ("--domain", "d.example"),
    ("notices", "start"): ("x@d.example",),
    ("rules", "push"): ("$DIR/own.cf", *REASON),
    ("rules", "rollback"): ("own.cf", *REASON),
    ("wall",): ("--once",),
    ("login",): ("--user", "eve"),
    **dict.fromkeys((("config", "check"), ("migrate",)), ("--config", "$DIR/rcqueue.toml")),
    ("people", "first-admin"): ("root", "--config", "$DIR/rcqueue.toml"),
}
ON_MAIL = {"claim", "unclaim", "release", "recall", "delete", "restore", "rescan"}
ENDLESS = {("watch",), ("serve",)}  # tried in tests of their own
MAY_FAIL = {
    (verb,) for verb in (*ON_MAIL, "assign", "extend", "settle", "takeover", "try")
} | {  # there is nothing for them here
    *(("rules", "push"), ("rules", "rollback"), ("senders", "end")),
    *(("notices", "send"), ("notices", "start"), ("policy", "set")),
}
SILENT = {
    ("filters", "list"),
    ("senders", "list"),
    ("notices", "list"),
    ("rules", "list"),
    ("profiles",),
    ("acts",),
}  # lists, empty here


def _no_terminal(real: Any) -> Any:
    def open_(path: Any, *more: Any, **options: Any) -> int:
        if path == "/dev/tty":
            raise OSError(errno.ENXIO, "no terminal")
        return int(real(path, *more, **options))

    return open_


def test_every_command_speaks_json(held: str, as_, cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each prints nothing but objects, one a line; also that it was done, or why not."""
    there = surface.commands()
    lacking = {words for words, parser in there.items() if "--json" not in parser.format_help()}
    assert lacking == set(NO_JSON)
    (home / "b.eml").write_bytes(b"Subject: b\r\n\r\nb\r\n")
    (home / "own.cf").write_text("score A 1\n")
    (home / "rcqueue.toml").write_text(f'data_dir = "{home}/data"\n')
    first, last = [("people", "create"), ("filters", "save")], [("login",), ("logout",)]
    rest = there.keys() - NO_JSON.keys() - ENDLESS - {*first, *last}
    failed = set()
    monkeypatch.setattr("os.open", _no_terminal(os.open))
    for words in [*first, *sorted(rest), *last]:
        given = ARGUMENTS.get(words, ("$ID",) if words[0] in ON_MAIL else ())
        line = [one.replace("$ID", held).replace("$DIR", str(home)) for one in (*words, *given, "--json")]
        if words in last:
            monkeypatch.delenv("RCQUEUE_TOKEN_FILE", raising=False)
        monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
        ended = cli(*line)
        for said in ended.out.splitlines():
            assert isinstance(json.loads(said), dict), (words, said)
        assert "usage:" not in ended.err and bool(ended.status) <= len(ended.err.splitlines()) <= 1, (words, ended.err)
        if ended.status:
            failed.add(words)
        else:
            assert ended.out or words in SILENT, words
    assert failed <= MAY_FAIL


def test_serve_says_in_json_that_it_is_ready(home: Path) -> None:
    ports = [free_port() for _ in range(2)]
    (home / "rcqueue.toml").write_text(
        f'data_dir = "data"\n[http]\nlisten = "127.0.0.1:{ports[0]}"\n[smtp]\nlisten = "127.0.0.1:{ports[1]}"\n'
    )
    command = [sys.executable, "-m", "rcqueue", "serve", "--json", "--config", str(home / "rcqueue.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())
        server.send_signal(signal.SIGTERM)
        assert (server.wait(20), server.stdout.read()) == (0, "")
    assert (ready["http"], ready["smtp"]) == (f"http://127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
