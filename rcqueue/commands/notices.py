"""notices: what became of the notices to recipients, and sending those of a domain now."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rcqueue.model.actions import named

from .arguments import Commands, json_option, number
from .connect import connected
from .output import Column, Out
from .status import DONE

if TYPE_CHECKING:
    from rcqueue.client.api import Api

_BECAME = ("waiting", "sent", "refused", "uncertain", "dropped")


def add(commands: Commands) -> None:
    notices = Commands(commands.add("notices", "notices to recipients about mail on hold", connects=False))
    listed = notices.add("list", named("notice.list").help)
    listed.add_argument("--days", metavar="N", type=number(1), default=31, help="the last so many; 31 if not said")
    json_option(listed)
    listed.set_defaults(run=connected(_list))

    send = notices.add("send", named("notice.send").help)
    send.add_argument("--domain", metavar="DOMAIN", required=True, help="whose recipients, and those below it")
    send.add_argument("--now", action="store_true", help="send them; without it only says how many there would be")
    json_option(send)
    send.set_defaults(run=connected(_send))

    start = notices.add("start", named("notice.start").help)
    start.add_argument("address", metavar="ADDRESS", help="of the recipient")
    json_option(start)
    start.set_defaults(run=connected(_start))


async def _list(args: argparse.Namespace, api: Api, out: Out) -> int:
    columns = [Column("DAY", 10), Column("NOTICES", -8), Column("MAILS", -8)]
    table = out.table([*columns, *(Column(name.upper(), -9) for name in _BECAME)])
    for day in await api.notices(args.days):
        if out.as_json:
            out.json(day)
        else:
            table.row([day.day, day.notices, day.mails, *(getattr(day, name) for name in _BECAME)])
    return DONE


async def _send(args: argparse.Namespace, api: Api, out: Out) -> int:
    asked = await api.send_notices(args.domain, now=args.now)
    if out.as_json:
        out.json(asked)
    elif args.now:
        left = f"; {asked.waiting - asked.made} more wait: send again" if asked.made < asked.waiting else ""
        out.line(f"notices on their way to {asked.domain}: {asked.made}{left}")
    else:
        out.line(f"recipients at {asked.domain} who wait for a notice: {asked.waiting}; --now sends them")
    return DONE


async def _start(args: argparse.Namespace, api: Api, out: Out) -> int:
    await api.start_notices(args.address)
    out.done(address=args.address)
    return DONE
