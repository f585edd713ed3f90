"""filters: those that are saved, one's own and the shared ones."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rcqueue.model.actions import named

from .arguments import FILTER_HELP, Commands, json_option
from .connect import connected
from .output import Column, Out
from .status import DONE

if TYPE_CHECKING:
    from rcqueue.client.api import Api

_SHARED = "shared with those who work at this customer (all: everybody)"


def add(commands: Commands) -> None:
    filters = Commands(commands.add("filters", "saved filters: your own, and the shared ones", connects=False))
    listed = filters.add("list", named("filter.list").help)
    json_option(listed)
    listed.set_defaults(run=connected(_list))
    save = filters.add("save", named("filter.save").help, more=FILTER_HELP)
    save.add_argument("name", metavar="NAME")
    save.add_argument("filter", metavar="FILTER", nargs="*", help="terms that must all hold; see below")
    save.add_argument("--sort", default="-time", metavar="KEY", help="as for `rcqueue list`")
    save.add_argument("--customer", metavar="PATH", help=_SHARED)
    json_option(save)
    save.set_defaults(run=connected(_save))
    delete = filters.add("delete", named("filter.delete").help)
    delete.add_argument("name", metavar="NAME")
    delete.add_argument("--customer", metavar="PATH", help=_SHARED)
    json_option(delete)
    delete.set_defaults(run=connected(_delete))


async def _list(args: argparse.Namespace, api: Api, out: Out) -> int:
    columns = (Column("NAME", 20), Column("SHARED AT", 12), Column("BY", 10), Column("SORT", 8))
    table = out.table((*columns, Column("FILTER", 0)))
    for one in await api.filters():
        if out.as_json:
            out.json(one)
        else:
            table.row([one.name, one.customer or "", one.by, one.sort, one.query])
    return DONE


async def _save(args: argparse.Namespace, api: Api, out: Out) -> int:
    await api.save_filter(args.name, " ".join(args.filter), args.sort, args.customer)
    out.done(name=args.name, customer=args.customer)
    return DONE


async def _delete(args: argparse.Namespace, api: Api, out: Out) -> int:
    await api.delete_filter(args.name, args.customer)
    out.done(name=args.name, customer=args.customer)
    return DONE
