"""The `/acpi` commands on claims of filters."""

from __future__ import annotations

from typing import Any

from rcqueue.model.standing import StandBody

from . import claims
from .acpi_arguments import Command, body, nothing_else, take
from .deps import Viewer


async def _list(asker: Viewer, arguments: dict[str, Any]) -> Any:
    return await claims.claims_of(asker, take(arguments, "filter", str, None))


async def _stand(asker: Viewer, arguments: dict[str, Any]) -> Any:
    fields = {"query": take(arguments, "filter", str), "for_seconds": take(arguments, "for", int, None)}
    return await claims.stand_one(asker, body(StandBody, fields, arguments, "claim.stand"), keyed=False)


async def _end(asker: Viewer, arguments: dict[str, Any]) -> Any:
    id = take(arguments, "id", int)
    nothing_else(arguments, "claim.end")
    return await claims.end_one(asker, id, keyed=False)


COMMANDS: dict[str, Command] = {"claim.list": _list, "claim.stand": _stand, "claim.end": _end}
