"""Where the state machine works: a real marshal and a naive one with the same people and mail, and the means to do a
thing to both, compare what they say, and audit what is stored."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis.stateful import RuleBasedStateMachine, invariant

from rcqueue.model.access import Access, Grant
from rcqueue.model.act import NextBody, Verb
from rcqueue.model.ids import encode_mail, encode_message
from rcqueue.model.mail import Receipt, VerdictKind
from rcqueue.model.scan import Action
from rcqueue.server.marshal import Idempotency, ends, outcomes, people, standing
from rcqueue.server.marshal.clockwork import Clockwork
from rcqueue.server.marshal.hold import Arrival
from rcqueue.server.reading.scan import Scan
from rcqueue.server.scan.base import ScanEnvelope
from rcqueue.server.scan.decide import Decision
from rcqueue.server.scan.judge import Judgement
from rcqueue.server.store import rows
from rcqueue.server.store.database import Database
from rcqueue.server.store.journal import first_fault
from rcqueue.server.store.migrations import migrate

from . import naive
from .auditor import Auditor, same
from .compare import EPOCH, answer_of, id_of, nothing, real_body, same_as_the_model
from .naive import DAY, LEASE, SECOND, Body, Entry, Person, Session
from .naive_acts import Naive
from .naive_standing import MOST
from .still import StillQueue

START = 1_800_000_000 * SECOND
CUSTOMERS = ("all", "acme", "acme/sales", "beta")
PEOPLE = (  # name, roles, kind of session, scope of it
    ("anna", (("admin", "all"),), "terminal", ""),
    ("ada", (("admin", "all"),), "token", ""),
    ("ben", (("operator", "acme"),), "terminal", ""),
    ("otto", (("operator", "all"),), "token", "view claim release note"),
    ("cleo", (("blind", "acme/sales"), ("operator", "beta")), "terminal", ""),
    ("dora", (("auditor", "all"),), "cli", ""),
)
RAW = (b"Subject: one\r\n\r\n1\r\n", b"Subject: two\r\n\r\n2\r\n")
OFTEN = (0, 2, 3, 0, 4, 2, 1, 5)  # who of them does something

Call = tuple[Callable[[], Awaitable[Any]], Callable[[], Any]]  #: the same of the real marshal and of the naive one


def people_at_work() -> tuple[bytes, Naive]:
    """A database with the people in it, made once and copied for each example; and the naive one."""
    folder = Path(tempfile.mkdtemp(prefix="rcqueue-machine-"))
    queue, world = StillQueue(folder, START), Naive()
    database = Database(folder, synchronous="OFF")
    migrate(database.write_engine)
    database.close()
    queue.open()
    world.now = queue.clock.now()
    queue.run(queue.marshal.do(people.FirstAdmin(PEOPLE[0][0], "no hash", 0)))
    world.write("people.create")
    world.people["anna"] = Person(1, "anna", {("admin", "all")})
    token = people.StartSession(1, b"first", "terminal", "test", DAY, LEASE)
    by = queue.run(queue.marshal.do(token))["id"]
    world.sign_in(world.people["anna"], "terminal", DAY, frozenset())
    for name, roles, *_ in PEOPLE[1:]:
        grants = tuple(Grant(*role) for role in roles)
        id = queue.run(queue.marshal.do(people.ChangePerson(by, "create", name, grants, password="no hash")))
        world.write("people.create", world.sessions[by])
        world.people[name] = Person(id, name, set(roles))
    queue.close()
    stored = (folder / "queue.db").read_bytes()
    shutil.rmtree(folder)
    return stored, world


class Policy:
    """In the place of the scanners and their policy: lets some recipients' mail pass, and holds all else."""

    configured = True

    def __init__(self, world: Naive) -> None:
        self.world = world

    async def judge(self, raw: bytes, envelope: ScanEnvelope) -> Judgement:
        held = Decision(Action.HOLD, VerdictKind.PHISH)
        lets = self.world.lets
        return Judgement([], {to: Decision(Action.PASS) if to in lets else held for to in envelope.recipients})


class Workplace(RuleBasedStateMachine):
    """People and mail of one example, and how to do a thing to both marshals."""

    template: tuple[bytes, Naive] | None = None
    lengths: list[int] = []  #: steps of each example

    def __init__(self) -> None:
        super().__init__()
        stored, world = self.prepare()
        self.world = copy.deepcopy(world)
        self.folder = Path(tempfile.mkdtemp(prefix="rcqueue-machine-"))
        (self.folder / "queue.db").write_bytes(stored)
        self.steps = -1  # the invariants are looked at before the first one
        self.tokens = 0
        self.begun: dict[naive.Key, outcomes.Begun] = {}
        self.sent: list[tuple[Any, ...]] = []  # calls under an Idempotency-Key
        self.small = (mock.patch.object(rows, "STEP", naive.STEP), mock.patch.object(standing, "MOST", MOST))
        for patch in self.small:
            patch.start()
        self.queue = StillQueue(self.folder, START + SECOND)
        self.queue.judge = Policy(self.world)
        self.queue.open()
        self.auditor = Auditor()
        self.state = self.auditor.look(self.queue.file)

    @classmethod
    def prepare(cls) -> tuple[bytes, Naive]:
        if Workplace.template is None:
            Workplace.template = people_at_work()
        return Workplace.template

    def teardown(self) -> None:
        try:
            fault = first_fault(self._journal())
            self.queue.close()
            assert fault is None, f"journal: {fault}"
        finally:
            self.queue.loop.close()
            for patch in self.small:
                patch.stop()
            shutil.rmtree(self.folder)
            self.lengths.append(self.steps)

    def _journal(self) -> list[Any]:
        with self.queue.database.snapshot() as connection:
            return list(connection.exec_driver_sql("SELECT * FROM entry ORDER BY seq"))

    # -- both at once

    def together(self, *calls: Call) -> list[Any]:
        """Makes the calls in one batch of the writer, then those of the naive marshal, and compares what they say."""
        self.world.now = self.queue.clock.now()
        at = self.world.seq
        if len(calls) == 1:
            real = [self.queue.run(answer_of(calls[0][0]()))]
        else:
            real = self.queue.run(self._one_batch([call for call, _ in calls]))
        self.state = self.auditor.look(self.queue.file)
        expected = [call() for _, call in calls]
        for answer, ought in zip(real, expected, strict=True):
            assert answer == ought, f"answers: {ought!r} was expected\nbut it says {answer!r}"
        same("journal: the entries of this step", self.world.entries[at:], [Entry(*e) for e in self.auditor.entries])
        return real

    async def _one_batch(self, calls: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
        self.queue.writer.gathers = []
        tasks = [asyncio.ensure_future(answer_of(call())) for call in calls]
        await asyncio.sleep(0)  # each submits before it waits
        self.queue.writer.write_gathered()
        return list(await asyncio.gather(*tasks))

    def do(self, operation: Any, ought: Callable[[], Any]) -> Any:
        return self.together((lambda: self.queue.marshal.do(operation), ought))[0]

    @invariant()
    def stored_as_it_ought_to_be(self) -> None:
        self.steps += 1
        same_as_the_model(self.world, self.state)

    # -- who and what

    def session(self, pick: int) -> Session:
        """A session of somebody: mostly one that is alive, signed in for this if need be."""
        return self.session_of(PEOPLE[OFTEN[pick % 8]][0], pick // 8)

    def session_of(self, name: str, pick: int = 0) -> Session:
        (_, _, kind, scope), old = next(p for p in PEOPLE if p[0] == name), pick % 10
        person = self.world.people[name]
        mine = [s for s in self.world.sessions.values() if s.person is person]
        if old == 9 and mine:  # whichever, even if it is over
            return mine[pick % len(mine)]
        if old == 8:
            kind = "cli" if kind == "terminal" else "terminal"
        alive = [s for s in mine if s.kind == kind and self.world.alive(s.id)]
        if not alive and person.enabled:
            return self.sign_in(person, kind, scope if kind == "token" else "")
        return (alive or mine or list(self.world.sessions.values()))[-1]

    def sign_in(self, person: Person, kind: str, scope: str) -> Session:
        self.tokens += 1
        lasts = 30 * DAY if kind == "token" else DAY // 2
        lease = LEASE if kind == "terminal" else 0
        start = people.StartSession(person.id, b"%d" % self.tokens, kind, "test", lasts, lease, scope)
        ought = lambda: self.world.sign_in(person, kind, lasts, frozenset(scope.split()))  # noqa: E731
        said = self.together((lambda: id_of(self.queue.marshal.do(start)), ought))[0]
        return self.world.sessions[said]

    def access(self, session: Session) -> Access:
        """As the routes have it before the act: what counts is what holds in the act's own transaction."""
        person = session.person
        grants = tuple(Grant(*role) for role in sorted(person.roles, key=lambda r: (r[1], r[0])))
        return Access(person.id, person.name, session.id, grants, frozenset(person.locks), session.scope)

    def mail(self, pick: int, statuses: frozenset[str] | None = None) -> tuple[int, int]:
        """A mail, in one of the statuses if there is one; now and then one that is claimed."""
        found = {(id, n): mail for id, message in self.world.messages.items() for n, mail in enumerate(message.mails)}
        fit = [key for key, mail in found.items() if statuses and mail.status in statuses]
        claimed = [key for key in fit if found[key].claim] if pick % 4 == 1 else []
        some = claimed or fit or list(found)
        return some[-1 - pick // 4 % len(some)]

    def body(self, who: Session, verb: str, target: naive.Target, how: int) -> Body:
        """What goes with the act: mostly right."""
        id, n = target
        mails = self.world.messages[id].mails
        mine = [m.claim.fence for m in mails if m.claim and m.claim.session == who.id]
        seen = (None, self.world.seq, self.world.seq, mails[(n or 0) % len(mails)].version - 1)[how % 4]
        fence = (None, max(mine, default=None), self.world.seq, id & 63)[how // 4 % 4] if how // 64 == 0 else None
        return Body(
            as_of=self.world.seq + 1 if how == 63 else seen,
            fence=fence,
            reason="" if how % 32 == 31 else "because",
            query=list(naive.FILTERS)[how // 4 % 6] if n is None and how // 64 == 1 else None,
            for_seconds=(None, None, 30, 2000)[how // 16 % 4],
            expiry=self.world.now + 3600 * SECOND if how // 64 == 2 else None,
            note="" if how % 32 == 31 else "seen",
            person=PEOPLE[how // 2 % 6][0] if verb == "assign" and how % 32 != 31 else "",
            to=self.others(mails, how) if verb == "release" or how == 255 else (),
            settle=("arrived", "again", "hold", None)[how // 4 % 4] if how % 32 != 31 else None,
        )

    def others(self, mails: list[naive.Mail], how: int) -> tuple[str, ...]:
        """Mostly nobody; else somebody, the postmaster, or a recipient that it has already."""
        if how // 64 != 3:
            return ()
        return (("eve@example.org",), ("postmaster",), ("fay@example.org", "postmaster"), (mails[0].rcpt,))[how % 4]

    def act(self, who: Session, verb: str, targets: list[naive.Target], body: Body, key: str | None = None) -> Call:
        ids = [encode_message(id) if n is None else encode_mail(id, n) for id, n in targets]
        digest = hashlib.sha256(repr((verb, ids, body)).encode()).digest()
        once = Idempotency(who.person.id, key, digest) if key else None
        access, sent = self.access(who), real_body(body)
        return (
            lambda: self.queue.marshal.act(access, Verb(verb), ids, sent, once=once),
            lambda: (
                self.world.once(who.id, key, digest, verb, targets, body)
                if key
                else self.world.act(who.id, verb, targets, body)
            ),
        )

    def next(self, who: Session, count: int) -> Call:
        access = self.access(who)

        async def dealt() -> Any:
            said = await self.queue.marshal.next(access, NextBody(count=count))
            # Who was dealt nothing asks again, after the others of the batch.
            return said.seq if said.messages else None, said.messages, said.mails

        return dealt, lambda: self.world.deal(who.id, count)

    def arrive(self, recipients: int, customer: str, raw: int) -> None:
        self.together(self.arrival(recipients, customer, raw))

    def arrival(self, recipients: int, customer: str, raw: int) -> Call:
        verdict = (VerdictKind.SPAM, VerdictKind.VIRUS)[raw]
        to = tuple(f"r{n}@example.org" for n in range(recipients))
        at = EPOCH + timedelta(microseconds=self.queue.clock.now())
        receipt = Receipt(at=at, client="192.0.2.1", helo="mx", protocol="ESMTP", size=len(RAW[raw]))
        arrival = Arrival(customer, "ada@sender.example", to, RAW[raw], Scan(verdict=verdict), receipt)
        digest = hashlib.sha256(RAW[raw]).digest()
        ought = lambda: self.world.hold(customer, verdict.value, recipients, digest)  # noqa: E731
        return lambda: self.queue.marshal.hold([arrival]), ought

    def claim_filter(self, who: Session, query: str, for_seconds: int | None) -> Call:
        stand = standing.Stand(who.id, query, for_seconds)
        return lambda: self.queue.marshal.do(stand), lambda: self.world.stand(who.id, query, for_seconds)

    def bring(self, pick: int, statuses: frozenset[str]) -> tuple[int, int]:
        """A mail in one of the statuses: one that is there, or one that an administrator takes there."""
        id, n = self.mail(pick, statuses)
        if self.world.messages[id].mails[n].status in statuses:
            return id, n
        if not any(m.status == "ONHOLD" for message in self.world.messages.values() for m in message.mails):
            self.arrive(2, "acme", 0)
        id, n = self.mail(pick, naive.HELD)
        mail, wanted = self.world.messages[id].mails[n], sorted(statuses)[pick % len(statuses)]
        if mail.claim and wanted != "ONHOLD":
            self.together(self.act(self.session_of("anna"), "takeover", [(id, n)], Body(reason="because")))
        if wanted == "ONHOLD":
            pass
        elif wanted == "EXPIRED":
            self.queue.pass_time(max(mail.expiry - self.queue.clock.now(), 0) + SECOND)
            self.expire(frozenset((id,)))
        elif wanted == "DELETED":
            self.together(self.act(self.session_of("anna"), "delete", [(id, n)], Body()))
        else:
            self.together(self.act(self.session_of("anna"), "release", [(id, n)], Body()))
            if wanted != "RELEASING" and mail.status == "RELEASING":
                self.queue.pass_time(11 * SECOND)
                self.attempt(id, n, 3, outcomes.Outcome(wanted.lower()))
        return id, n

    def attempt(self, id: int, n: int, to: int, outcome: outcomes.Outcome = outcomes.Outcome.RELEASED) -> None:
        """One attempt, as far as connecting (1), the dot (2) or the next hop's answer (3)."""
        begin = outcomes.BeginAttempt(id, n, "192.0.2.2:25")
        key = self.together((lambda: self.began(begin), lambda: self.world.begin(id, n)))[0]
        if isinstance(key, tuple) and to >= 2 and outcome in ("released", "uncertain"):
            self.dot(key)
        if isinstance(key, tuple) and to == 3:
            self.ended(key, outcome)

    async def began(self, begin: outcomes.BeginAttempt) -> naive.Key:
        begun = await self.queue.marshal.do(begin)
        self.begun[begun.message, begun.n, begun.number] = begun
        assert begun.release == self.world.messages[begun.message].mails[begun.n].release, (
            "delivery: another release id"
        )
        return begun.message, begun.n, begun.number

    def dot(self, key: naive.Key) -> None:
        self.together((lambda: self.queue.marshal.before_dot(self.begun[key]), lambda: self.world.dot(key)))

    def ended(self, key: naive.Key, outcome: outcomes.Outcome) -> None:
        wait = 60 * SECOND
        real = lambda: self.queue.marshal.end_attempt(self.begun[key], outcome, 250, "said", retry_in=wait)  # noqa: E731
        self.together((real, lambda: self.world.end(key, outcome.value, wait)))

    def restart(self, away: int = 0) -> None:
        """Closes the store and opens it again; attempts that were under way are settled, as delivery does."""
        self.queue.close()
        self.queue.pass_time(away * SECOND)
        self.queue.open(self.auditor.at)
        self.state = self.auditor.look(self.queue.file)
        for (id, n), (status, _, _, _, due, *_) in sorted(self.state.mails.items()):
            if status == "RELEASING" and due is None:
                self.do(outcomes.Recover(id, n), lambda id=id, n=n: self.world.recover(id, n))

    def beat(self) -> None:
        clockwork = Clockwork(self.queue.marshal)

        async def both() -> None:
            await clockwork.beat()
            await clockwork.clean()

        self.together((both, self.world.beat))
        for claim in (m.claim for message in self.world.messages.values() for m in message.mails if m.claim):
            assert self.world.holds(claim), "claim: it was not let go"

    # -- what time does, at mails where it may be too early

    def lapse(self, ids: frozenset[int], session: int | None = None) -> None:
        real = ends.Lapse(ids, session=session)
        self.together((lambda: nothing(self.queue.marshal.do(real)), lambda: self.world.lapse(ids, session)))

    def expire(self, ids: frozenset[int]) -> None:
        self.together((lambda: nothing(self.queue.marshal.do(ends.Expire(ids))), lambda: self.world.expire(ids)))

    def purge(self, ids: frozenset[int]) -> None:
        real = ends.Purge(ids, naive.PURGE)
        self.together((lambda: nothing(self.queue.marshal.do(real)), lambda: self.world.purge(ids)))
