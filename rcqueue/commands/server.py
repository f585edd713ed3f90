"""What works on the server's host, and the demo: options here, the work in `rcqueue.server` and `rcqueue.demo`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from .arguments import Commands, json_option, number
from .status import FAILED, Failure


def add_demo(commands: Commands) -> None:
    demo = commands.add(
        "demo",
        "a live queue to try: an embedded server, mail coming in, colleagues at work in it",
        more="\nIts data are removed at the end, unless --data-dir keeps them.\n",
        connects=False,
    )
    demo.add_argument(
        "--serve-only", action="store_true", help="no terminal: print one line of JSON, serve until SIGTERM"
    )
    demo.add_argument("--mails", metavar="N", type=number(0), default=20, help="held before the screen opens; 20")
    demo.add_argument("--rate", metavar="PER_S", type=_rate, default=1.0, help="mails a second that come in then; 1")
    demo.add_argument("--colleagues", metavar="N", type=number(0), default=3, help="at work in the same queue; 3")
    demo.add_argument("--data-dir", metavar="DIR", type=Path, help="keep the data here")
    demo.add_argument("--http", metavar="HOST:PORT", help="where the API listens; a free port if not said")
    demo.add_argument("--smtp", metavar="HOST:PORT", help="where mail comes in; a free port if not said")
    demo.set_defaults(run=_of("rcqueue.demo.command", "demo_command"))


def add(commands: Commands) -> None:
    serve = commands.add("serve", "run a server: intake, API, delivery", connects=False)
    _config(serve)
    serve.set_defaults(run=_of("rcqueue.server.command", "serve"))
    config = Commands(commands.add("config", "the configuration of a server", connects=False))
    check = config.add("check", "say what is wrong with a configuration", connects=False)
    _config(check)
    check.set_defaults(run=_of("rcqueue.server.command", "check_config"))
    migrate = commands.add("migrate", "bring a server's store to the schema of this version", connects=False)
    _config(migrate)
    migrate.set_defaults(run=_of("rcqueue.server.command", "migrate"))


def add_first_admin(people: Commands) -> None:
    first = people.add(
        "first-admin",
        "create the first account of an installation, an admin; on the server's host",
        more="The password is asked on the terminal; without one it is the first line of standard input.\n",
        connects=False,
    )
    first.add_argument("name", metavar="NAME", help="of the account")
    _config(first)
    first.set_defaults(run=_of("rcqueue.server.command", "first_admin"))


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", type=Path, required=True, help="rcqueue.toml")
    json_option(parser)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r}: expected mails a second, 0 to 10000")
    return rate


def _of(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """The function `name` of `module`, loaded when it is run: it takes the arguments, and returns the exit status."""

    def run(args: argparse.Namespace) -> int:
        try:
            work: Callable[[argparse.Namespace], int] = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            raise Failure(
                FAILED, f"the server half is not installed ({error.name} is missing): install rcqueue[server]"
            ) from None
        return work(args)

    return run
