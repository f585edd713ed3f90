"""What is on its way out, and the next hops that it goes to, as it crosses the wire."""

from __future__ import annotations

from pydantic import Field

from .health import NextHopState
from .mail import Status, Time, Wire


class OutgoingMail(Wire):
    """A mail that is RELEASING or UNCERTAIN. A class that the viewer lacks: the key is absent (None)."""

    id: str
    status: Status
    customer: str
    next_hop: str = ""  #: HOST:PORT
    fromEmail: str | None = None
    toEmail: str | None = None
    subject: str | None = None
    attempts: int = 0  #: of this release
    last: Time | None = None  #: when the last one began
    next: Time | None = None  #: when the next one is due; None: it is being tried now, or waits for a person
    reply: str = ""  #: the next hop's last answer, or its codes alone
    version: int


class Outgoing(Wire):
    """The answer of `GET /api/v1/outgoing`: what waits for a person first, then what was tried most."""

    now: Time
    seq: int
    mails: list[OutgoingMail]
    more: int = 0  #: mails beyond those of the first page; of another page 0
    next: str | None = None  #: goes on after this page
    next_hops: list[NextHopState]


class HopWish(Wire):
    """Why; and with `limit`: how many mails a minute go there at most, None for as many as it takes."""

    reason: str = Field(default="", max_length=1000)
    rate: int | None = Field(default=None, ge=1, le=1_000_000)
