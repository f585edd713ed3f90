"""The `/acpi` commands on saved filters."""

from __future__ import annotations

from typing import Any

from rcqueue.model.saved import SavedBody

from . import saved
from .acpi_arguments import Command, body, nothing_else, take
from .deps import Viewer


async def _list(asker: Viewer, arguments: dict[str, Any]) -> Any:
    return (await saved.listed(asker))["filters"]


async def _save(asker: Viewer, arguments: dict[str, Any]) -> Any:
    fields = {"name": take(arguments, "name", str), "query": take(arguments, "filter", str)}
    fields |= {"sort": take(arguments, "sort", str, "-time"), "customer": take(arguments, "customer", str, None)}
    return await saved.save_one(asker, body(SavedBody, fields, arguments, "filter.save"), keyed=False)


async def _delete(asker: Viewer, arguments: dict[str, Any]) -> Any:
    name, customer = take(arguments, "name", str), take(arguments, "customer", str, None)
    nothing_else(arguments, "filter.delete")
    return await saved.delete_one(asker, name, customer, keyed=False)


COMMANDS: dict[str, Command] = {"filter.list": _list, "filter.save": _save, "filter.delete": _delete}
