"""The verbs on mail: one by one, and many by a filter and their number; acts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from rcqueue.model.actions import server_actions
from tests.client.standin import TIME, StandIn, mail_id, problem, row

from .conftest import Cli, script

M = mail_id(1)
VERBS = [action.verb for action in server_actions() if action.object == "mail" and action.many]
NEEDS = {"takeover": ["--reason", "urgent"], "note": ["--text", "seen"], "settle": ["--as", "again"]}
NEEDS["assign"] = ["--to", "carol"]
NEEDS["extend"] = ["--until", "2030-01-01T00:00:00Z"]
SAYS = {
    "takeover": {"reason": "urgent"},
    "note": {"note": "seen"},
    "assign": {"person": "carol"},
    "settle": {"settle": "again"},
    "extend": {"expiry": "2030-01-01T00:00:00.000Z"},
}


def _sent(standin: StandIn, verb: str, id: str = M) -> list[dict]:
    return [json.loads(body) for _, body in standin.calls("POST", f"/api/v1/mails/{id}/{verb}")]


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_on_one_mail(standin: StandIn, signed_in: Cli, verb: str) -> None:
    ended = signed_in(verb, M, *NEEDS.get(verb, []))
    assert ended == (0, f"{M}000\tdone\tONHOLD\t\n", "")
    assert _sent(standin, verb) == [SAYS.get(verb, {})]


def test_what_an_act_says(standin: StandIn, signed_in: Cli) -> None:
    assert signed_in("claim", M, "--for", "15m", "--reason", "mine").status == 0
    assert _sent(standin, "claim") == [{"for_seconds": 900, "reason": "mine"}]
    assert signed_in("release", M, "--as-of", "7", "--fence", "3").status == 0
    assert _sent(standin, "release") == [{"as_of": 7, "fence": 3}]


def test_ids_are_acted_on_in_turn_and_may_stand_on_standard_input(standin: StandIn, signed_in: Cli) -> None:
    ended = script("release", "--json", "-", typed=f"{M}\n{mail_id(2)}000\n\n")
    shown = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(one["id"], one["done"]) for one in shown] == [(M, 1), (mail_id(2) + "000", 1)]
    assert len(standin.written) == 2
    ended = script("release", "-")
    assert (ended.returncode, ended.stderr) == (2, "rcqueue: no id on standard input: expected one a line\n")


def test_extend_by_counts_from_the_end_that_it_has(standin: StandIn, signed_in: Cli) -> None:
    assert signed_in("extend", M, "--by", "2d").status == 0
    assert _sent(standin, "extend") == [{"expiry": "2026-12-10T10:00:00.000Z"}]
    standin.rows = [row(1, status="RELEASED", expiry=None)]
    ended = signed_in("extend", M, "--by", "2d")
    assert (ended.status, ended.out) == (1, "")
    assert f"{M} is RELEASED and has no expiry" in ended.err


def test_extend_until_a_duration_is_from_now(standin: StandIn, signed_in: Cli) -> None:
    assert signed_in("extend", M, "--until", "7d").status == 0
    expiry = datetime.fromisoformat(_sent(standin, "extend")[0]["expiry"])
    assert abs(expiry - datetime.now(UTC) - timedelta(days=7)) < timedelta(seconds=20)


def test_a_note_from_standard_input(standin: StandIn, signed_in: Cli) -> None:
    assert script("note", M, typed="two\nlines\n").returncode == 0
    assert _sent(standin, "note") == [{"note": "two\nlines"}]
    assert script("note", M, typed=" \n").returncode == 2
    assert script("note", "-", typed=f"{M}\n").returncode == 2
    assert len(standin.written) == 1


def _result(result: str, **more: object) -> dict:
    return {"id": M + "000", "result": result, **more}


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (
            problem("claimed", 409, "nothing done", by="ben", results=[_result("claimed", by="ben")]),
            3,
            f"rcqueue: {M}: nothing done; ben holds it\n",
        ),
        (problem("lost", 409, "your claim is gone", by="ben"), 3, "your claim is gone; ben holds it"),
        (problem("forbidden", 403, "no right", right="release"), 3, "no right; it needs the right release"),
        (problem("changed", 409, "it changed"), 1, "it changed"),
        (problem("status", 409, "not on hold", **{"is": "RELEASED"}), 1, "not on hold; it is RELEASED"),
        (problem("not-found", 404, "no such mail"), 4, "no such mail"),
    ],
)
def test_an_act_that_is_refused(standin: StandIn, signed_in: Cli, answer: object, status: int, says: str) -> None:
    standin.answers[f"POST /api/v1/mails/{M}/release"] = answer
    ended = signed_in("release", M)
    assert ended.status == status
    assert says in ended.err
    assert ended.err.count("\n") == 1
    shown = json.loads(signed_in("release", M, "--json").out)
    assert (shown["id"], shown["done"]) == (M, 0)


def test_one_that_is_refused_does_not_stop_the_rest(standin: StandIn, signed_in: Cli) -> None:
    standin.answers[f"POST /api/v1/mails/{M}/release"] = problem("claimed", 409, "taken", by="ben")
    ended = signed_in("release", M, mail_id(2), mail_id(99))
    assert ended.status == 3
    assert ended.out == f"{mail_id(2)}000\tdone\tONHOLD\t\n"
    assert ended.err.splitlines() == [
        f"rcqueue: {M}: taken; ben holds it",
        f"rcqueue: {mail_id(99)}: there is no such mail",
    ]


def test_a_session_that_ended_stops_the_rest(standin: StandIn, signed_in: Cli) -> None:
    standin.answers[f"POST /api/v1/mails/{M}/release"] = problem("unauthorized", 401, "the session has ended")
    ended = signed_in("release", M, mail_id(2))
    assert ended.status == 3
    assert len(standin.requests) == 1


@pytest.mark.parametrize(
    ("results", "status"),
    [
        (["done", "done"], 0),
        (["done", "claimed", "gone"], 3),
        (["done", "refused"], 3),
        (["done", "lost"], 3),
        (["done", "gone", "status"], 4),
        (["done", "changed"], 1),
        (["status"], 1),
    ],
)
def test_partly_done(standin: StandIn, signed_in: Cli, results: list[str], status: int) -> None:
    given = [_result(result, by="ben" if result == "claimed" else "") for result in results]
    standin.answers[f"POST /api/v1/mails/{M}/delete"] = {"seq": 5, "done": 1, "results": given}
    ended = signed_in("delete", M)
    assert ended.status == status
    assert [line.split("\t")[1] for line in ended.out.splitlines()] == results
    if "claimed" in results:
        assert "ben holds it" in ended.out


# -- many


def _act(state: str, count: int = 3, **more: object) -> dict:
    return {"id": "A1", "verb": "release", "state": state, "as_of": 9, "count": count, "created": TIME, **more}


@pytest.fixture
def many(standin: StandIn) -> StandIn:
    """An act on three mails that is done at the third look."""
    looks = iter([_act("running", tried=1), _act("running", tried=2)])
    done = _act("done", done=2, tried=3, results={"done": 2, "claimed": 1})
    standin.answers |= {
        "POST /api/v1/acts": _act("stored"),
        "POST /api/v1/acts/A1/confirm": _act("running"),
        "GET /api/v1/acts/A1": lambda request, body: next(looks, done),
    }

    def results(request, body):
        if "after" in request.query_params:
            return {"results": [_result("claimed", by="ben")], "next": None}
        return {"results": [_result("done"), _result("done")], "next": "2"}

    standin.answers["GET /api/v1/acts/A1/results"] = results
    return standin


def test_many_are_stored_confirmed_and_followed(many: StandIn, signed_in: Cli) -> None:
    ended = signed_in("release", "--filter", "from:gmail.com", "--expect", "3", "--reason", "fine")
    assert ended.status == 3
    assert ended.out == f"{M}000\tclaimed\t\tben holds it\n"
    assert ended.err == "rcqueue: act A1: release, done: 2 of 3 mails done, 1 claimed\n"
    assert json.loads(many.calls("POST", "/api/v1/acts")[0][1]) == {
        "verb": "release",
        "query": "from:gmail.com",
        "reason": "fine",
    }
    assert json.loads(many.calls("POST", "/api/v1/acts/A1/confirm")[0][1]) == {"expect": 3}


def test_many_as_json(many: StandIn, signed_in: Cli) -> None:
    ended = signed_in("release", "--filter", "-verdict:virus", "--expect", "3", "--json")
    assert [json.loads(line)["result"] for line in ended.out.splitlines()] == ["done", "done", "claimed"]


def test_another_number_and_nothing_is_done(many: StandIn, signed_in: Cli) -> None:
    ended = signed_in("release", "--filter", "x", "--expect", "4")
    assert ended == (1, "", "rcqueue: 3 mails match, not 4: nothing done\n")
    assert not many.calls("POST", "/api/v1/acts/A1/confirm")


def test_an_act_that_somebody_stopped_has_failed(many: StandIn, signed_in: Cli) -> None:
    many.answers["GET /api/v1/acts/A1"] = _act("stopped", done=1, results={"done": 1})
    assert signed_in("release", "--filter", "x", "--expect", "3").status == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["release"], "release: give ids, or --filter FILTER --expect N"),
        (["release", M, "--filter", "x", "--expect", "1"], "release: give ids, or --filter"),
        (["release", "--filter", "x"], "--filter and --expect N go together"),
        (["release", M, "--expect", "1"], "--filter and --expect N go together"),
        (["release", "--filter", "x", "--expect", "1", "--fence", "3"], "--fence goes with ids"),
        (["extend", "--filter", "x", "--expect", "1", "--by", "1d"], "--by goes with ids"),
        (["release", "nonsense"], "'nonsense' is no id"),
        (["release", "--filter", "x", "--expect", "-1"], "'-1': expected a whole number, 0 or more"),
        (["takeover", M], "the following arguments are required: --reason"),
        (["settle", M], "the following arguments are required: --as"),
        (["settle", M, "--as", "lost"], "invalid choice: 'lost'"),
        (["extend", M], "one of the arguments --until --by is required"),
        (["extend", M, "--until", "1d", "--by", "1d"], "not allowed with argument"),
        (["extend", M, "--until", "tomorrow"], "'tomorrow': expected a time as 2026-12-31"),
        (["extend", M, "--by", "1y"], "'1y': expected a duration as 90s, 15m, 2h, 7d or 2w"),
        (["claim", M, "--for", "0m"], "'0m': expected a duration"),
        (["note", M, "--text", ""], "the note is empty"),
        (["acts", "--stop"], "--stop needs the ID of an act"),
    ],
)
def test_mistakes_of_use(standin: StandIn, signed_in: Cli, arguments: list[str], says: str) -> None:
    ended = signed_in(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert says in ended.err
    assert not standin.requests


# -- acts


def test_acts(many: StandIn, signed_in: Cli) -> None:
    many.answers["GET /api/v1/acts"] = {"acts": [_act("running", done=1, who="anna"), _act("done")]}
    ended = signed_in("acts")
    assert ended.out.splitlines()[0].split("\t")[:5] == ["A1", "release", "running", "1/3", "anna"]
    assert len(signed_in("acts", "--json").out.splitlines()) == 2


def test_one_act_and_its_end(many: StandIn, signed_in: Cli) -> None:
    ended = signed_in("acts", "A1")
    assert ended.status == 0
    assert len(ended.out.splitlines()) == 4
    many.answers["POST /api/v1/acts/A1/stop"] = _act("stopped", done=1)
    ended = signed_in("acts", "A1", "--stop")
    assert ended.out.startswith("act A1: release, stopped: 1 of 3 mails done\n")
    many.answers["GET /api/v1/acts/A9"] = problem("not-found", 404, "you have no act A9")
    assert signed_in("acts", "A9") == (4, "", "rcqueue: you have no act A9\n")
