"""What people set while the server runs, as it crosses the wire: senders, and values over the policy's file."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .mail import Time, Wire


class SenderBody(Wire):
    """Body of POST /api/v1/senders/allow and /block: one of `recipient` and `customer`, one of `days` and `until`."""

    sender: str = Field(max_length=400)  #: an address, or a domain: it and those below
    recipient: str | None = Field(default=None, max_length=400)
    customer: str | None = None  #: all of this customer's mail
    days: int | None = Field(default=None, ge=1, le=366)
    until: Time | None = None
    reason: str = Field(default="", max_length=1000)


class SenderEnd(Wire):
    """Body of POST /api/v1/senders/ID/end."""

    reason: str = Field(default="", max_length=1000)


class SenderLine(Wire):
    """One sender that people let through or stop."""

    id: int
    kind: str  #: allow, block
    sender: str
    customer: str
    recipient: str | None = None  #: None: all of the customer's
    by: str
    created: Time
    ends: Time
    ended: Time | None = None  #: taken back before its end


class Senders(Wire):
    """The newest first; `next` goes on, as `before`."""

    senders: list[SenderLine]
    next: int | None = None


class SettingBody(Wire):
    """Body of POST /api/v1/policy/set. `value` None: the file's holds again."""

    key: str = Field(max_length=200)  #: score.SCANNER.tag|hold|reject or points.SCANNER.RULE
    value: float | None
    scope: str = Field(default="default", max_length=255)  #: or a domain of the policy's file
    reason: str = Field(max_length=1000)


class PolicySetting(Wire):
    scope: str
    key: str
    value: float
    file: float | None = None  #: what the file says
    by: str
    at: Time
    seq: int
    fault: str | None = None  #: why it does not hold: it does not fit the file any more


class PolicyScope(Wire):
    """The terms of a scope as they hold, settings included: as the file's tables are."""

    scope: str
    terms: dict[str, Any]


class PolicyShown(Wire):
    """The answer of GET /api/v1/policy."""

    scopes: list[PolicyScope]
    settings: list[PolicySetting]
