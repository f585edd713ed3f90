"""The verbs on mail, derived from the registry of actions. What they do by a filter is an act on many (acts.py)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rcqueue.model.actions import Action, server_actions

from .acts import RESULTS, WEIGHED, all_that_match, put
from .arguments import FILTER_HELP, Commands, ids_of, instant, json_option, number, seconds
from .connect import Run, connected
from .output import Out, complain
from .status import DONE, FAILED, USAGE, Failure, failure, of_results, worst

if TYPE_CHECKING:
    from rcqueue.client.api import Api
    from rcqueue.model.act import MailResult

_MORE = """
An ID is a mail's (16 characters) or a message's (13): then its mails that the verb can act on. The mails are acted on
at once, each on its own. With --filter all that match are acted on, if they are exactly --expect mails; the server
goes on with it when this command is gone (`rcqueue acts`).
"""

_MORE_WEIGHED = """
An ID is a mail's (16 characters) or a message's (13). It is scanned at once, its verdict changes, and what the policy
would do with it is said. With --filter all that match are scanned, and how many would pass is said: nothing changes.
With --expect too those are released, if they are exactly so many, and the others get their new verdict.
"""

_NEXT = """
What expires within a day comes first, then, of the 500 oldest, what has the fewest points. No two people get the same.
Prints the ids.
"""


def add(commands: Commands) -> None:
    for action in server_actions():
        if action.object == "mail" and action.many:
            _add_verb(commands, action)
    next = commands.add("next", "claim the next messages that nobody holds, for you alone", more=_NEXT + FILTER_HELP)
    next.add_argument("count", metavar="N", type=number(1), help="how many messages, at most 200")
    next.add_argument("filter", metavar="FILTER", nargs="*", help="of those that match")
    _claim_options(next)
    json_option(next)
    next.set_defaults(run=connected(_next))


def _add_verb(commands: Commands, action: Action) -> None:
    more = _MORE_WEIGHED if action.verb == WEIGHED else _MORE
    verb = commands.add(action.cli or action.verb, action.help, more=FILTER_HELP + more)
    verb.add_argument("ids", metavar="ID", nargs="*", help="mails or messages; - reads ids from standard input")
    verb.add_argument("--filter", metavar="FILTER", help="all mails that match, instead of ids")
    must = "how many must pass now: they are released; without it is only said" if action.verb == WEIGHED else ""
    must = must or "how many mails must match; else nothing is done"
    verb.add_argument("--expect", metavar="N", type=number(0), help=must)
    if action.verb != WEIGHED:
        dry = "with --filter: only say how many mails to whom it would be; nothing is done"
        verb.add_argument("--dry-run", action="store_true", help=dry)
    verb.add_argument("--reason", default="", required=action.name == "mail.takeover", help="why; it goes on record")
    verb.add_argument("--as-of", metavar="SEQ", type=number(0), help="refuse mails that changed after this entry")
    if action.name not in ("mail.claim", "mail.note", "mail.assign"):
        verb.add_argument(
            "--fence", metavar="N", type=number(0), help="only under the claim with this fence (with IDs)"
        )
    if action.name in _OPTIONS:
        _OPTIONS[action.name](verb)
    json_option(verb)
    verb.set_defaults(run=_run_verb, verb=action.verb)


def _claim_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--for", dest="for_seconds", metavar="TIME", type=seconds, help="how long, as 2h; 15m if not said"
    )
    if verb.prog.endswith("claim"):
        standing = "claim the filter itself: what arrives and matches is yours (with --filter alone)"
        verb.add_argument("--standing", action="store_true", help=standing)


def _assign_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--to", dest="person", metavar="NAME", required=True, help="who gets it")
    verb.add_argument("--note", default="", help="what they are told; everybody who may see the mail can read it")
    verb.add_argument(
        "--for",
        dest="for_seconds",
        metavar="TIME",
        type=seconds,
        help="how long it waits for them, as 2h; 8h if not said",
    )


def _extend_options(verb: argparse.ArgumentParser) -> None:
    until = verb.add_mutually_exclusive_group(required=True)
    until.add_argument("--until", dest="expiry", metavar="TIME", type=instant, help="the new end; 7d is from now")
    until.add_argument("--by", metavar="TIME", type=seconds, help="so much later than its end now (with IDs)")


def _restore_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--until", dest="expiry", metavar="TIME", type=instant, help="the new end of the hold; 7d is from now"
    )


def _note_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--text", dest="note", metavar="NOTE", help="the note; else it is read from standard input")


def _settle_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--as",
        dest="settle",
        required=True,
        choices=["arrived", "again", "hold"],
        help="it arrived; send it again under the same release id; back on hold",
    )


def _way_options(verb: argparse.ArgumentParser) -> None:
    released = verb.prog.endswith("release")
    if released:
        forms = ("original", "attachment", "tagged", "stripped")
        verb.add_argument("--as", dest="form", choices=forms, help="how it goes out; else as the policy says")
        to = "to this address and not to its recipient, who keeps it on hold; again for more; postmaster is one"
        verb.add_argument("--to", metavar="ADDR", action="append", default=[], help=to)
    verb.add_argument("--learn", action="store_true", help=f"the scanners learn it as {'ham' if released else 'spam'}")
    option, what = ("--allow-sender", "let through") if released else ("--block-sender", "stop")
    help = f"{what} its sender from now on, for so long, as 30d"
    verb.add_argument(option, dest="sender_days", metavar="TIME", type=_days, help=help)
    verb.add_argument("--for-all", action="store_true", help="for all of the customer's mail, not this recipient alone")


def _days(text: str) -> int:
    days = seconds(text) // 86400
    if not 1 <= days <= 366:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 1d to 366d")
    return days


_OPTIONS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "mail.claim": _claim_options,
    "mail.assign": _assign_options,
    "mail.release": _way_options,
    "mail.delete": _way_options,
    "mail.extend": _extend_options,
    "mail.restore": _restore_options,
    "mail.note": _note_options,
    "mail.settle": _settle_options,
}


def _run_verb(args: argparse.Namespace) -> int:
    if getattr(args, "standing", False):
        if args.ids or args.filter is None or args.expect is not None:
            raise Failure(USAGE, f"{args.verb}: --standing goes with --filter, and with neither ids nor --expect")
        run_standing: Run = connected(_stand)
        return run_standing(args)
    if bool(args.ids) == (args.filter is not None):
        raise Failure(USAGE, f"{args.verb}: give ids, or --filter FILTER --expect N")
    if getattr(args, "dry_run", False):
        if args.filter is None or args.expect is not None:
            raise Failure(USAGE, f"{args.verb}: --dry-run goes with --filter, without --expect")
    elif (args.filter is None) != (args.expect is None) and (args.verb != WEIGHED or args.filter is None):
        raise Failure(USAGE, f"{args.verb}: --filter and --expect N go together: the number that must match")
    if args.filter is not None:
        for option in ("fence", "by"):
            if getattr(args, option, None) is not None:
                raise Failure(USAGE, f"{args.verb}: --{option} goes with ids, not with --filter")
    if getattr(args, "for_all", False) and args.sender_days is None:
        raise Failure(USAGE, f"{args.verb}: --for-all says whom a sender is let through or stopped for: say that too")
    if args.verb == "note" and args.note is None:
        if args.ids == ["-"]:
            raise Failure(USAGE, "note: standard input can't be both the ids and the note: give --text")
        args.note = sys.stdin.read().strip()
    if args.verb == "note" and not args.note:
        raise Failure(USAGE, "note: the note is empty: nothing done")
    run: Run
    if args.filter is None:
        args.ids = ids_of(args.ids)
        run = connected(_each)
    else:
        run = connected(_many)
    return run(args)


def _fields(args: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """What the act says, as members of ActBody and ActRequest; those not given are left out."""
    names = ("reason", "as_of", "fence", "for_seconds", "expiry", "note", "settle", "form", "to", "learn", "person")
    given = {name: getattr(args, name, None) for name in names} | more
    if (days := getattr(args, "sender_days", None)) is not None:
        given["sender"] = {"scope": "customer" if args.for_all else "recipient", "days": days}
    return {name: value for name, value in given.items() if value not in (None, "", [], False)}


async def _next(args: argparse.Namespace, api: Api, out: Out) -> int:
    dealt = await api.next(args.count, " ".join(args.filter), args.for_seconds)
    if out.as_json:
        out.json(dealt)
    for id in () if out.as_json else dealt.messages:
        out.line(id)
    if not dealt.messages:
        complain("nothing matches that nobody holds")
    return DONE


async def _stand(args: argparse.Namespace, api: Api, out: Out) -> int:
    found = await api.claims(args.filter)
    for one in found.standing:
        if one.both or one.query == args.filter:
            complain(f"{one.who} claims {one.query}: {one.both or 0} on hold match both")
    for who, mails in found.held.items():
        complain(f"{who} holds {mails} of what matches")
    id = await api.stand(args.filter, args.for_seconds)
    out.json({"id": id}) if out.as_json else out.line(str(id))
    return DONE


async def _each(args: argparse.Namespace, api: Api, out: Out) -> int:
    """The verb on each id in turn; one that is refused does not stop the rest."""
    from rcqueue.client.api import ApiProblem
    from rcqueue.model.act import ActBody, MailResult

    table = out.table(RESULTS)
    statuses = []
    for id in args.ids:
        try:
            body = ActBody(**_fields(args, **await _later(args, api, id)))
            answer = await api.act(id, args.verb, body)
        except ApiProblem as problem:
            if problem.type == "unauthorized":
                raise
            end = failure(problem)
            statuses.append(end.status)
            complain(f"{id}: {end}")
            results = [MailResult.model_validate(one) for one in problem.extra.get("results") or ()]
            if out.as_json:
                out.json({"id": id, "done": 0, "problem": problem.type, "detail": str(end), "results": _plain(results)})
        else:
            results = answer.results
            statuses.append(of_results(result.result for result in results))
            if out.as_json:
                out.json({"id": id, **answer.model_dump(mode="json", exclude_none=True)})
        if not out.as_json:
            put(table, results)
        out.flush()
    return worst(statuses)


async def _later(args: argparse.Namespace, api: Api, id: str) -> dict[str, datetime]:
    """extend --by: the end of that mail, later by so much."""
    if getattr(args, "by", None) is None:
        return {}
    row = (await api.summary(id)).row
    if row.expiry is None:
        raise Failure(FAILED, f"{id} is {row.status} and has no expiry that --by could count from: give --until")
    return {"expiry": row.expiry + timedelta(seconds=args.by)}


async def _many(args: argparse.Namespace, api: Api, out: Out) -> int:
    from rcqueue.model.act import ActRequest

    request = ActRequest(verb=args.verb, query=args.filter, **_fields(args))
    return await all_that_match(request, args.expect, api, out)


def _plain(results: Iterable[MailResult]) -> list[dict[str, Any]]:
    return [one.model_dump(mode="json", exclude_none=True) for one in results]
