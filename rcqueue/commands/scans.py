"""scan and policy: a file to the server's scanners, what they and the policy say of it, and the policy itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcqueue.model.actions import named

from .arguments import Commands, json_option
from .connect import connected
from .output import Out
from .status import DONE, FAILED, Failure

if TYPE_CHECKING:
    from rcqueue.client.api import Api
    from rcqueue.model.mail import RuleHit
    from rcqueue.model.scan import RecipientDecision, ScanResult

_MORE = """
FILE is one message (.eml); - is standard input. Nothing is kept and nothing is held.
"""

_SET = """
A KEY is score.SCANNER.tag, .hold or .reject, a threshold; or points.SCANNER.RULE, what the rule is worth where it hits.
KEY= without a value takes a setting back: what the policy's file says holds again. It holds from the next mail on.
"""


def add(commands: Commands) -> None:
    scan = commands.add(named("scan.file").cli or "scan", named("scan.file").help, more=_MORE)
    _file(scan)
    scan.set_defaults(run=connected(_scan))

    policy = Commands(commands.add("policy", "the policy: who is judged by what", connects=False))
    test = policy.add("test", named("policy.test").help, more=_MORE)
    _file(test)
    test.set_defaults(run=connected(_test))
    show = policy.add("show", named("policy.show").help)
    json_option(show)
    show.set_defaults(run=connected(_show))
    change = policy.add("set", named("policy.set").help, more=_SET)
    change.add_argument("setting", metavar="KEY=VALUE", type=_setting, help="as score.spamassassin.hold=7.5")
    change.add_argument("--scope", default="default", help="a domain of the policy's file; else the default's terms")
    change.add_argument("--reason", required=True, help="why; it goes on record")
    json_option(change)
    change.set_defaults(run=connected(_set))


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a message, or - for standard input")
    parser.add_argument("--rcpt", metavar="ADDRESS", action="append", default=[], help="a recipient; may be repeated")
    parser.add_argument("--sender", metavar="ADDRESS", default="", help="the envelope sender; empty if not said")
    json_option(parser)


def _read(name: str) -> bytes:
    raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    if not raw:
        raise Failure(FAILED, f"{name}: it is empty; a message was expected")
    return raw


def _setting(text: str) -> tuple[str, float | None]:
    key, equals, value = text.partition("=")
    try:
        if not key or not equals:
            raise ValueError
        return key, float(value) if value else None
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected KEY=NUMBER, or KEY= for what the policy's file says"
        ) from None


async def _show(args: argparse.Namespace, api: Api, out: Out) -> int:
    policy = await api.policy()
    if out.as_json:
        out.json(policy)
        return DONE
    for scope in policy.scopes:
        out.line(f"{scope.scope}:")
        for name, value in scope.terms.items():
            if value or value == 0:
                out.line(f"  {name:<12}  {_terms(value)}")
    for one in policy.settings:
        file = "not said" if one.file is None else f"{one.file:g}"
        out.line(
            f"set: {one.key} = {one.value:g} for {one.scope}, by {one.by}, {out.when(one.at)} (in the file: {file})"
        )
        if one.fault:
            out.line(f"  does not hold: {one.fault}")
    return DONE


def _terms(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{key} ({_terms(inner)})" if isinstance(inner, dict) else f"{key} {_terms(inner)}"
            for key, inner in value.items()
        )
    if isinstance(value, list):
        return "; ".join(map(_terms, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


async def _set(args: argparse.Namespace, api: Api, out: Out) -> int:
    key, value = args.setting
    await api.set_policy(key, value, args.reason, args.scope)
    out.done(key=key, value=value, scope=args.scope)
    return DONE


async def _scan(args: argparse.Namespace, api: Api, out: Out) -> int:
    scanned = await api.scan(_read(args.file), args.sender, args.rcpt)
    if out.as_json:
        out.json(scanned)
        return DONE
    for line in _results(scanned.results):
        out.line(line)
    return DONE


async def _test(args: argparse.Namespace, api: Api, out: Out) -> int:
    tested = await api.test_policy(_read(args.file), args.sender, args.rcpt)
    if out.as_json:
        out.json(tested)
        return DONE
    for decision in tested.decisions:
        for line in _decision(decision):
            out.line(line)
    out.line()
    for line in _results(tested.results):
        out.line(line)
    return DONE


def _decision(of: RecipientDecision) -> Iterator[str]:
    kind = f" as {of.kind}" if of.kind else ""
    whose = f"the terms of {of.policy}" if of.policy != "default" else "the default terms"
    yield f"{of.recipient or 'anybody else'}: {of.action}{kind}, by {whose}"
    if of.reason:
        yield f"  because   {of.reason}"
    for setting in of.settings:
        yield f"  set       {setting}"
    for found in of.attachments or ():
        yield f"  {found.action:<8}  {found.name} ({found.rule})"
    for name, value in of.headers:
        yield f"  + {name}: {value}"


def _results(results: list[ScanResult]) -> Iterator[str]:
    if not results:
        yield "no scanner is configured"
    for result in results:
        yield f"{result.scanner}: {_finds(result)}  ({result.seconds:.3f} s{_version(result)})"
        for name in result.threats:
            yield f"  {name}"
        for rule in result.rules:
            yield _rule(rule)
        for member in result.members:
            yield f"  within    {member}"


def _finds(result: ScanResult) -> str:
    if result.error is not None:
        return f"no answer: {result.error}"
    if result.skipped is not None:
        return f"not scanned: {result.skipped}"
    score = "" if result.score is None else f" {result.score:g}"
    of = "" if result.required is None else f" of {result.required:g}"
    return f"{result.kind or 'clean'}{score}{of}"


def _version(result: ScanResult) -> str:
    return f", {result.version}" if result.version else ""


def _rule(rule: RuleHit) -> str:
    points = "" if rule.points is None else f"{rule.points:.3f}"
    return f"  {points:>9}  {rule.name:<32}  {rule.description or ''}".rstrip()
