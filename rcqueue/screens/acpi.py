"""The `rc_acpi.sh` request of what a person did or looks at, to be copied into a script. Pure.

No claim and no sequence is in it: they were true then, and a script has its own. Nor is anything secret: what an act
can name are ids, terms, reasons and notes.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcqueue.model.act import ActBody, ActRequest, Manner
    from rcqueue.model.query import Query

UNSAID = "..."  #: in the place of a password, which no request has: the server refuses one so short
_SET = {"release": "RELEASED", "delete": "DELETED", "restore": "ONHOLD", "recall": "ONHOLD", "extend": "ONHOLD"}
_KEYS = {"for_seconds": "for", "settle": "as", "query": "filter"}  # where /acpi calls it otherwise
_LEFT_OUT = {"as_of", "fence", "verb", "ids"}


def of_list(query: Query) -> str:
    """The mails that this filter shows, one a line."""
    return _written(_terms(query))


def of(cmd: str, **arguments: Any) -> str:
    """Any other action of the registry; an argument that is None is left out."""
    return _written({"cmd": cmd, **{key: value for key, value in arguments.items() if value is not None}})


def of_act(verb: str, id: str, body: ActBody) -> str:
    return of(f"mail.{verb}", id=id, **_manner(body))


def of_many(request: ActRequest, count: int, query: Query) -> str:
    """An act on what was marked, or on all that match `query`: by `set` what that knows."""
    given = {key: value for key, value in _manner(request).items() if key != "filter"}
    if request.ids is not None:
        return of(f"mail.{request.verb}", id=request.ids, **given)
    if request.verb in _SET and request.sender is None:
        done = {"set": _SET[request.verb], "confirmation": True, "expect": count}
        return _written(_terms(query) | done | given)
    return of(f"mail.{request.verb}", filter=request.query, expect=count, **given)


def _terms(query: Query) -> dict[str, Any]:
    terms: dict[str, Any] = {"filter": query.text} if query.given else {}
    if not any(term.field == "status" for term in query.given):
        terms["status"] = "ONHOLD"
    return terms


def _manner(how: Manner) -> dict[str, Any]:
    given = how.model_dump(mode="json", exclude_defaults=True, exclude=_LEFT_OUT)
    if how.expiry is not None:
        given["expiry"] = round(how.expiry.timestamp())
    return {_KEYS.get(key, key): value for key, value in given.items() if value != ""}


def _written(request: dict[str, Any]) -> str:
    return f"rc_acpi.sh {shlex.quote(json.dumps(request))}"
