"""status: how the server does, and what is amiss."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rcqueue.model.actions import named

from .arguments import Commands, json_option
from .connect import connected
from .output import Out
from .status import DONE, FAILED

if TYPE_CHECKING:
    from rcqueue.client.api import Api


def add(commands: Commands) -> None:
    status = commands.add(named("health.show").cli or "status", named("health.show").help)
    status.add_argument("--check", action="store_true", help="exit status 1 while an alert stands")
    json_option(status)
    status.set_defaults(run=connected(_status))


async def _status(args: argparse.Namespace, api: Api, out: Out) -> int:
    from rcqueue.widgets.health import lines

    me, counts, health = await api.whoami(), await api.counts(), await api.health()
    if out.as_json:
        whole = {"journal": me.journal, "queue": me.queue, **counts.model_dump(mode="json")}
        out.json(whole | health.model_dump(mode="json", exclude_none=True))
    else:
        out.line(f"{api.server}, queue {me.queue}, at entry {counts.seq}")
        for line in lines(health):
            out.line(f"  {line.label:<9}  {line.what}{line.text}")
        verdicts = ", ".join(f"{mails} {verdict}" for verdict, mails in counts.verdict.items())
        if verdicts:
            out.line(f"  {'on hold':<9}  {verdicts}")
        if me.warning:
            out.line("warning: " + me.warning)
    return FAILED if args.check and health.alerts else DONE
