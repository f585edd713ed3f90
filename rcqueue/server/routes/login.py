"""Signing in and out, tokens, who am I."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from rcqueue.model.access import Access, Right
from rcqueue.model.journal import API
from rcqueue.model.mail import RoleGrant, Whoami, Wire, from_us, rfc3339
from rcqueue.server.store.pages import session_mark

from .deps import Asker, Parts, parts_of

router = APIRouter(tags=["login"])


class LoginBody(Wire):
    name: str = Field(max_length=64)
    password: str = Field(max_length=1024)
    kind: Literal["terminal", "cli"] = "cli"
    label: str = Field(default="", max_length=200)


class TokenBody(Wire):
    label: str = Field(max_length=200)
    scope: str = Field(default="", max_length=200)
    days: int = Field(default=90, ge=1, le=366)


def whoami_of(parts: Parts, who: Access) -> dict[str, Any]:
    return Whoami(
        name=who.name,
        session=session_mark(who.session),
        roles=[RoleGrant(role=g.role, customer=g.customer) for g in who.grants],
        locks=sorted(who.locks),
        rights=[r.value for r in Right if who.anywhere(r)],
        classes=sorted(c.value for c in who.classes_everywhere()),
        customers=list(who.customers()),
        api=API,
        server=parts.version,
        journal=parts.marshal.writer.journal,
    ).model_dump(mode="json")


@router.post("/login")
async def login(request: Request, body: LoginBody) -> dict[str, Any]:
    parts = parts_of(request)
    client = request.client.host if request.client else ""
    token, ends = await parts.identity.login(body.name, body.password, body.kind, body.label, client)
    who = await parts.identity.who(token)
    return {"token": token, "ends": rfc3339(from_us(ends)), "whoami": whoami_of(parts, who)}


@router.post("/logout", status_code=204)
async def logout(asker: Asker) -> Response:
    who = await asker.who()
    await asker.parts.marshal.end_session(who.session)
    return Response(status_code=204)


@router.get("/whoami")
async def whoami(asker: Asker) -> dict[str, Any]:
    return whoami_of(asker.parts, await asker.who())


@router.post("/tokens")
async def tokens(asker: Asker, body: TokenBody) -> dict[str, Any]:
    who = await asker.who()
    token, session, ends = await asker.parts.identity.make_token(
        who, body.label, body.scope, body.days, asker.once(who)
    )
    return {"token": token, "id": session_mark(session), "ends": rfc3339(from_us(ends))}
