"""The `/acpi` commands on the policy and on senders, and what scanners and policy say of a message in a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from rcqueue.model.policy import SenderBody, SettingBody

from . import policy, scans, senders
from .acpi_arguments import Command, body, nothing_else, take, time
from .deps import Viewer


async def _senders(asker: Viewer, arguments: dict[str, Any]) -> Any:
    all, before = take(arguments, "all", bool, False), take(arguments, "before", int, None)
    return (await senders.listed(asker, all, before))["senders"]


def _sender(kind: str) -> Command:
    async def run(asker: Viewer, arguments: dict[str, Any]) -> Any:
        fields = {"sender": take(arguments, "sender", str), "reason": take(arguments, "reason", str, "")}
        fields |= {name: take(arguments, name, str, None) for name in ("recipient", "customer")}
        fields["days"] = take(arguments, "days", int, None)
        if "until" in arguments:
            fields["until"] = time(arguments.pop("until"))
        return await senders.add(asker, kind, body(SenderBody, fields, arguments, f"sender.{kind}"), keyed=False)

    return run


async def _end_sender(asker: Viewer, arguments: dict[str, Any]) -> Any:
    id, reason = take(arguments, "id", int), take(arguments, "reason", str, "")
    nothing_else(arguments, "sender.end")
    return await senders.end_rule(asker, id, reason, keyed=False)


async def _policy(asker: Viewer, arguments: dict[str, Any]) -> Any:
    return await policy.shown(asker)


async def _set_policy(asker: Viewer, arguments: dict[str, Any]) -> Any:
    fields = {"key": take(arguments, "key", str), "reason": take(arguments, "reason", str)}
    fields |= {"scope": take(arguments, "scope", str, "default"), "value": take(arguments, "value", object)}
    return await policy.set_one(asker, body(SettingBody, fields, arguments, "policy.set"), keyed=False)


def _scanned(ask: Callable[[Viewer, bytes, str, list[str]], Awaitable[dict[str, Any]]]) -> Command:
    """`raw` is the message, one character a byte (Latin-1), as mail.show gives it."""

    async def run(asker: Viewer, arguments: dict[str, Any]) -> Any:
        text, sender = take(arguments, "raw", str), take(arguments, "sender", str, "")
        recipients = take(arguments, "rcpt", list, [])
        if len(recipients) > 100 or not all(isinstance(to, str) for to in recipients):
            raise ValueError("rcpt: a list of at most 100 addresses was expected")
        try:
            raw = text.encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError("raw: one character a byte was expected (Latin-1)") from None
        return await ask(asker, raw, sender, recipients)

    return run


COMMANDS: dict[str, Command] = {
    "policy.show": _policy,
    "policy.set": _set_policy,
    "policy.test": _scanned(scans.judge),
    "scan.file": _scanned(scans.scan),
    "sender.list": _senders,
    "sender.allow": _sender("allow"),
    "sender.block": _sender("block"),
    "sender.end": _end_sender,
}
