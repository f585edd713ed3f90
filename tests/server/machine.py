"""A state machine over the real marshal, writer and store: people with rights and sessions, mail in every status, time,
deliveries that fail, crashes and restarts; held against the naive marshal, and audited, after each step."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from rcqueue.model.access import Grant
from rcqueue.model.act import ActRequest, Verb
from rcqueue.model.ids import encode_mail, encode_message
from rcqueue.server.marshal import acts as many
from rcqueue.server.marshal import outcomes, people
from rcqueue.server.marshal.requests import Link, UseLink
from rcqueue.server.marshal.standing import EndStanding, LapseStanding

from . import naive
from .compare import nothing, real_body
from .naive import DAY, HELD, LEASE, SECOND, VERBS, Body, Done
from .naive_standing import CLAIMED
from .still import TERMS
from .workplace import CUSTOMERS, PEOPLE, Call, Workplace

SPANS = (1, 3, 11, 11, 61, 121, 121, 620, 960)  # seconds

number = st.integers(0, 255)
few = st.integers(0, 3)


class Machine(Workplace):
    # -- mail comes in

    @initialize(recipients=few)
    def first_mail(self, recipients: int) -> None:
        self.arrive(1 + recipients, "acme", 0)
        self.arrive(2, "acme/sales", 1)

    @rule(recipients=st.integers(1, 5), customer=few, raw=st.integers(0, 1))
    def held(self, recipients: int, customer: int, raw: int) -> None:
        self.arrive(recipients, CUSTOMERS[customer], raw)

    # -- people act

    def one_act(self, verb: str, person: int, mail: int, how: int, statuses: frozenset[str] | None = None) -> Call:
        who, (id, n) = self.session(person), self.bring(mail, statuses or VERBS[verb][1])
        target = (id, None) if mail % 3 == 0 else (id, n)
        return self.act(who, verb, [target], self.body(who, verb, target, how))

    @rule(person=number, mail=number, how=number)
    def claims(self, person: int, mail: int, how: int) -> None:
        self.together(self.one_act("claim", person, mail, how))

    @rule(people=st.lists(number, min_size=1, max_size=3), count=st.integers(1, 3))
    def deals(self, people: list[int], count: int) -> None:
        """The next mails, to one person or to several in the same moment."""
        self.together(*[self.next(self.session(person), count) for person in people])

    @rule(person=number, mail=number, how=number, then=st.sampled_from(("", "release", "claim", "unclaim", "assign")))
    def hands_over(self, person: int, mail: int, how: int, then: str) -> None:
        """And whom it was handed to, or another, goes on with it."""
        self.together(self.one_act("assign", person, mail, how))
        if then:
            self.together(self.one_act(then, how, mail, how))

    @rule(verb=st.sampled_from(("takeover", "unclaim", "note")), person=number, mail=number, how=number)
    def about_a_claim(self, verb: str, person: int, mail: int, how: int) -> None:
        self.together(self.one_act(verb, person, mail, how))

    @rule(person=number, mail=number, how=number)
    def releases(self, person: int, mail: int, how: int) -> None:
        """What is on hold; now and then what is being released already."""
        status = "RELEASING" if how % 3 == 0 else "ONHOLD"
        self.together(self.one_act("release", person, mail, how, frozenset((status,))))

    @rule(verb=st.sampled_from(("delete", "extend")), person=number, mail=number, how=number)
    def decides(self, verb: str, person: int, mail: int, how: int) -> None:
        self.together(self.one_act(verb, person, mail, how))

    @rule(person=number, mail=number, how=number)
    def recalls(self, person: int, mail: int, how: int) -> None:
        self.together(self.one_act("recall", person, mail, how))

    @rule(person=number, mail=number, how=number)
    def restores(self, person: int, mail: int, how: int) -> None:
        self.together(self.one_act("restore", person, mail, how))

    @rule(person=number, mail=number, how=number)
    def settles(self, person: int, mail: int, how: int) -> None:
        self.together(self.one_act("settle", person, mail, how))

    @rule(
        person=number,
        other=number,
        mail=number,
        wait=st.sampled_from((0, 0, 130)),
        then=st.sampled_from(("release", "delete", "extend")),
    )
    def claims_then_decides(self, person: int, other: int, mail: int, wait: int, then: str) -> None:
        """As a person works: sees, claims, looks, and decides upon what was seen then, with the fence got then; while
        somebody else wants the same."""
        who, target = self.session(person), self.bring(mail, HELD)
        (said,) = self.together(self.act(who, "claim", [target], Body()))
        if isinstance(said, Done):
            self.queue.pass_time(wait * SECOND)
            if other % 2:
                self.together(self.act(self.session(other), then, [target], Body(as_of=said.seq)))
            self.together(self.act(who, then, [target], Body(as_of=said.seq, fence=said.fence)))

    @rule(verb=st.sampled_from(sorted(VERBS)), person=number, mail=number, other=number, how=number)
    def acts_anyhow(self, verb: str, person: int, mail: int, other: int, how: int) -> None:
        """Any verb on any mail, or two, or one that is not there."""
        who, (id, n) = self.session(person), self.mail(mail)
        targets: list[naive.Target] = [(id, n + 9 if other == 1 else n)]
        if other % 3 == 0:
            targets.append(self.mail(other))
        self.together(self.act(who, verb, targets, self.body(who, verb, targets[0], how)))

    @rule(
        verbs=st.lists(st.sampled_from(("release", "delete", "claim", "takeover", "recall")), min_size=2, max_size=3),
        person=number,
        mail=number,
        how=number,
    )
    def act_at_once(self, verbs: list[str], person: int, mail: int, how: int) -> None:
        """Several act on one mail in the same moment."""
        id, n = self.mail(mail, VERBS[verbs[0]][1])
        target = (id, None) if mail % 3 == 0 else (id, n)
        who = [self.session(person + 5 * i) for i in range(len(verbs))]
        bodies = [self.body(w, verb, target, how) for w, verb in zip(who, verbs, strict=True)]
        calls = zip(who, verbs, bodies, strict=True)
        self.together(*[self.act(w, verb, [target], body) for w, verb, body in calls])

    @rule(verb=st.sampled_from(("claim", "release", "delete", "note")), person=number, mail=number, how=few, times=few)
    def acts_under_a_key(self, verb: str, person: int, mail: int, how: int, times: int) -> None:
        """Under an Idempotency-Key: anew, once more, twice in one batch, or with another body."""
        who, target = self.session(person), self.mail(mail, VERBS[verb][1])
        call = (who, verb, [target], self.body(who, verb, target, how), f"key-{len(self.sent)}")
        if self.sent and times:
            call = self.sent[-1 - mail % min(3, len(self.sent))]
            if times == 3:
                call = (*call[:3], Body(reason="another"), call[4])
        self.sent.append(call)
        self.together(*[self.act(*call) for _ in range(1 + times // 2)])

    # -- filters are claimed

    @rule(
        person=number,
        query=st.sampled_from(list(CLAIMED)),
        lasts=st.sampled_from((None, None, 30, 2000)),
        at_once=st.booleans(),
        arrives=st.lists(st.tuples(st.integers(1, 3), few, st.integers(0, 1)), max_size=2),
    )
    def claims_a_filter(
        self, person: int, query: str, lasts: int | None, at_once: bool, arrives: list[tuple[int, int, int]]
    ) -> None:
        """And then, or in the same moment, something arrives."""
        # Of what not all may read it is one who may not, at some customers.
        who = self.session_of("cleo", person) if "campaign:" in query else self.session(person)
        stands = self.claim_filter(who, query, lasts)
        arrivals = [self.arrival(recipients, CUSTOMERS[at], raw) for recipients, at, raw in arrives]
        if at_once:
            self.together(stands, *arrivals[:1])
        else:
            for call in (stands, *arrivals):
                self.together(call)

    @rule(person=number, which=few, lapses=st.booleans())
    def gives_a_filter_back(self, person: int, which: int, lapses: bool) -> None:
        """Their own, or another's, or one that there is not; or it lapses, if it is not too early."""
        ids = [*self.world.standing, 1]
        id = ids[which % len(ids)]
        if lapses:
            one = frozenset((id,))
            self.together(
                (lambda: nothing(self.queue.marshal.do(LapseStanding(one))), lambda: self.world.lapse_standing(one))
            )
            return
        theirs = self.world.standing.get(id)
        who = self.session_of(theirs.session.person.name) if theirs and person % 2 else self.session(person)
        end = EndStanding(who.id, id)
        self.together((lambda: nothing(self.queue.marshal.do(end)), lambda: self.world.give_back(who.id, id)))

    # -- mail is scanned again

    @rule(person=number, mail=number, how=number, lets=few)
    def scans_again(self, person: int, mail: int, how: int, lets: int) -> None:
        self.let_pass(lets)
        self.together(self.one_act("rescan", person, mail, how))

    @rule(person=number, query=st.integers(0, 5), lets=few, then=number, steps=st.integers(0, 2))
    def scans_many_again(self, person: int, query: int, lets: int, then: int, steps: int) -> None:
        """What would pass is said; meanwhile somebody does something; then it is confirmed."""
        self.let_pass(lets)
        before = len(self.world.acts)
        self.store("rescan", person, [], query, 0)
        if then % 2:
            self.acts_anyhow(("claim", "extend", "delete", "rescan")[then // 2 % 4], then // 8, then, 2, 0)
        if len(self.world.acts) > before:
            self.let_pass(lets + 1)  # what was weighed holds, whatever the policy says by now
            self.goes_on_with_an_act(0, person, 0, steps)

    def let_pass(self, lets: int) -> None:
        self.world.lets = frozenset(f"r{n}@example.org" for n in range(5) if n % 3 < lets % 4)

    # -- acts on many

    @rule(
        verb=st.sampled_from(sorted(VERBS)),
        person=number,
        mails=st.lists(number, max_size=3),
        query=st.integers(0, 5),
        how=number,
        on=st.booleans(),
    )
    def stores_an_act(self, verb: str, person: int, mails: list[int], query: int, how: int, on: bool) -> None:
        if self.store(verb, person, mails, query, how) and on:
            self.goes_on_with_an_act(0, person, 0, 1)

    def store(self, verb: str, person: int, mails: list[int], query: int, how: int) -> bool:
        """Whether it was."""
        who = self.session(person)
        targets: list[naive.Target] = [(id, None if m % 2 else n) for m in mails for id, n in [self.mail(m)]]
        text = list(naive.FILTERS)[query]
        self.world.now = self.queue.clock.now()
        selected = self.world.select(who, verb, targets or None, text)
        body = self.body(who, verb, self.mail(how), how)
        body = replace(body, as_of=self.world.seq if body.as_of is None else body.as_of, fence=None, query=None)
        ids = [encode_message(id) if n is None else encode_mail(id, n) for id, n in targets] or None
        request = ActRequest(
            verb=Verb(verb),
            ids=ids,
            query=None if ids else text,
            **real_body(body).model_dump(exclude={"fence", "query"}),
        )
        stored: list[str] = []

        async def store() -> None:
            stored.append(await self.queue.marshal.store_act(self.access(who), request))
            await asyncio.gather(*self.queue.marshal._running.values())  # it is weighed

        self.together(
            (store, lambda: self.world.store(stored[0] if stored else "", who.id, verb, selected, body, not ids))
        )
        return bool(stored)

    @rule(act=few, person=number, wrong=few, steps=st.integers(0, 2))
    def goes_on_with_an_act(self, act: int, person: int, wrong: int, steps: int) -> None:
        """Confirms it, with the right count or another, and makes some steps of it; or stops it."""
        if not self.world.acts:
            return
        id = list(self.world.acts)[-1 - act % len(self.world.acts)]
        stored = self.world.acts[id]
        if stored.state == "stored":
            who = self.session(person) if wrong == 1 else self.session_of(stored.session.person.name)
            count = (len(stored.mails) if stored.weighed is None else stored.passing) + (wrong == 2)
            self.do(many.ConfirmAct(id, who.id, count, TERMS), lambda: self.world.confirm(who.id, id, count))
        elif wrong == 3 and steps == 0:
            who = self.session(person)
            self.do(many.StopAct(id, who.id), lambda: self.world.stop(who.id, id))
        for _ in range(1 + steps):
            self.do(many.StepAct(id, TERMS), lambda: self.world.step(id))

    # -- mail goes out

    @rule(
        mail=number,
        to=st.sampled_from((3, 3, 3, 2, 1)),
        outcome=st.sampled_from(("released", "released", "uncertain", "retry", "refused")).map(outcomes.Outcome),
        at_once=st.sampled_from((False, False, True)),
    )
    def delivers(self, mail: int, to: int, outcome: outcomes.Outcome, at_once: bool) -> None:
        """Begins an attempt, as far as connecting, the dot, or the next hop's answer."""
        id, n = self.bring(mail, frozenset(("RELEASING",)))
        if not at_once:
            self.queue.pass_time(11 * SECOND)
        self.attempt(id, n, to, outcome)

    @rule(attempt=few, dot=st.booleans(), outcome=st.sampled_from(outcomes.Outcome))
    def an_attempt_goes_on(self, attempt: int, dot: bool, outcome: outcomes.Outcome) -> None:
        """One that was begun some time ago, even if a restart has settled it since."""
        if self.begun:
            key = list(self.begun)[-1 - attempt % len(self.begun)]
            if dot:
                self.dot(key)
            self.ended(key, outcome)

    @rule(mail=number, dot=st.booleans(), away=st.sampled_from((0, 0, 200, 86400)))
    def stops_while_delivering(self, mail: int, dot: bool, away: int) -> None:
        id, n = self.bring(mail, frozenset(("RELEASING",)))
        self.queue.pass_time(11 * SECOND)
        self.attempt(id, n, 2 if dot else 1)
        self.restart(away)
        id, n = self.mail(mail + 1)
        self.do(outcomes.Recover(id, n), lambda: self.world.recover(id, n))  # of a mail that needs it, or not

    # -- its recipient asks for it

    @rule(mail=number, times=st.integers(1, 2))
    def asks(self, mail: int, times: int) -> None:
        """By a link of a notice: of a mail on hold, now and then of one that left it; twice at once."""
        id, n = self.mail(mail, HELD if mail % 4 else None)
        token, now = f"{id} {n} {self.world.seq}".encode(), self.queue.clock.now()
        link = "INSERT OR REPLACE INTO notice_link (token, recipient, message, n, ends) VALUES (?, 'r', ?, ?, ?)"
        self.queue.file.execute(link, (token, id, n, now + DAY))
        use = UseLink(Link(token, "r", id, n), "all")
        self.together(*[(lambda: self.queue.marshal.do(use), lambda: self.world.request(id, n))] * times)

    # -- time

    @rule(span=st.sampled_from(SPANS), jump=st.integers(-400, 400))
    def time_passes(self, span: int, jump: int) -> None:
        """And somebody sets the wall clock, by up to 400 days: the store's clock takes no notice."""
        before = self.queue.clock.now()
        self.queue.wall += jump * DAY
        self.queue.pass_time(span * SECOND)
        moved = self.queue.clock.now() - before
        assert abs(moved - span * SECOND) <= span * SECOND // 200, f"clock: it moved by {moved} us in {span} s"

    @rule(days=st.sampled_from((0, 0, 1, 7, 14)), mails=st.lists(number, max_size=3))
    def days_pass(self, days: int, mails: list[int]) -> None:
        """And the clockwork finds what has lapsed, expired and may be purged; or it is too early at some mails."""
        self.queue.pass_time(days * DAY)
        if not mails:
            self.beat()
        ids = frozenset(self.mail(m)[0] for m in mails)
        for too_early in (self.lapse, self.expire, self.purge) if mails else ():
            too_early(ids)

    # -- people

    @rule(
        person=number, what=st.sampled_from(("out", "renew", "renew", "renew", "seen", "quiet")), everyone=st.booleans()
    )
    def a_session(self, person: int, what: str, everyone: bool) -> None:
        """Ends, gives a sign of life, or is quiet for so long that its claims go."""
        who = self.session(person)
        if what == "out":
            self.together((lambda: self.queue.marshal.end_session(who.id), lambda: self.world.sign_out(who.id)))
        elif what == "quiet":
            self.lapse(frozenset(self.world.messages), who.id)
        else:
            for id in self.world.sessions if everyone else [who.id]:
                renew = people.Renew(frozenset((id,)), LEASE if what == "renew" else 0)
                self.do(renew, lambda id=id: self.world.renew(id, what == "renew"))

    @rule(
        by=st.sampled_from((0, 0, 0, 1, 2)),
        whom=st.integers(0, 5),
        what=st.sampled_from(("grant", "revoke", "lock", "unlock", "disable", "enable", "enable")),
        role=st.sampled_from(sorted(naive.RIGHTS)),
        at=few,
    )
    def people_change(self, by: int, whom: int, what: str, role: str, at: int) -> None:
        who, person = self.session_of(PEOPLE[by][0]), self.world.people[PEOPLE[whom][0]]
        grant, lock = (role, CUSTOMERS[at]), "bodies" if what in ("lock", "unlock") else ""
        if what == "revoke" and person.roles:
            grant = sorted(person.roles)[at % len(person.roles)]
        grants = (Grant(*grant),) if what in ("grant", "revoke") else ()
        change = people.ChangePerson(who.id, what, person.name, grants, lock)
        ought = lambda: self.world.change(who.id, what, person, grant, lock)  # noqa: E731
        self.together((lambda: nothing(self.queue.marshal.do(change)), ought))
