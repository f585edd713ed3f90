"""Notices to recipients: how many there were, and sending those of a domain now."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import Connection, func, or_, select

from rcqueue.model.access import Access, Right, covers
from rcqueue.model.folding import fold_ascii
from rcqueue.model.mail import Wire
from rcqueue.server.config_values import Domain, longest_match
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.notices import QueueNotices, SendNotices, StartNotices
from rcqueue.server.marshal.refusal import no_right
from rcqueue.server.store import tables as t
from rcqueue.server.store.query_sql import at_customer

from .deps import Asker, Viewer

router = APIRouter(tags=["notices"])
DAYS = 31
AT_ONCE = 500  #: notices that one call makes


class SendBody(Wire):
    domain: Domain
    now: bool = False


class StartBody(Wire):
    address: str = Field(min_length=3, max_length=320, pattern="@")


def counts_by_day(connection: Connection, who: Access, days: int) -> list[dict[str, Any]]:
    """Of the last `days` with notices, newest first, at customers where `who` administers. Raises `Refusal`."""
    if not who.anywhere(Right.ADMINISTER):
        raise Refusal("forbidden", "you have no right to administer", right="administer")
    notice = t.notice.c
    outcome = func.coalesce(notice.outcome, "waiting")
    recent = select(notice.day).distinct().order_by(notice.day.desc()).limit(days)
    query = select(notice.day, outcome, func.count(), func.sum(notice.mails)).where(
        notice.day.in_(recent), or_(*(at_customer(path, notice.customer) for path in who.customers(Right.ADMINISTER)))
    )
    counted: dict[str, dict[str, Any]] = {}
    for day, became, n, mails in connection.execute(query.group_by(notice.day, outcome)):
        of = counted.setdefault(day, {"day": day, "notices": 0, "mails": 0})
        of["notices"] += n
        of["mails"] += int(mails)
        of[became] = n
    return [counted[day] for day in sorted(counted, reverse=True)]


@router.get("/notices")
async def notices(asker: Asker, days: Annotated[int, Query(ge=1, le=90)] = DAYS) -> dict[str, Any]:
    return {"notices": await asker.read(counts_by_day, days)}


@router.post("/notices/send")
async def send(asker: Asker, body: SendBody) -> dict[str, Any]:
    """How many recipients of a domain have mail that no notice told them of; with `now` they are sent one, at most
    500 of them in one call."""
    return await send_notices(asker, body.domain, body.now)


@router.post("/notices/start")
async def start(asker: Asker, body: StartBody) -> dict[str, Any]:
    """A recipient who stopped the notices gets them again."""
    return await start_notices(asker, body.address)


async def send_notices(asker: Viewer, domain: str, now: bool, *, keyed: bool = True) -> dict[str, Any]:
    parts, who = asker.parts, await asker.who()
    customer = parts.customer_of(f"@{domain}")
    once = asker.once(who, required=keyed and now)

    def asked(address: str) -> bool:
        return bool(longest_match({domain: True}, address)) and covers(customer, parts.customer_of(address))

    settings, administers = parts.notices.settings, Right.ADMINISTER in who.rights_at(customer)
    if administers and (settings is None or not settings.asked_for(f"@{domain}")):
        there = ", ".join(settings.domains) if settings is not None else "none are configured"
        raise Refusal("bad-request", f"domain: {domain} is not among those that get notices: {there}")
    if not now and not administers:
        raise no_right(Right.ADMINISTER, customer)
    day, waiting = await parts.notices.waiting(asked) if administers else ("", [])
    answer = {"waiting": len(waiting), "made": 0}
    if now:
        queue = QueueNotices(day, tuple(waiting[:AT_ONCE]))
        send = SendNotices(who.session, customer, domain, len(waiting), queue)
        answer = await parts.marshal.do_once(who, once, send)
        parts.notices.wake()
    return {"domain": domain, **answer}


async def start_notices(asker: Viewer, address: str, *, keyed: bool = True) -> dict[str, Any]:
    who = await asker.who()
    operation = StartNotices(who.session, asker.parts.customer_of(address), fold_ascii(address.strip()))
    return {"seq": await asker.parts.marshal.do_once(who, asker.once(who, required=keyed), operation)}
