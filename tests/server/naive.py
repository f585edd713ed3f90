"""What a marshal has to do, written down naively from the promises: no database, no batches, nothing of the product's
but the words that go over the wire. The state machine holds the real one against it. These are its words; what it does
is in naive_world.py (people, time, mail in and out), naive_standing.py (filters) and naive_acts.py (acts).

Times are microseconds by the store's clock. A mail is (message, n). Refusals are answers here: `No(kind)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SECOND = 1_000_000
MINUTE, DAY = 60 * SECOND, 86400 * SECOND
LEASE, IDLE, API_CLAIM, CONFIRM = 120 * SECOND, 15 * MINUTE, 15 * MINUTE, 10 * MINUTE
ASSIGNED = 480 * MINUTE
EXPIRY, PURGE, RECALL, KEPT = 14 * DAY, 7 * DAY, 10 * SECOND, 6 * DAY
STEP = 3

_OPERATOR = "view headers claim release delete extend note"
RIGHTS = {
    "operator": frozenset(_OPERATOR.split()),
    "blind": frozenset(_OPERATOR.split()),
    "admin": frozenset((_OPERATOR + " takeover hold audit administer").split()),
    "auditor": frozenset(("view", "headers", "audit")),
}
EVERY = frozenset(("ONHOLD", "RELEASING", "UNCERTAIN", "RELEASED", "DELETED", "EXPIRED"))
ENDED = frozenset(("RELEASED", "DELETED", "EXPIRED"))
HELD = frozenset(("ONHOLD",))
#: verb: the right that it needs, the statuses that it applies to
VERBS: dict[str, tuple[str, frozenset[str]]] = {
    "claim": ("claim", HELD),
    "unclaim": ("claim", HELD),
    "takeover": ("takeover", HELD),
    "assign": ("claim", HELD),
    "release": ("release", HELD),
    "recall": ("release", frozenset(("RELEASING",))),
    "delete": ("delete", HELD),
    "restore": ("delete", ENDED),
    "extend": ("extend", HELD),
    "note": ("note", EVERY),
    "settle": ("release", frozenset(("UNCERTAIN",))),
    "rescan": ("release", HELD),
}
#: Those that decide what becomes of a mail, upon what the person saw of it: `as_of` and fence count.
DECIDING = frozenset(("release", "delete", "restore", "extend", "settle", "rescan"))
#: Filters that the machine uses: (person's name, customer, mail) -> does it match
FILTERS: dict[str, Any] = {
    "": lambda me, customer, mail: mail.status == "ONHOLD",
    "status:any": lambda me, customer, mail: True,
    "status:deleted,releasing": lambda me, customer, mail: mail.status in ("DELETED", "RELEASING"),
    "customer:acme": lambda me, customer, mail: mail.status == "ONHOLD" and covers("acme", customer),
    "claim:none": lambda me, customer, mail: mail.status == "ONHOLD" and mail.claim is None,
    "claim:me": lambda me, customer, mail: mail.status == "ONHOLD" and mail.claim is not None and mail.claim.who == me,
}


def covers(place: str, customer: str) -> bool:
    return place == "all" or (customer + "/").startswith(place + "/")


@dataclass
class Claim:
    session: int  # 0: none, it was assigned
    account: int
    who: str
    fence: int
    until: int | None


@dataclass
class Mail:
    rcpt: str
    expiry: int
    version: int
    status: str = "ONHOLD"
    claim: Claim | None = None
    release: str | None = None
    due: int | None = None
    tries: int = 0
    ended: int | None = None
    requested: bool = False


@dataclass
class Message:
    id: int
    customer: str
    verdict: str
    digest: bytes
    mails: list[Mail]
    purged: bool = False


@dataclass
class Person:
    id: int
    name: str
    roles: set[tuple[str, str]] = field(default_factory=set)
    locks: set[str] = field(default_factory=set)
    enabled: bool = True

    def rights(self, customer: str, scope: frozenset[str]) -> frozenset[str]:
        held = frozenset().union(*(RIGHTS[role] for role, place in self.roles if covers(place, customer)))
        return held & scope if scope else held

    def reads_bodies(self, customer: str) -> bool:
        roles = {role for role, place in self.roles if covers(place, customer)}
        return bool(roles & {"operator", "admin"}) and "bodies" not in self.locks


@dataclass
class Session:
    id: int
    person: Person
    kind: str
    scope: frozenset[str]
    lease: int
    seen: int
    ends: int
    ended: bool = False

    def rights(self, customer: str) -> frozenset[str]:
        return self.person.rights(customer, self.scope)


@dataclass
class Attempt:
    release: str
    dot: bool = False
    open: bool = True


@dataclass(frozen=True)
class Judged:
    """What scanning a message anew came to."""

    verdict: str
    would: dict[int, bool]  # pass, by mail


@dataclass(frozen=True)
class Body:
    as_of: int | None = None
    fence: int | None = None
    reason: str = ""
    query: str | None = None
    for_seconds: int | None = None
    expiry: int | None = None
    note: str = ""
    settle: str | None = None
    person: str = ""
    to: tuple[str, ...] = ()


@dataclass
class Many:
    """An act on many: the mails of its selection and what became of each; of a rescan also what was weighed, when."""

    id: str
    session: Session
    verb: str
    body: Body
    mails: dict[tuple[int, int], str | None]
    created: int
    state: str = "stored"
    over: int | None = None
    purged: bool = False
    weighed: int | None = None
    judged: dict[int, Judged] = field(default_factory=dict)

    @property
    def passing(self) -> int:
        return sum(self.judged[m].would[n] for m, n in self.mails if m in self.judged)


@dataclass(frozen=True)
class Entry:
    kind: str
    account: int | None = None
    session: int | None = None
    message: int | None = None
    mails: tuple[int, ...] = ()


@dataclass(frozen=True)
class No:
    kind: str
    results: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Done:
    seq: int
    fence: int | None
    release: str | None
    recall_until: int | None  # in milliseconds
    results: tuple[Any, ...]


Target = tuple[int, int | None]
Key = tuple[int, int, int]  # message, n, number of an attempt
