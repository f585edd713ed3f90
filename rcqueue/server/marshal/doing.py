"""What a verb works with: the person, the arguments and the message, and how it says that a mail was not done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete

from rcqueue.model.access import Access
from rcqueue.model.act import ActBody, MailResult, Result, Verb
from rcqueue.model.ids import encode_mail
from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import RowDict

from .mails import MessageChange, claim_ended
from .rescan import Judged

SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """What the installation sets; times in microseconds."""

    expiry: int = 14 * 86400 * SECOND
    purge: int = 7 * 86400 * SECOND
    recall: int = 10 * SECOND
    passed: int = 30 * 86400 * SECOND  # how long what is known of passed and rejected mail is kept
    acts: int = 30 * 86400 * SECOND  # how long it is kept what became of each mail of an act on many
    postmaster: str = ""  # whom a release "to postmaster" goes to; "": postmaster at the recipient's domain
    caps: Mapping[str, int] = field(default_factory=dict)  # mails that may be decided on at once, by role
    authserv_ids: tuple[str, ...] = ()  # names under which our own mail servers say what is authentic


@dataclass(slots=True)
class Doing:
    """What a verb needs to know while it works through the mails of one message."""

    who: Access
    verb: Verb
    body: ActBody
    terms: Terms
    change: MessageChange
    release: str | None = None
    recall_until: int | None = None
    fence: int | None = None
    judged: Judged | None = None  # rescan: what it came to
    added: dict[str, int] = field(default_factory=dict)  # mails to others, by address
    facts: dict[str, Any] = field(default_factory=dict)  # of the entry
    personal: dict[str, Any] = field(default_factory=dict)  # the same


def not_done(d: Doing, n: int, result: Result, mail: RowDict | None, detail: str, by: str = "") -> MailResult:
    return MailResult(
        id=encode_mail(d.change.id, n),
        result=result,
        status=mail and mail["status"],
        version=mail and mail["version"],
        by=by,
        detail=detail,
    )


def lapsed(d: Doing, claim: RowDict) -> bool:
    return claim_ended(d.change.rows, claim, d.change.now)


TASK = 1000  #: an entry may ask for so many: their ids begin with its number


def learn(d: Doing, as_: str) -> None:
    """The scanners are to learn the message, once it can't be recalled any more."""
    task = {"id": d.change.seq * TASK, "kind": "learn", "message": d.change.id, "n": None, "tries": 0}
    due = max(d.change.now, d.recall_until or 0)
    d.change.rows.append(t.task, {**task, "payload": json.dumps({"as": as_}), "due": due})
    d.facts["learn"] = as_


def unlearn(d: Doing) -> None:
    """What entries before this one wanted to be learned of the message is not, unless that has happened."""
    task = t.task.c
    asked = (task.kind == "learn", task.message == d.change.id, task.id < d.change.seq * TASK)
    d.change.rows.sweep(delete(t.task).where(*asked))
