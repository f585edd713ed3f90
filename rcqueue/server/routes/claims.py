"""Claims of filters."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from rcqueue.model.query import Query as Filter
from rcqueue.model.standing import Claims, StandBody
from rcqueue.server.marshal import Refusal, standing

from .deps import Asker, Viewer

router = APIRouter(tags=["claims"])


@router.get("/claims", response_model=Claims, response_model_exclude_none=True)
async def claims(asker: Asker, query: str | None = None) -> Any:
    """The claims of filters that stand; with `query` how they, and claims of mails, overlap with it."""
    return await claims_of(asker, query)


@router.post("/claims")
async def stand(asker: Asker, body: StandBody) -> dict[str, Any]:
    return await stand_one(asker, body)


@router.post("/claims/{id}/end")
async def end(asker: Asker, id: int) -> dict[str, Any]:
    return await end_one(asker, id)


async def claims_of(asker: Viewer, query: str | None) -> dict[str, Any]:
    who, marshal = await asker.who(), asker.parts.marshal
    wanted = None if query is None else marshal.query(who, query)
    found = await asker.read(standing.claims, wanted, marshal.clock.now())
    return found.model_dump(mode="json", exclude_none=True)


async def stand_one(asker: Viewer, body: StandBody, *, keyed: bool = True) -> dict[str, Any]:
    who, marshal = await asker.who(), asker.parts.marshal
    _check(marshal.query_of_act(who, body.query))
    operation = standing.Stand(who.session, body.query.strip(), body.for_seconds)
    return {"id": await marshal.do_once(who, asker.once(who, required=keyed), operation)}


def _check(query: Filter) -> None:
    if not any(term.field != "status" for term in query.given) or "ONHOLD" not in query.statuses:
        raise Refusal("bad-request", "query: a filter of mail on hold, with a term beside its status, was expected")


async def end_one(asker: Viewer, id: int, *, keyed: bool = True) -> dict[str, Any]:
    who = await asker.who()
    operation = standing.EndStanding(who.session, id)
    return {"seq": await asker.parts.marshal.do_once(who, asker.once(who, required=keyed), operation)}
