"""From a command's options to a signed-in connection, and from its failures to an exit status."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from rcqueue.client import session

from .output import Out
from .status import REFUSED, UNREACHABLE, USAGE, Failure, failure

if TYPE_CHECKING:
    from rcqueue.client.api import Api

Command = Callable[[argparse.Namespace, "Api", Out], Awaitable[int]]
Run = Callable[[argparse.Namespace], int]


def the_profile(args: argparse.Namespace) -> session.Profile:
    profile = session.choose(args.server, args.profile)
    if profile is None:
        raise Failure(USAGE, f"which server? Give --server URL or --profile NAME, or set {session.SERVER_VARIABLE}")
    return profile


def the_token(profile: session.Profile) -> str:
    token = session.find_token(profile)
    if token is None:
        raise Failure(REFUSED, f"not signed in to {profile.server}: `rcqueue login`, or {session.TOKEN_FILE_VARIABLE}")
    return token


def connected(command: Command) -> Run:
    """`command` as what argparse runs: with a signed-in Api and where to print."""

    def run(args: argparse.Namespace) -> int:
        profile = the_profile(args)
        return with_api(profile, the_token(profile), lambda api: command(args, api, out_of(args)))

    return run


def with_api(profile: session.Profile, token: str | None, use: Callable[[Api], Awaitable[int]]) -> int:
    from rcqueue.client.api import Api, ApiProblem, Unreachable

    async def run() -> int:
        api = Api(profile.server, token, ca=profile.ca, proxy=profile.proxy)
        try:
            return await use(api)
        finally:
            await api.close()

    try:
        return asyncio.run(run())
    except ApiProblem as problem:
        raise failure(problem) from None
    except Unreachable as error:
        raise Failure(UNREACHABLE, str(error)) from None


def out_of(args: argparse.Namespace) -> Out:
    return Out(as_json=getattr(args, "json", False))


def ask_password(prompt: str) -> str:
    """A secret from /dev/tty without echo; where there is none, the first line of standard input."""
    password = getpass.getpass(prompt) if has_terminal() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Failure(USAGE, "no password given: expected it on the terminal, or as the first line of standard input")
    return password


def ask_new_password(name: str) -> str:
    """A new password; on a terminal asked twice."""
    password = ask_password(f"New password of {name}: ")
    if has_terminal() and ask_password("Once more: ") != password:
        raise Failure(USAGE, "the two passwords differ: nothing done")
    return password


def has_terminal() -> bool:
    """Whether a person can be asked, whatever standard input and output are."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
