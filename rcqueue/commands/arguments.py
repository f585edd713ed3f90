"""What commands take: ids, filters, durations and times, each with a mistake that says what was expected."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from rcqueue.model.ids import parse_id

from .status import USAGE, Failure

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)

FILTER_HELP = """
A filter is terms that must all hold; -term negates (-word alone: after `--`, or quoted after another term):
  status:onhold from:gmail.com to:sales@example.org subject:"invoice 7" score:>8 size:<1M verdict:virus
  rule:URIBL_BLACK customer:acme age:<2h expires:<1d claim:me|none|NAME and bare words.
Without a status: term it is about mail on hold.
"""

EXIT_HELP = """
exit status: 0 done, 1 failed, 2 usage, 3 refused (rights or claim), 4 not found, 5 server unreachable
"""


def seconds(text: str) -> int:
    """A duration, `15m`, in seconds."""
    found = _DURATION.fullmatch(text)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a duration as 90s, 15m, 2h, 7d or 2w")
    return int(found[1]) * _UNITS[found[2]]


def instant(text: str) -> datetime:
    """A time: a day, a date with a time (local unless it says otherwise), or a duration from now."""
    now = datetime.now().astimezone()
    try:
        if _DURATION.fullmatch(text):
            return now + timedelta(seconds=seconds(text))
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.astimezone()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a time as 2026-12-31, 2026-12-31T18:00Z, or from now as 7d"
        ) from None


def number(least: int) -> Any:
    def count(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, {least} or more")
        return int(text)

    return count


def grant(text: str) -> tuple[str, str]:
    """(role, customer) of `operator@acme/sales`; without a customer at the root of the tree."""
    from rcqueue.model.access import ROLES, ROOT

    role, _, customer = text.partition("@")
    if role not in ROLES:
        raise argparse.ArgumentTypeError(f"{text!r}: expected ROLE or ROLE@CUSTOMER, ROLE one of {', '.join(ROLES)}")
    return role, customer or ROOT


def ids_of(words: Iterable[str]) -> list[str]:
    """The ids given; `-` stands for those on standard input, one a line. Raises Failure for what is no id."""
    ids: list[str] = []
    for word in words:
        ids += sys.stdin.read().split() if word == "-" else [word]
    for one in ids:
        try:
            parse_id(one)
        except ValueError as error:
            raise Failure(USAGE, str(error)) from None
    if not ids:
        raise Failure(USAGE, "no id on standard input: expected one a line")
    return ids


class Commands:
    """Adds commands to a parser, each with the options that all have. `required`: one must be given."""

    def __init__(self, within: argparse.ArgumentParser, *, required: bool = True) -> None:
        self._add = within.add_subparsers(metavar="COMMAND", title="commands", required=required)

    def add(self, name: str, help: str, *, more: str = "", connects: bool = True, **options: Any) -> Any:
        """A parser for `name`. `more` follows its options in --help; `connects`: it talks to a server."""
        parser: argparse.ArgumentParser = self._add.add_parser(
            name,
            help=help,
            description=help[:1].upper() + help[1:] + ".",
            epilog=more + EXIT_HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **options,
        )
        if connects:
            server_options(parser, default=argparse.SUPPRESS)
        return parser


def server_options(parser: argparse.ArgumentParser, default: Any = None) -> None:
    where = parser.add_argument_group("server")
    where.add_argument("--server", metavar="URL", default=default, help="the server; also RCQUEUE_SERVER")
    where.add_argument("--profile", metavar="NAME", default=default, help="a profile of profiles.toml")


def json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one object of JSON a line")
