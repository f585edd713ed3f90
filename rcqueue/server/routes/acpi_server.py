"""The `/acpi` commands on the server and its scanners: health, next hops, and rule files."""

from __future__ import annotations

from typing import Any

from rcqueue.model.outgoing import HopWish
from rcqueue.model.rules import RulePush, RuleRollback
from rcqueue.server.rules.push import rule_files

from . import outgoing
from .acpi_arguments import Command, body, take
from .deps import Viewer
from .health import shown, wall_for
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


async def _wall(asker: Viewer, arguments: dict[str, Any]) -> Any:
    return (await wall_for(asker)).model_dump(mode="json", exclude_none=True)


async def _outgoing(asker: Viewer, arguments: dict[str, Any]) -> Any:
    hop, limit = take(arguments, "next_hop", str, None), take(arguments, "limit", int, 200)
    after = take(arguments, "after", str, None)
    if not 1 <= limit <= 1000:
        raise ValueError("limit: 1 to 1000 was expected")
    return (await outgoing.listed(asker, hop, limit, after)).model_dump(mode="json", exclude_none=True)


def _hop(verb: str) -> Command:
    async def run(asker: Viewer, arguments: dict[str, Any]) -> Any:
        hop, fields = take(arguments, "id", str), {"reason": take(arguments, "reason", str, "")}
        if verb == "limit":
            fields["rate"] = take(arguments, "rate", int, None)
        wish = body(HopWish, fields, arguments, f"outgoing.{verb}")
        return await outgoing.change(asker, verb, hop, wish, keyed=False)

    return run


COMMANDS: dict[str, Command] = {
    "health.show": _health,
    "wall.show": _wall,
    "outgoing.list": _outgoing,
    **{f"outgoing.{verb}": _hop(verb) for verb in ("pause", "resume", "limit")},
    "rules.list": _list,
    "rules.push": _push,
    "rules.rollback": _rollback,
}
