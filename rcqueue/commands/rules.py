"""rules push, list, rollback: rule files of SpamAssassin and signatures of ClamAV."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rcqueue.model.actions import named

from .arguments import Commands, json_option
from .connect import connected
from .output import Column, Out, size
from .status import DONE, FAILED, Failure, worst

if TYPE_CHECKING:
    from rcqueue.client.api import Api
    from rcqueue.model.rules import RuleFile

_MORE = """
FILE is a rule file of SpamAssassin (.cf) or signatures of ClamAV (.ndb .hdb .hsb .ldb .yar .yara .sfp .fp .ign2). Each
is checked, installed, and taken back by itself when the scanner does not know it or no longer answers as before.
"""


def add(commands: Commands) -> None:
    rules = Commands(commands.add("rules", "rule files and signatures of the scanners", connects=False))
    push = rules.add("push", named("rules.push").help, more=_MORE)
    push.add_argument("file", metavar="FILE", nargs="+", help="as it is to be called there")
    _why(push)
    push.set_defaults(run=connected(_push))

    rollback = rules.add("rollback", named("rules.rollback").help)
    rollback.add_argument("name", metavar="NAME", help="of the file, as `rules list` has it")
    _why(rollback)
    rollback.set_defaults(run=connected(_rollback))

    listed = rules.add("list", named("rules.list").help)
    json_option(listed)
    listed.set_defaults(run=connected(_list))


def _why(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why; it goes on record")
    parser.add_argument("--scanner", metavar="NAME", default="", help="where more than one takes such files")
    json_option(parser)


async def _push(args: argparse.Namespace, api: Api, out: Out) -> int:
    files = [(Path(name).name, _read(Path(name))) for name in args.file]
    pushed = [_said(await api.push_rules(name, text, args.reason, args.scanner), out) for name, text in files]
    return worst(pushed)


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError:
        raise Failure(FAILED, f"{file}: UTF-8 was expected; nothing was pushed") from None


async def _rollback(args: argparse.Namespace, api: Api, out: Out) -> int:
    return _said(await api.roll_back_rules(args.name, args.reason, args.scanner), out)


def _said(done: RuleFile, out: Out) -> int:
    if out.as_json:
        out.json(done)
    else:
        what = "taken back" if done.kind == "rollback" and done.outcome == "installed" else done.outcome
        out.line(f"{done.name} at {done.scanner}: {what}")
        for line in done.said:
            out.line(f"  {line}")
    return DONE if done.outcome == "installed" else FAILED


async def _list(args: argparse.Namespace, api: Api, out: Out) -> int:
    columns = (Column("NAME", 24), Column("SCANNER", 14), Column("SIZE", -5), Column("AT", 16), Column("BY", 12))
    table = out.table((*columns, Column("SHA-256", 0)))
    for file in await api.rules():
        if out.as_json:
            out.json(file)
        else:
            at = out.when(file.at, "%Y-%m-%d %H:%M")
            table.row([file.name, file.scanner, size(file.size), at, file.by, file.sha256])
    return DONE
