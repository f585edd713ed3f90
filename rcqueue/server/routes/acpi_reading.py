"""The `/acpi` commands that look at mail: one of its parts, what the matching has in common, campaigns."""

from __future__ import annotations

from typing import Any

from rcqueue.model.facet import MAX_VALUES
from rcqueue.model.ids import encode_message
from rcqueue.model.mail import Part

from .acpi_arguments import Command, nothing_else, take
from .campaigns import MAX_PAGE, campaigns_of
from .deps import Viewer
from .mails import facets_of, number, part_of, read_raw, summary_of


async def _show(asker: Viewer, arguments: dict[str, Any]) -> Any:
    id, part = take(arguments, "id", str), take(arguments, "part", str, "summary")
    at = take(arguments, "at", int, 0)
    nothing_else(arguments, "mail.show")  # a read is on record too
    if at < 0:
        raise ValueError("at: the offset of a byte was expected, 0 or more")
    if part not in tuple(Part):
        raise ValueError(f"part: {part!r}; one of {', '.join(Part)} was expected")
    if part == Part.SUMMARY:
        return await summary_of(asker, id)
    if part == Part.RAW:
        raw = await read_raw(asker, number(id))
        return {"id": encode_message(number(id)), "raw": raw.decode("latin-1"), "encoding": "latin-1"}
    return (await part_of(asker, id, Part(part), at)).model_dump(mode="json", exclude_none=True)


async def _body(asker: Viewer, arguments: dict[str, Any]) -> Any:
    id = take(arguments, "id", str)
    nothing_else(arguments, "mail.body")
    text = await part_of(asker, id, Part.TEXT)
    return text.model_dump(mode="json", exclude_none=True)


async def _facets(asker: Viewer, arguments: dict[str, Any]) -> Any:
    query, by = take(arguments, "filter", str, ""), take(arguments, "by", str, "")
    limit = take(arguments, "limit", int, 12)
    if not 1 <= limit <= MAX_VALUES:
        raise ValueError(f"limit: 1 to {MAX_VALUES} was expected")
    found = await facets_of(asker, query, by, limit)
    return [facet.model_dump(mode="json") for facet in found.facets]


async def _campaigns(asker: Viewer, arguments: dict[str, Any]) -> Any:
    query, limit = take(arguments, "filter", str, ""), take(arguments, "limit", int, 1000)
    after: str | None = None
    found: list[dict[str, Any]] = []
    while len(found) < limit:
        page = await campaigns_of(asker, query, after, min(MAX_PAGE, limit - len(found)))
        found += [campaign.model_dump(mode="json", exclude_none=True) for campaign in page.campaigns]
        after = page.next
        if after is None:
            break
    return found


COMMANDS: dict[str, Command] = {
    "mail.show": _show,
    "mail.body": _body,
    "mail.facets": _facets,
    "campaign.list": _campaigns,
}
