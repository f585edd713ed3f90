"""The `/acpi` commands on the server and its scanners: health, and rule files."""

from __future__ import annotations

from typing import Any

from rcqueue.model.rules import RulePush, RuleRollback
from rcqueue.server.rules.push import rule_files

from .acpi_arguments import Command, body, take
from .deps import Viewer
from .health import shown
from .rules import push_rules, roll_back_rules


def _why(arguments: dict[str, Any]) -> dict[str, str]:
    return {key: take(arguments, key, str, "") for key in ("scanner", "reason")}


async def _health(asker: Viewer, arguments: dict[str, Any]) -> Any:
    return (await shown(asker)).model_dump(mode="json", exclude_none=True)


async def _list(asker: Viewer, arguments: dict[str, Any]) -> Any:
    return [file.model_dump(mode="json") for file in await asker.read(rule_files)]


async def _push(asker: Viewer, arguments: dict[str, Any]) -> Any:
    fields = {key: take(arguments, key, str) for key in ("name", "content")} | _why(arguments)
    done = await push_rules(asker, body(RulePush, fields, arguments, "rules.push"), keyed=False)
    return done.model_dump(mode="json")


async def _rollback(asker: Viewer, arguments: dict[str, Any]) -> Any:
    name, fields = take(arguments, "name", str), _why(arguments)
    done = await roll_back_rules(asker, name, body(RuleRollback, fields, arguments, "rules.rollback"), keyed=False)
    return done.model_dump(mode="json")


COMMANDS: dict[str, Command] = {
    "health.show": _health,
    "rules.list": _list,
    "rules.push": _push,
    "rules.rollback": _rollback,
}
