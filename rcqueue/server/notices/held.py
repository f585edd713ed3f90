"""Who gets a notice, what it may say, and which wait to be sent: what the store has of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from rcqueue.model.folding import fold_ascii
from rcqueue.server.marshal.notices import KIND, Due, Wanted
from rcqueue.server.marshal.requests import DANGEROUS
from rcqueue.server.store import tables as t
from rcqueue.server.store.query_sql import TERM_CHARS, ZERO

CHUNK = 2000  #: messages at a time that are looked through for recipients
LISTED = 100  #: mails that a notice lists, the newest; of the others it says how many
_EVER = 1 << 62


def waiting_for_notice(
    connection: Connection, asked: Callable[[str], bool], day: str, after: int, before: int
) -> tuple[list[Wanted], int | None]:
    """(who waits for a notice of `day`, the message to go on after; None: that was all).

    Those among the `asked` for whom mail is held that no notice has told of. Looks at the next messages with an id
    over `after`, held before the time `before` (microseconds).
    """
    some = select(t.message.c.id).where(t.message.c.onhold > ZERO, t.message.c.id > after)
    chunk = some.order_by(t.message.c.id).limit(CHUNK).subquery()
    message, mail = t.message.c, t.mail.c
    query = (
        select(message.at, message.customer, mail.rcpt)
        .select_from(chunk)
        .join(t.message, message.id == chunk.c.id)
        .join(t.mail, mail.message == chunk.c.id)
        .where(mail.status == "ONHOLD", mail.requested.is_(None), message.verdict.not_in(DANGEROUS))
        .where(message.at < before)
    )
    newest: dict[str, Any] = {}
    for row in connection.execute(query.order_by(message.id)):
        if asked(row.rcpt):
            newest[fold_ascii(row.rcpt)] = row
    last = connection.execute(select(func.max(chunk.c.id), func.count())).one()
    told = _told(connection, list(newest), day)
    wanted = [Wanted(r, row.rcpt, row.customer) for r, row in newest.items() if row.at > told.get(r, 0)]
    return wanted, (last[0] if last[1] == CHUNK else None)


def _told(connection: Connection, recipients: Sequence[str], day: str) -> dict[str, int]:
    """Up to when they know what is held for them; for ever, who stopped the notices or has that of the day."""
    told: dict[str, int] = {}
    for start in range(0, len(recipients), 500):
        some = recipients[start : start + 500]
        last = select(t.notice.c.recipient, func.max(t.notice.c.at), func.max(t.notice.c.day))
        last = last.where(t.notice.c.recipient.in_(some)).group_by(t.notice.c.recipient)
        told |= {recipient: _EVER if latest >= day else at for recipient, at, latest in connection.execute(last)}
        stopped = select(t.notice_stop.c.recipient).where(t.notice_stop.c.recipient.in_(some))
        told |= dict.fromkeys(connection.execute(stopped).scalars(), _EVER)
    return told


@dataclass(frozen=True, slots=True)
class HeldMail:
    """A mail that a notice lists. `requested`: its recipient asked for it already."""

    message: int
    n: int
    at: int
    sender: str
    subject: str
    verdict: str
    requested: bool


@dataclass(frozen=True, slots=True)
class HeldFor:
    """What is held for one recipient. `mails`: the newest; `more`: how many beside; `dangerous`: those not listed."""

    mails: list[HeldMail]
    more: int
    dangerous: int


def held_for(connection: Connection, recipient: str) -> HeldFor:
    """What a notice may say: of envelope, subject and the kind of verdict alone. Nothing, once they stopped them."""
    if connection.execute(select(t.notice_stop).where(t.notice_stop.c.recipient == recipient)).first():
        return HeldFor([], 0, 0)
    message, mail = t.message.c, t.mail.c
    theirs = (
        t.posting.c.term == f"to:{recipient}"[:TERM_CHARS],
        message.onhold > ZERO,
        mail.status == "ONHOLD",
        func.lower(mail.rcpt) == recipient,
    )

    def found(*columns: Any) -> Any:
        query = select(*columns).select_from(t.posting).join(t.message, message.id == t.posting.c.message)
        return query.join(t.mail, mail.message == message.id).where(*theirs)

    counted = found(message.verdict, func.count()).group_by(message.verdict)
    kinds: dict[str, int] = {row.verdict: row[1] for row in connection.execute(counted)}
    columns = (message.id, message.at, message.from_email, message.subject, message.verdict, mail.n, mail.requested)
    listed = found(*columns).where(message.verdict.not_in(DANGEROUS)).order_by(t.posting.c.message.desc())
    mails = [
        HeldMail(row.id, row.n, row.at, row.from_email, row.subject, row.verdict, row.requested is not None)
        for row in connection.execute(listed.limit(LISTED))
    ]
    dangerous = sum(n for verdict, n in kinds.items() if verdict in DANGEROUS)
    return HeldFor(mails, sum(kinds.values()) - dangerous - len(mails), dangerous)


def due_notices(connection: Connection, now: int, limit: int) -> tuple[list[Due], int | None]:
    """(notices that are due, when the next one will be)."""
    mine = select(t.task).where(t.task.c.kind == KIND)
    found = connection.execute(mine.where(t.task.c.due <= now).order_by(t.task.c.due).limit(limit)).all()
    later = select(func.min(t.task.c.due)).where(t.task.c.kind == KIND, t.task.c.due > now)
    said = [(row, json.loads(row.payload)) for row in found]
    return [_due(row.id, row.tries, payload) for row, payload in said], connection.execute(later).scalar()


def _due(task: int, tries: int, p: dict[str, Any]) -> Due:
    where = (p["recipient"], p["address"], p["customer"], p["day"])
    return Due(task, *where, p["since"], tries, bool(p.get("handed_over")))
