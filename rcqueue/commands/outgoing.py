"""outgoing: what is on its way out; pause, resume and limit next hops. history: what somebody did."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rcqueue.model.actions import named

from .arguments import Commands, json_option, number
from .connect import connected
from .output import Column, Out
from .status import DONE, USAGE, Failure

if TYPE_CHECKING:
    from rcqueue.client.api import Api
    from rcqueue.model.health import NextHopState

PAGE = 1000
_MORE = """
Without an option it lists the next hops, and the mails on their way: what is UNCERTAIN first (`rcqueue settle`), then
what was tried most (`rcqueue try` does not wait). --pause, --resume, --limit and --no-limit need a next hop, --reason,
and the right to administer; they hold until somebody takes them back, over restarts too.
"""


def add(commands: Commands) -> None:
    outgoing = commands.add("outgoing", named("outgoing.list").help, more=_MORE)
    outgoing.add_argument("next_hop", metavar="HOST:PORT", nargs="?", help="one next hop alone")
    what = outgoing.add_mutually_exclusive_group()
    what.add_argument("--pause", dest="verb", action="store_const", const="pause", help="nothing goes to it for now")
    what.add_argument("--resume", dest="verb", action="store_const", const="resume", help="it runs again")
    what.add_argument("--limit", dest="rate", metavar="N", type=number(1), help="at most N mails a minute")
    what.add_argument("--no-limit", dest="verb", action="store_const", const="limit", help="as many as it takes")
    outgoing.add_argument("--reason", default="", help="why; it goes on record")
    json_option(outgoing)
    outgoing.set_defaults(run=connected(_outgoing))
    history = commands.add("history", named("history.list").help)
    whose = history.add_mutually_exclusive_group()
    whose.add_argument("--mine", action="store_true", help="what you did yourself (if nothing else is said)")
    whose.add_argument("--of", metavar="NAME", help="what another did; it needs the right to audit")
    history.add_argument("--verb", help="only these: release, delete ... or a kind of entry, as people.lock")
    history.add_argument("--limit", metavar="N", type=number(1), default=100, help="how many; 100 if not said")
    json_option(history)
    history.set_defaults(run=connected(_history))


async def _outgoing(args: argparse.Namespace, api: Api, out: Out) -> int:
    verb = "limit" if args.rate is not None else args.verb
    if verb is not None:
        if args.next_hop is None or not args.reason.strip():
            raise Failure(USAGE, "outgoing: say which next hop, HOST:PORT, and why, --reason")
        await api.set_hop(verb, args.next_hop, args.reason, args.rate)
        return DONE
    found = await api.outgoing(args.next_hop, PAGE)
    if out.as_json:
        for hop in found.next_hops:
            if args.next_hop in (None, hop.at):
                out.json({"next_hop": hop.model_dump(mode="json", exclude_none=True)})
        for mail in found.mails:
            out.json(mail)
        while found.next is not None:
            found = await api.outgoing(args.next_hop, PAGE, found.next)
            for mail in found.mails:
                out.json(mail)
        return DONE
    for hop in found.next_hops:
        if args.next_hop in (None, hop.at):
            out.line(_hop(hop))
    columns = (Column("ID", 16), Column("STATUS", 9), Column("TRIED", -5), Column("NEXT", 8), Column("TO", 0))
    table = out.table((*columns, Column("REPLY", 0)))
    for mail in found.mails:
        at = out.when(mail.next, "%H:%M:%S")
        table.row([mail.id, mail.status, mail.attempts, at, mail.toEmail, mail.reply])
    if found.more:
        out.line(f"and {found.more:,} more: --json has all")
    return DONE


def _hop(hop: NextHopState) -> str:
    said = ["up" if hop.up else "not asked yet" if hop.up is None else f"refuses {hop.code or ''}".strip()]
    said.append(f"{hop.waiting:,} waiting")
    if hop.paused is not None:
        said.append("paused")
    if hop.rate is not None:
        said.append(f"at most {hop.rate:,}/min")
    return f"{hop.at}: {', '.join(said)}"


async def _history(args: argparse.Namespace, api: Api, out: Out) -> int:
    columns = (Column("ENTRY", -9), Column("AT", 19), Column("WHAT", 15), Column("MESSAGE", 13), Column("NOW", 9))
    table = out.table((*columns, Column("FROM", 0, least=100), Column("NOTE", 0)))
    left, before = args.limit, None
    while left:
        page = await api.history(before, min(left, 500), args.of, args.verb)
        for entry in page.entries:
            if out.as_json:
                out.json(entry)
            else:
                row = entry.row
                now = (row.status, row.fromEmail) if row is not None else ("", "")
                table.row([entry.seq, out.when(entry.at), entry.kind, entry.message, *now, entry.said])
        left, before = max(0, left - len(page.entries)), page.next
        if before is None:
            break
    return DONE
