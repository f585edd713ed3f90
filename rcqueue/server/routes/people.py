"""People and the audit log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import Connection, func, select

from rcqueue.model.access import Access, Grant, Right
from rcqueue.model.ids import parse_id
from rcqueue.model.mail import RoleGrant, Wire
from rcqueue.server.identity import passwords
from rcqueue.server.identity.sessions import check_name
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.entries import acts_of, audit
from rcqueue.server.marshal.people import ChangePerson
from rcqueue.server.store import tables as t

from .deps import Asker, Viewer

router = APIRouter(tags=["people"])


class PersonBody(Wire):
    name: str
    password: str = Field(max_length=1024)
    roles: list[RoleGrant] = Field(min_length=1)


class LockBody(Wire):
    lock: str = "bodies"


class PasswordBody(Wire):
    password: str = Field(max_length=1024)


def people_of(connection: Connection, who: Access) -> list[dict[str, Any]]:
    if not who.anywhere(Right.ADMINISTER):
        raise Refusal("forbidden", "you have no right to administer", right="administer")
    grants: dict[int, list[dict[str, str]]] = {}
    for grant in connection.execute(select(t.role_grant)):
        grants.setdefault(grant.account, []).append({"role": grant.role, "customer": grant.customer})
    locks: dict[int, list[str]] = {}
    for lock in connection.execute(select(t.person_lock)):
        locks.setdefault(lock.account, []).append(lock.name)
    open_sessions = select(t.session.c.account, func.count().label("n")).where(t.session.c.ended.is_(None))
    sessions = {row.account: row.n for row in connection.execute(open_sessions.group_by(t.session.c.account))}
    return [
        {
            "name": row.name,
            "enabled": row.enabled,
            "roles": grants.get(row.id, []),
            "locks": locks.get(row.id, []),
            "sessions": sessions.get(row.id, 0),
        }
        for row in connection.execute(select(t.account).order_by(t.account.c.name))
    ]


@router.get("/people")
async def people(asker: Asker) -> dict[str, Any]:
    return {"people": await asker.read(people_of)}


async def change(
    asker: Viewer,
    what: str,
    name: str,
    grants: tuple[Grant, ...] = (),
    lock: str = "",
    password: str | None = None,
    *,
    keyed: bool = True,
) -> dict[str, Any]:
    """One change to one person, as the CLI, the terminal and `/acpi` ask for it."""
    who = await asker.who()
    once = asker.once(who, required=keyed)
    hashed = None
    if password is not None:
        if why := passwords.weakness(password, name):
            raise Refusal("bad-request", why)
        hashed = await passwords.hash_password(password)
    operation = ChangePerson(who.session, what, name, grants, lock, hashed)
    seq = await asker.parts.marshal.do_once(who, once, operation)
    return {"seq": seq}


@router.post("/people")
async def create(asker: Asker, body: PersonBody) -> dict[str, Any]:
    check_name(body.name)
    return await change(asker, "create", body.name, _grants(*body.roles), password=body.password)


def _grants(*roles: RoleGrant) -> tuple[Grant, ...]:
    return tuple(Grant(r.role, r.customer) for r in roles)


@router.post("/people/{name}/lock")
async def lock(asker: Asker, name: str, body: LockBody) -> dict[str, Any]:
    return await change(asker, "lock", name, lock=body.lock)


@router.post("/people/{name}/unlock")
async def unlock(asker: Asker, name: str, body: LockBody) -> dict[str, Any]:
    return await change(asker, "unlock", name, lock=body.lock)


@router.post("/people/{name}/grant")
async def grant(asker: Asker, name: str, body: RoleGrant) -> dict[str, Any]:
    return await change(asker, "grant", name, _grants(body))


@router.post("/people/{name}/revoke")
async def revoke(asker: Asker, name: str, body: RoleGrant) -> dict[str, Any]:
    return await change(asker, "revoke", name, _grants(body))


@router.post("/people/{name}/enable")
async def enable(asker: Asker, name: str) -> dict[str, Any]:
    return await change(asker, "enable", name)


@router.post("/people/{name}/disable")
async def disable(asker: Asker, name: str) -> dict[str, Any]:
    return await change(asker, "disable", name)


@router.post("/people/{name}/password")
async def password(asker: Asker, name: str, body: PasswordBody) -> dict[str, Any]:
    return await change(asker, "password", name, password=body.password)


@router.get("/audit")
async def audit_log(
    asker: Asker,
    since: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    account: str | None = None,
    message: str | None = None,
) -> dict[str, Any]:
    return await asker.read(audit_of, since, limit, account, message)


def audit_of(
    connection: Connection, who: Access, since: int, limit: int, account: str | None, message: str | None
) -> dict[str, Any]:
    if not who.anywhere(Right.AUDIT):
        raise Refusal("forbidden", "you have no right to audit", right="audit")
    try:
        number = parse_id(message)[0] if message else None
    except ValueError as error:
        raise Refusal("bad-request", str(error)) from None
    entries, after = audit(connection, who, since, limit, account, number)
    return {"entries": entries, "next": after}


@router.get("/history")
async def history(
    asker: Asker,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    of: str | None = None,
    verb: str | None = None,
) -> dict[str, Any]:
    """What one did oneself, the newest first; `of` another it needs the right to audit."""
    return await asker.read(history_of, before, limit, of, verb)


def history_of(
    connection: Connection, who: Access, before: int | None, limit: int, of: str | None, verb: str | None
) -> dict[str, Any]:
    entries, after = acts_of(connection, who, of or who.name, before, verb, limit)
    return {"entries": entries, "next": after}
