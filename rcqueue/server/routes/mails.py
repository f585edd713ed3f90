"""The queue: pages, rows, counts, and what one mail shows. Lists go out as ready bytes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from rcqueue.model.access import Access, DataClass, Right
from rcqueue.model.act import ActBody, NextBody, Verb
from rcqueue.model.facet import MAX_VALUES, Facets, chosen
from rcqueue.model.ids import encode_message, parse_id
from rcqueue.model.mail import Attachments, Hex, Part, to_us
from rcqueue.model.query import EVERY
from rcqueue.model.query import Query as Filter
from rcqueue.server.marshal import Refusal, show
from rcqueue.server.marshal.entries import history
from rcqueue.server.marshal.refusal import customers_with
from rcqueue.server.marshal.seeing import seen_by
from rcqueue.server.marshal.timeline import timeline
from rcqueue.server.reading.deep import Deep
from rcqueue.server.store.campaigns import campaign
from rcqueue.server.store.database import head_seq
from rcqueue.server.store.facets import facets as count_facets
from rcqueue.server.store.pages import RowData, build_row, check_query, counts, page, rows_by_id

from .deps import Asker, Viewer

router = APIRouter(tags=["mails"])
PAGE = 500
HEX_PAGE = 16 * 1024  #: bytes of a page of hex


def json_answer(value: Any) -> Response:
    return Response(json.dumps(value, ensure_ascii=False, separators=(",", ":")), media_type="application/json")


def _model(value: BaseModel) -> Response:
    return Response(value.model_dump_json(exclude_none=True), media_type="application/json")


def number(text: str) -> int:
    """The message that an id names; raises `Refusal`."""
    try:
        return parse_id(text)[0]
    except ValueError as error:
        raise Refusal("bad-request", str(error)) from None


def rows_for(who: Access, found: list[RowData]) -> list[dict[str, Any]]:
    classes: dict[str, Any] = {}
    return [build_row(d, classes.setdefault(d.customer, who.classes_at(d.customer))) for d in found]


@router.get("/mails")
async def mails(
    asker: Asker,
    query: str = "",
    sort: str = "-time",
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 100,
    after: str | None = None,
    before: str | None = None,
    at: str | None = None,
    time: datetime | None = None,
    end: bool = False,
) -> Response:
    """A page of rows. At most one of after, before, at, time and end."""
    if sum((after is not None, before is not None, at is not None, time is not None, end)) > 1:
        raise Refusal("bad-request", "at most one of after, before, at, time and end was expected")
    marshal = asker.parts.marshal
    now = marshal.clock.now()

    def read(connection: Connection, who: Access) -> dict[str, Any]:
        wanted = marshal.query(who, query)
        try:
            check_query(who, wanted, sort)
            found = page(
                connection,
                who,
                wanted,
                sort,
                after=after,
                before=before,
                at=None if at is None else number(at),
                time_us=None if time is None else to_us(time),
                end=end,
                limit=limit,
                now_us=now,
            )
        except LookupError as error:
            raise Refusal("not-found", str(error)) from None
        except ValueError as error:  # QueryError is one, and is shown as such
            raise (error if hasattr(error, "place") else Refusal("bad-request", str(error))) from None
        return {
            "seq": head_seq(connection),
            "rows": rows_for(who, found.rows),
            "next": found.next,
            "previous": found.previous,
            "partial": found.partial,
        }

    return json_answer(await asker.read(read))


@router.post("/mails/next")
async def next_mails(asker: Asker, body: NextBody) -> Response:
    """Deals the next messages of a filter that nobody holds: claims them, for nobody else."""
    who = await asker.who()
    return _model(await asker.parts.marshal.next(who, body, once=asker.once(who)))


@router.get("/mails/rows")
async def some_rows(asker: Asker, ids: str, query: str = "") -> Response:
    """The rows of some messages (ids by commas, at most 200) that match; the others are missing."""
    wanted = [number(i) for i in ids.split(",") if i]
    if len(wanted) > 200:
        raise Refusal("bad-request", "ids: at most 200 were expected")
    marshal = asker.parts.marshal
    now = marshal.clock.now()

    def read(connection: Connection, who: Access) -> dict[str, Any]:
        found = rows_by_id(connection, who, wanted, marshal.query(who, query), now)
        return {"seq": head_seq(connection), "rows": rows_for(who, found)}

    return json_answer(await asker.read(read))


@router.get("/counts")
async def count(asker: Asker, query: str | None = None) -> Response:
    marshal = asker.parts.marshal
    now = marshal.clock.now()

    def read(connection: Connection, who: Access) -> dict[str, Any]:
        wanted = None if query is None else marshal.query(who, query)
        customers_with(who, Right.VIEW)
        tally = counts(connection, who, wanted, now_us=now)
        answer: dict[str, Any] = {"seq": head_seq(connection), "status": tally.status, "verdict": tally.verdict}
        if wanted is not None:
            answer |= {"matching": tally.matching, "capped": tally.capped, "others": tally.others}
        return answer

    return json_answer(await asker.read(read))


@router.get("/facets")
async def facets(
    asker: Asker, query: str = "", by: str = "", limit: Annotated[int, Query(ge=1, le=MAX_VALUES)] = 12
) -> Facets:
    """What the mails that match have in common, counted. `by`: some facets, with commas; all that may be seen."""
    return await facets_of(asker, query, by, limit)


async def facets_of(asker: Viewer, query: str, by: str, limit: int) -> Facets:
    marshal = asker.parts.marshal
    now = marshal.clock.now()

    def read(connection: Connection, who: Access) -> Facets:
        wanted = marshal.query(who, query)
        try:
            names = chosen(by, who.classes_everywhere())
        except ValueError as error:
            raise Refusal("bad-request", str(error)) from None
        found = count_facets(connection, who, wanted, names, limit, now_us=now)
        return Facets(seq=head_seq(connection), partial=any(facet.capped for facet in found), facets=found)

    return await asker.read(read)


# -- one mail


@router.get("/mails/{id}")
async def summary(asker: Asker, id: str, query: str | None = None) -> Response:
    return json_answer(await summary_of(asker, id, query))


async def summary_of(asker: Viewer, id: str, query: str | None = None) -> dict[str, Any]:
    message, marshal = number(id), asker.parts.marshal
    now = marshal.clock.now()

    def read(connection: Connection, who: Access) -> dict[str, Any]:
        row = show.message_row(connection, who, message)
        wanted: Filter = EVERY if query is None else marshal.query(who, query)
        found = rows_by_id(connection, who, [message], wanted, now) or rows_by_id(
            connection, who, [message], EVERY, now
        )
        classes = who.classes_at(row.customer)
        answer: dict[str, Any] = {"row": rows_for(who, found)[0]}
        seen = [one.model_dump(mode="json") for one in seen_by(connection, message)]
        if DataClass.ENVELOPE in classes:
            answer["envelope"] = show.envelope(connection, who, message)
        if (of := campaign(connection, who, row)) is not None:
            answer["campaign"] = of
        known = row.purged is None or row.passed or row.rejected  # of those there never were bytes
        if DataClass.HEADERS in classes and known:
            answer["headers"] = show.headers(connection, who, message, marshal.terms.authserv_ids)
            answer["verdict"] = show.verdict(connection, who, message)
        parts = {k: v.model_dump(mode="json", exclude_none=True) if k != "row" else v for k, v in answer.items()}
        return parts | {"seen": seen}

    return await asker.read(read)


@router.get("/mails/{id}/{part}")
async def part(asker: Asker, id: str, part: Part, at: Annotated[int, Query(ge=0)] = 0) -> Response:
    """One part of a mail. `at`: of hex, the offset that its page begins at."""
    message = number(id)
    match part:
        case Part.SUMMARY:
            return json_answer(await summary_of(asker, id))
        case Part.RAW:
            raw = await read_raw(asker, message)
            return Response(raw, media_type="application/octet-stream")
    return _model(await part_of(asker, id, part, at))


async def part_of(asker: Viewer, id: str, part: Part, at: int = 0) -> BaseModel:
    """One part but summary and raw, as a model of the wire. `at`: of hex, where its page begins."""
    message = number(id)
    match part:
        case Part.ENVELOPE:
            return await asker.read(show.envelope, message)
        case Part.HEADERS:
            return await asker.read(show.headers, message, asker.parts.marshal.terms.authserv_ids)
        case Part.VERDICT:
            return await asker.read(show.verdict, message)
        case Part.RECEIPT:
            return await asker.read(show.receipt, message)
        case Part.HISTORY:
            return await asker.read(_history, message)
        case Part.TIMELINE:
            return await asker.read(timeline, message, parse_id(id)[1])
        case Part.ATTACHMENTS:
            await asker.read(_may_see_attachments, message)
            deep = await _deep(asker, message)
            return Attachments(id=encode_message(message), attachments=deep.attachments, degraded=deep.degraded)
        case Part.HEX:
            raw = await read_raw(asker, message, Part.HEX, goes_on=at > 0)
            return Hex(id=encode_message(message), at=at, size=len(raw), data=raw[at : at + HEX_PAGE].hex())
        case _:
            await asker.parts.marshal.open_body(await asker.who(), message, part.value)
            return await asker.read(show.body, message, await _deep(asker, message), part)


async def read_raw(asker: Viewer, message: int, part: Part = Part.RAW, *, goes_on: bool = False) -> bytes:
    await asker.parts.marshal.open_body(await asker.who(), message, part.value, goes_on=goes_on)
    return await asker.parts.marshal.database.read(show.raw_bytes, message)


class HistoryAnswer(BaseModel):
    id: str
    entries: list[dict[str, Any]]


def _history(connection: Connection, who: Access, message: int) -> HistoryAnswer:
    show.message_row(connection, who, message)
    return HistoryAnswer(id=encode_message(message), entries=history(connection, who, message))


def _may_see_attachments(connection: Connection, who: Access, message: int) -> None:
    show.require(who, show.message_row(connection, who, message).customer, DataClass.ATTACHMENTS)


async def _deep(asker: Viewer, message: int) -> Deep:
    """What is made of a message when it is first opened, and kept."""
    marshal = asker.parts.marshal
    if (kept := await marshal.database.read(show.deep_kept, message)) is not None:
        return Deep.model_validate_json(kept)
    deep = await asker.parts.readers.read(await marshal.database.read(show.raw_bytes, message))
    await marshal.do(show.KeepDeep(message, deep.model_dump_json().encode()))
    return deep


@router.post("/mails/{id}/{verb}")
async def act(asker: Asker, id: str, verb: Verb, body: ActBody) -> Response:
    """One verb on one mail, or on the mails of one message."""
    who = await asker.who()
    answer = await asker.parts.marshal.act(who, verb, [id], body, once=asker.once(who))
    return _model(answer)
