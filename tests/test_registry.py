"""The registry of actions against what there is: an action that reaches the server has a route, a command and an acpi
verb, and there is no verb that the registry does not know."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import pytest

from rcqueue.model.access import Right
from rcqueue.model.act import Verb
from rcqueue.model.actions import ACTIONS, BY_NAME, Action, server_actions
from rcqueue.model.fields import STATUSES
from rcqueue.model.mail import Part
from rcqueue.server.marshal.verbs import RULES
from rcqueue.server.routes.acpi import COMMANDS
from tests import surface

V1 = "/api/v1"

#: Routes that are no action of their own: what they are for.
ROUTES_BESIDE = {
    f"POST {V1}/login": "sessions",
    f"POST {V1}/logout": "sessions",
    f"POST {V1}/tokens": "sessions",
    f"GET {V1}/whoami": "sessions",
    f"GET {V1}/mails/rows": "the list",
    f"GET {V1}/counts": "the list",
    f"WEBSOCKET {V1}/feed": "the list",
    f"GET {V1}/entries": "the list",
    f"POST {V1}/acts": "any verb, on many",
    f"POST {V1}/acts/{{id}}/confirm": "any verb, on many",
    f"GET {V1}/acts/{{id}}/results": "any verb, on many",
    f"POST {V1}/import": "intake",
    f"POST {V1}/rspamd": "intake",
    "GET /r/{token}": "links of notices",
    "POST /r/{token}": "links of notices",
    "POST /acpi": "every action",
    "GET /healthz": "the installation",
    "GET /metrics": "the installation",
    f"GET {V1}/openapi.json": "the description of them all",
    **{f"GET {V1}/mails/{{id}}/{part}": "mail.show" for part in Part if part is not Part.TEXT},
}

#: Commands that are no action of their own.
COMMANDS_BESIDE = {
    ("acpi",): "every action",
    ("completion",): "the shell",
    ("config", "check"): "the server's host",
    ("demo",): "the server's host",
    ("import",): "intake",
    ("login",): "sessions",
    ("man",): "the shell",
    ("logout",): "sessions",
    ("migrate",): "the server's host",
    ("people", "first-admin"): "the server's host",
    ("profiles",): "sessions",
    ("serve",): "the server's host",
    ("watch",): "the list",
    ("whoami",): "sessions",
}


@cache
def routes() -> frozenset[str]:
    """Every route, with each verb and each part in the place of their braces."""
    found: set[str] = set()
    for route in surface.routes():
        if "{verb}" in route:
            found |= {route.replace("{verb}", verb) for verb in Verb}
        elif "{part}" in route:
            found |= {route.replace("{part}", part) for part in Part}
        else:
            found.add(route)
    return frozenset(found)


@cache
def _commands() -> frozenset[tuple[str, ...]]:
    return frozenset(surface.commands())


def route_of(action: Action) -> str:
    """Where an action is to be found, by the rules of the API."""
    lists = {name: f"/{name}s" for name in ("claim", "mail", "act", "sender", "notice", "filter", "campaign")}
    where = V1 + lists.get(action.object, f"/{action.object}")
    one = where + ("/{name}" if action.object in ("people", "rules", "filter") else "/{id}")
    match action.verb:
        case "file" | "test":
            return f"POST {where}" + ("/test" if action.verb == "test" else "")
        case "list":
            return f"GET {where}"
        case "facets":
            return f"GET {V1}/facets"
        case "show" | "set" if action.object == "policy":  # there is one
            return f"GET {where}" if action.verb == "show" else f"POST {where}/set"
        case "allow" | "block" | "send" | "start":
            return f"POST {where}/{action.verb}"
        case "show":
            return f"GET {where if action.object in ('health', 'wall') else one}"
        case "body":
            return f"GET {one}/{Part.TEXT}"
        case "next":
            return f"POST {where}/next"
        case "create" | "push" | "save" | "stand":
            return f"POST {where}"
        case verb:
            return f"POST {one}/{verb}"


def command_of(action: Action) -> tuple[str, ...]:
    return tuple((action.cli or action.verb).split())


def gaps(actions: Iterable[Action]) -> set[str]:
    """What of these actions is not offered, and what is offered that none of them is."""
    ours = [action for action in actions if not action.view]
    there, commands = routes(), _commands()
    missing = {f"{a.name}: no route {route_of(a)}" for a in ours if route_of(a) not in there}
    missing |= {f"{a.name}: no command {' '.join(command_of(a))}" for a in ours if command_of(a) not in commands}
    missing |= {f"{a.name}: no acpi verb" for a in ours if a.name not in COMMANDS}
    missing |= {f"no action is {route}" for route in there - {route_of(a) for a in ours} - set(ROUTES_BESIDE)}
    unknown = commands - {command_of(a) for a in ours} - set(COMMANDS_BESIDE)
    missing |= {f"no action is the command {' '.join(words)}" for words in unknown}
    return missing | {f"no action is the acpi verb {name}" for name in set(COMMANDS) - {a.name for a in ours}}


def test_every_action_has_a_route_a_command_and_an_acpi_verb_and_every_verb_an_action():
    assert gaps(ACTIONS) == set()


def test_what_stands_beside_the_registry_is_there():
    assert set(ROUTES_BESIDE) <= routes() and set(COMMANDS_BESIDE) <= set(surface.commands())


def test_an_action_that_reaches_no_server_is_told():
    made_up = Action("mail.forward", "forward it to somebody", right=Right.RELEASE)
    assert gaps([*ACTIONS, made_up]) == {
        "mail.forward: no route POST /api/v1/mails/{id}/forward",
        "mail.forward: no command forward",
        "mail.forward: no acpi verb",
    }


def test_one_that_only_moves_the_view_needs_none():
    assert gaps([*ACTIONS, Action("view.spin", "turn the view around")]) == set()


@pytest.mark.parametrize("name", [action.name for action in server_actions()])
def test_a_verb_that_no_action_is_is_told(name: str):
    told = gaps(action for action in ACTIONS if action.name != name)
    assert f"no action is the acpi verb {name}" in told
    assert f"no action is {route_of(BY_NAME[name])}" in told


def test_names_are_given_once():
    assert len(BY_NAME) == len(ACTIONS)


def test_help_fits_beside_the_keys_at_80_columns():
    assert [a.name for a in ACTIONS if a.contexts and len(a.help) > 53] == []


@pytest.mark.parametrize("verb", Verb)
def test_the_registry_and_the_server_agree_on_rights_and_statuses(verb: Verb):
    action, rule = BY_NAME[f"mail.{verb}"], RULES[verb]
    assert action.right == rule.right
    assert set(action.statuses or STATUSES) == rule.statuses
