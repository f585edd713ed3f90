"""What a scanner says of a message, and what the policy makes of it, as they cross the wire."""

from __future__ import annotations

from enum import StrEnum

from .mail import RuleHit, Time, VerdictKind, Wire
from .mail import ScanResult as ScanResult  # is shown with a mail too


class Action(StrEnum):
    """What the policy does with a mail as it arrives, from the mildest to the strongest."""

    PASS = "PASS"  # noqa: S105
    TAG = "TAG"
    DEFER = "DEFER"  #: refused for now: whoever sends it tries again
    HOLD = "HOLD"
    REJECT = "REJECT"


class Found(Wire):
    """An attachment that a rule of the policy is about. Of class `attachments`."""

    name: str
    rule: str  #: the rule as it stands in the policy
    action: str  #: block, isolate or strip


class RecipientDecision(Wire):
    """What the policy does with one recipient's mail, and why."""

    recipient: str
    action: Action
    kind: VerdictKind | None = None
    score: float | None = None
    required: float | None = None
    rules: list[RuleHit] = []
    reason: str = ""
    headers: list[tuple[str, str]] = []  #: fields that a tagged mail gets
    attachments: list[Found] | None = None
    policy: str = ""  #: where in the policy this came from: "default", or the domain
    settings: list[str] = []  #: what people set over the policy's file and counted here, "KEY = VALUE"


class Scanned(Wire):
    """The answer of `POST /api/v1/scan`."""

    results: list[ScanResult]


class PolicyTested(Wire):
    """The answer of `POST /api/v1/policy/test`."""

    results: list[ScanResult]
    decisions: list[RecipientDecision]


class ScannerHealth(Wire):
    """How a scanner does. `since`: since when it is up, or down; None before it was first asked."""

    name: str
    up: bool | None = None
    since: Time | None = None
    error: str | None = None
    version: str = ""
    signatures_at: Time | None = None  #: when its signatures were made, where it says so
