"""Acts on many: stored, confirmed by their count, worked off by the server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import Connection, func, select, text

from rcqueue.model.access import Access, DataClass, Right
from rcqueue.model.act import ActRequest, ActState, Confirm, Reach, Verb
from rcqueue.model.ids import encode_mail, parse_id
from rcqueue.model.mail import from_us, rfc3339
from rcqueue.model.query import EVERY
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.refusal import customers_with
from rcqueue.server.marshal.selecting import SAMPLE, reach_of
from rcqueue.server.marshal.undoing import still_known
from rcqueue.server.store import tables as t
from rcqueue.server.store.pages import rows_by_id

from .acpi_mails import Chosen
from .deps import Asker, Viewer
from .mails import rows_for

router = APIRouter(tags=["acts"])


def _own(connection: Connection, who: Access, act: str) -> Any:
    query = select(t.act, t.account.c.name).join(t.account, t.account.c.id == t.act.c.account)
    row = connection.execute(query.where(t.act.c.id == act)).one_or_none()
    if row is None or (row.account != who.account and not who.anywhere(Right.ADMINISTER)):
        raise Refusal("not-found", f"you have no act {act}")
    return row


_WAITING = (ActState.WEIGHING, ActState.STORED)


def progress(connection: Connection, who: Access, act: str) -> dict[str, Any]:
    """How far an act is."""
    row = _own(connection, who, act)
    results: dict[str, int] = json.loads(row.results)
    would = select(t.act_mail.c.would, func.count()).where(t.act_mail.c.act == act, t.act_mail.c.would.is_not(None))
    answer = {
        "id": row.id,
        "verb": json.loads(row.request)["verb"],
        "state": row.state,
        "as_of": row.as_of,
        "count": row.count,
        "done": results.get("done", 0),
        "tried": sum(results.values()),
        "results": results,
        "sample": _sample(connection, who, json.loads(row.sample)) if row.state in _WAITING else [],
        "reach": _reach(who, Reach.model_validate_json(row.reach)).model_dump(mode="json"),
        "who": row.name,
        "created": rfc3339(from_us(row.created)),
    }
    if answer["verb"] == Verb.RESCAN:
        answer["would"] = dict(connection.execute(would.group_by(t.act_mail.c.would)).all())
    if row.finished is not None:
        answer["finished"] = rfc3339(from_us(row.finished))
    if row.purged is not None:
        answer["purged"] = rfc3339(from_us(row.purged))
    if row.undoes is not None:
        answer["undoes"] = row.undoes
    return answer


def foreseen(connection: Connection, who: Access, mails: Sequence[Chosen]) -> tuple[Reach, list[str]]:
    """Whom an act on these mails would reach, and some of them: what an act says that is stored, of one that is not."""
    reach = reach_of(connection, (mail.rcpt for mail in mails))
    return _reach(who, reach), _sample(connection, who, [mail.id for mail in mails[:SAMPLE]])


def _reach(who: Access, reach: Reach) -> Reach:
    """Whom it reaches: domains are named to those who see envelopes wherever they see mail."""
    named = DataClass.ENVELOPE in who.classes_everywhere()
    return reach if named else reach.model_copy(update={"domains": {}})


def _sample(connection: Connection, who: Access, ids: list[str]) -> list[str]:
    """Some of the mails as a person may see them, to look at before confirming."""
    return list(_lines(connection, who, [parse_id(i)[0] for i in ids]).values())


def _lines(connection: Connection, who: Access, messages: list[int]) -> dict[int, str]:
    """Messages in a line each, as a person may see them."""
    found = rows_by_id(connection, who, list(dict.fromkeys(messages)), EVERY, 0)
    return {
        data.id: "  ".join(filter(None, (row.get("fromEmail"), row.get("toEmail"), row.get("subject")))) or row["id"]
        for data, row in zip(found, rows_for(who, found), strict=True)
    }


@router.post("/acts")
async def store(asker: Asker, body: ActRequest) -> dict[str, Any]:
    who = await asker.who()
    customers_with(who, Right.VIEW)
    act = await asker.parts.marshal.store_act(who, body, once=asker.once(who))
    return await asker.read(progress, act)


@router.get("/acts")
async def acts(asker: Asker) -> dict[str, Any]:
    return {"acts": await asker.read(acts_of)}


def acts_of(connection: Connection, who: Access) -> list[dict[str, Any]]:
    """The person's latest acts, newest first. Raises Refusal."""
    customers_with(who, Right.VIEW)
    query = select(t.act.c.id).where(t.act.c.account == who.account).order_by(t.act.c.created.desc()).limit(50)
    return [progress(connection, who, act) for act in connection.execute(query).scalars()]


@router.get("/acts/{id}")
async def one(asker: Asker, id: str) -> dict[str, Any]:
    return await asker.read(progress, id)


@router.get("/acts/{id}/results")
async def results(
    asker: Asker,
    id: str,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
    left: bool = False,
) -> dict[str, Any]:
    """What became of each mail that was tried; with `left` only of those that it was not done to, each with a line
    that says which mail it is."""
    return await asker.read(results_of, id, after, limit, left)


def results_of(
    connection: Connection, who: Access, act: str, after: str | None = None, limit: int = 500, left: bool = False
) -> dict[str, Any]:
    still_known(act, _own(connection, who, act).purged)
    query = (
        select(t.act_mail, t.mail.c.status, t.mail.c.version)
        .outerjoin(t.mail, (t.mail.c.message == t.act_mail.c.message) & (t.mail.c.n == t.act_mail.c.n))
        .where(t.act_mail.c.act == act, t.act_mail.c.result.is_not(None))
        .order_by(t.act_mail.c.message, t.act_mail.c.n)
        .limit(limit)
    )
    if left:
        query = query.where(text("act_mail.result IS NOT NULL AND act_mail.result <> 'done'"))  # as its index has it
    if after is not None:
        try:
            message, n = parse_id(after)
        except ValueError as error:
            raise Refusal("bad-request", f"after: {error}") from None
        beyond = (t.act_mail.c.message == message) & (t.act_mail.c.n > (n or 0))
        query = query.where((t.act_mail.c.message > message) | beyond)
    found = connection.execute(query).all()
    shown = [
        {
            "id": encode_mail(row.message, row.n),
            "result": row.result,
            "status": row.status,
            "version": row.version,
            "detail": row.detail or "",
            "by": row.detail or "" if row.result == "claimed" else "",
        }
        for row in found
    ]
    if left:
        lines = _lines(connection, who, [row.message for row in found])
        shown = [one | {"mail": lines.get(row.message, "")} for one, row in zip(shown, found, strict=True)]
    return {"results": shown, "next": shown[-1]["id"] if len(shown) == limit else None}


@router.post("/acts/{id}/confirm")
async def confirm(asker: Asker, id: str, body: Confirm) -> dict[str, Any]:
    who = await asker.who()
    await asker.parts.marshal.confirm_act(who, id, body.expect, once=asker.once(who))
    return await asker.read(progress, id)


@router.post("/acts/{id}/stop")
async def stop(asker: Asker, id: str) -> dict[str, Any]:
    return await stop_act(asker, id)


@router.post("/acts/{id}/undo")
async def undo(asker: Asker, id: str) -> dict[str, Any]:
    """Takes back what can be: the act that does so, which runs already."""
    return await undo_act(asker, id)


async def undo_act(asker: Viewer, id: str, *, keyed: bool = True) -> dict[str, Any]:
    who = await asker.who()
    act = await asker.parts.marshal.undo_act(who, id, once=asker.once(who, required=keyed))
    return await asker.read(progress, act)


async def stop_act(asker: Viewer, id: str, *, keyed: bool = True) -> dict[str, Any]:
    who = await asker.who()
    await asker.parts.marshal.stop_act(who, id, once=asker.once(who, required=keyed))
    return await asker.read(progress, id)
