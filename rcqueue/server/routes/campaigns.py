"""The list of campaigns."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from rcqueue.model.access import Access
from rcqueue.model.mail import Campaigns
from rcqueue.server.marshal import Refusal
from rcqueue.server.store.campaigns import campaigns as list_campaigns
from rcqueue.server.store.database import head_seq

from .deps import Asker, Viewer

router = APIRouter(tags=["mails"])
MAX_PAGE = 100


@router.get("/campaigns", response_model=Campaigns, response_model_exclude_none=True)
async def campaigns(
    asker: Asker, query: str = "", after: str | None = None, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50
) -> Campaigns:
    """The campaigns that have a mail which matches, newest first; `after` is `next` of the page before."""
    return await campaigns_of(asker, query, after, limit)


async def campaigns_of(asker: Viewer, query: str, after: str | None, limit: int) -> Campaigns:
    marshal = asker.parts.marshal
    now = marshal.clock.now()

    def read(connection: Connection, who: Access) -> Campaigns:
        wanted = marshal.query(who, query)
        try:
            found = list_campaigns(connection, who, wanted, after=after, limit=limit, now_us=now)
        except ValueError as error:
            raise Refusal("bad-request", f"after: {error}") from None
        return Campaigns(seq=head_seq(connection), campaigns=found.campaigns, next=found.next, partial=found.partial)

    return await asker.read(read)
