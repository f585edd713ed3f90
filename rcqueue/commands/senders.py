"""senders: who is let through and who is stopped, until when, and by whom."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rcqueue.model.actions import named

from .arguments import Commands, instant, json_option, number, seconds
from .connect import connected
from .output import Column, Out
from .status import DONE

if TYPE_CHECKING:
    from rcqueue.client.api import Api

_MORE = """
SENDER is an address, or a domain: it and those below (for administrators). What is allowed is not held as spam; a
virus, an attachment or what the policy forbids holds it all the same. What is blocked is held, with your name.
"""


def add(commands: Commands) -> None:
    senders = Commands(commands.add("senders", "senders that are let through or stopped", connects=False))
    listed = senders.add("list", named("sender.list").help)
    listed.add_argument("--all", action="store_true", help="those that have ended too")
    json_option(listed)
    listed.set_defaults(run=connected(_list))
    for kind in ("allow", "block"):
        one = senders.add(kind, named(f"sender.{kind}").help, more=_MORE)
        one.add_argument("sender", metavar="SENDER", help="an address or a domain")
        whom = one.add_mutually_exclusive_group(required=True)
        whom.add_argument("--recipient", metavar="ADDRESS", help="for mail to this address")
        whom.add_argument("--customer", metavar="PATH", help="for all mail of this customer (for administrators)")
        end = one.add_mutually_exclusive_group(required=True)
        end.add_argument("--for", dest="for_seconds", metavar="TIME", type=seconds, help="how long, as 30d")
        end.add_argument("--until", metavar="TIME", type=instant, help="its end; at most 366 days from now")
        one.add_argument("--reason", default="", help="why; it goes on record")
        json_option(one)
        one.set_defaults(run=connected(_add(kind)))
    end = senders.add("end", named("sender.end").help)
    end.add_argument("ids", metavar="ID", nargs="+", type=number(1), help="as `senders list` shows it")
    end.add_argument("--reason", default="", help="why; it goes on record")
    json_option(end)
    end.set_defaults(run=connected(_end))


async def _list(args: argparse.Namespace, api: Api, out: Out) -> int:
    columns = (Column("ID", -8), Column("", 5), Column("SENDER", 30), Column("FOR", 30), Column("UNTIL", 19))
    table = out.table((*columns, Column("BY", 0)))
    before: int | None = None
    while True:
        page = await api.senders(all=args.all, before=before)
        for one in page.senders:
            if out.as_json:
                out.json(one)
            else:
                until = out.when(one.ends if one.ended is None else one.ended)
                table.row([one.id, one.kind, one.sender, one.recipient or one.customer, until, one.by])
        before = page.next
        if before is None:
            return DONE


def _add(kind: str) -> Callable[[argparse.Namespace, Api, Out], Awaitable[int]]:
    async def add(args: argparse.Namespace, api: Api, out: Out) -> int:
        from rcqueue.model.policy import SenderBody

        until = args.until or datetime.now().astimezone() + timedelta(seconds=args.for_seconds)
        whom = {"recipient": args.recipient, "customer": args.customer}
        id = await api.add_sender(kind, SenderBody(sender=args.sender, until=until, reason=args.reason, **whom))
        if out.as_json:
            out.json({"id": id})
        else:
            out.line(str(id))
        return DONE

    return add


async def _end(args: argparse.Namespace, api: Api, out: Out) -> int:
    for id in args.ids:
        await api.end_sender(id, args.reason)
        out.done(id=id)
    return DONE
