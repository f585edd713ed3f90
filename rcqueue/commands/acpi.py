"""acpi: one request in the rc_acpi.sh form. Loads httpx and nothing else that is slow."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from .arguments import Commands
from .connect import the_profile, the_token
from .status import DONE, UNREACHABLE, USAGE, Failure, failure, of_problem, of_results, worst

_MORE = """
The answer is one object of JSON a line. As in
  rcqueue acpi '{ "startTime":0, "endTime":2147483647, "fromDomain":"gmail.com", "status":"ONHOLD" }'
  rcqueue acpi '{ "id":"01J...", "set":"RELEASED", "confirmation":true, "expect":1 }'
  rcqueue acpi '{ "cmd":"mail.claim", "id":"01J..." }'
docs/api.md has every key.
"""


def add(commands: Commands) -> None:
    acpi = commands.add("acpi", "one request in the form of rc_acpi.sh", more=_MORE)
    acpi.add_argument("request", metavar="JSON", help="the request, one object; - reads it from standard input")
    acpi.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    request = _request(sys.stdin.read() if args.request == "-" else args.request)
    profile = the_profile(args)
    token = the_token(profile)

    from rcqueue.client.http import ApiProblem, Http, Unreachable

    async def ask() -> int:
        http = Http(profile.server, token, ca=profile.ca, proxy=profile.proxy)
        status = DONE
        acts = "set" in request
        try:
            async for line in http.acpi(request):
                print(line)
                if acts or line.startswith('{"code"'):
                    status = worst((status, _status_of(json.loads(line))))
        finally:
            await http.close()
        return status

    try:
        return asyncio.run(ask())
    except ApiProblem as problem:
        raise failure(problem) from None
    except Unreachable as error:
        raise Failure(UNREACHABLE, str(error)) from None


def _request(text: str) -> dict[str, Any]:
    try:
        request = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Failure(USAGE, f"the request is not JSON: {error}") from None
    if not isinstance(request, dict):
        raise Failure(USAGE, "the request: expected one object of JSON, { ... }")
    return request


def _status_of(answer: dict[str, Any]) -> int:
    """The exit status of one object: of a mistake by its type, of mails acted on by what became of each."""
    if answer.get("code", "OK") != "OK":
        return of_problem(str(answer.get("type", "")))
    results = answer.get("results") or [answer]
    return of_results(str(one.get("result", "done")) for one in results if isinstance(one, dict))
