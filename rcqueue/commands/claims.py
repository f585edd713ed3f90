"""The filters that are claimed: list them, see what overlaps, give one back."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .arguments import FILTER_HELP, Commands, json_option, number
from .connect import connected
from .output import Column, Out
from .status import DONE

if TYPE_CHECKING:
    from rcqueue.client.api import Api

_MORE = """
With a FILTER: who holds how much of what matches it, and how much of it each claimed filter matches too.
`rcqueue claim --filter FILTER --standing` claims one: what arrives and matches is yours.
"""


def add(commands: Commands) -> None:
    claims = commands.add("claims", "the filters that are claimed, yours and colleagues'", more=_MORE + FILTER_HELP)
    claims.add_argument("filter", metavar="FILTER", nargs="*", help="what overlaps with it")
    claims.add_argument("--end", metavar="ID", type=number(1), help="give this one back; what it brought stays yours")
    json_option(claims)
    claims.set_defaults(run=connected(_claims))


async def _claims(args: argparse.Namespace, api: Api, out: Out) -> int:
    if args.end is not None:
        await api.end_standing(args.end)
        return DONE
    found = await api.claims(" ".join(args.filter) or None)
    if out.as_json:
        out.json(found)
        return DONE
    table = out.table(
        (Column("ID", 8), Column("WHO", 12), Column("UNTIL", 16), Column("BOTH", -6), Column("FILTER", 0))
    )
    for one in found.standing:
        both = "" if one.both is None else one.both
        table.row([one.id, one.who, out.when(one.until) if one.until else "", both, one.query or "(not for you)"])
    for who, mails in found.held.items():
        out.line(f"{who} holds {mails}")
    return DONE
