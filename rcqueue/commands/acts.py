"""Acts on many: stored, confirmed and followed to their end; and the command that lists, stops and undoes them."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .arguments import Commands, json_option
from .connect import connected
from .output import Column, Out, Table, complain
from .status import DONE, FAILED, USAGE, Failure, of_results, worst

if TYPE_CHECKING:
    from rcqueue.client.api import Api
    from rcqueue.model.act import ActProgress, ActRequest, MailResult

WEIGHED = "rescan"  #: of many it is said first what would become of them
RESULTS = (Column("ID", 16), Column("RESULT", 8), Column("STATUS", 9), Column("", 0))


def add(commands: Commands) -> None:
    acts = commands.add("acts", "the acts on many: list them, see how one stands, stop it, undo it")
    acts.add_argument("id", metavar="ID", nargs="?", help="one act: how it stands, and what became of each mail")
    end = acts.add_mutually_exclusive_group()
    end.add_argument("--stop", action="store_true", help="stop it; what is done stays done")
    undo = "stop it, and take back what can be: releases in their window are recalled, deleted mails restored"
    end.add_argument("--undo", action="store_true", help=undo)
    json_option(acts)
    acts.set_defaults(run=connected(_acts))


async def all_that_match(request: ActRequest, expect: int | None, api: Api, out: Out) -> int:
    """All that match, if they are as many as expected: stored first, and confirmed only then. Without `expect` it is
    only said how many they are; of WEIGHED, how many would pass."""
    stored = await api.store_act(request)
    stored = await _until(api, stored, out, ("selecting",), lambda act: act.tried)
    if request.verb == WEIGHED:
        stored = await _weigh(api, stored, out)
        if expect is None:
            out.json(stored) if out.as_json else out.line(_would(stored))
        if stored.would.get("pass", 0) != expect:
            await api.stop_act(stored.id)
            if expect is None:
                return DONE
            raise Failure(FAILED, f"{_would(stored)}, not {expect}: nothing done")
    elif expect is None:
        await api.stop_act(stored.id)  # nobody will confirm it
        if out.as_json:
            out.json(stored)
        else:
            out.line(_reached(stored))
            for line in stored.sample:
                out.line(f"  {line}")
        return DONE
    elif stored.count != expect:
        raise Failure(FAILED, f"{stored.count} mails match, not {expect}: nothing done")
    act = await api.confirm_act(stored.id, expect)
    try:
        act = await _finish(api, act, out)
    except (asyncio.CancelledError, KeyboardInterrupt):
        complain(f"the server goes on with act {act.id}: `rcqueue acts {act.id}` shows how it stands, --stop stops it")
        raise
    await _print_results(api, act.id, out, all_of_them=out.as_json)
    if not out.as_json:
        complain(_progress(act))
    statuses = [of_results(name for name, mails in act.results.items() if mails)]
    return worst([*statuses, DONE if act.state == "done" else FAILED])


async def _weigh(api: Api, act: ActProgress, out: Out) -> ActProgress:
    """Waits until all of it is scanned. Who goes away meanwhile has released nothing, and leaves the scanners alone."""
    try:
        return await _until(api, act, out, ("weighing",), lambda act: sum(act.would.values()))
    except (asyncio.CancelledError, KeyboardInterrupt):
        await api.stop_act(act.id)
        raise


def _would(act: ActProgress) -> str:
    """`812 of 3,140 would pass now`, and what the others would."""
    others = ", ".join(f"{mails:,} {word}" for word, mails in sorted(act.would.items()) if word != "pass" and mails)
    return f"{act.would.get('pass', 0):,} of {act.count:,} would pass now" + (f" ({others})" if others else "")


async def _finish(api: Api, act: ActProgress, out: Out) -> ActProgress:
    return await _until(api, act, out, ("selecting", "stored", "running"), lambda act: act.tried)


async def _until(
    api: Api, act: ActProgress, out: Out, states: tuple[str, ...], far: Callable[[ActProgress], int]
) -> ActProgress:
    """The act when it is in none of `states` any more; meanwhile it is shown how far it is."""
    pause = 0.1
    shown = sys.stderr.isatty() and not out.as_json
    began, at = time.monotonic(), far(act)
    while act.state in states:
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 2)
        act = await api.act_progress(act.id)
        if shown:
            rate = (far(act) - at) / max(0.1, time.monotonic() - began)
            sys.stderr.write(f"\r{_line(act.count, far(act), rate)}\x1b[K")
            sys.stderr.flush()
    if shown:
        sys.stderr.write("\r\x1b[K")
    return act


def _line(count: int, far: int, rate: float) -> str:
    """`[=====    ] 61 %  8,540 of 14,000  412/s  13 s left`"""
    share = far / count if count else 1.0
    filled = round(share * 20)
    line = f"[{'=' * filled}{' ' * (20 - filled)}] {share:.0%}  {far:,} of {count:,}"
    return line + (f"  {rate:,.0f}/s  {(count - far) / rate:,.0f} s left" if rate >= 1 else "")


async def _acts(args: argparse.Namespace, api: Api, out: Out) -> int:
    if (args.stop or args.undo) and not args.id:
        raise Failure(USAGE, f"acts: --{'stop' if args.stop else 'undo'} needs the ID of an act")
    if args.undo:
        act = await _finish(api, await api.undo_act(args.id), out)
        await _print_results(api, act.id, out, all_of_them=out.as_json)
        if not out.as_json:
            complain(_progress(act))
        return worst([of_results(name for name, mails in act.results.items() if mails)])
    if args.id:
        act = await (api.stop_act(args.id) if args.stop else api.act_progress(args.id))
        if out.as_json:
            out.json(act)
        else:
            out.line(_progress(act))
            if act.purged is None:
                await _print_results(api, act.id, out, all_of_them=not args.stop)
        return DONE
    table = out.table(
        (Column("ID", 16), Column("VERB", 8), Column("STATE", 7), Column("DONE", -13), Column("WHO", 12), Column("", 0))
    )
    for act in await api.acts():
        if out.as_json:
            out.json(act)
        else:
            done = f"{act.done}/{act.count}"
            table.row([act.id, act.verb, act.state, done, act.who, out.when(act.created)])
    return DONE


async def _print_results(api: Api, id: str, out: Out, *, all_of_them: bool) -> None:
    """What became of each mail, as the server hands it out; else only of those that it was not done to."""
    table = out.table(RESULTS)
    after: str | int | None = None
    while True:
        part = await api.act_results(id, after, left=not all_of_them)
        results = [one for one in part.results if all_of_them or one.result != "done"]
        if out.as_json:
            for one in results:
                out.json(one)
        else:
            put(table, results)
        after = part.next
        if after is None:
            return


def _progress(act: ActProgress) -> str:
    others = "".join(f", {mails} {name}" for name, mails in act.results.items() if name != "done" and mails)
    undoes = f", undoes {act.undoes}" if act.undoes else ""
    purged = "; what became of each mail is purged" if act.purged else ""
    return f"act {act.id}: {act.verb}, {act.state}{undoes}: {act.done} of {act.count} mails done{others}{purged}"


def _reached(act: ActProgress) -> str:
    """`14,000 mails to 9,120 recipients; 12 go outside: gmail.com 8, x.example 4`."""
    return f"{act.count:,} mails{act.reach.words}"


def put(table: Table, results: Iterable[MailResult]) -> None:
    for one in results:
        why = one.detail or (f"{one.by} holds it" if one.by else "") or (f"would {one.would}" if one.would else "")
        table.row([one.id, one.result, one.status, why])
