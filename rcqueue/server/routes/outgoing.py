"""What is on its way out, and what people set for next hops."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from rcqueue.model.access import ROOT, Right
from rcqueue.model.mail import from_us
from rcqueue.model.outgoing import HopWish, Outgoing
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.hops import SetHop
from rcqueue.server.marshal.outgoing import outgoing as read

from .deps import Asker, Viewer

router = APIRouter(tags=["outgoing"])


@router.get("/outgoing", response_model_exclude_none=True)
async def outgoing(
    asker: Asker,
    next_hop: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    after: str | None = None,
) -> Outgoing:
    """What waits for a person first, then what was tried most; of one next hop, or of all. `after` is `next` of the
    page before."""
    return await listed(asker, next_hop, limit, after)


async def listed(asker: Viewer, next_hop: str | None, limit: int, after: str | None) -> Outgoing:
    parts = asker.parts
    hop_of = lambda to: str(parts.next_hop_of(to))  # noqa: E731
    seq, mails, more, following = await asker.read(read, hop_of, next_hop, limit, after)
    hops, now = await parts.health.next_hops(), from_us(parts.marshal.clock.now())
    return Outgoing(now=now, seq=seq, mails=mails, more=more, next=following, next_hops=hops)


@router.post("/outgoing/{id}/pause")
async def pause(asker: Asker, id: str, body: HopWish) -> dict[str, Any]:
    """Nothing goes to a next hop (HOST:PORT) until `resume`; what is under way ends as it does."""
    return await change(asker, "pause", id, body)


@router.post("/outgoing/{id}/resume")
async def resume(asker: Asker, id: str, body: HopWish) -> dict[str, Any]:
    return await change(asker, "resume", id, body)


@router.post("/outgoing/{id}/limit")
async def limit(asker: Asker, id: str, body: HopWish) -> dict[str, Any]:
    """At most `rate` mails a minute; without it as many as it takes."""
    return await change(asker, "limit", id, body)


async def change(asker: Viewer, verb: str, hop: str, body: HopWish, *, keyed: bool = True) -> dict[str, Any]:
    who, parts = await asker.who(), asker.parts
    once = asker.once(who, required=keyed)
    if verb != "limit" and body.rate is not None:
        raise Refusal("bad-request", f"rate: it goes with limit, not with {verb}")
    known = [state.at for state in await parts.health.next_hops()]
    if hop not in known and Right.ADMINISTER in who.rights_at(ROOT):  # who lacks it is refused, on record
        raise Refusal("not-found", f"there is no next hop {hop[:80]!r}; one of {', '.join(known)} was expected")
    return {"seq": await parts.marshal.do_once(who, once, SetHop(who.session, verb, hop, body.reason, body.rate))}
