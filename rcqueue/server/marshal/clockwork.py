"""What happens by itself: claims lapse within a second, mail expires, bytes are purged, old keys are forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy import Connection, delete, func, or_, select

from rcqueue.model.ids import first_id_at
from rcqueue.server.store import tables as t
from rcqueue.server.store.query_sql import ZERO
from rcqueue.server.store.rows import MINUTE, Needs, Rows
from rcqueue.server.store.writer import Decision

from .campaigns import WINDOW
from .door import Marshal
from .ends import Expire, Forget, Lapse, Purge
from .past import LapseActs, PurgeAct, long_over, needless, unconfirmed
from .standing import LapseStanding, lapsed_standing

log = logging.getLogger(__name__)
BEAT = 0.4  #: seconds: a lapse is an entry within a second
CLEAN = 60.0
CHUNK = 200


def lapsed(connection: Connection, now: int) -> list[int]:
    """Messages with claims that have ended (as mails.claim_ended says)."""
    session, account = t.session.c, t.account.c
    ended = or_(
        func.coalesce(t.claim.c.until, session.lease) <= now,
        session.ended.is_not(None),
        session.ends <= now,
        account.enabled.is_(False),
    )
    query = select(t.claim.c.message).distinct().outerjoin(t.session, session.id == t.claim.c.session)
    query = query.join(t.account, account.id == t.claim.c.account).where(ended)
    return list(connection.execute(query.limit(CHUNK)).scalars())


def expired(connection: Connection, now: int) -> list[int]:
    query = select(t.mail.c.message).where(t.mail.c.status == "ONHOLD", t.mail.c.expiry <= now)
    return list(dict.fromkeys(connection.execute(query.order_by(t.mail.c.expiry).limit(CHUNK)).scalars()))


def purgeable(connection: Connection, before: int) -> list[int]:
    """Messages whose mails all ended before `before`."""
    old = select(t.mail.c.message).where(t.mail.c.ended <= before).distinct()
    live = select(t.mail.c.message).where(
        t.mail.c.message == t.message.c.id, or_(t.mail.c.ended.is_(None), t.mail.c.ended > before)
    )
    query = select(t.message.c.id).where(t.message.c.id.in_(old), t.message.c.purged.is_(None), ~live.exists())
    return list(connection.execute(query.limit(CHUNK)).scalars())


def long_gone(connection: Connection, before: int) -> list[int]:
    """Messages that passed or were rejected before `before`."""
    found: list[int] = []
    for status in (t.message.c.passed, t.message.c.rejected):
        query = select(t.message.c.id).where(status > ZERO, t.message.c.id < first_id_at(before))
        found += connection.execute(query.order_by(t.message.c.id).limit(CHUNK)).scalars()
    return found


class ForgetKeys:
    """Idempotency keys live 24 hours, and so do the counts by the minute; what leads to a campaign lives 14 days."""

    needs = Needs()
    weight = 100

    def __init__(self, before: int) -> None:
        self.before = before

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        rows.sweep(delete(t.idempotency).where(t.idempotency.c.at < self.before))
        rows.sweep(delete(t.flow).where(t.flow.c.minute < self.before // MINUTE))
        old = first_id_at(max(0, now - WINDOW))
        rows.sweep(delete(t.campaign_mark).where(t.campaign_mark.c.founder < old))
        rows.sweep(delete(t.campaign).where(t.campaign.c.founder < old))
        return Decision()


class Clockwork:
    """Runs until cancelled."""

    def __init__(self, marshal: Marshal) -> None:
        self._marshal = marshal

    async def run(self) -> None:
        """What may take long is beside, and no lapse waits for it."""
        await asyncio.gather(self._every(BEAT, self.beat), self._every(CLEAN, self.clean))

    async def _every(self, seconds: float, do: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await do()
            except Exception:
                log.exception("clockwork")
            await asyncio.sleep(seconds)

    async def beat(self) -> None:
        now = self._marshal.clock.now()
        await self._each(lapsed, Lapse, now)
        await self._each(lapsed_standing, LapseStanding, now)
        await self._each(expired, Expire, now)

    async def clean(self) -> None:
        marshal = self._marshal
        if abs(jump := marshal.clock.jump()) > 5_000_000:
            log.warning("the wall clock jumped by %.0f s; leases and expiry go on by the old one", jump / 1e6)
        await self.purge()
        await self.purge_acts()
        await marshal.do(ForgetKeys(marshal.clock.now() - 86400 * 1_000_000))

    async def purge(self) -> None:
        marshal = self._marshal
        now, after = marshal.clock.now(), marshal.terms.purge
        while found := await marshal.database.read(purgeable, now - after):
            if not await marshal.do(Purge(frozenset(found), after)):
                break
        while found := await marshal.database.read(long_gone, now - marshal.terms.passed):
            if not await marshal.do(Forget(frozenset(found))):
                return

    async def purge_acts(self) -> None:
        marshal, after = self._marshal, self._marshal.terms.acts
        now = marshal.clock.now()
        while found := await marshal.database.read(unconfirmed, now):
            if not await marshal.do(LapseActs(frozenset(found))):
                break
        for act in await marshal.database.read(long_over, now - after):  # the rest of very many in a minute
            await marshal.do(PurgeAct(act, after))
        for table, act in await marshal.database.read(needless):
            await marshal.drop_rows(table, act)

    async def _each(
        self,
        find: Callable[[Connection, int], list[int]],
        operation: Callable[[frozenset[int]], Lapse | LapseStanding | Expire],
        now: int,
    ) -> None:
        while found := await self._marshal.database.read(find, now):
            if not await self._marshal.do(operation(frozenset(found))):
                return
