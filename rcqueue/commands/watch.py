"""watch: the feed as lines."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from .arguments import FILTER_HELP, Commands, json_option
from .connect import connected, the_profile, the_token
from .output import Column, Out, complain
from .status import DONE, FAILED, REFUSED, USAGE, Failure

if TYPE_CHECKING:
    from rcqueue.client.api import Api
    from rcqueue.model.journal import Entry
    from rcqueue.model.query import Query

_ROWS = 200  #: ids in one call

_MORE = """
With a filter, only what happens to mail that matches it then; without a status: term in it, whatever the status.
What is missed while the connection is gone is caught up.
"""

_COLUMNS = (
    Column("AT", 19),
    Column("KIND", 14),
    Column("WHO", 14),
    Column("ID", 16),
    Column("STATUS", 9),
    Column("FROM", 0, least=100),
    Column("SUBJECT", 0),
)


def add(commands: Commands) -> None:
    watch = commands.add("watch", "print what happens in the queue, as it happens", more=FILTER_HELP + _MORE)
    watch.add_argument("filter", metavar="FILTER", nargs="*", help="terms that must all hold; see below")
    json_option(watch)
    watch.set_defaults(run=connected(_watch))


async def _watch(args: argparse.Namespace, api: Api, out: Out) -> int:
    from rcqueue.client import feed

    me = await api.whoami()  # who is not signed in, or has the wrong server, is told at once; what breaks later, mends
    query = _parse(" ".join(args.filter), me.name) if args.filter else None
    profile = the_profile(args)
    source = feed.Feed(profile.server, the_token(profile), ca=profile.ca, proxy=profile.proxy)
    table = out.table(_COLUMNS)
    lost = False
    async for event in source.events():
        if isinstance(event, feed.Entries):
            for entry in event.entries if query is None else await _matching(api, query, event.entries):
                if out.as_json:
                    out.json(entry)
                else:
                    table.row(_cells(entry, out))
            out.flush()
        elif isinstance(event, feed.Lost):
            if not lost:
                complain(f"{event.why}; connecting again")
            lost = True
        elif isinstance(event, feed.Connected):
            if lost:
                complain("connected again; what was missed follows")
            lost = False
        elif isinstance(event, feed.Resync):
            complain(f"too far behind: the entries up to {event.at} are not shown")
        elif isinstance(event, feed.Closed):
            raise Failure(FAILED if event.code == feed.VERSION else REFUSED, event.why)
    return DONE


def _parse(text: str, me: str) -> Query:
    from rcqueue.model.query import QueryError, parse

    try:
        query = parse(text, me=me)
        return query if any(term.field == "status" for term in query.given) else parse(f"{text} status:any", me=me)
    except QueryError as error:
        raise Failure(USAGE, str(error)) from None


async def _matching(api: Api, query: Query, entries: list[Entry]) -> list[Entry]:
    """Those on mail that matches now: as far as their rows tell, else as the server says."""
    from rcqueue.model.query import matches_row

    now_us = time.time_ns() // 1000
    known = {
        entry.seq: matches_row(query, entry.row, now_us) if entry.row else None
        for entry in entries
        if entry.message is not None
    }
    asked = {entry.message for entry in entries if entry.message and known[entry.seq] is None}
    found: set[str] = set()
    ids = sorted(asked)
    for at in range(0, len(ids), _ROWS):
        found |= {row.id for row in (await api.rows(ids[at : at + _ROWS], query.text)).rows}
    return [entry for entry in entries if known.get(entry.seq) or entry.message in found]


def _cells(entry: Entry, out: Out) -> list[object]:
    row = entry.row
    on = entry.mails[0].id if len(entry.mails) == 1 else entry.message
    status = entry.mails[0].status if entry.mails else row.status if row else ""
    sender, subject = (row.fromEmail, row.subject) if row else ("", entry.note)
    return [out.when(entry.at), entry.kind, entry.actor, on, status, sender, subject]
