"""Senders that people let through or stop."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import Connection, select

from rcqueue.model.access import Access, DataClass, Right
from rcqueue.model.folding import fold_address
from rcqueue.model.mail import from_us, to_us
from rcqueue.model.policy import SenderBody, SenderEnd, SenderLine, Senders
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.refusal import customers_with
from rcqueue.server.marshal.senders import DAY, AddSender, EndSender
from rcqueue.server.scan.senders import pattern_of
from rcqueue.server.store import tables as t

from .deps import Asker, Viewer

router = APIRouter(tags=["senders"])
PAGE = 1000


@router.get("/senders", response_model=Senders, response_model_exclude_none=True)
async def senders(asker: Asker, all: bool = False, before: Annotated[int | None, Query(ge=1)] = None) -> Any:
    """The rules that hold, the newest first; with `all` those that have ended too."""
    return await listed(asker, all, before)


@router.post("/senders/allow")
async def allow(asker: Asker, body: SenderBody) -> dict[str, Any]:
    return await add(asker, "allow", body)


@router.post("/senders/block")
async def block(asker: Asker, body: SenderBody) -> dict[str, Any]:
    return await add(asker, "block", body)


@router.post("/senders/{id}/end")
async def end(asker: Asker, id: int, body: SenderEnd) -> dict[str, Any]:
    return await end_rule(asker, id, body.reason)


async def listed(asker: Viewer, all: bool, before: int | None) -> dict[str, Any]:
    found = await asker.read(_listed, all, before, asker.parts.marshal.clock.now())
    return found.model_dump(mode="json", exclude_none=True)


def _listed(connection: Connection, who: Access, all: bool, before: int | None, now: int) -> Senders:
    customers_with(who, Right.VIEW)
    rule = t.sender_rule.c
    query = select(t.sender_rule, t.account.c.name).outerjoin(t.account, t.account.c.id == rule.account)
    query = query.order_by(rule.id.desc())
    if not all:
        query = query.where(rule.ended.is_(None), rule.ends > now)
    if before is not None:
        query = query.where(rule.id < before)
    shown: list[SenderLine] = []
    for row in connection.execute(query):
        if Right.VIEW not in who.rights_at(row.customer) or DataClass.ENVELOPE not in who.classes_at(row.customer):
            continue
        if len(shown) == PAGE:
            return Senders(senders=shown, next=shown[-1].id)
        shown.append(
            SenderLine(
                id=row.id,
                kind=row.kind,
                sender=row.pattern,
                customer=row.customer,
                recipient=row.recipient or None,
                by=row.name or "somebody",
                created=from_us(row.created),
                ends=from_us(row.ends),
                ended=None if row.ended is None else from_us(row.ended),
            )
        )
    return Senders(senders=shown)


async def add(asker: Viewer, kind: str, body: SenderBody, *, keyed: bool = True) -> dict[str, Any]:
    who = await asker.who()
    once = asker.once(who, required=keyed)
    if (body.recipient is None) == (body.customer is None):
        raise Refusal("bad-request", "for whom: either recipient, an address, or customer was expected")
    if (body.days is None) == (body.until is None):
        raise Refusal("bad-request", "its end: either days or until was expected")
    try:
        pattern = pattern_of(body.sender)
        recipient = "" if body.recipient is None else pattern_of(body.recipient)
    except ValueError as error:
        raise Refusal("bad-request", str(error)) from None
    if body.recipient is not None and "@" not in recipient:
        raise Refusal("bad-request", f"recipient: {body.recipient!r}; an address was expected")
    customer = body.customer if body.customer is not None else asker.parts.customer_of(recipient)
    marshal = asker.parts.marshal
    ends = marshal.clock.now() + body.days * DAY if body.days is not None else to_us(body.until)  # type: ignore[arg-type]
    operation = AddSender(who.session, body.reason, kind, pattern, customer, fold_address(recipient), ends)
    return {"id": await marshal.do_once(who, once, operation)}


async def end_rule(asker: Viewer, id: int, reason: str, *, keyed: bool = True) -> dict[str, Any]:
    who = await asker.who()
    operation = EndSender(who.session, reason, id)
    return {"id": await asker.parts.marshal.do_once(who, asker.once(who, required=keyed), operation)}
