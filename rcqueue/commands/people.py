"""people and audit, derived from the registry of actions."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from rcqueue.model.access import LOCKS, ROLES, ROOT
from rcqueue.model.actions import Action, named, server_actions

from .arguments import Commands, grant, json_option, number
from .connect import ask_new_password, connected, out_of, the_profile, the_token, with_api
from .output import Column, Out
from .status import DONE

if TYPE_CHECKING:
    from rcqueue.client.api import Api


def add(commands: Commands, server_side: Callable[[Commands], None]) -> None:
    """`server_side` adds what is under `people` too, but works on the server's host."""
    people = Commands(commands.add("people", "accounts, their roles and locks", connects=False))
    for action in server_actions():
        if action.object == "people":
            parser = people.add(_last_word(action), action.help)
            json_option(parser)
            _ADD[action.verb](parser, action)
    server_side(people)

    audit = Commands(commands.add("audit", "the audit log", connects=False))
    log = audit.add(_last_word(named("audit.list")), "the audit log: every entry of the journal, and who made it")
    log.add_argument("--since", metavar="SEQ", type=number(0), help="only entries after this one")
    log.add_argument("--limit", metavar="N", type=number(1), help="at most so many")
    log.add_argument("--account", metavar="NAME", help="only what this account did, or what was done to it")
    log.add_argument("--message", metavar="ID", help="only what became of this message or mail")
    json_option(log)
    log.set_defaults(run=connected(_audit))


def _last_word(action: Action) -> str:
    return (action.cli or action.verb).split()[-1]


# -- the parsers, by verb


def _add_list(parser: argparse.ArgumentParser, action: Action) -> None:
    parser.set_defaults(run=connected(_list))


def _add_create(parser: argparse.ArgumentParser, action: Action) -> None:
    _name(parser)
    help = f"a role, and where: {', '.join(ROLES)}; without @CUSTOMER at {ROOT}; may be repeated"
    parser.add_argument("--role", metavar="ROLE[@CUSTOMER]", type=grant, action="append", required=True, help=help)
    parser.set_defaults(run=_create)


def _add_lock(parser: argparse.ArgumentParser, action: Action) -> None:
    _name(parser)
    parser.add_argument("lock", nargs="?", choices=list(LOCKS), default="bodies", help="what is locked")
    parser.set_defaults(run=connected(_change(action.verb, "lock")))


def _add_grant(parser: argparse.ArgumentParser, action: Action) -> None:
    _name(parser)
    parser.add_argument("role", choices=list(ROLES))
    parser.add_argument("customer", nargs="?", default=ROOT, help=f"where, and below; {ROOT} if not said")
    parser.set_defaults(run=connected(_change(action.verb, "role", "customer")))


def _add_plain(parser: argparse.ArgumentParser, action: Action) -> None:
    _name(parser)
    parser.set_defaults(run=connected(_change(action.verb)))


def _add_password(parser: argparse.ArgumentParser, action: Action) -> None:
    _name(parser)
    parser.set_defaults(run=_password)


_ADD: dict[str, Callable[[argparse.ArgumentParser, Action], None]] = {
    "list": _add_list,
    "create": _add_create,
    "lock": _add_lock,
    "unlock": _add_lock,
    "grant": _add_grant,
    "revoke": _add_grant,
    "disable": _add_plain,
    "enable": _add_plain,
    "password": _add_password,
}


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the account")


# -- what they do


async def _list(args: argparse.Namespace, api: Api, out: Out) -> int:
    columns = (Column("NAME", 20), Column("STATE", 8), Column("SESSIONS", -8), Column("LOCKED", 8), Column("ROLES", 0))
    table = out.table(columns)
    for person in await api.people():
        if out.as_json:
            out.json(person)
        else:
            roles = " ".join(f"{one.role}@{one.customer}" for one in person.roles)
            state = "enabled" if person.enabled else "disabled"
            table.row([person.name, state, person.sessions, " ".join(person.locks), roles])
    return DONE


def _change(verb: str, *names: str) -> Callable[[argparse.Namespace, Api, Out], Awaitable[int]]:
    """A verb on one account, with the arguments `names`."""

    async def change(args: argparse.Namespace, api: Api, out: Out) -> int:
        await api.change_person(args.name, verb, {name: getattr(args, name) for name in names})
        out.done(name=args.name)
        return DONE

    return change


def _create(args: argparse.Namespace) -> int:
    from rcqueue.model.mail import RoleGrant

    roles = [RoleGrant(role=role, customer=customer) for role, customer in args.role]
    return _with_password(args, lambda api, password: api.create_person(args.name, password, roles))


def _password(args: argparse.Namespace) -> int:
    return _with_password(args, lambda api, password: api.set_password(args.name, password))


def _with_password(args: argparse.Namespace, use: Callable[[Any, str], Awaitable[None]]) -> int:
    profile = the_profile(args)
    token = the_token(profile)
    password = ask_new_password(args.name)

    async def run(api: Api) -> int:
        await use(api, password)
        out_of(args).done(name=args.name)
        return DONE

    return with_api(profile, token, run)


async def _audit(args: argparse.Namespace, api: Api, out: Out) -> int:
    columns = (
        Column("SEQ", -9),
        Column("AT", 19),
        Column("WHO", 14),
        Column("KIND", 16),
        Column("ON", 16),
        Column("", 0),
    )
    table = out.table(columns)
    since, left = args.since, args.limit
    while left is None or left > 0:
        page = await api.audit(since, min(left or 500, 500), args.account, args.message)
        for entry in page.entries:
            if out.as_json:
                out.json(entry)
            else:
                on = entry.mails[0].id if len(entry.mails) == 1 else entry.message
                table.row([entry.seq, out.when(entry.at), entry.actor, entry.kind, on, entry.said])
        since = page.next
        left = None if left is None else left - len(page.entries)
        if since is None:
            break
    return DONE
