"""The `/acpi` commands on notices to recipients."""

from __future__ import annotations

from typing import Any

from . import notices
from .acpi_arguments import Command, body, take
from .deps import Viewer


async def _list(asker: Viewer, arguments: dict[str, Any]) -> Any:
    return await asker.read(notices.counts_by_day, notices.DAYS)


async def _send(asker: Viewer, arguments: dict[str, Any]) -> Any:
    fields = {"domain": take(arguments, "domain", str), "now": take(arguments, "now", bool, False)}
    send = body(notices.SendBody, fields, arguments, "notice.send")
    return await notices.send_notices(asker, send.domain, send.now, keyed=False)


async def _start(asker: Viewer, arguments: dict[str, Any]) -> Any:
    start = body(notices.StartBody, {"address": take(arguments, "address", str)}, arguments, "notice.start")
    return await notices.start_notices(asker, start.address, keyed=False)


COMMANDS: dict[str, Command] = {"notice.list": _list, "notice.send": _send, "notice.start": _start}
