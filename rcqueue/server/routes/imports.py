"""Import of messages that are here already: one a request, its bytes as they are."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from rcqueue.server.marshal import Refusal

from .deps import Asker

router = APIRouter(tags=["import"])


@router.post("/import")
async def import_mail(
    asker: Asker, rcpt: Annotated[list[str], Query(min_length=1, max_length=1000)], sender: str = ""
) -> dict[str, Any]:
    """Puts the body of the request on hold for `rcpt`. The same key again does nothing."""
    who = await asker.who()
    once = asker.once(who)
    if not asker.body:
        raise Refusal("bad-request", "the message is empty")
    return {"ids": await asker.parts.importer(who, asker.body, sender, rcpt, once)}
