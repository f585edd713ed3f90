"""status: how the server does, and what is amiss. wall: counts alone."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from rcqueue.model.actions import named

from .arguments import Commands, json_option, seconds
from .connect import connected
from .output import Out
from .status import DONE, Failure

if TYPE_CHECKING:
    from rcqueue.client.api import Api
    from rcqueue.model.health import Health

OK, WARNING, CRITICAL, UNKNOWN = range(4)  #: as the plugins of monitors end
_MORE = """
With --check it ends as the plugins of Nagios do, and says so in its first line: 0 no alert stands, 1 some do, 2 one of
what stops mail (a scanner, next hop or way in that is down), or the server is not there, 3 it can't be
known (not signed in). A mistake in the command line ends with 2, as with every command.
"""


def add(commands: Commands) -> None:
    status = commands.add(named("health.show").cli or "status", named("health.show").help, more=_MORE)
    status.add_argument("--check", action="store_true", help="end as a monitor's plugin: 0, 1, 2 or 3")
    json_option(status)
    status.set_defaults(run=_run_status)
    wall = commands.add("wall", named("wall.show").help)
    wall.add_argument("--once", action="store_true", help="print it once; else again and again")
    wall.add_argument("--every", metavar="TIME", type=seconds, default=10, help="how often; 10s if not said")
    json_option(wall)
    wall.set_defaults(run=connected(_wall))


def _run_status(args: argparse.Namespace) -> int:
    try:
        return connected(_status)(args)
    except Failure as failure:
        if not args.check:
            raise
        from .status import UNREACHABLE

        grave = failure.status == UNREACHABLE
        raise Failure(CRITICAL if grave else UNKNOWN, f"{'CRITICAL' if grave else 'UNKNOWN'}: {failure}") from None


async def _status(args: argparse.Namespace, api: Api, out: Out) -> int:
    from rcqueue.widgets.health import lines

    me, counts, health = await api.whoami(), await api.counts(), await api.health()
    level, said = _level(health)
    if args.check and not out.as_json:
        out.line(said)
    if out.as_json:
        whole = {"journal": me.journal, "queue": me.queue, **counts.model_dump(mode="json")}
        out.json(whole | health.model_dump(mode="json", exclude_none=True))
    else:
        out.line(f"{api.server}, queue {me.queue}, at entry {counts.seq}")
        for line in lines(health, blocks=out.blocks):
            out.line(f"  {line.label:<9}  {line.what}{line.text}")
        verdicts = ", ".join(f"{mails} {verdict}" for verdict, mails in counts.verdict.items())
        if verdicts:
            out.line(f"  {'on hold':<9}  {verdicts}")
        if me.warning:
            out.line("warning: " + me.warning)
    return level if args.check else DONE


def _level(health: Health) -> tuple[int, str]:
    from rcqueue.model.health import grave

    if not health.alerts:
        return OK, f"OK: {health.status.get('ONHOLD', 0):,} mails held, no alert"
    level = CRITICAL if any(map(grave, health.alerts)) else WARNING
    worst_first = sorted(health.alerts, key=lambda alert: not grave(alert))
    return level, f"{'CRITICAL' if level == CRITICAL else 'WARNING'}: {'; '.join(a.text for a in worst_first)}"


async def _wall(args: argparse.Namespace, api: Api, out: Out) -> int:
    from rcqueue.widgets.health import wall_lines

    while True:
        wall = await api.wall()
        if out.as_json:
            out.json(wall)
        else:
            for line in wall_lines(wall, blocks=out.blocks):
                out.line(f"{line.label:<9}  {line.what}{line.text}")
        out.flush()
        if args.once:
            return DONE
        if not out.as_json:
            out.line()
        await asyncio.sleep(args.every)
