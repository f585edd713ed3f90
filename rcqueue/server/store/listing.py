"""What a list shows of a message: its row, over those of its mails that match, and the JSON of a `Row` from it.

`read_rows` reads what every viewer's row needs; `build_row` builds one viewer's from the classes that they have.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from rcqueue.model.access import DataClass
from rcqueue.model.fields import ALL_OF_IT, EVERYONES, STATUSES
from rcqueue.model.ids import encode_message

from . import tables as t
from .query_sql import Filter
from .ready import padded

#: Bound to `padded` ids. (A list given as it is costs a millisecond a hundred.)
SOME: BindParameter[Any] = bindparam("ids", expanding=True)
_MESSAGES = select(
    *(column for column in t.message.c if column.name not in ("sha256", "purged", "origin", "words"))
).where(t.message.c.id.in_(SOME))
_COUNTS = tuple((status, status.lower()) for status in STATUSES)


class Held(NamedTuple):
    """Who holds `mails` of a row's matching mails; of several, the holder of most."""

    who: str
    mails: int
    session: int
    fence: int
    by: str | None = None
    note: str | None = None


@dataclass(slots=True)
class RowData:
    """A row before it is known who looks. `message` has the columns of the table; times are Unix microseconds."""

    message: Any
    matching: int
    status: str
    expiry: int | None
    to_email: str
    requested: int = 0
    claim: Held | None = None

    @property
    def id(self) -> int:
        return int(self.message.id)

    @property
    def customer(self) -> str:
        return str(self.message.customer)


def read_rows(connection: Connection, f: Filter, ids: Sequence[int]) -> list[RowData]:
    """The rows of messages that match, in the order given. A message without a mail that matches is left out."""
    if not ids:
        return []
    messages = {row.id: row for row in connection.execute(_MESSAGES, {"ids": padded(ids)}).all()}
    apart = [
        row.id
        for row in messages.values()
        if row.recipients > 1 and (f.mail_terms or _by_counts(f, row).matching != row.recipients)
    ]
    partly = _over_mails(connection, f, apart) if apart else {}
    claims = _claims(connection, f, ids)
    rows = []
    for message in ids:
        row = partly.get(message)
        if message in messages:
            if row is None:
                row = _by_counts(f, messages[message])
            row.message, row.claim = messages[message], claims.get(message)
            if row.matching:
                rows.append(row)
    return rows


def _by_counts(f: Filter, row: Any) -> RowData:
    """Over all mails of the statuses that match: the message's own counts say it."""
    found = [(getattr(row, column), status) for status, column in _COUNTS if status in f.query.statuses]
    most = max(found, key=itemgetter(0), default=(0, "ONHOLD"))
    held = "ONHOLD" in f.query.statuses
    expiry, requested = (row.next_expiry, row.requested) if held else (None, 0)
    return RowData(row, sum([n for n, _ in found]), most[1], expiry, row.first_rcpt, requested)


def _over_mails(connection: Connection, f: Filter, ids: Sequence[int]) -> dict[int, RowData]:
    """Over the mails themselves, where the counts don't say which of them match."""
    mail = t.mail
    groups = (
        select(
            mail.c.message,
            mail.c.status,
            func.count().label("mails"),
            func.min(mail.c.n).label("first"),
            func.min(mail.c.expiry).label("expiry"),
            func.count(mail.c.requested).label("requested"),
        )
        .where(mail.c.message.in_(SOME), *f.on_mail)
        .group_by(mail.c.message, mail.c.status)
        .subquery()
    )
    first = mail.alias()
    joined = select(*groups.c, first.c.rcpt).join_from(
        groups, first, (first.c.message == groups.c.message) & (first.c.n == groups.c.first)
    )
    by_message: dict[int, list[Any]] = {message: [] for message in ids}
    for group in connection.execute(joined, {"ids": padded(ids)}):
        by_message[group.message].append(group)
    rows = {}
    for message, found in by_message.items():
        most = max(found, key=lambda g: (g.mails, -STATUSES.index(g.status)), default=None)
        rows[message] = RowData(
            None,
            sum(g.mails for g in found),
            most.status if most is not None else "ONHOLD",
            next((g.expiry for g in found if g.status == "ONHOLD"), None),
            min(((g.first, g.rcpt) for g in found), default=(0, ""))[1],
            sum(g.requested for g in found),
        )
    return rows


_GIVER = t.account.alias("giver")
_CLAIMS = (
    select(
        t.claim.c.message,
        t.account.c.name,
        func.count().label("mails"),
        func.max(t.claim.c.session),
        func.max(t.claim.c.fence),
        func.max(_GIVER.c.name),
        func.max(t.claim.c.note),
    )
    .outerjoin(_GIVER, _GIVER.c.id == t.claim.c.given_by)
    .join(t.account, t.account.c.id == t.claim.c.account)
    .where(t.claim.c.message.in_(SOME))
    .group_by(t.claim.c.message, t.account.c.name)
)
_CLAIMS_OF_MAILS = _CLAIMS.join(t.mail, (t.mail.c.message == t.claim.c.message) & (t.mail.c.n == t.claim.c.n))


def _claims(connection: Connection, f: Filter, ids: Sequence[int]) -> dict[int, Held]:
    held = _CLAIMS_OF_MAILS.where(*f.on_mail) if f.on_mail else _CLAIMS
    claims: dict[int, Held] = {}
    for message, *rest in connection.execute(held, {"ids": padded(ids)}):
        one = Held(*rest)
        if message not in claims or (one.mails, claims[message].who) > (claims[message].mails, one.who):
            claims[message] = one
    return claims


def session_mark(session: int) -> str:
    """The short public mark of a session: it tells two sessions of one person apart, and signs nobody in."""
    return f"s{session}" if session else ""  # what was assigned waits under none


def time_text(us: int) -> str:
    """Unix microseconds as RFC 3339 UTC with milliseconds."""
    return datetime.fromtimestamp(us / 1_000_000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def campaign_kind(classes: frozenset[DataClass]) -> str:
    """Which kind of campaign a viewer with these classes is told of: the one made of nothing that they lack. The first
    letter of its name; "" for none."""
    return "C" if classes >= ALL_OF_IT else "E" if classes >= EVERYONES else ""


def campaign_of(message: Any, classes: frozenset[DataClass]) -> str | None:
    """That of a message."""
    name = {"C": message.campaign, "E": message.campaign_open}.get(campaign_kind(classes))
    return name or None


def build_row(data: RowData, classes: Iterable[DataClass]) -> dict[str, Any]:
    """The JSON of a model.mail.Row, from the classes that the viewer has at the message's customer."""
    m = data.message
    row: dict[str, Any] = {
        "id": encode_message(m.id),
        "timestamp": time_text(m.at),
        "status": data.status,
        "expiry": None if data.expiry is None else time_text(data.expiry),
        "matching": data.matching,
        "recipients": m.recipients,
        "verdict": m.verdict,
        "size": m.size,
        "customer": m.customer,
        "queue": m.queue,
        "claim": None,
        "requested": data.requested,
        "version": m.version,
        "degraded": m.degraded,
    }
    if data.claim is not None:
        who, mails, session, fence, by, note = data.claim
        row["claim"] = {"who": who, "mails": mails, "session": session_mark(session), "fence": fence}
        row["claim"] |= {name: said for name, said in (("by", by), ("note", note)) if said}
    if DataClass.ENVELOPE in classes:
        row["fromDomain"], row["fromEmail"] = m.from_domain, m.from_email
        row["sender"], row["toEmail"] = m.sender, data.to_email
    if DataClass.SUBJECT in classes:
        row["subject"] = m.subject
    if (campaign := campaign_of(m, frozenset(classes))) is not None:
        row["campaign"] = campaign
    if DataClass.HEADERS in classes:
        row["score"], row["rules"] = m.score, json.loads(m.rules)
    return row
