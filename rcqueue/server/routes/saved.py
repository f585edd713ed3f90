"""Saved filters."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from rcqueue.model.access import Access
from rcqueue.model.query import parse_sort
from rcqueue.model.saved import SavedBody, SavedEnd, SavedFilters
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.saved import OWN, DeleteFilter, SaveFilter, saved_filters
from rcqueue.server.store.pages import check_query

from .deps import Asker, Viewer

router = APIRouter(tags=["filters"])


@router.get("/filters", response_model=SavedFilters, response_model_exclude_none=True)
async def filters(asker: Asker) -> Any:
    return await listed(asker)


@router.post("/filters")
async def save(asker: Asker, body: SavedBody) -> dict[str, Any]:
    """Needs the right to note at the customer with whose people it is shared; to administer, where another shared one
    of that name."""
    return await save_one(asker, body)


@router.post("/filters/{name}/delete")
async def delete(asker: Asker, name: str, body: SavedEnd) -> dict[str, Any]:
    return await delete_one(asker, name, body.customer)


async def listed(asker: Viewer) -> dict[str, Any]:
    found = SavedFilters(filters=await asker.read(saved_filters))
    return found.model_dump(mode="json", exclude_none=True)


async def save_one(asker: Viewer, body: SavedBody, *, keyed: bool = True) -> dict[str, Any]:
    who, marshal = await asker.who(), asker.parts.marshal
    once, customer = asker.once(who, required=keyed), _place(body.customer)
    if not body.name or body.name != body.name.strip() or not body.name.isprintable() or "/" in body.name:
        raise Refusal("bad-request", "name: printable characters without / were expected, no space at its ends")
    _check(who, marshal.query(who, body.query), body.sort)
    operation = SaveFilter(who.session, who.account, body.name, customer, body.query, body.sort)
    return {"seq": await marshal.do_once(who, once, operation)}


async def delete_one(asker: Viewer, name: str, customer: str | None, *, keyed: bool = True) -> dict[str, Any]:
    who = await asker.who()
    operation = DeleteFilter(who.session, who.account, name, _place(customer))
    return {"seq": await asker.parts.marshal.do_once(who, asker.once(who, required=keyed), operation)}


def _place(customer: str | None) -> str:
    if customer == OWN:
        raise Refusal("bad-request", "customer: a path was expected, as acme/sales, or nothing")
    return customer or OWN


def _check(who: Access, query: Any, sort: str) -> None:
    try:
        parse_sort(sort)
    except ValueError as error:
        raise Refusal("bad-request", str(error)) from None
    check_query(who, query, sort)
