"""What the filter language can ask about a message and its mails, as plain data; fields.py judges them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MailFacts:
    """What terms can ask about one mail. `claim` is its holder's name; times are Unix microseconds."""

    n: int
    rcpt: str
    status: str
    expiry: int
    claim: str | None = None
    requested: int | None = None  #: when its recipient asked for its release


@dataclass(frozen=True, slots=True)
class Facts:
    """What terms can ask about a message. `size` is bytes; `at` Unix microseconds."""

    id: int
    at: int
    size: int
    sender: str
    from_email: str
    subject: str
    score: float | None
    verdict: str
    rules: tuple[str, ...]
    customer: str
    degraded: str | None
    mails: tuple[MailFacts, ...]
    seen: frozenset[str] = frozenset()  #: names of who looked at it
    campaigns: tuple[str, ...] = ()  #: by all that is known of it, and by what everybody may know of it
