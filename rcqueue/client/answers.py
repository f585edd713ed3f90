"""What the server answers, read into models: those of `rcqueue.model`, and those that are the client's alone.

Whatever does not fit is an ApiProblem of type `unexpected`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from rcqueue.model.act import MailResult
from rcqueue.model.journal import Entry, History, Timeline
from rcqueue.model.mail import (
    Attachments,
    Counts,
    Envelope,
    Headers,
    Hex,
    Part,
    ReceiptDetail,
    RoleGrant,
    Summary,
    Text,
    Time,
    VerdictDetail,
    Whoami,
    Wire,
)

from .http import ApiProblem, unexpected

_Model = TypeVar("_Model", bound=Wire)
_Item = TypeVar("_Item")

PartModel = Summary | Envelope | Headers | VerdictDetail | ReceiptDetail | History | Timeline | Attachments | Text | Hex

PART_MODELS: dict[Part, type[PartModel]] = {
    Part.SUMMARY: Summary,
    Part.ENVELOPE: Envelope,
    Part.HEADERS: Headers,
    Part.VERDICT: VerdictDetail,
    Part.RECEIPT: ReceiptDetail,
    Part.HISTORY: History,
    Part.TIMELINE: Timeline,
    Part.ATTACHMENTS: Attachments,
    Part.TEXT: Text,
    Part.HTML: Text,
    Part.HEX: Hex,
}


class Login(Wire):
    token: str
    ends: Time
    whoami: Whoami


class ApiToken(Wire):
    token: str
    id: str
    ends: Time


class QueryCounts(Counts):
    """Counters, and, of a query: how many match (`capped`: at least so many), and how many would in other statuses."""

    matching: int | None = None
    capped: bool = False
    others: dict[str, int] = {}


class Person(Wire):
    name: str
    enabled: bool = True
    roles: list[RoleGrant] = []
    locks: list[str] = []
    sessions: int = 0


class ActResults(Wire):
    """`next` goes on from the last of `results`; None after the last."""

    results: list[MailResult]
    next: str | int | None = None


class AuditPage(Wire):
    entries: list[Entry]
    next: str | int | None = None


class JournalPart(Wire):
    """All that may be seen of the entries `from_` to `to`; or `resync`: take a page and go on from `resync["at"]`."""

    from_: int | None = Field(default=None, alias="from")
    to: int | None = None
    entries: list[Entry] = []
    resync: dict[str, int] | None = None


def read(model: type[_Model], data: Any) -> _Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _misfit(model.__name__, error) from None


def read_list(kind: TypeAdapter[list[_Item]], data: Any, name: str) -> list[_Item]:
    """The list that is the answer, or that is its member `name`."""
    try:
        return kind.validate_python(data.get(name) if isinstance(data, dict) else data)
    except ValidationError as error:
        raise _misfit(name, error) from None


def _misfit(name: str, error: ValidationError) -> ApiProblem:
    # Never the value: it may be of a class that must not be repeated in a message of error.
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    return unexpected(f"the server's {name} does not fit: {place}: {first['msg']}")
