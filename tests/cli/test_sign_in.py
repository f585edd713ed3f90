"""login, logout, whoami, profiles, status; where passwords come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rcqueue.client import session
from tests.client.standin import PASSWORD, TOKEN, StandIn, problem, refuses

from .conftest import Cli, on_terminal, script


def _kept(standin: StandIn) -> Path:
    return session.token_path(session.Profile(standin.url))


def test_login_without_a_terminal_takes_the_first_line(standin: StandIn, cli: Cli) -> None:
    ended = script("login", "--server", standin.url, "--user", "anna", typed=f"{PASSWORD}\nmore\n")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("signed in as anna until 2026-11-24T10:00:00.000Z; the token is in ")
    assert _kept(standin).read_text() == TOKEN + "\n"
    sent = json.loads(standin.requests[0][3])
    assert (sent["name"], sent["password"], sent["kind"]) == ("anna", PASSWORD, "cli")

    assert cli("whoami", "--server", standin.url).status == 0
    assert cli("logout", "--server", standin.url).status == 0
    assert not _kept(standin).exists()
    assert [path for _, path, _, _ in standin.requests][-1] == "/api/v1/logout"
    ended = cli("whoami", "--server", standin.url)
    assert ended.status == 3
    assert ended.err == f"rcqueue: not signed in to {standin.url}: `rcqueue login`, or RCQUEUE_TOKEN_FILE\n"


def test_login_on_a_terminal_shows_no_password(standin: StandIn) -> None:
    ended = on_terminal("login", "--server", standin.url, "--user", "anna", typed=f"{PASSWORD}\n")
    assert ended.status == 0, ended.out
    assert PASSWORD not in ended.out
    assert f"Password of anna at {standin.url}: |" in ended.out
    assert _kept(standin).exists()


def test_a_wrong_password_is_refused_and_leaves_nothing(standin: StandIn) -> None:
    ended = script("login", "--server", standin.url, "--user", "anna", typed="wrong\n")
    assert ended.returncode == 3
    assert ended.stderr == "rcqueue: the name or the password is wrong (sign in with `rcqueue login`)\n"
    assert not _kept(standin).exists()


@pytest.mark.parametrize("typed", ["", "\n"])
def test_no_password_is_a_mistake_of_use(standin: StandIn, typed: str) -> None:
    ended = script("login", "--server", standin.url, typed=typed)
    assert ended.returncode == 2
    assert "no password given" in ended.stderr
    assert not standin.requests


def test_a_session_that_had_ended_is_forgotten_by_logout(standin: StandIn, cli: Cli) -> None:
    session.write_token(session.choose(standin.url), "an-old-token")
    assert cli("logout", "--server", standin.url).status == 3
    assert not _kept(standin).exists()


def test_a_server_that_is_gone_keeps_the_token(home: Path, cli: Cli) -> None:
    url = refuses()
    path = session.write_token(session.choose(url), TOKEN)
    assert cli("logout", "--server", url).status == 5
    assert path.exists()


def test_the_file_that_is_named_is_not_removed(signed_in: Cli, token_file: Path) -> None:
    assert signed_in("logout").status == 0
    assert token_file.exists()


def test_whoami(standin: StandIn, signed_in: Cli) -> None:
    ended = signed_in("whoami")
    assert ended.status == 0
    assert "anna at" in ended.out
    assert "roles      operator@all\n" in ended.out
    assert json.loads(signed_in("whoami", "--json").out)["rights"] == ["view", "claim", "release"]


def test_status(standin: StandIn, signed_in: Cli) -> None:
    said = signed_in("status").out.splitlines()
    assert [line.split() for line in said[1:3]] == [["alerts", "none"], ["mails", "5", "held"]]
    assert said[-1].split() == ["on", "hold", "5", "SPAM"]
    assert json.loads(signed_in("status", "--json").out)["status"] == {"ONHOLD": 5}


def test_profiles(home: Path, cli: Cli) -> None:
    assert cli("profiles") == (0, "", "")
    path = session.profiles_path()
    path.parent.mkdir()
    path.write_text('default="b"\n[a]\nserver="https://a.example"\n[b]\nserver="https://b.example"\nuser="anna"\n')
    session.write_token(session.choose(profile="b"), TOKEN)
    assert cli("profiles").out.splitlines() == ["\ta\t\t\thttps://a.example", "*\tb\tanna\tkept\thttps://b.example"]
    shown = [json.loads(line) for line in cli("profiles", "--json").out.splitlines()]
    assert [one["token"] for one in shown] == [False, True]
    path.write_text("[a]\nport=1\n")
    ended = cli("profiles")
    assert ended.status == 2
    assert ended.err.startswith(f"rcqueue: {path}: [a] port: unknown key")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([], 2, "which server? Give --server URL or --profile NAME, or set RCQUEUE_SERVER"),
        (["--server", "http://mail.example"], 2, "in clear over the network"),
        (["--profile", "x"], 2, "no profile 'x'"),
    ],
)
def test_no_server_to_talk_to(cli: Cli, arguments: list[str], status: int, says: str) -> None:
    ended = cli("whoami", *arguments)
    assert (ended.status, ended.out) == (status, "")
    assert says in ended.err
    assert ended.err.count("\n") == 1


def test_a_token_file_that_others_can_read(signed_in: Cli, standin: StandIn, token_file: Path) -> None:
    token_file.chmod(0o644)
    ended = signed_in("list")
    assert ended.status == 2
    assert ended.err == f"rcqueue: {token_file}: refused: mode 0644 opens it to others; expected 0600 (chmod 600)\n"
    assert not standin.requests


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (problem("unauthorized", 401, "the session has ended"), 3, "the session has ended (sign in with"),
        (problem("forbidden", 403, "not for you", right="view"), 3, "not for you; it needs the right view"),
        (problem("forbidden", 403, "no", **{"class": "body"}), 3, "no; it needs the class body"),
        (problem("not-found", 404, "nothing there"), 4, "nothing there"),
        (problem("bad-request", 400, "limit: too many"), 2, "limit: too many"),
        (problem("gone", 410, ""), 1, "gone"),
        (problem("unavailable", 503, "stopping"), 5, "stopping"),
        (problem("later", 418, "\x1b[31mhot"), 1, "[31mhot"),
    ],
)
def test_problems_and_their_statuses(standin: StandIn, signed_in: Cli, answer: object, status: int, says: str) -> None:
    standin.answers["GET /api/v1/whoami"] = answer
    ended = signed_in("whoami")
    assert (ended.status, ended.out) == (status, "")
    assert says in ended.err
    assert ended.err.count("\n") == 1
    assert "\x1b" not in ended.err


def test_a_server_that_is_not_there(signed_in: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    url = refuses()
    monkeypatch.setenv("RCQUEUE_SERVER", url)
    for command in (["whoami"], ["list"], ["acpi", "{}"], ["release", "0" * 13]):
        ended = signed_in(*command)
        assert (ended.status, ended.out) == (5, "")
        assert ended.err == f"rcqueue: {url} can't be reached: connection refused\n"
