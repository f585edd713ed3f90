"""campaigns: mail that belongs together, one line each."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rcqueue.model.actions import named

from .arguments import FILTER_HELP, Commands, json_option, number
from .connect import connected
from .output import Column, Out
from .status import DONE

if TYPE_CHECKING:
    from rcqueue.client.api import Api

_MORE = f"""
What a line shows of a campaign is of its newest mails. `campaign:ID` is the term for all of them, as in
`rcqueue release --filter campaign:ID --expect N`.

{FILTER_HELP}"""
_PAGE = 100
_COLUMNS = (
    Column("ID", 11),
    Column("MAILS", -7),
    Column("FIRST", 16, least=120),
    Column("LAST", 16),
    Column("RELEASED", -8),
    Column("DELETED", -7, least=100),
    Column("CLAIMED", 10, least=100),
    Column("FROM", 0),
    Column("SUBJECT", 0),
)


def add(commands: Commands) -> None:
    listing = commands.add("campaigns", named("campaign.list").help, more=_MORE)
    listing.add_argument("filter", metavar="FILTER", nargs="*", help="terms that must all hold; see below")
    listing.add_argument("--limit", metavar="N", type=number(1), help="at most so many; else all")
    json_option(listing)
    listing.set_defaults(run=connected(_list))


async def _list(args: argparse.Namespace, api: Api, out: Out) -> int:
    table = out.table(_COLUMNS)
    after: str | None = None
    left: int | None = args.limit
    while left is None or left > 0:
        page = await api.campaigns(" ".join(args.filter), after=after, limit=min(_PAGE, left or _PAGE))
        for one in page.campaigns:
            if out.as_json:
                out.json(one)
                continue
            times = (out.when(at, "%Y-%m-%d %H:%M") for at in (one.first, one.last))
            ended = (one.status.get("RELEASED", 0), one.status.get("DELETED", 0))
            claimed = " ".join(claim.who for claim in one.claims)
            domains, subject = ", ".join(one.fromDomains or ()), (one.subjects or [""])[0]
            mails = f"{one.mails}{'+' if one.capped else ''}"
            table.row([one.id, mails, *times, *ended, claimed, domains, subject])
        if left is not None:
            left -= len(page.campaigns)
        after = page.next
        if after is None:
            break
    return DONE
