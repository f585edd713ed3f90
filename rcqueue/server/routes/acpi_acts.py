"""The `/acpi` commands that act on mail, and those on acts on many."""

from __future__ import annotations

import asyncio
from typing import Any

from rcqueue.model.act import ActBody, ActRequest, ActState, NextBody, Verb

from . import acts
from .acpi_arguments import Command, body, nothing_else, one_or_many, take, time
from .deps import Viewer


async def run_act(asker: Viewer, request: ActRequest, expect: int | None = None) -> dict[str, str]:
    """Stores, confirms and waits for an act on many; the result of each mail by its id. Raises Refusal, also when it is
    not on exactly `expect` mails."""
    who, marshal = await asker.who(), asker.parts.marshal
    act = await marshal.store_act(who, request, once=asker.once(who, required=False))
    waits = (ActState.SELECTING, ActState.WEIGHING)
    while (state := await asker.read(acts.progress, act))["state"] in waits:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    if state["state"] == ActState.STORED:
        await marshal.confirm_act(who, act, state["count"] if expect is None else expect)
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


_FIELDS = (
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
)


def _fields(arguments: dict[str, Any]) -> dict[str, Any]:
    """Those of the body, by the names that they have there."""
    fields = {name: take(arguments, key, kind) for key, name, kind in _FIELDS if key in arguments}
    if "to" in arguments:
        fields["to"] = one_or_many(arguments.pop("to"))
    if "expiry" in arguments:
        fields["expiry"] = time(arguments.pop("expiry"))
    return fields


def _act(verb: Verb) -> Command:
    """On the mails of `id`; with `expect` on all that match `filter`, if they are exactly so many."""

    async def run(asker: Viewer, arguments: dict[str, Any]) -> Any:
        if "expect" in arguments:
            return await _many(asker, verb, arguments)
        ids = one_or_many(take(arguments, "id", object))
        asked = body(ActBody, _fields(arguments), arguments, f"mail.{verb}")
        if not all(isinstance(i, str) for i in ids):
            raise ValueError("id: an id or a list of ids was expected")
        who = await asker.who()
        answer = await asker.parts.marshal.act(who, verb, ids, asked, once=asker.once(who, required=False))
        return answer.model_dump(mode="json", exclude_none=True)

    return run


async def _many(asker: Viewer, verb: Verb, arguments: dict[str, Any]) -> Any:
    expect, fields = take(arguments, "expect", int), _fields(arguments)
    if not fields.get("query", "").strip():
        raise ValueError("filter: with expect, one that says which mails was expected")
    request = body(ActRequest, fields | {"verb": verb}, arguments, f"mail.{verb}")
    results = await run_act(asker, request, expect)
    done = sum(result == "done" for result in results.values())
    return {"done": done, "results": [{"id": id, "result": result} for id, result in results.items()]}


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


COMMANDS: dict[str, Command] = {
    **{f"mail.{verb}": _act(verb) for verb in Verb},
    "mail.next": _next,
    "act.list": _acts,
    "act.show": _show_act,
    "act.stop": _stop,
    "act.undo": _undo,
}
