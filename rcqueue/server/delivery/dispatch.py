"""Which mail goes when: mails that are due, a lane for each next hop, a few sessions in each lane.

Of each lane some attempts are begun, and their bytes read, ahead of its sessions: one commit and one read serve them
all, and no session waits for either. What became of a mail is written while the next one is under way; the writer
keeps the order, so it is durable before that one's dot.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, select

from rcqueue.model.health import NextHopState
from rcqueue.server.amavis import file_of
from rcqueue.server.config import SECOND, Address, Config
from rcqueue.server.marshal import Marshal
from rcqueue.server.marshal.outcomes import Begun, NotWaiting, Outcome, Recover
from rcqueue.server.postfix import PostfixHelper
from rcqueue.server.reading.children import Readers
from rcqueue.server.store import tables as t

from . import retry
from .am_pdp import AmPdp, AmPdpSession
from .lane import BYTES_AHEAD, UNSET, WHOLE, HopSet, Lane, MailKey
from .load import Load, read_loads
from .originals import Originals, waits
from .parcel import Parcel
from .queue_ids import queue_id_of
from .session import Answer, HopSession
from .ways import Original, Ways

log = logging.getLogger(__name__)

GRACE = 10.0  #: seconds that attempts under way have to end when the server stops
PAUSE = 0.02  #: seconds at least between two looks at the store
SHARE = 0.1  #: of the time at most that looks take, however much is due, while there is something to send
LOOK_BACK = 2 * SECOND  #: a look sees again what became due this long before the last one
NEAR = SECOND  #: a session waits so long for its turn at a next hop that has a limit; longer, and it closes
DOWN = 5 * SECOND  #: how long a next hop that could not be reached is not asked again

_Session = HopSession | AmPdpSession


class Delivery:
    """`start`, `wake` after each commit, `stop`. Everything that it does to a mail is done by `marshal`."""

    def __init__(
        self,
        marshal: Marshal,
        config: Config,
        readers: Readers | None = None,
        *,
        key: bytes | None = None,
        waits: Sequence[int] = retry.WAITS,
    ) -> None:
        """`key` signs the passes of what is sent; None: it carries none. `readers` look into what is made anew; without
        any it has its own."""
        self._ways = Ways(config.release, readers)
        self._marshal, self._config, self._key, self._waits = marshal, config.next_hop, key, waits
        helper = PostfixHelper(config.postfix.helper) if config.postfix is not None else None
        self._originals = Originals(marshal, helper, config.next_hop) if helper is not None else None
        self._turns = asyncio.Semaphore(config.next_hop.sessions)
        self._amavis = AmPdp(config.amavis.release) if config.amavis and config.amavis.release else None
        self._lanes: dict[Address | AmPdp, Lane] = {}
        self._known: set[MailKey] = set()  # in a lane, or in an attempt
        self._sessions: set[asyncio.Task[None]] = set()
        self._set: dict[str, HopSet] = {}  # what people set, by next hop
        self._woken = asyncio.Event()
        self._ran_dry = asyncio.Event()  # a lane has nothing more to send
        self._stopping = False
        self._looked = self._looked_at_all = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Settles what a stop or a crash left, then delivers until `stop`."""
        await self._recover()
        self._task = asyncio.create_task(self._run(), name="delivery")

    def wake(self) -> None:
        """Something was committed. Call it in the loop's thread."""
        self._woken.set()

    async def stop(self, grace: float = GRACE) -> None:
        """Begins no attempt; those under way end, or are cut off after `grace` s and settled at the next start."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self._sessions:  # what is begun already opens sessions yet
                    await asyncio.wait(self._sessions)
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        await self._ways.close()

    def hops(self) -> list[NextHopState]:
        """The next hops that were asked since the start, as they answered last."""
        return [lane.state for lane in self._lanes.values() if lane.state.last is not None]

    # -- what is due

    async def _run(self) -> None:
        while not self._stopping:
            sleep = 1.0
            began = time.monotonic()
            self._ran_dry.clear()
            try:
                sleep = await self._look()
            except Exception:
                log.exception("delivery: the store could not be read")
            took = time.monotonic() - began
            # Not wait_for: Python 3.11's loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(sleep):
                    await self._woken.wait()
            self._woken.clear()
            await self._rest(took)

    async def _rest(self, took: float) -> None:
        """Between two looks, of which the last took so long: until its share is kept, or a lane ran dry."""
        await asyncio.sleep(PAUSE)
        if any(lane.feeding for lane in self._lanes.values()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(took / SHARE - took - PAUSE):
                    await self._ran_dry.wait()

    async def _look(self) -> float:
        """Puts what is due into its lane; how many seconds later something else will be."""
        unseen = self._marshal.writer.under_way  # a commit that takes long: what it makes due bears this time
        now = self._marshal.clock.now()
        whole = now - self._looked_at_all >= WHOLE
        since = 0 if whole else self._looked - LOOK_BACK
        found, later, stray, self._set = await self._marshal.database.read(_due, since, now)
        self._looked, self._looked_at_all = unseen or now, now if whole else self._looked_at_all
        for mail in found:
            key = (mail.message, mail.n)
            if key not in self._known and self._originals is not None and waits(mail.origin):
                mails = {(mail.message, n) for n in range(mail.recipients)} - self._known
                self._known |= mails
                self._begin(self._original(self._originals, mail.message, mails), f"original-{mail.message}")
            elif key not in self._known:
                self._known.add(key)
                self._lane(self._hop(mail)).put(mail.customer, key, mail.size)
        next_turn = WHOLE
        for lane in self._lanes.values():
            lane.set = self._set.get(str(lane.hop), UNSET)
            if wait := lane.wait(now):
                next_turn = min(next_turn, wait) if lane.waiting else next_turn
                continue
            if lane.waiting and not lane.feeding:
                lane.feeding = True
                self._begin(self._feed(lane), f"feeds-{lane.hop}")
        if any(key not in self._known for key in stray):  # an attempt that could not put its end on record
            await self._recover()
        return min(WHOLE if later is None else later - now, next_turn) / SECOND

    def _lane(self, hop: Address | AmPdp) -> Lane:
        if hop not in self._lanes:
            self._lanes[hop] = Lane(hop, set=self._set.get(str(hop), UNSET))
        return self._lanes[hop]

    def _hop(self, mail: Any) -> Address | AmPdp:
        if self._amavis is not None and mail.way is None and file_of(mail.origin) is not None:
            return self._amavis
        return self._config.of(mail.rcpt)

    async def _recover(self) -> None:
        _, _, stray, self._set = await self._marshal.database.read(_due, 0, 0)
        for message, n in stray:
            if (message, n) not in self._known:
                with contextlib.suppress(NotWaiting):
                    await self._marshal.do(Recover(message, n))

    # -- sessions

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)

    async def _session(self, lane: Lane) -> None:
        session, end = self._connection(lane.hop), None
        try:
            while (ready := await lane.next()) is not None:
                begun, load = ready
                began = time.monotonic()
                try:
                    answer, load = await self._send(lane, session, begun, load)
                except BaseException as error:
                    self._unended(begun, error)
                    if not isinstance(error, Exception):
                        raise
                    continue
                lane.took = time.monotonic() - began
                if end is not None:
                    await end
                end = asyncio.create_task(self._put_on_record(lane, begun, answer, load))
        finally:
            lane.sessions -= 1  # before the goodbyes: what comes now opens a session of its own
            if end is not None:
                await end
            await session.close()

    async def _put_on_record(self, lane: Lane, begun: Begun, answer: Answer, load: Load) -> None:
        try:
            await self._end(str(lane.hop), begun, answer, load)
        except Exception as error:
            self._unended(begun, error)
        else:
            self._known.discard((begun.message, begun.n))

    def _unended(self, begun: Begun, error: BaseException) -> None:
        """An attempt has no end on record: a look settles it, a second later."""
        if isinstance(error, Exception):
            log.error("delivery: an attempt failed", exc_info=error)
        self._known.discard((begun.message, begun.n))
        asyncio.get_running_loop().call_later(1, self.wake)

    async def _feed(self, lane: Lane) -> None:
        """Begins what waits in a lane, some at a time ahead of its sessions, and opens those."""
        try:
            while keys := await self._take(lane):
                ready = await self._begin_attempts(lane, keys)
                loads = await self._marshal.database.read(read_loads, ready, self._key)
                for one in zip(ready, loads, strict=True):
                    lane.ready.put_nowait(one)
                    if lane.sessions < self._config.sessions:
                        lane.sessions += 1
                        self._begin(self._session(lane), f"delivery-{lane.hop}")
                await lane.used()
        except Exception:  # what was begun has no end on record: a look settles it, a second later
            log.exception("delivery: attempts could not be begun")
            asyncio.get_running_loop().call_later(1, self.wake)
        finally:
            lane.feeding = False
            if not lane.waiting:
                self._ran_dry.set()
            self.wake()

    async def _take(self, lane: Lane) -> list[MailKey]:
        """The next mails of a lane, as many as are begun at once, waiting for their turn if that is near."""
        taken: list[MailKey] = []
        lane.plan(self._config.sessions)
        length = 0
        while not self._stopping and lane.waiting and len(taken) < lane.ahead and length < BYTES_AHEAD:
            wait = lane.wait(self._marshal.clock.now())
            if not wait:
                key, size = lane.take(self._marshal.clock.now())
                taken.append(key)
                length += size
            elif taken or wait > NEAR:
                break
            else:
                await asyncio.sleep(wait / SECOND)
        return taken

    async def _begin_attempts(self, lane: Lane, keys: list[MailKey]) -> list[Begun]:
        try:
            begun = await self._marshal.begin_attempts(keys, str(lane.hop))
        except BaseException:
            self._known.difference_update(keys)
            raise
        self._known.difference_update(key for key, one in zip(keys, begun, strict=True) if one is None)  # recalled
        return [one for one in begun if one is not None]

    def _connection(self, hop: Address | AmPdp) -> _Session:
        if isinstance(hop, AmPdp):
            return AmPdpSession(hop, self._config.timeout)
        return HopSession(hop, self._config.timeout, self._config.tls_of(hop))

    async def _send(self, lane: Lane, session: _Session, begun: Begun, load: Load) -> tuple[Answer, Load]:
        """What the next hop says to it; `load` with what was made of it."""
        if isinstance(load.parcel, Original):
            load = replace(load, parcel=await self._ways.parcel(load.parcel, begun))
        if isinstance(session, AmPdpSession) and begun.way is not None:  # it was recalled and released anew meanwhile
            answer = Answer(Outcome.RETRY, 421, "it is to go another way")
        elif not isinstance(load.parcel, Parcel):
            answer = Answer(Outcome.REFUSED, 0, str(load.parcel))
        elif lane.set.paused:  # a moment ago; or the mail came by another road than its lane
            answer = Answer(Outcome.RETRY, 421, "the next hop is paused")
        elif lane.down_until > self._marshal.clock.now():
            answer = lane.down
        else:
            answer = await self._hand_over(session, load, load.parcel, begun)
            lane.heard(answer, self._marshal.clock.now())
            if answer.unreachable:
                lane.down, lane.down_until = answer, self._marshal.clock.now() + DOWN
        return answer, load

    async def _original(self, originals: Originals, message: int, keys: set[MailKey]) -> None:
        """Hands a message over where its original waits, or, where that can't be, its mails by SMTP."""
        try:
            async with self._turns:
                if self._stopping:
                    return
                for begun, answer in await originals.attempt(message):
                    (load,) = await self._marshal.database.read(read_loads, [begun], self._key)
                    if answer is not None:
                        await self._end("", begun, answer, load)
                        continue
                    hop = self._config.of(begun.recipient)
                    session = self._connection(hop)
                    try:
                        answer, load = await self._send(self._lane(hop), session, begun, load)
                        await self._end(str(hop), begun, answer, load)
                    finally:
                        await session.close()
        except Exception:  # what has no end on record, a look settles
            log.exception("delivery: an original could not be handed over")
            asyncio.get_running_loop().call_later(1, self.wake)
        finally:
            self._known.difference_update(keys)

    async def _hand_over(self, session: _Session, load: Load, goods: Parcel, begun: Begun) -> Answer:
        committed = False

        async def before_dot() -> None:
            nonlocal committed
            await self._marshal.before_dot(begun)
            committed = True

        try:
            if isinstance(session, AmPdpSession):
                assert load.quarantined is not None
                return await session.hand_over(load.quarantined, before_dot)
            return await session.hand_over(goods, before_dot)
        except Exception as error:
            log.exception("delivery: a mail could not be handed over")
            outcome = Outcome.UNCERTAIN if committed else Outcome.RETRY
            return Answer(outcome, 0, f"the server could not hand it over ({type(error).__name__})")

    async def _end(self, hop: str, begun: Begun, answer: Answer, load: Load) -> None:
        outcome, reply, wait = answer.outcome, answer.reply, None
        if outcome is Outcome.RETRY:
            now = self._marshal.clock.now()
            tries = len(load.before) + 1
            since = load.before[-1].started if load.before else load.started
            wait = retry.wait(tries, since, now, self._config.give_up, self._waits)
            if wait is None:
                outcome, reply = Outcome.REFUSED, f"given up after {tries} attempts: {reply}"
        queue_id = queue_id_of(reply) if outcome is Outcome.RELEASED else None
        noted = {**(load.parcel.noted if isinstance(load.parcel, Parcel) else {}), **answer.noted}
        await self._marshal.end_attempt(
            begun, outcome, answer.code, reply, retry_in=wait or 0, next_hop=hop, queue_id=queue_id, noted=noted
        )


# -- reading


def _due(
    connection: Connection, since: int, now: int
) -> tuple[Sequence[Any], int | None, list[MailKey], dict[str, HopSet]]:
    """(mails that became due between `since` and `now`, when the next one will, mails that nobody takes care of, what
    is set for next hops)."""
    mail = t.mail.c
    releasing = mail.status == "RELEASING"
    of_message = (t.message.c.customer, t.message.c.origin, t.message.c.recipients, t.message.c.size)
    columns = (mail.message, mail.n, mail.rcpt, mail.way, *of_message)
    query = select(*columns).join(t.message, t.message.c.id == mail.message)
    found = connection.execute(query.where(releasing, mail.due > since, mail.due <= now).order_by(mail.due)).all()
    later = connection.execute(select(func.min(mail.due)).where(releasing, mail.due > now)).scalar()
    stray = connection.execute(select(mail.message, mail.n).where(releasing, mail.due.is_(None))).all()
    hops = {row.at: HopSet(row.paused is not None, row.rate) for row in connection.execute(select(t.next_hop))}
    return found, later, [(row.message, row.n) for row in stray], hops
