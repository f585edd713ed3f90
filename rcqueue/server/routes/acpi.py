"""`/acpi`: one JSON object in, one object a line out, in the form that customers' scripts already use.

Reading: the keys below, and the seven keys of each mail out. `set` releases, deletes or holds what they select, after
`confirmation` of their count. `cmd` is every other action of the registry, as OBJECT.VERB with its arguments as keys.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rcqueue.model.act import ActRequest, ReleaseAs, Verb
from rcqueue.model.query import QueryError, QueryForbidden
from rcqueue.server.marshal import Refusal

from . import (
    acpi_acts,
    acpi_claims,
    acpi_notices,
    acpi_people,
    acpi_policy,
    acpi_reading,
    acpi_saved,
    acpi_server,
    acts,
)
from .acpi_arguments import Command, mistake_in, nothing_else, one_or_many, time
from .acpi_mails import FIELDS, Selection, select_mails, show_mails
from .deps import Asker, Viewer

router = APIRouter(tags=["acpi"])
Lines = AsyncIterator[dict[str, Any]]


class Request(BaseModel):
    """The keys of a reading or `set` request. Times are Unix seconds."""

    model_config = ConfigDict(extra="forbid")

    startTime: float | None = None
    endTime: float | None = None
    status: str | None = None
    fromDomain: str | None = None
    fromEmail: str | None = None
    toEmail: str | None = None
    subject: str | None = None
    filter: str = ""
    id: str | list[str] | None = None
    resStart: int = Field(default=0, ge=0, le=100_000)
    resWindow: int | None = Field(default=None, ge=1)
    fields: list[str] | None = None
    set: str | None = None
    confirmation: bool = False
    expect: int | None = None
    reason: str = ""
    expiry: float | None = None
    form: ReleaseAs | None = None
    to: str | list[str] = []
    learn: bool = False

    def selection(self) -> Selection:
        ids = [self.id] if isinstance(self.id, str) else self.id
        words = (
            ("status", self.status),
            ("from", self.fromDomain),
            ("from", self.fromEmail),
            ("to", self.toEmail),
            ("subject", self.subject),
        )
        return Selection(words, ids, self.startTime, self.endTime, self.filter)


class _Said(Exception):
    """An answer that is no list of mails: one object."""

    def __init__(self, **answer: Any) -> None:
        self.answer = answer


def mistake(message: str, **more: Any) -> dict[str, Any]:
    return {"code": "ERROR", "message": message, **more}


@router.post("/acpi")
async def acpi(asker: Asker) -> Response:
    """NDJSON. A mistake is one line {"code":"ERROR","message":...}; nothing was done."""
    lines = _guarded(_lines(asker))
    first = await anext(lines, None)  # what is refused at once gets its status
    status = 200
    if first is not None and first.get("code") == "ERROR":
        status = {"unauthorized": 401, "forbidden": 403, "not-found": 404}.get(first.get("type", ""), 400)

    async def text() -> AsyncIterator[bytes]:
        if first is not None:
            yield _line(first)
        async for line in lines:
            yield _line(line)

    return StreamingResponse(text(), status, media_type="application/x-ndjson")


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


async def _guarded(lines: Lines) -> Lines:
    try:
        async for line in lines:
            yield line
    except _Said as said:
        yield said.answer
    except Refusal as refusal:
        yield mistake(refusal.detail, type=refusal.kind, **refusal.extra)
    except QueryForbidden as error:
        yield mistake(str(error), type="forbidden", **{"class": error.data_class.value})
    except ValidationError:  # a ValueError too: of what is stored, not of what was asked
        raise
    except (QueryError, ValueError) as error:
        yield mistake(str(error), type="bad-request")


async def _lines(asker: Viewer) -> Lines:
    await asker.who()
    try:
        asked = json.loads(asker.body)
    except (ValueError, RecursionError):
        raise ValueError("the request: one JSON object was expected") from None
    if not isinstance(asked, dict):
        raise ValueError("the request: one JSON object was expected")
    if "cmd" in asked:
        async for line in _command(asker, asked):
            yield line
        return
    request = _parse(Request, asked)
    if unknown := [f for f in request.fields or () if f not in FIELDS]:
        raise ValueError(f"fields: there is no {unknown[0]!r}; any of {', '.join(FIELDS)} was expected")
    if request.set is None and (request.form or request.to or request.learn):
        raise ValueError("form, to and learn go with set: RELEASED, and learn with DELETED; toEmail is the filter")
    if request.set is not None:
        async for line in _set(asker, request):
            yield line
        return
    async for line in show_mails(asker, request.selection(), request.resStart, request.resWindow, request.fields):
        yield line


def _parse(model: type[Request], asked: dict[str, Any]) -> Request:
    try:
        return model.model_validate(asked)
    except ValidationError as error:
        raise mistake_in(error, model) from None


# -- set

_VERBS = {
    "RELEASED": {"ONHOLD": Verb.RELEASE},
    "DELETED": {"ONHOLD": Verb.DELETE},
    "ONHOLD": {
        "DELETED": Verb.RESTORE,
        "EXPIRED": Verb.RESTORE,
        "RELEASED": Verb.RESTORE,
        "RELEASING": Verb.RECALL,
        "ONHOLD": Verb.EXTEND,
    },
}


async def _set(asker: Viewer, request: Request) -> Lines:
    assert request.set is not None
    if request.set not in _VERBS:
        raise ValueError(f"set: {request.set!r}; RELEASED, DELETED or ONHOLD was expected")
    selection = request.selection()
    if not selection.narrow:
        raise ValueError("set: a filter beside status and times was expected (fromDomain, toEmail, subject ...), or id")
    chosen = await select_mails(asker, selection)
    if any(mail.status == "UNCERTAIN" for mail in chosen):
        raise ValueError("set: some are UNCERTAIN: settle those by {'cmd': 'mail.settle', 'as': 'arrived|again|hold'}")
    if not request.confirmation:
        reach, sample = await asker.read(acts.foreseen, chosen)
        to = f" to {', '.join(one_or_many(request.to))}" if request.to else reach.words
        text = f"{request.set} {len(chosen)} mails{to}. Repeat with confirmation true and expect {len(chosen)}."
        seen = {"reach": reach.model_dump(mode="json"), "sample": sample}
        raise _Said(code="OK", matches=len(chosen), **seen, confirmationRequired=True, confirmationText=text)
    if request.expect != len(chosen):
        expected = "nothing" if request.expect is None else request.expect
        raise Refusal("expect", f"{len(chosen)} mails match, expect said {expected}; nothing done", matches=len(chosen))
    verbs = _VERBS[request.set]
    groups: dict[Verb | None, list[str]] = {}
    for mail in chosen:
        groups.setdefault(verbs.get(mail.status), []).append(mail.id)
    said: dict[str, Any] = {"reason": request.reason, "form": request.form, "learn": request.learn}
    said |= {"expiry": None if request.expiry is None else time(request.expiry), "to": one_or_many(request.to)}
    for verb, ids in groups.items():
        results = dict.fromkeys(ids, "status")
        if verb is not None:
            results |= await acpi_acts.run_act(asker, ActRequest(verb=verb, ids=ids, **said))
        done = Selection((), list(results), None, None)
        async for line in show_mails(asker, done, 0, None, None, with_ids=True):
            yield {**line, "result": results[line.pop("_id")]}


# -- cmd


async def _command(asker: Viewer, asked: dict[str, Any]) -> Lines:
    name = asked.pop("cmd")
    if not isinstance(name, str) or name not in COMMANDS:
        raise ValueError(f"cmd: there is no {name!r}; one of {', '.join(sorted(COMMANDS))} was expected")
    if name == "mail.list":
        request = _parse(Request, asked)
        async for line in show_mails(asker, request.selection(), request.resStart, request.resWindow, request.fields):
            yield line
        return
    arguments = dict(asked)
    answer = await COMMANDS[name](asker, arguments)
    nothing_else(arguments, name)
    for one in answer if isinstance(answer, list) else [answer]:
        yield one if isinstance(answer, list) else {"code": "OK", **one}


async def _list(asker: Viewer, arguments: dict[str, Any]) -> Any:
    raise AssertionError("mail.list streams")


#: The registry's actions that reach the server, by name.
COMMANDS: dict[str, Command] = {
    "mail.list": _list,
    **acpi_acts.COMMANDS,
    **acpi_reading.COMMANDS,
    **acpi_people.COMMANDS,
    **acpi_server.COMMANDS,
    **acpi_saved.COMMANDS,
    **acpi_claims.COMMANDS,
    **acpi_notices.COMMANDS,
    **acpi_policy.COMMANDS,
}
