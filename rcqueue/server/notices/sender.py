"""Notices on their way: made once a day for whom mail is held, and sent through the next hop of each recipient."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta

from rcqueue.model.mail import from_us, to_us
from rcqueue.server import passes
from rcqueue.server.config import DAY, SECOND, Address, Config
from rcqueue.server.config import Notices as Settings
from rcqueue.server.delivery import retry
from rcqueue.server.delivery.parcel import Parcel, parcel
from rcqueue.server.delivery.session import Answer, HopSession
from rcqueue.server.identity.sessions import token_hash
from rcqueue.server.marshal import Marshal
from rcqueue.server.marshal.notices import (
    Due,
    EndNotice,
    ForgetNotices,
    HandOver,
    NewLink,
    NotDue,
    QueueNotices,
    Wanted,
)
from rcqueue.server.marshal.outcomes import Outcome

from .digest import Letter, digest
from .held import HeldFor, due_notices, held_for, waiting_for_notice

log = logging.getLogger(__name__)

BATCH = 200  #: notices that are made in one transaction, and that are sent before another look at the store
TOKEN = 24  #: random bytes in a link
GRACE = 10.0  #: seconds that what is under way has to end when the server stops
LONGEST = 60.0  #: seconds between two looks at the clock and the store
Asked = Callable[[str], bool]  #: of an address: whether it is meant
_OUTCOMES = {
    Outcome.RELEASED: "sent",
    Outcome.RETRY: "retry",
    Outcome.REFUSED: "refused",
    Outcome.UNCERTAIN: "uncertain",
}


class Notices:
    """`start`, `stop`. Without `[notices]` in the configuration it does nothing."""

    def __init__(
        self, marshal: Marshal, config: Config, *, key: bytes | None = None, waits: Sequence[int] = retry.WAITS
    ) -> None:
        """`key` signs passes, as on releases; None: a notice carries none."""
        self._marshal, self.settings, self._next_hop = marshal, config.notices, config.next_hop
        self._key, self._waits = key, waits
        self._woken = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._made = ""  # the last day whose notices were made

    def wake(self) -> None:
        """Notices were made."""
        self._woken.set()

    async def waiting(self, asked: Asked) -> tuple[str, list[Wanted]]:
        """Today, and who of these recipients waits for a notice of today."""
        found = {w.recipient: w async for some in self._wanted(asked, self._now()) for w in some}
        return self._today(), list(found.values())

    def start(self) -> None:
        if self.settings is not None:
            self._task = asyncio.create_task(self._run(self.settings), name="notices")

    async def stop(self, grace: float = GRACE) -> None:
        """Those under way end; or are cut off after `grace` seconds, and one that had its dot is uncertain."""
        self._stopping = True
        self._woken.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=grace)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, settings: Settings) -> None:
        while not self._stopping:
            sleep = LONGEST
            try:
                sleep = await self._beat(settings)
            except Exception:
                log.exception("notices")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(sleep):
                    await self._woken.wait()
            self._woken.clear()

    def _now(self) -> datetime:
        """In the server's own time zone: a notice's day begins at its midnight."""
        return from_us(self._marshal.clock.now()).astimezone()

    def _today(self) -> str:
        return self._now().date().isoformat()

    async def _beat(self, settings: Settings) -> float:
        """Makes and sends what is due; how many seconds later there may be more."""
        now = self._now()
        today = datetime.combine(now.date(), settings.at).astimezone()
        if now >= today and self._made != now.date().isoformat():
            # Of what came before that time: after a restart the same recipients are found, who have theirs.
            await self._make(settings.asked_for, today)
            await self._marshal.do(ForgetNotices())
            self._made = now.date().isoformat()
        next_due = await self._send(settings)
        next_day = datetime.combine(now.date() + timedelta(days=int(now >= today)), settings.at).astimezone()
        left = min(to_us(next_day), next_due) - self._marshal.clock.now()
        return max(0.0, min(left / SECOND, LONGEST))

    # -- made

    async def _wanted(self, asked: Asked, before: datetime) -> AsyncIterator[list[Wanted]]:
        """Who of them waits for a notice because of mail held before that time."""
        day = self._today()
        after: int | None = 0
        while after is not None:
            read = self._marshal.database.read(waiting_for_notice, asked, day, after, to_us(before))
            found, after = await read
            yield found

    async def _make(self, asked: Asked, before: datetime) -> None:
        day = self._today()
        async for found in self._wanted(asked, before):
            for start in range(0, len(found), BATCH):
                await self._marshal.do(QueueNotices(day, tuple(found[start : start + BATCH])))

    # -- sent

    async def _send(self, settings: Settings) -> int:
        """Sends what is due, each to its next hop, until nothing is; when the next will be."""
        while True:
            now = self._marshal.clock.now()
            due, later = await self._marshal.database.read(due_notices, now, BATCH)
            if not due or self._stopping:
                return later if later is not None else now + DAY
            by_hop: dict[Address, list[Due]] = {}
            for notice in due:
                if notice.handed_over:  # the server ended between the dot and the answer
                    await self._end(notice, "uncertain", Answer(Outcome.UNCERTAIN, 0, "the server stopped meanwhile"))
                else:
                    by_hop.setdefault(self._next_hop.of(notice.address), []).append(notice)
            await asyncio.gather(*(self._to(settings, hop, notices) for hop, notices in by_hop.items()))

    async def _to(self, settings: Settings, hop: Address, notices: Sequence[Due]) -> None:
        session = HopSession(hop, self._next_hop.timeout, self._next_hop.tls_of(hop))
        down: Answer | None = None  # nobody listens there: the next would fare no better
        try:
            for notice in notices:
                if self._stopping:
                    return
                with contextlib.suppress(NotDue):
                    answer = down or await self._attempt(settings, session, notice)
                    down = answer if answer is not None and answer.unreachable else None
                    await self._end(notice, _OUTCOMES[answer.outcome] if answer else "dropped", answer, str(hop))
        finally:
            await session.close()

    async def _attempt(self, settings: Settings, session: HopSession, notice: Due) -> Answer | None:
        """None: there is nothing to tell."""
        try:
            held = await self._marshal.database.read(held_for, notice.recipient)
            return await self._hand_over(settings, session, notice, held) if held.mails else None
        except NotDue:
            raise
        except Exception as error:  # before the dot: the others need not wait for this one
            log.exception("notices: one could not be sent")
            return Answer(Outcome.RETRY, 0, f"it could not be sent: {type(error).__name__}")

    async def _hand_over(self, settings: Settings, session: HopSession, notice: Due, held: HeldFor) -> Answer:
        tokens = [None if mail.requested else secrets.token_urlsafe(TOKEN) for mail in held.mails]
        stop = secrets.token_urlsafe(TOKEN)
        links = [
            NewLink(token_hash(token), mail.message, mail.n)
            for token, mail in zip(tokens, held.mails, strict=True)
            if token
        ]
        links.append(NewLink(token_hash(stop)))
        now = self._marshal.clock.now()
        ends = now + settings.days * DAY
        letter = Letter(
            settings.sender,
            notice.address,
            settings.subject,
            f"{passes.NOTICE}{notice.task}",
            from_us(now),
            from_us(ends),
        )
        urls = [f"{settings.url}/r/{token}" if token else None for token in tokens]
        raw = await asyncio.to_thread(digest, letter, held, urls, f"{settings.url}/r/{stop}")
        goods = self._parcel(notice, raw, now)

        async def before_dot() -> None:
            await self._marshal.do(HandOver(notice, tuple(links), ends))

        return await session.hand_over(goods, before_dot)

    def _parcel(self, notice: Due, raw: bytes, now: int) -> Parcel:
        """With the null sender: nobody answers it, and nothing bounces."""
        id, attempt, end = f"{passes.NOTICE}{notice.task}", notice.tries + 1, now // SECOND + passes.VALID

        def sign(by: str, data: bytes) -> tuple[str, str] | None:
            return passes.sign(self._key, id, attempt, end, by, notice.address, data) if self._key else None

        return parcel(raw, id, "", notice.address, False, sign=sign)

    async def _end(self, notice: Due, outcome: str, answer: Answer | None, hop: str = "") -> None:
        code, reply, retry_in = (answer.code, answer.reply, 0) if answer else (0, "", 0)
        if outcome == "retry":
            give_up = min(self._next_hop.give_up, DAY)  # then there is the next day's
            wait = retry.wait(notice.tries + 1, notice.since, self._marshal.clock.now(), give_up, self._waits)
            outcome, retry_in = ("refused", 0) if wait is None else ("retry", wait)
        await self._marshal.do(EndNotice(notice, outcome, code, reply, hop, retry_in))
