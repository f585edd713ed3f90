"""Which mail goes when: mails that are due, a lane for each next hop, a few sessions in each lane."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import logging
import socket
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, select

from rcqueue.model.act import ReleaseAs
from rcqueue.model.health import NextHopState
from rcqueue.model.mail import Receipt
from rcqueue.server import passes
from rcqueue.server.amavis import file_of
from rcqueue.server.config import SECOND, Address, Config
from rcqueue.server.marshal import Marshal, Refusal
from rcqueue.server.marshal.outcomes import Begun, NotWaiting, Outcome, Recover
from rcqueue.server.marshal.show import raw_bytes
from rcqueue.server.postfix import PostfixHelper
from rcqueue.server.reading.children import Readers
from rcqueue.server.store import tables as t

from . import retry
from .am_pdp import AmPdp, AmPdpSession, Quarantined
from .lane import UNSET, WHOLE, HopSet, Lane, MailKey
from .originals import Originals, waits
from .parcel import Parcel, parcel
from .queue_ids import queue_id_of
from .session import Answer, HopSession
from .ways import Original, Ways, original

log = logging.getLogger(__name__)

GRACE = 10.0  #: seconds that attempts under way have to end when the server stops
PAUSE = 0.02  #: seconds at least between two looks at the store
LOOK_BACK = 10 * SECOND  #: a look sees again what became due this long before the last one
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
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=grace)
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
            try:
                sleep = await self._look()
            except Exception:
                log.exception("delivery: the store could not be read")
            # Not wait_for: Python 3.11's loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(sleep):
                    await self._woken.wait()
            self._woken.clear()
            await asyncio.sleep(PAUSE)

    async def _look(self) -> float:
        """Puts what is due into its lane; how many seconds later something else will be."""
        now = self._marshal.clock.now()
        whole = now - self._looked_at_all >= WHOLE
        since = 0 if whole else self._looked - LOOK_BACK
        found, later, stray, self._set = await self._marshal.database.read(_due, since, now)
        self._looked, self._looked_at_all = now, now if whole else self._looked_at_all
        for mail in found:
            key = (mail.message, mail.n)
            if key not in self._known and self._originals is not None and waits(mail.origin):
                mails = {(mail.message, n) for n in range(mail.recipients)} - self._known
                self._known |= mails
                self._begin(self._original(self._originals, mail.message, mails), f"original-{mail.message}")
            elif key not in self._known:
                self._known.add(key)
                self._lane(self._hop(mail)).put(mail.customer, key)
        next_turn = WHOLE
        for lane in self._lanes.values():
            lane.set = self._set.get(str(lane.hop), UNSET)
            if wait := lane.wait(now):
                next_turn = min(next_turn, wait) if lane.waiting else next_turn
                continue
            for _ in range(min(self._config.sessions - lane.sessions, lane.waiting)):
                self._open(lane)
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

    def _open(self, lane: Lane) -> None:
        lane.sessions += 1
        self._begin(self._session(lane), f"delivery-{lane.hop}")

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)

    async def _session(self, lane: Lane) -> None:
        session = self._connection(lane.hop)
        try:
            while (key := await self._take(lane)) is not None:
                try:
                    await self._attempt(lane, session, key)
                except Exception:  # its end is not on record: a look settles it, a second later
                    log.exception("delivery: an attempt failed")
                    asyncio.get_running_loop().call_later(1, self.wake)
                finally:
                    self._known.discard(key)
        finally:
            lane.sessions -= 1  # before the goodbyes: what comes now opens a session of its own
            await session.close()

    async def _take(self, lane: Lane) -> MailKey | None:
        """The next mail for a session, which waits for its turn if that is near."""
        while not self._stopping and lane.waiting and (wait := lane.wait(self._marshal.clock.now())) <= NEAR:
            if not wait:
                return lane.take(self._marshal.clock.now())
            await asyncio.sleep(wait / SECOND)
        return None

    def _connection(self, hop: Address | AmPdp) -> _Session:
        if isinstance(hop, AmPdp):
            return AmPdpSession(hop, self._config.timeout)
        return HopSession(hop, self._config.timeout, self._config.tls_of(hop))

    async def _attempt(self, lane: Lane, session: _Session, key: MailKey) -> None:
        try:
            begun = await self._marshal.begin_attempt(*key, str(lane.hop))
        except NotWaiting:
            return  # recalled meanwhile
        await self._deliver(lane, session, begun)

    async def _deliver(self, lane: Lane, session: _Session, begun: Begun) -> None:
        load = await self._marshal.database.read(_load, begun, self._key)
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
        await self._end(str(lane.hop), begun, answer, load)

    async def _original(self, originals: Originals, message: int, keys: set[MailKey]) -> None:
        """Hands a message over where its original waits, or, where that can't be, its mails by SMTP."""
        try:
            async with self._turns:
                if self._stopping:
                    return
                for begun, answer in await originals.attempt(message):
                    if answer is not None:
                        load = await self._marshal.database.read(_load, begun, self._key)
                        await self._end("", begun, answer, load)
                        continue
                    hop = self._config.of(begun.recipient)
                    session = self._connection(hop)
                    try:
                        await self._deliver(self._lane(hop), session, begun)
                    finally:
                        await session.close()
        except Exception:  # what has no end on record, a look settles
            log.exception("delivery: an original could not be handed over")
            asyncio.get_running_loop().call_later(1, self.wake)
        finally:
            self._known.difference_update(keys)

    async def _hand_over(self, session: _Session, load: _Load, goods: Parcel, begun: Begun) -> Answer:
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

    async def _end(self, hop: str, begun: Begun, answer: Answer, load: _Load) -> None:
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
    of_message = (t.message.c.customer, t.message.c.origin, t.message.c.recipients)
    columns = (mail.message, mail.n, mail.rcpt, mail.way, *of_message)
    query = select(*columns).join(t.message, t.message.c.id == mail.message)
    found = connection.execute(query.where(releasing, mail.due > since, mail.due <= now).order_by(mail.due)).all()
    later = connection.execute(select(func.min(mail.due)).where(releasing, mail.due > now)).scalar()
    stray = connection.execute(select(mail.message, mail.n).where(releasing, mail.due.is_(None))).all()
    hops = {row.at: HopSet(row.paused is not None, row.rate) for row in connection.execute(select(t.next_hop))}
    return found, later, [(row.message, row.n) for row in stray], hops


@dataclass(frozen=True, slots=True)
class _Load:
    parcel: Parcel | Original | str  #: or what is still to be made anew, or why it cannot be sent
    quarantined: Quarantined | None  #: where amavis has it too
    started: int
    before: list[Any]  #: the attempts of the chain that this one goes on with, newest first


def _load(connection: Connection, begun: Begun, key: bytes | None) -> _Load:
    """What an attempt needs to know, read and made in a reader's thread."""
    mine = (t.attempt.c.message == begun.message, t.attempt.c.n == begun.n)
    attempts = connection.execute(select(t.attempt).where(*mine).order_by(t.attempt.c.number.desc())).all()
    load = functools.partial(
        _Load,
        quarantined=_quarantined(connection, begun),
        started=attempts[0].started,
        before=retry.chain(attempts[1:], begun.release),
    )
    try:
        raw = raw_bytes(connection, begun.message)
    except Refusal as gone:
        return load(f"it was not sent: {gone.detail}")
    except Exception:
        log.exception("delivery: stored bytes could not be read")
        raw = b""
    if hashlib.sha256(raw).digest() != begun.sha256:
        return load("it was not sent: stored bytes do not match their hash")
    detail = select(t.message_detail.c.receipt).where(t.message_detail.c.message == begun.message)
    receipt = Receipt.model_validate_json(connection.execute(detail).scalar_one())
    recipient, end = begun.recipient, attempts[0].started // SECOND + passes.VALID

    def sign(sender: str, data: bytes) -> tuple[str, str] | None:
        return (key and passes.sign(key, begun.release, begun.number, end, sender, recipient, data)) or None

    dsn = receipt.dsn if recipient in receipt.recipients else None  # not of those that somebody added later
    if begun.way is not None and begun.way.form != ReleaseAs.ORIGINAL:
        return load(original(connection, begun, raw, receipt.smtputf8, dsn, attempts, sign))
    return load(parcel(raw, begun.release, begun.sender, recipient, receipt.smtputf8, dsn=dsn, sign=sign))


def _quarantined(connection: Connection, begun: Begun) -> Quarantined | None:
    query = select(t.message.c.origin).where(t.message.c.id == begun.message)
    file = file_of(connection.execute(query).scalar_one())
    if file is None:
        return None
    released = (t.entry.c.message == begun.message, t.entry.c.kind == "mail.release")
    who = select(t.account.c.name).join(t.entry, t.entry.c.account == t.account.c.id).where(*released)
    name = connection.execute(who.order_by(t.entry.c.seq.desc()).limit(1)).scalar()
    return Quarantined(*file, begun.recipient, f"{name or 'rcqueue'}@{socket.gethostname()}")
