"""`/acpi`: one JSON object in, one object a line out, in the form that customers' scripts already use.

Reading: the keys below, and the seven keys of each mail out. `set` releases, deletes or holds what they select, after
`confirmation` of their count. `cmd` is every other action of the registry, as OBJECT.VERB with its arguments as keys.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rcqueue.model.access import Grant
from rcqueue.model.act import ActBody, ActRequest, ActState, NextBody, ReleaseAs, Verb
from rcqueue.model.facet import MAX_VALUES
from rcqueue.model.ids import encode_message
from rcqueue.model.mail import Part
from rcqueue.model.query import QueryError, QueryForbidden
from rcqueue.server.identity.sessions import check_name
from rcqueue.server.marshal import Refusal

from . import acpi_claims, acpi_notices, acpi_rules, acpi_saved, acpi_server, acts, people, scans
from .acpi_arguments import Command, body, nothing_else, take
from .acpi_arguments import said as _said
from .acpi_arguments import time as _time
from .acpi_mails import FIELDS, Selection, select_mails, show_mails
from .campaigns import MAX_PAGE, campaigns_of
from .deps import Asker, Viewer
from .mails import facets_of, number, part_of, read_raw, summary_of

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
        raise _said(error, model) from None


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
    if any(status == "UNCERTAIN" for _, status in chosen):
        raise ValueError("set: some are UNCERTAIN: settle those by {'cmd': 'mail.settle', 'as': 'arrived|again|hold'}")
    if not request.confirmation:
        text = f"{request.set} {len(chosen)} mails. Repeat with confirmation true and expect {len(chosen)}."
        raise _Said(code="OK", matches=len(chosen), confirmationRequired=True, confirmationText=text)
    if request.expect != len(chosen):
        expected = "nothing" if request.expect is None else request.expect
        raise Refusal("expect", f"{len(chosen)} mails match, expect said {expected}; nothing done", matches=len(chosen))
    verbs = _VERBS[request.set]
    groups: dict[Verb | None, list[str]] = {}
    for mail, status in chosen:
        groups.setdefault(verbs.get(status), []).append(mail)
    said: dict[str, Any] = {"reason": request.reason, "form": request.form, "learn": request.learn}
    said |= {"expiry": None if request.expiry is None else _time(request.expiry), "to": _listed(request.to)}
    for verb, ids in groups.items():
        results = dict.fromkeys(ids, "status")
        if verb is not None:
            results |= await run_act(asker, ActRequest(verb=verb, ids=ids, **said))
        done = Selection((), list(results), None, None)
        async for line in show_mails(asker, done, 0, None, None, with_ids=True):
            yield {**line, "result": results[line.pop("_id")]}


async def run_act(asker: Viewer, request: ActRequest) -> dict[str, str]:
    """Stores, confirms and waits for an act on many; the result of each mail by its id."""
    who, marshal = await asker.who(), asker.parts.marshal
    act = await marshal.store_act(who, request, once=asker.once(who, required=False))
    while (state := await asker.read(acts.progress, act))["state"] == ActState.SELECTING:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    if state["state"] == ActState.STORED:
        await marshal.confirm_act(who, act, state["count"])
    while (await asker.read(acts.progress, act))["state"] == ActState.RUNNING:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    results: dict[str, str] = {}
    after: str | None = None
    while True:
        found = await asker.read(acts.results_of, act, after, 5000)
        results |= {r["id"]: r["result"] for r in found["results"]}
        after = found["next"]
        if after is None:
            return results


def _listed(one_or_more: Any) -> Any:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


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


def _act(verb: Verb) -> Command:
    async def run(asker: Viewer, arguments: dict[str, Any]) -> Any:
        ids = take(arguments, "id", object)
        fields: dict[str, Any] = {}
        for key, name, kind in (
            ("asOf", "as_of", int),
            ("fence", "fence", int),
            ("reason", "reason", str),
            ("note", "note", str),
            ("person", "person", str),
            ("for", "for_seconds", int),
            ("as", "settle", str),
            ("filter", "query", str),
            ("sender", "sender", dict),
            ("form", "form", str),
            ("learn", "learn", bool),
        ):
            if key in arguments:
                fields[name] = take(arguments, key, kind)
        if "to" in arguments:
            fields["to"] = _listed(arguments.pop("to"))
        if "expiry" in arguments:
            fields["expiry"] = _time(arguments.pop("expiry"))
        nothing_else(arguments, f"mail.{verb}")
        try:
            body = ActBody(**fields)
        except ValidationError as error:
            raise _said(error, ActBody) from None
        ids = ids if isinstance(ids, list) else [ids]
        if not all(isinstance(i, str) for i in ids):
            raise ValueError("id: an id or a list of ids was expected")
        who = await asker.who()
        answer = await asker.parts.marshal.act(who, verb, ids, body, once=asker.once(who, required=False))
        return answer.model_dump(mode="json", exclude_none=True)

    return run


async def _show(asker: Viewer, arguments: dict[str, Any]) -> Any:
    id, part = take(arguments, "id", str), take(arguments, "part", str, "summary")
    at = take(arguments, "at", int, 0)
    nothing_else(arguments, "mail.show")  # a read is on record too
    if at < 0:
        raise ValueError("at: the offset of a byte was expected, 0 or more")
    if part not in tuple(Part):
        raise ValueError(f"part: {part!r}; one of {', '.join(Part)} was expected")
    if part == Part.SUMMARY:
        return await summary_of(asker, id)
    if part == Part.RAW:
        raw = await read_raw(asker, number(id))
        return {"id": encode_message(number(id)), "raw": raw.decode("latin-1"), "encoding": "latin-1"}
    return (await part_of(asker, id, Part(part), at)).model_dump(mode="json", exclude_none=True)


async def _facets(asker: Viewer, arguments: dict[str, Any]) -> Any:
    query, by = take(arguments, "filter", str, ""), take(arguments, "by", str, "")
    limit = take(arguments, "limit", int, 12)
    if not 1 <= limit <= MAX_VALUES:
        raise ValueError(f"limit: 1 to {MAX_VALUES} was expected")
    found = await facets_of(asker, query, by, limit)
    return [facet.model_dump(mode="json") for facet in found.facets]


async def _campaigns(asker: Viewer, arguments: dict[str, Any]) -> Any:
    query, limit = take(arguments, "filter", str, ""), take(arguments, "limit", int, 1000)
    after: str | None = None
    found: list[dict[str, Any]] = []
    while len(found) < limit:
        page = await campaigns_of(asker, query, after, min(MAX_PAGE, limit - len(found)))
        found += [campaign.model_dump(mode="json", exclude_none=True) for campaign in page.campaigns]
        after = page.next
        if after is None:
            break
    return found


async def _body(asker: Viewer, arguments: dict[str, Any]) -> Any:
    id = take(arguments, "id", str)
    nothing_else(arguments, "mail.body")
    text = await part_of(asker, id, Part.TEXT)
    return text.model_dump(mode="json", exclude_none=True)


async def _next(asker: Viewer, arguments: dict[str, Any]) -> Any:
    fields = {
        "count": take(arguments, "count", int, 20),
        "query": take(arguments, "filter", str, ""),
        "for_seconds": take(arguments, "for", int, None),
    }
    asked = body(NextBody, fields, arguments, "mail.next")
    who = await asker.who()
    dealt = await asker.parts.marshal.next(who, asked, once=asker.once(who, required=False))
    return dealt.model_dump(mode="json")


async def _acts(asker: Viewer, arguments: dict[str, Any]) -> Any:
    return await asker.read(acts.acts_of)


async def _stop(asker: Viewer, arguments: dict[str, Any]) -> Any:
    id = take(arguments, "id", str)
    nothing_else(arguments, "act.stop")
    return await acts.stop_act(asker, id, keyed=False)


async def _show_act(asker: Viewer, arguments: dict[str, Any]) -> Any:
    """How an act stands; with `results` what became of its mails, at most 5,000 of those after `after`."""
    id, results = take(arguments, "id", str), take(arguments, "results", str, "")
    after = take(arguments, "after", str, None)
    nothing_else(arguments, "act.show")
    if results not in ("", "all", "left"):
        raise ValueError(f"results: {results!r}; all or left (of what was not done) was expected")
    if not results:
        return await asker.read(acts.progress, id)
    return (await asker.read(acts.results_of, id, after, 5000, results == "left"))["results"]


async def _undo(asker: Viewer, arguments: dict[str, Any]) -> Any:
    id = take(arguments, "id", str)
    nothing_else(arguments, "act.undo")
    return await acts.undo_act(asker, id, keyed=False)


async def _people(asker: Viewer, arguments: dict[str, Any]) -> Any:
    return await asker.read(people.people_of)


async def _create(asker: Viewer, arguments: dict[str, Any]) -> Any:
    name, secret = take(arguments, "name", str), take(arguments, "password", str)
    grant = Grant(take(arguments, "role", str), take(arguments, "customer", str))
    nothing_else(arguments, "people.create")
    check_name(name)
    return await people.change(asker, "create", name, (grant,), password=secret, keyed=False)


def _person(what: str) -> Command:
    async def run(asker: Viewer, arguments: dict[str, Any]) -> Any:
        name = take(arguments, "name", str)
        grants: tuple[Grant, ...] = ()
        if what in ("grant", "revoke"):
            grants = (Grant(take(arguments, "role", str), take(arguments, "customer", str)),)
        lock = take(arguments, "lock", str, "bodies") if what in ("lock", "unlock") else ""
        secret = take(arguments, "password", str) if what == "password" else None
        nothing_else(arguments, f"people.{what}")
        return await people.change(asker, what, name, grants, lock, secret, keyed=False)

    return run


async def _audit(asker: Viewer, arguments: dict[str, Any]) -> Any:
    since, limit = take(arguments, "since", int, 0), take(arguments, "limit", int, 200)
    account, message = take(arguments, "account", str, None), take(arguments, "message", str, None)
    if not 1 <= limit <= 1000:
        raise ValueError("limit: 1 to 1000 was expected")
    found = await asker.read(people.audit_of, since, limit, account, message)
    return found["entries"]


async def _history(asker: Viewer, arguments: dict[str, Any]) -> Any:
    before, limit = take(arguments, "before", int, None), take(arguments, "limit", int, 100)
    of, verb = take(arguments, "of", str, None), take(arguments, "verb", str, None)
    if not 1 <= limit <= 500:
        raise ValueError("limit: 1 to 500 was expected")
    nothing_else(arguments, "history.list")
    return (await asker.read(people.history_of, before, limit, of, verb))["entries"]


def _scanned(ask: Callable[[Viewer, bytes, str, list[str]], Awaitable[dict[str, Any]]]) -> Command:
    """`raw` is the message, one character a byte (Latin-1), as mail.show gives it."""

    async def run(asker: Viewer, arguments: dict[str, Any]) -> Any:
        text, sender = take(arguments, "raw", str), take(arguments, "sender", str, "")
        recipients = take(arguments, "rcpt", list, [])
        if len(recipients) > 100 or not all(isinstance(to, str) for to in recipients):
            raise ValueError("rcpt: a list of at most 100 addresses was expected")
        try:
            raw = text.encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError("raw: one character a byte was expected (Latin-1)") from None
        return await ask(asker, raw, sender, recipients)

    return run


async def _list(asker: Viewer, arguments: dict[str, Any]) -> Any:
    raise AssertionError("mail.list streams")


#: The registry's actions that reach the server, by name.
COMMANDS: dict[str, Command] = {
    **{f"mail.{verb}": _act(verb) for verb in Verb},
    "mail.list": _list,
    "mail.facets": _facets,
    "campaign.list": _campaigns,
    "mail.show": _show,
    "mail.next": _next,
    "mail.body": _body,
    "act.list": _acts,
    "act.show": _show_act,
    "act.stop": _stop,
    "act.undo": _undo,
    "people.list": _people,
    "people.create": _create,
    **{
        f"people.{what}": _person(what)
        for what in ("lock", "unlock", "grant", "revoke", "enable", "disable", "password")
    },
    "audit.list": _audit,
    "history.list": _history,
    **acpi_server.COMMANDS,
    **acpi_saved.COMMANDS,
    **acpi_claims.COMMANDS,
    **acpi_notices.COMMANDS,
    "scan.file": _scanned(scans.scan),
    "policy.test": _scanned(scans.judge),
    **acpi_rules.COMMANDS,
}
