"""The command line: its parser, and how every command ends. What a command needs is loaded when it runs."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from rcqueue import __version__
from rcqueue.client.session import SessionError
from rcqueue.commands import terminal
from rcqueue.commands.arguments import EXIT_HELP, Commands, server_options
from rcqueue.commands.output import complain
from rcqueue.commands.status import DONE, FAILED, USAGE, Failure
from rcqueue.terminal.fatal import describe

_DESCRIPTION = """
A terminal in which several mail admins marshal one live queue of held mail. Without a command it opens the terminal.
"""

_EPILOG = f"""
Scripts sign in with RCQUEUE_SERVER, the server's URL, and RCQUEUE_TOKEN_FILE, a file (0600) with a token in it.
`rcqueue COMMAND --help` says more of each command.
{EXIT_HELP}"""


class _OrElse(argparse.ArgumentParser):
    """Raises ValueError where another would leave with a mistake."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _terminal_alone(arguments: Sequence[str]) -> argparse.Namespace | None:
    """What the terminal is started with, when no command is among it: its first picture does not wait until the
    parser of all commands is built. None: that parser has the word, also on mistakes."""
    parser = _OrElse(add_help=False, allow_abbrev=False)
    _terminal_options(parser)
    try:
        args, rest = parser.parse_known_args(arguments)
    except ValueError:
        return None
    return None if rest else args


def _terminal_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--queue", metavar="NAME", default="main", help="the queue that the terminal shows")
    themes = "the terminal's theme, from now on: dark, light, high-contrast, 16-colours, mono, or one of your own"
    parser.add_argument("--theme", metavar="NAME", help=themes)
    server_options(parser)
    parser.set_defaults(run=terminal.run)


def build_parser() -> argparse.ArgumentParser:
    from rcqueue.commands import (
        acpi,
        act,
        acts,
        campaigns,
        claims,
        completion,
        health,
        importing,
        mail,
        manual,
        notices,
        outgoing,
        people,
        rules,
        saved,
        scans,
        senders,
        server,
        sign_in,
        watch,
    )

    parser = argparse.ArgumentParser(
        prog="rcqueue",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"rcqueue {__version__}")
    _terminal_options(parser)
    commands = Commands(parser, required=False)
    server.add_demo(commands)
    for group in (sign_in, health, mail, campaigns, watch, act, acts, outgoing):
        group.add(commands)
    people.add(commands, server.add_first_admin)
    for group in (claims, saved, acpi, importing, notices, scans, senders, rules, server):
        group.add(commands)
    for made in (completion, manual):
        made.add(commands, parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; a mistake in the arguments leaves by SystemExit(2)."""
    given = list(map(_negation, sys.argv[1:] if arguments is None else arguments))
    args = _terminal_alone(given) or build_parser().parse_args(given)
    _printable(sys.stdout)
    _printable(sys.stderr)
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        status = run(args)
        sys.stdout.flush()
    except Failure as failure:
        complain(str(failure))
        return failure.status
    except SessionError as error:
        complain(str(error))
        return USAGE
    except BrokenPipeError:
        # Whoever read us has had enough. Python would complain once more when it flushes at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        complain(": ".join(filter(None, (error.filename and str(error.filename), error.strerror or "input or output"))))
        return FAILED
    except Exception as error:
        # Where it broke, and not a word of what was in hand: mail and secrets are.
        print(describe(error), file=sys.stderr)
        return FAILED
    return status


def _negation(argument: str) -> str:
    """A filter's `-from:gmail.com` is no option; argparse takes for none what begins with a space."""
    return f" {argument}" if re.match(r"-[A-Za-z_]{2,}:", argument) else argument


def _printable(stream: object) -> None:
    """UTF-8 into pipes and files; on a terminal what its encoding lacks is spelled out."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
