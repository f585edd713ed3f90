"""`Marshal`: submits operations to the writer and answers when they are durable. It knows no HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from rcqueue.model.access import Access, Right
from rcqueue.model.act import ActAnswer, ActBody, ActRequest, Dealt, NextBody, Verb
from rcqueue.model.ids import parse_id
from rcqueue.model.query import Query, parse
from rcqueue.server.scan.judge import Judge
from rcqueue.server.store import tables as t
from rcqueue.server.store.clock import Clock
from rcqueue.server.store.database import Database
from rcqueue.server.store.pages import check_query
from rcqueue.server.store.writer import Operation, Stopped, Writer

from . import acts, outcomes, people
from .caps import cap_of
from .dealing import LOOK, SPARE, Deal, candidates
from .doing import Terms
from .hold import Arrival, Hold
from .once import Idempotency, Once, answered
from .past import DropRows, first_rows, strays
from .refusal import Refusal, customers_with
from .selecting import Mails, mails_of_query, mails_of_targets, store_selection
from .show import OpenBody
from .undoing import asked, undo_of, undoable
from .verbs import RULES, Act, Target, check_body
from .weighing import Weighing

log = logging.getLogger(__name__)
SOON = 5.0  #: seconds in which an act is stored, or announced
MOST_OPEN = 10_000  #: bodies that are read page by page; of one that is forgotten the next page is a read again


class Marshal:
    def __init__(self, database: Database, writer: Writer, clock: Clock, terms: Terms) -> None:
        self.database, self.writer, self.clock, self.terms = database, writer, clock, terms
        self._open: dict[tuple[int, int, str], None] = {}  # session, message, part; the latest last
        self._running: dict[str, asyncio.Task[Any]] = {}  # acts on many
        self._weighing: Weighing | None = None

    async def do(self, operation: Operation, *, patient: bool = False, idle: bool = False) -> Any:
        """Writes an operation; its answer, once it is durable. Raises what it refused with. A `patient` one lets
        others go first; an `idle` one waits a moment for others."""
        return await asyncio.wrap_future(self.writer.submit(operation, patient=patient, idle=idle))

    async def do_once(
        self,
        who: Access,
        once: Idempotency | None,
        operation: Operation,
        encode: Callable[[Any], str] = json.dumps,
        decode: Callable[[str], Any] = json.loads,
    ) -> Any:
        """The same for a writing call: under the same key it is done once, and answers the same."""
        return await self.do(operation if once is None else Once(operation, who.session, once, encode, decode))

    # -- mail comes in, mail goes out

    async def hold(self, arrivals: Sequence[Arrival]) -> list[int]:
        """The messages of one SMTP transaction, held together; their ids. Durable when this returns."""
        return list(await self.do(Hold(arrivals, self.terms.expiry)))

    async def begin_attempt(self, message: int, n: int, next_hop: str) -> outcomes.Begun:
        begun: outcomes.Begun = await self.do(outcomes.BeginAttempt(message, n, next_hop))
        return begun

    async def begin_attempts(self, mails: Sequence[tuple[int, int]], next_hop: str) -> list[outcomes.Begun | None]:
        """Of each mail (message, n) its attempt, which is durable; None: it was recalled meanwhile."""
        return list(await self.do(outcomes.BeginAttempts(tuple(mails), next_hop)))

    async def before_dot(self, begun: outcomes.Begun) -> None:
        await self.do(outcomes.BeforeDot(begun.message, begun.n, begun.number))

    async def end_attempt(
        self,
        begun: outcomes.Begun,
        outcome: outcomes.Outcome,
        code: int,
        reply: str,
        *,
        retry_in: int = 0,
        next_hop: str = "",
        queue_id: str | None = None,
        noted: Mapping[str, Any] | None = None,
    ) -> None:
        """Puts what became of an attempt on record. `retry_in` is microseconds; `noted` becomes facts of the entry."""
        key, said = (begun.message, begun.n, begun.number), (outcome, code, reply)
        await self.do(outcomes.EndAttempt(*key, *said, retry_in, next_hop, queue_id, noted or {}), idle=True)

    # -- acts

    async def act(
        self,
        who: Access,
        verb: Verb,
        ids: Iterable[str],
        body: ActBody,
        *,
        once: Idempotency | None = None,
    ) -> ActAnswer:
        """One verb on one or a few mails or messages, at once. Raises `Refusal` if it was done to none of them."""
        # Which mails of a message are meant is no matter of who looked at it; by now this person has.
        query = self.query_of_act(who, body.query).without("seen") if body.query is not None else None
        targets = tuple(target(i) for i in ids)
        judged = await self.weighing.messages(who, (m for m, _ in targets)) if verb is Verb.RESCAN else {}
        act = Act(who.session, verb, targets, body, self.terms, query, judged)
        answer: ActAnswer = await self.do_once(
            who, once, act, lambda a: str(a.model_dump_json()), ActAnswer.model_validate_json
        )
        return answer

    async def next(self, who: Access, body: NextBody, *, once: Idempotency | None = None) -> Dealt:
        """Deals this person the next messages of a filter that nobody holds."""
        query = self.query_of_act(who, body.query)
        want, deadline = body.count + SPARE, time.perf_counter() + LOOK
        for again in (True, True, False):
            found = await self.database.read(candidates, who, query, want, self.clock.now(), deadline)
            plain = query.without("seen")  # by now they may have been looked at
            deal = Deal(who.session, plain, body.count, tuple(found), self.terms, body.for_seconds)
            try:
                dealt: Dealt = await self.do_once(
                    who, once, deal, lambda d: str(d.model_dump_json()), Dealt.model_validate_json
                )
            except Refusal as refusal:
                if refusal.kind != "changed" or not again:
                    raise
            else:
                break
        return dealt

    async def open_body(self, who: Access, message: int, part: str, *, goes_on: bool = False) -> None:
        """Asks to read a body: raises `Refusal`, or puts the read on record; only then may the body leave. `goes_on`:
        this is no first page; what is open in this session is on record once."""
        key = (who.session, message, part)
        await self.do(OpenBody(who.session, message, part, goes_on and key in self._open))
        self._open.pop(key, None)
        self._open[key] = None
        if len(self._open) > MOST_OPEN:
            del self._open[next(iter(self._open))]

    def query(self, who: Access, text: str) -> Query:
        """A filter of this person's: raises QueryError, QueryForbidden for a term on a class that they lack, or
        Refusal: they may view nothing."""
        customers_with(who, Right.VIEW)
        return self.query_of_act(who, text)

    def query_of_act(self, who: Access, text: str) -> Query:
        """The same where the act itself refuses who may view nothing, on record."""
        query = parse(text, me=who.name)
        check_query(who, query)
        return query

    # -- acts on many

    async def store_act(self, who: Access, request: ActRequest, *, once: Idempotency | None = None) -> str:
        """Stores the selection of an act as it is now; nothing is done until it is confirmed. Its id."""
        if (request.ids is None) == (request.query is None):
            raise Refusal("bad-request", "an act needs either ids or query")
        if once is not None and (said := await self.database.read(answered, once)) is not None:
            return str(json.loads(said))
        verb, now = Verb(request.verb), self.clock.now()
        _ = self.weighing if verb is Verb.RESCAN else None  # or it is refused
        check_body(verb, acts.body_of(request), now)
        find: Mails
        if request.query is not None:
            query = self.query(who, request.query)
            find = partial(mails_of_query, who=who, query=query, now_us=now)
        else:
            targets = [target(i) for i in request.ids or ()]
            find = partial(mails_of_targets, who=who, statuses=RULES[verb].statuses, targets=targets)
        return await self._soon(who, request, find, once)

    async def _soon(
        self, who: Access, request: ActRequest, find: Mails, once: Idempotency | None, undoes: str | None = None
    ) -> str:
        """Stores an act. One that takes long is announced, and stored behind."""
        act, keys = secrets.token_hex(8), [once]
        storing = asyncio.create_task(self._store(act, who, request, find, keys, undoes), name=f"select-{act}")
        self._running[storing.get_name()] = storing
        storing.add_done_callback(self._stored)
        if (await asyncio.wait({storing}, timeout=SOON))[0]:
            return storing.result()
        keys.clear()  # the call is answered by the announcement
        return str(await self.do_once(who, once, acts.AnnounceAct(act, who.session, request, undoes)))

    def _stored(self, storing: asyncio.Task[str]) -> None:
        self._running.pop(storing.get_name(), None)
        error = None if storing.cancelled() else storing.exception()
        if error is not None and not isinstance(error, Refusal | Stopped):
            log.error("%s failed", storing.get_name(), exc_info=error)

    async def _store(
        self,
        act: str,
        who: Access,
        request: ActRequest,
        find: Mails,
        keys: list[Idempotency | None],
        undoes: str | None,
    ) -> str:
        verb = Verb(request.verb)
        most = cap_of(who, verb, self.terms.caps) if verb is not Verb.RESCAN else None

        async def put(mails: tuple[tuple[int, int], ...]) -> None:
            await self.do(acts.AddSelection(act, mails), patient=True)

        try:
            selection = await store_selection(self.database, find, put, most)
            store = acts.StoreAct(act, who.session, request, selection, self.terms, undoes)
            stored = str(await self.do_once(who, keys[0] if keys else None, store))
        except Refusal:
            await self.do(acts.ForgetAct(act))
            await self.drop_rows(t.act_mail.name, act)
            raise
        if undoes is not None:
            self.run_act(stored)
        elif verb is Verb.RESCAN:
            self._work(f"weigh-{stored}", self.weighing.act(stored))
        return stored

    async def confirm_act(self, who: Access, act: str, expect: int, *, once: Idempotency | None = None) -> None:
        await self.do_once(who, once, acts.ConfirmAct(act, who.session, expect, self.terms))
        self.run_act(act)

    async def undo_act(self, who: Access, act: str, *, once: Idempotency | None = None) -> str:
        """Takes back what can be of an act, which stops: the id of the act that does so, and runs already."""
        if once is not None and (said := await self.database.read(answered, once)) is not None:
            return str(json.loads(said))
        request = await self.database.read(asked, who, act)
        undo = undo_of(act, request)
        await self.do(acts.StopAct(act, who.session))
        return await self._soon(who, undo, partial(undoable, act=act, request=request), once, act)

    async def stop_act(self, who: Access, act: str, *, once: Idempotency | None = None) -> None:
        await self.do_once(who, once, acts.StopAct(act, who.session))

    def run_act(self, act: str) -> None:
        """Works an act off in the background, step by step; after a restart it is taken up again."""
        self._work(f"act-{act}", self._run_act(act))

    def _work(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Goes on with it in the background, once."""
        if name in self._running:
            work.close()
            return
        task = self._running[name] = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda _: self._running.pop(name, None))

    async def _run_act(self, act: str) -> None:
        more, pace = True, acts.Pace()
        while more:
            try:
                more = await self.do(acts.StepAct(act, self.terms, pace.mails), patient=True)
                pace.heard(self.writer.patient_took)
            except Stopped:
                return
            except Exception:
                log.exception("a step of act %s could not be written; it is tried again", act)
                await asyncio.sleep(1)

    async def resume_acts(self) -> None:
        """Goes on with what a stop of the server left, and forgets selections of which no act came."""
        for table, act in await self.database.read(strays):
            self._work(f"drop-{act}", self.drop_rows(table, act))
        unfinished = select(t.act.c.id, t.act.c.state).where(t.act.c.state.in_(("running", "weighing", "selecting")))
        for act, state in await self.database.read(lambda c: c.execute(unfinished).all()):
            if state == "running":
                self.run_act(act)
            elif state == "selecting":
                await self.do(acts.ForgetAct(act))
            else:
                self._work(f"weigh-{act}", self.weighing.act(act))

    async def drop_rows(self, table: str, act: str) -> None:
        """All rows of an act go from `act_mail` or `act_judged`; some at a time, so that nobody waits for it."""
        while (upto := await self.database.read(first_rows, table, act)) is not None:
            await self.do(DropRows(table, act, upto), patient=True)

    # -- rescans

    @property
    def weighing(self) -> Weighing:
        if self._weighing is None:
            raise Refusal("bad-request", "rescan: this server has no scanner and no policy to scan by")
        return self._weighing

    def judge_by(self, judge: Judge) -> None:
        """From now on mail can be scanned again, if there is anything to scan with."""
        self._weighing = Weighing(judge, self.database, self.do) if judge.configured else None

    # -- sessions

    async def end_session(self, session: int, why: str = "logout") -> None:
        """Signs a session out; its claims go at once."""
        claimed = await self.database.read(claimed_by, session)
        await self.do(people.EndSession(session, frozenset(claimed), why))

    async def close(self) -> None:
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def target(text: str) -> Target:
    """A message's or a mail's id; raises `Refusal`."""
    try:
        return parse_id(text)
    except ValueError as error:
        raise Refusal("bad-request", str(error)) from None


def claimed_by(connection: Connection, session: int) -> list[int]:
    """The messages on which a session holds claims."""
    return list(connection.execute(select(t.claim.c.message).distinct().where(t.claim.c.session == session)).scalars())
