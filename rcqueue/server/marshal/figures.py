"""Counts of mail where somebody may see them: kept ones, never counted. Nothing here is of any one mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, func, or_, select

from rcqueue.model.access import ROOT, Access, Right
from rcqueue.model.fields import STATUSES
from rcqueue.model.health import Flow
from rcqueue.server.store import tables as t
from rcqueue.server.store.pages import counts
from rcqueue.server.store.query_sql import ZERO, at_customer
from rcqueue.server.store.rows import MINUTE

from .refusal import customers_with

HOUR, DAY, STEP = 60, 24 * 60, 30  #: in minutes; STEP: what one figure of a day stands for

#: (mails by status, when the oldest on hold came, what came and went)
Mails = tuple[dict[str, int], int | None, Flow]


def mails_of(connection: Connection, who: Access, now: int) -> Mails:
    """Of the mails that may be viewed. Raises Refusal."""
    customers = customers_with(who, Right.VIEW)
    status = counts(connection, who, now_us=0).status
    oldest = _oldest(connection, customers) if status["ONHOLD"] else None
    return status, oldest, flow(connection, customers, now)


def wall_of(connection: Connection, who: Access, now: int) -> tuple[Mails, dict[str, int], dict[str, int]]:
    """The same of the mails that may be counted, and those on hold by verdict and by customer. Raises Refusal."""
    customers, tally = customers_with(who, Right.COUNT), t.tally.c
    status, verdict, places = dict.fromkeys(STATUSES, 0), Counter[str](), Counter[str]()
    kept = select(t.tally).where(or_(*(at_customer(path, tally.customer) for path in customers)), tally.n > ZERO)
    for row in connection.execute(kept):
        status[row.status] += row.n
        if row.status == "ONHOLD":
            verdict[row.verdict] += row.n
            places[row.customer] += row.n
    oldest = _oldest(connection, customers) if status["ONHOLD"] else None
    mails = status, oldest, flow(connection, customers, now)
    return mails, dict(verdict.most_common()), dict(places.most_common())


def _oldest(connection: Connection, customers: Sequence[str]) -> int | None:
    held = select(t.message.c.at).where(t.message.c.onhold > ZERO).order_by(t.message.c.id).limit(1)
    if ROOT not in customers:
        held = held.where(or_(*map(at_customer, customers)))
    return connection.execute(held).scalar()


def flow(connection: Connection, customers: Sequence[str], now: int) -> Flow:
    """What came into the hold of these customers and left it, by the minute and by the half hour until now."""
    this, at = now // MINUTE, t.flow.c
    query = select(at.minute, func.sum(at.came), func.sum(at.went)).where(at.minute > this - DAY)
    query = query.where(or_(*(at_customer(path, at.customer) for path in customers))).group_by(at.minute)
    found = Flow(came=[0] * HOUR, went=[0] * HOUR, came_day=[0] * (DAY // STEP), went_day=[0] * (DAY // STEP))
    for minute, came, went in connection.execute(query):
        ago = max(0, this - minute)  # 0 is the minute that runs
        found.came_day[-1 - ago // STEP] += int(came)
        found.went_day[-1 - ago // STEP] += int(went)
        if ago < HOUR:
            found.came[-1 - ago] += int(came)
            found.went[-1 - ago] += int(went)
    return found
