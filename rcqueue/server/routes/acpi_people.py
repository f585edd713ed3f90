"""The `/acpi` commands on people, and on what they did: the audit log and one's own history."""

from __future__ import annotations

from typing import Any

from rcqueue.model.access import Grant
from rcqueue.server.identity.sessions import check_name

from . import people
from .acpi_arguments import Command, nothing_else, take
from .deps import Viewer


async def _people(asker: Viewer, arguments: dict[str, Any]) -> Any:
    return await asker.read(people.people_of)


async def _create(asker: Viewer, arguments: dict[str, Any]) -> Any:
    name, secret = take(arguments, "name", str), take(arguments, "password", str)
    grant = Grant(take(arguments, "role", str), take(arguments, "customer", str))
    nothing_else(arguments, "people.create")
    check_name(name)
    return await people.change(asker, "create", name, (grant,), password=secret, keyed=False)


def _person(what: str) -> Command:
    async def run(asker: Viewer, arguments: dict[str, Any]) -> Any:
        name = take(arguments, "name", str)
        grants: tuple[Grant, ...] = ()
        if what in ("grant", "revoke"):
            grants = (Grant(take(arguments, "role", str), take(arguments, "customer", str)),)
        lock = take(arguments, "lock", str, "bodies") if what in ("lock", "unlock") else ""
        secret = take(arguments, "password", str) if what == "password" else None
        nothing_else(arguments, f"people.{what}")
        return await people.change(asker, what, name, grants, lock, secret, keyed=False)

    return run


async def _audit(asker: Viewer, arguments: dict[str, Any]) -> Any:
    since, limit = take(arguments, "since", int, 0), take(arguments, "limit", int, 200)
    account, message = take(arguments, "account", str, None), take(arguments, "message", str, None)
    if not 1 <= limit <= 1000:
        raise ValueError("limit: 1 to 1000 was expected")
    found = await asker.read(people.audit_of, since, limit, account, message)
    return found["entries"]


async def _history(asker: Viewer, arguments: dict[str, Any]) -> Any:
    before, limit = take(arguments, "before", int, None), take(arguments, "limit", int, 100)
    of, verb = take(arguments, "of", str, None), take(arguments, "verb", str, None)
    if not 1 <= limit <= 500:
        raise ValueError("limit: 1 to 500 was expected")
    nothing_else(arguments, "history.list")
    return (await asker.read(people.history_of, before, limit, of, verb))["entries"]


COMMANDS: dict[str, Command] = {
    "people.list": _people,
    "people.create": _create,
    **{
        f"people.{what}": _person(what)
        for what in ("lock", "unlock", "grant", "revoke", "enable", "disable", "password")
    },
    "audit.list": _audit,
    "history.list": _history,
}
