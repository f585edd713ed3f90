"""The policy as it holds: what its file says, and what people set over it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection, select

from rcqueue.model.access import Access, Right
from rcqueue.model.mail import from_us
from rcqueue.model.policy import PolicyScope, PolicySetting, PolicyShown, SettingBody
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.settings import SetPolicy
from rcqueue.server.scan.policy import Policy
from rcqueue.server.store import tables as t

from .deps import Asker, Viewer

router = APIRouter(tags=["policy"])


@router.get("/policy", response_model=PolicyShown, response_model_exclude_none=True)
async def policy(asker: Asker) -> Any:
    return await shown(asker)


@router.post("/policy/set")
async def set_policy(asker: Asker, body: SettingBody) -> dict[str, Any]:
    return await set_one(asker, body)


async def shown(asker: Viewer) -> dict[str, Any]:
    found = await asker.read(_shown, asker.parts.judge.policy)
    return found.model_dump(mode="json", exclude_none=True)


def _shown(connection: Connection, who: Access, file: Policy) -> PolicyShown:
    if not who.anywhere(Right.ADMINISTER):
        raise Refusal("forbidden", "you have no right to administer", right="administer")
    setting = t.policy_setting.c
    query = select(t.policy_setting, t.entry.c.at, t.account.c.name)
    query = query.outerjoin(t.entry, t.entry.c.seq == setting.seq)
    query = query.outerjoin(t.account, t.account.c.id == t.entry.c.account).order_by(setting.scope, setting.key)
    rows = connection.execute(query).all()
    policy = file.under({(row.scope, row.key): row.value for row in rows})
    return PolicyShown(
        scopes=[
            PolicyScope(scope=scope, terms=policy.at(scope).model_dump(mode="json", exclude_none=True))
            for scope in policy.scopes
        ],
        settings=[
            PolicySetting(
                scope=row.scope,
                key=row.key,
                value=row.value,
                file=policy.in_file(row.scope, row.key),
                by=row.name or "somebody",
                at=from_us(row.at or 0),
                seq=row.seq,
                fault=policy.faults.get((row.scope, row.key)),
            )
            for row in rows
        ],
    )


async def set_one(asker: Viewer, body: SettingBody, *, keyed: bool = True) -> dict[str, Any]:
    who = await asker.who()
    operation = SetPolicy(
        who.session, asker.parts.judge.policy, body.scope, body.key.strip(), body.value, body.reason.strip()
    )
    return {"seq": await asker.parts.marshal.do_once(who, asker.once(who, required=keyed), operation)}
