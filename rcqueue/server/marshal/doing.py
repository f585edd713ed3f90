"""What a verb works with: the person, the arguments and the message, and how it says that a mail was not done."""

from __future__ import annotations

from dataclasses import dataclass

from rcqueue.model.access import Access
from rcqueue.model.act import ActBody, MailResult, Result, Verb
from rcqueue.model.ids import encode_mail
from rcqueue.server.store.rows import RowDict

from .mails import MessageChange, claim_ended

SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """Times that the installation sets, in microseconds."""

    expiry: int = 14 * 86400 * SECOND
    purge: int = 7 * 86400 * SECOND
    recall: int = 10 * SECOND
    passed: int = 30 * 86400 * SECOND  # how long what is known of passed and rejected mail is kept


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
