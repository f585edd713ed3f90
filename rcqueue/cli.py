"""The command line: its parser, and how every command ends. What a command needs is loaded when it runs."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Callable, Sequence

from rcqueue import __version__
from rcqueue.client.session import SessionError
from rcqueue.commands import acpi, act, importing, mail, people, scans, server, sign_in, terminal, watch
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


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rcqueue",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"rcqueue {__version__}")
    parser.add_argument("--queue", metavar="NAME", default="main", help="the queue that the terminal shows")
    server_options(parser)
    parser.set_defaults(run=terminal.run)
    commands = Commands(parser, required=False)
    server.add_demo(commands)
    for group in (sign_in, mail, watch, act):
        group.add(commands)
    people.add(commands, server.add_first_admin)
    for group in (acpi, importing, scans, server):
        group.add(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; a mistake in the arguments leaves by SystemExit(2)."""
    args = build_parser().parse_args(list(map(_negation, sys.argv[1:] if arguments is None else arguments)))
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
