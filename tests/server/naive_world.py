"""People, time, mail in and mail out, as a marshal has to do with them: a part of naive.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rcqueue.model.ids import encode_message

from .naive import (
    API_CLAIM,
    CONFIRM,
    DAY,
    ENDED,
    EXPIRY,
    IDLE,
    KEPT,
    LEASE,
    PURGE,
    Attempt,
    Claim,
    Done,
    Entry,
    Key,
    Mail,
    Many,
    Message,
    No,
    Person,
    Session,
    covers,
)


class World:
    """People, time, mail in and mail out; acts are in naive_acts.py."""

    def __init__(self) -> None:
        self.now = 0
        self.entries: list[Entry] = []
        self.people: dict[str, Person] = {}
        self.sessions: dict[int, Session] = {}
        self.messages: dict[int, Message] = {}
        self.attempts: dict[Key, Attempt] = {}
        self.acts: dict[str, Many] = {}
        self.keys: dict[tuple[int, str], tuple[bytes, Done, int]] = {}
        self.lets: frozenset[str] = frozenset()  # recipients whose mail passes when it is scanned anew

    @property
    def seq(self) -> int:
        return len(self.entries)

    def write(
        self, kind: str, who: Session | None = None, message: int | None = None, mails: Iterable[int] = ()
    ) -> None:
        account, session = (who.person.id, who.id) if who else (None, None)
        self.entries.append(Entry(kind, account, session, message, tuple(sorted(mails))))

    # -- people

    def alive(self, session: int) -> Session | None:
        s = self.sessions[session]
        idle = s.kind != "token" and s.seen + IDLE <= self.now
        return None if s.ended or idle or s.ends <= self.now or not s.person.enabled else s

    def sign_in(self, person: Person, kind: str, lasts: int, scope: frozenset[str]) -> int | No:
        if not person.enabled:
            return No("unauthorized")
        lease = self.now + LEASE if kind == "terminal" else 0
        s = Session(self.seq + 1, person, kind, scope, lease, self.now, self.now + lasts)
        self.sessions[s.id] = s
        self.write("session.token" if kind == "token" else "session.login", s)
        return s.id

    def sign_out(self, session: int) -> None:
        s = self.sessions[session]
        if not s.ended:
            self.lapse(self.messages, session)
            s.ended, s.lease = True, 0
            self.write("session.logout", s)

    def renew(self, session: int, lease: bool) -> None:
        s = self.sessions[session]
        idle = s.kind != "token" and s.seen + IDLE <= self.now
        if not (s.ended or idle or s.ends <= self.now):
            s.seen = self.now
            s.lease = self.now + LEASE if lease else s.lease

    def change(self, session: int, what: str, person: Person, grant: tuple[str, str], lock: str) -> No | None:
        who = self.alive(session)
        if who is None:
            return No("unauthorized")
        ruled = [place for role, place in who.person.roles if role == "admin" and "administer" in who.rights(place)]
        places = {grant[1]} if what in ("grant", "revoke") else {place for _, place in person.roles} or {"all"}
        if person is who.person or not all(any(covers(r, place) for r in ruled) for place in places):
            self.write("denied", who)
            return No("forbidden")
        match what:
            case "grant":
                person.roles.add(grant)
            case "revoke":
                person.roles.discard(grant)
            case "lock":
                person.locks.add(lock)
            case "unlock":
                person.locks.discard(lock)
            case _:
                person.enabled = what == "enable"
        self.write(f"people.{what}", who)
        return None

    # -- time

    def holds(self, claim: Claim) -> bool:
        if claim.session == 0:
            enabled = next(p.enabled for p in self.people.values() if p.id == claim.account)
            return enabled and claim.until is not None and claim.until > self.now
        s = self.sessions[claim.session]
        end = s.lease if claim.until is None else claim.until
        return not s.ended and s.ends > self.now and s.person.enabled and end > self.now

    def lapse(self, messages: Iterable[int], session: int | None = None) -> None:
        for id in sorted(messages):
            over = set()
            for n, mail in enumerate(self.messages[id].mails):
                if mail.claim and (mail.claim.session == session if session else not self.holds(mail.claim)):
                    mail.claim = None
                    over.add(n)
            if over:
                self.write("mail.lapse", None, id, over)

    def expire(self, messages: Iterable[int]) -> None:
        for id in sorted(messages):
            over = [n for n, m in enumerate(self.messages[id].mails) if m.status == "ONHOLD" and m.expiry <= self.now]
            for n in over:
                self.move(id, n, "EXPIRED")
            if over:
                self.write("mail.expire", None, id, over)

    def request(self, id: int, n: int) -> bool:
        """Its recipient asks for its release."""
        message = self.messages[id]
        mail = message.mails[n]
        if mail.status != "ONHOLD" or mail.requested or message.verdict in ("VIRUS", "PHISH"):
            return False
        mail.requested = True
        self.write("mail.request", None, id, [n])
        return True

    def purge(self, messages: Iterable[int]) -> None:
        for id in sorted(messages):
            message = self.messages[id]
            ended = (m.status in ENDED and m.ended is not None and m.ended <= self.now - PURGE for m in message.mails)
            if not message.purged and all(ended):
                message.purged = True
                self.write("mail.purge", None, id)

    def lapse_standing(self) -> None:
        raise NotImplementedError  # naive_standing.py

    def beat(self) -> None:
        """What happens by itself."""
        self.lapse(self.messages)
        self.lapse_standing()
        self.expire(self.messages)
        self.purge(self.messages)
        self.forget_acts()
        self.keys = {key: kept for key, kept in self.keys.items() if kept[2] >= self.now - DAY}

    def forget_acts(self) -> None:
        for act in self.acts.values():
            if act.state == "stored" and self.now > (act.weighed or act.created) + CONFIRM:
                act.state, act.over = "lapsed", self.now
                self.write("act.lapse")
        for act in self.acts.values():
            if act.over is not None and act.over <= self.now - KEPT and not act.purged:
                act.purged = True
                self.write("act.purge")
            if act.purged or (act.over is not None and not any(act.mails.values())):
                act.mails.clear()

    # -- what is next

    def deal(self, session: int, count: int) -> tuple[int, list[str], int] | No:
        """The next messages that nobody holds: (sequence, messages, mails claimed)."""
        who = self.alive(session)
        if who is None:
            return No("unauthorized")

        if not any("claim" in who.rights(place) for _, place in who.person.roles):
            self.write("denied", who)
            return No("forbidden")

        def free(message: Message, *, soon: bool) -> bool:
            may = {"view", "claim"} <= who.rights(message.customer)
            mails = (m for m in message.mails if m.status == "ONHOLD" and m.claim is None)
            return may and any(not soon or m.expiry - self.now < DAY for m in mails)

        def first(id: int) -> int:
            return min(m.expiry for m in self.messages[id].mails if m.status == "ONHOLD")

        soon = sorted((first(id), id) for id, message in self.messages.items() if free(message, soon=True))
        order = [id for _, id in soon]
        order += [id for id in sorted(self.messages) if id not in order and free(self.messages[id], soon=False)]
        before = who.lease
        if who.kind == "terminal":
            who.lease = max(who.lease, self.now + LEASE)
        messages, mails = [], 0
        for id in order:
            claims = [m.claim for m in self.messages[id].mails if m.claim]
            if len(messages) == count or any(map(self.holds, claims)):
                continue
            held = [n for n, m in enumerate(self.messages[id].mails) if m.status == "ONHOLD"]
            for n in held:
                until = None if who.kind == "terminal" else self.now + API_CLAIM
                self.messages[id].mails[n].claim = Claim(who.id, who.person.id, who.person.name, self.seq + 1, until)
            self.write("mail.claim", who, id, held)
            messages.append(encode_message(id))
            mails += len(held)
        if order and not messages:
            who.lease = before
            return No("changed")
        return self.seq if messages else None, messages, mails

    # -- mail comes in, mail goes out

    def hold(self, customer: str, verdict: str, recipients: int, digest: bytes) -> list[int]:
        seq = self.seq + 1
        id = (self.now // 1000) << 21 | seq
        mails = [Mail(f"r{n}@example.org", self.now + EXPIRY, seq) for n in range(recipients)]
        self.messages[id] = Message(id, customer, verdict, digest, mails)
        self.write("mail.hold", None, id, range(recipients))
        return [id]

    def move(self, id: int, n: int, status: str, **values: Any) -> None:
        """By the entry that is written next."""
        mail = self.messages[id].mails[n]
        if status != mail.status:
            mail.ended = self.now if status in ENDED else None
            mail.claim, mail.requested = None, False
        mail.status, mail.version = status, self.seq + 1
        for name, value in values.items():
            setattr(mail, name, value)

    def begin(self, id: int, n: int) -> Key | No:
        mail = self.messages[id].mails[n]
        if mail.status != "RELEASING" or mail.due is None or mail.due > self.now:
            return No("status")
        mail.due, mail.tries = None, mail.tries + 1
        assert mail.release is not None
        key = (id, n, mail.tries)
        self.attempts[key] = Attempt(mail.release)
        return key

    def dot(self, key: Key) -> No | None:
        if not self.attempts[key].open:
            return No("status")
        self.attempts[key].dot = True
        return None

    def end(self, key: Key, outcome: str, wait: int) -> No | None:
        attempt, (id, n, _) = self.attempts[key], key
        mail = self.messages[id].mails[n]
        if not attempt.open or mail.status != "RELEASING":
            return No("status")
        if outcome in ("released", "uncertain") and not attempt.dot:
            return No("mistake")
        attempt.open = False
        match outcome:
            case "released" | "uncertain":
                self.move(id, n, outcome.upper())
            case "retry":
                self.move(id, n, "RELEASING", due=self.now + wait)
            case _:
                self.move(id, n, "ONHOLD", expiry=max(mail.expiry, self.now + DAY))
        self.write(f"mail.{outcome}", None, id, [n])
        return None

    def recover(self, id: int, n: int) -> No | None:
        mail = self.messages[id].mails[n]
        if mail.status != "RELEASING" or mail.due is not None:
            return No("status")
        attempt = self.attempts[id, n, mail.tries]
        attempt.open = False
        if attempt.dot:
            self.move(id, n, "UNCERTAIN")
        else:
            self.move(id, n, "RELEASING", due=self.now)
        self.write("mail.uncertain" if attempt.dot else "mail.retry", None, id, [n])
        return None
