"""people and audit."""

from __future__ import annotations

import json

import pytest

from tests.client.standin import TIME, StandIn, problem

from .conftest import Cli, on_terminal, script

BEN = {
    "name": "ben",
    "enabled": False,
    "roles": [{"role": "blind", "customer": "acme"}],
    "locks": ["bodies"],
    "sessions": 2,
}


def test_list(standin: StandIn, signed_in: Cli) -> None:
    standin.answers["GET /api/v1/people"] = {"people": [BEN]}
    assert signed_in("people", "list") == (0, "ben\tdisabled\t2\tbodies\tblind@acme\n", "")
    assert json.loads(signed_in("people", "list", "--json").out) == BEN


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (["lock", "ben", "bodies"], "ben/lock", {"lock": "bodies"}),
        (["lock", "ben"], "ben/lock", {"lock": "bodies"}),
        (["unlock", "ben", "bodies"], "ben/unlock", {"lock": "bodies"}),
        (["grant", "ben", "operator", "acme/sales"], "ben/grant", {"role": "operator", "customer": "acme/sales"}),
        (["grant", "ben", "admin"], "ben/grant", {"role": "admin", "customer": "all"}),
        (["revoke", "ben", "blind", "acme"], "ben/revoke", {"role": "blind", "customer": "acme"}),
        (["enable", "ben"], "ben/enable", {}),
        (["disable", "ben"], "ben/disable", {}),
    ],
)
def test_changes(standin: StandIn, signed_in: Cli, arguments: list[str], path: str, body: dict) -> None:
    standin.answers[f"POST /api/v1/people/{path}"] = {"seq": 1}
    assert signed_in("people", *arguments) == (0, "", "")
    assert [json.loads(sent) for _, sent in standin.calls("POST", f"/api/v1/people/{path}")] == [body]


def test_create_and_password_take_the_secret_from_standard_input(standin: StandIn, signed_in: Cli) -> None:
    standin.answers["POST /api/v1/people"] = {"seq": 1}
    standin.answers["POST /api/v1/people/ben/password"] = {"seq": 1}
    roles = ["--role", "operator", "--role", "blind@acme/sales"]
    assert script("people", "create", "ben", *roles, typed="s3cret\n").returncode == 0
    assert json.loads(standin.calls("POST", "/api/v1/people")[0][1]) == {
        "name": "ben",
        "password": "s3cret",
        "roles": [{"role": "operator", "customer": "all"}, {"role": "blind", "customer": "acme/sales"}],
    }
    assert script("people", "password", "ben", typed="another\n").returncode == 0
    assert json.loads(standin.calls("POST", "/api/v1/people/ben/password")[0][1]) == {"password": "another"}


def test_on_a_terminal_a_new_password_is_asked_twice(standin: StandIn, signed_in: Cli) -> None:
    standin.answers["POST /api/v1/people/ben/password"] = {"seq": 1}
    ended = on_terminal("people", "password", "ben", typed="one\none\n")
    assert ended.status == 0, ended.out
    assert "one" not in ended.out
    ended = on_terminal("people", "password", "ben", typed="one\ntwo\n")
    assert ended.status == 2
    assert "the two passwords differ: nothing done" in ended.out
    assert len(standin.written) == 1


def test_no_right(standin: StandIn, signed_in: Cli) -> None:
    standin.answers["POST /api/v1/people/ben/lock"] = problem("forbidden", 403, "no", right="administer")
    assert signed_in("people", "lock", "ben") == (3, "", "rcqueue: no; it needs the right administer\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["people"], "the following arguments are required: COMMAND"),
        (["people", "create", "ben"], "the following arguments are required: --role"),
        (["people", "create", "ben", "--role", "king"], "'king': expected ROLE or ROLE@CUSTOMER, ROLE one of operator"),
        (["people", "lock", "ben", "doors"], "invalid choice: 'doors'"),
        (["people", "grant", "ben", "king"], "invalid choice: 'king'"),
        (["people", "create", "ben", "--role", "blind", "--password", "x"], "unrecognized arguments"),
        (["people", "first-admin", "ben"], "the following arguments are required: --config"),
    ],
)
def test_mistakes_of_use(standin: StandIn, signed_in: Cli, arguments: list[str], says: str) -> None:
    ended = signed_in(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert says in ended.err
    assert not standin.requests


def test_audit_is_read_to_its_end(standin: StandIn, signed_in: Cli) -> None:
    def audit(request, body):
        since = int(request.query_params.get("since", 0))
        stop = min(since + int(request.query_params["limit"]), 1200)
        entries = [{"seq": n + 1, "at": TIME, "kind": "session.login", "actor": "ben"} for n in range(since, stop)]
        return {"entries": entries, "next": stop if stop < 1200 else None}

    standin.answers["GET /api/v1/audit"] = audit
    lines = signed_in("audit", "list").out.splitlines()
    assert len(lines) == 1200
    assert lines[0].split("\t") == ["1", "2026-11-24T10:00:00.000Z", "ben", "session.login", "", ""]
    shown = signed_in("audit", "list", "--since", "5", "--limit", "700", "--json").out.splitlines()
    assert [json.loads(line)["seq"] for line in shown] == list(range(6, 706))
