"""What a marshal has to do when people act on mail: a part of naive.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rcqueue.model.ids import encode_mail

from .naive import (
    API_CLAIM,
    ASSIGNED,
    CONFIRM,
    DAY,
    DECIDING,
    EXPIRY,
    FILTERS,
    LEASE,
    RECALL,
    SECOND,
    STEP,
    VERBS,
    Body,
    Claim,
    Done,
    Judged,
    Mail,
    Many,
    Message,
    No,
    Session,
    Target,
)
from .naive_standing import Claiming


class Naive(Claiming):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str | None, int | None]] = []  # release id and end of its window, by the act under way

    def act(self, session: int, verb: str, targets: Sequence[Target], body: Body) -> Done | No:
        who = self.alive(session)
        if who is None:
            return No("unauthorized")
        if self.silly(verb, body):
            return No("bad-request")
        if body.as_of is not None and body.as_of > self.seq:
            return No("changed")
        if verb in ("claim", "takeover") and who.kind == "terminal":
            who.lease = max(who.lease, self.now + LEASE)
        results: list[Any] = []
        fences: list[int] = []
        release = until = None
        for id, n in targets:
            message = self.messages[id]
            if "view" not in who.rights(message.customer):
                results.append((encode_mail(id, n or 0), "gone", None, None, ""))
            elif self.lacks(who, verb, message, body):
                self.write("denied", who, id)
                results.append((encode_mail(id, n or 0), "refused", None, None, ""))
            else:
                numbers = [n] if n is not None else self.meant(who, verb, message, body.query)
                self.sent.clear()
                judged = self.rescan(message) if verb == "rescan" else None
                tried = self.on_message(who, verb, message, numbers, body, judged)
                results += tried
                for n_, (_, result, *_) in zip(numbers, tried, strict=True):
                    mail = message.mails[n_] if n_ < len(message.mails) else None
                    if result == "done" and mail is not None:
                        if self.sent and verb in ("release", "settle"):
                            release, until = self.sent[-1]
                        if mail.claim and verb in ("claim", "takeover"):
                            fences.append(mail.claim.fence)
        said = tuple(results)
        if not any(result == "done" for _, result, *_ in said):
            return No(_KINDS[said[0][1]] if said else "not-found", said)
        return Done(self.seq, max(fences, default=None), release, None if until is None else until // 1000, said)

    def once(self, session: int, key: str, digest: bytes, *call: Any) -> Done | No:
        """The same under an Idempotency-Key."""
        who = self.alive(session)
        if who is None:
            return No("unauthorized")
        place = (who.person.id, key)
        if place in self.keys:
            before, answer, _ = self.keys[place]
            return answer if before == digest else No("idempotency-key")
        said = self.act(session, *call)
        if isinstance(said, Done):
            self.keys[place] = (digest, said, self.now)
        return said

    def silly(self, verb: str, body: Body) -> bool:
        return (
            (verb == "settle" and body.settle is None)
            or (verb == "note" and not body.note.strip())
            or (verb == "takeover" and not body.reason.strip())
            or (verb == "assign") != bool(body.person)
            or (verb != "release" and bool(body.to))
            or (body.expiry is not None and not self.now < body.expiry < self.now + 3660 * DAY)
        )

    def lacks(self, who: Session, verb: str, message: Message, body: Body) -> bool:
        chosen = verb == "release" and any(to != "postmaster" for to in body.to)
        if chosen and not who.person.reads_bodies(message.customer):
            return True
        rights = who.rights(message.customer)
        holders = {m.claim.account for m in message.mails if m.claim}
        from_oneself = verb == "takeover" and holders == {who.person.id} and "claim" in rights
        return VERBS[verb][0] not in rights and not from_oneself

    def meant(self, who: Session, verb: str, message: Message, query: str | None) -> list[int]:
        """The mails that a message's id means."""
        mails = list(enumerate(message.mails))
        if query is not None:
            return [n for n, m in mails if FILTERS[query](who.person.name, message.customer, m)]
        able = [n for n, m in mails if m.status in VERBS[verb][1]]
        if verb not in ("takeover", "note"):
            able = [n for n in able if not self.kept_by_another(who, message.mails[n])] or able
        return able or [n for n, _ in mails]

    def kept_by_another(self, who: Session, mail: Mail) -> bool:
        return mail.claim is not None and mail.claim.account != who.person.id and self.holds(mail.claim)

    def on_message(
        self,
        who: Session,
        verb: str,
        message: Message,
        numbers: list[int],
        body: Body,
        judged: Judged | None = None,
    ) -> list[Any]:
        results, changed = [], set()
        added: dict[str, int] = {}  # to others, by address
        for n in numbers:
            result, by = self.judge(who, verb, message, n, body, added)
            if verb == "rescan" and judged is None and result == "done":
                result = "status"  # there is nothing to scan
            if result == "done" and self.do(who, verb, message.id, n, body, added):
                changed |= {n, *added.values()}
            mail = message.mails[n] if n < len(message.mails) else None
            status, version = (mail.status, mail.version) if mail else (None, None)
            results.append((encode_mail(message.id, n), result, status, version, by))
        if changed and judged is not None:  # all that is not decided of it has another verdict
            message.verdict = judged.verdict
            undecided = {n for n, m in enumerate(message.mails) if m.status in ("ONHOLD", "RELEASING", "UNCERTAIN")}
            for n in undecided - changed:
                self.move(message.id, n, message.mails[n].status)
            changed |= undecided
        if changed:
            self.write(f"mail.{verb}", who, message.id, changed)
        return results

    def judge(
        self, who: Session, verb: str, message: Message, n: int, body: Body, added: dict[str, int]
    ) -> tuple[str, str]:
        if n >= len(message.mails):
            return "gone", ""
        mail = message.mails[n]
        if verb in DECIDING and body.as_of is not None and mail.version > body.as_of:
            return "changed", ""
        if mail.status not in VERBS[verb][1]:
            return "status", ""
        if verb not in ("takeover", "note") and self.kept_by_another(who, mail):
            assert mail.claim is not None
            return "claimed", mail.claim.who
        if verb in DECIDING and body.fence is not None:
            mine = mail.claim and mail.claim.account == who.person.id and self.holds(mail.claim)
            if not (mine and mail.claim and mail.claim.fence <= body.fence):
                return "lost", ""
        if {m.rcpt for m in message.mails} & ({self.address(to) for to in body.to} - set(added)):
            return "status", ""  # one of its recipients already
        if verb == "recall" and mail.due is None:
            return "status", ""  # it is being handed over
        if verb == "restore" and message.purged:
            return "status", ""
        if verb == "assign":
            given = self.people.get(body.person)
            rights = given.rights(message.customer, frozenset()) if given and given.enabled else set()
            if not {"view", "claim"} <= set(rights):
                return "refused", ""
        if verb in ("claim", "takeover") and not self.holds(self.new_claim(who, body)):
            return "refused", ""  # by a session that has ended meanwhile (an act on many)
        return "done", ""

    def new_claim(self, who: Session, body: Body) -> Claim:
        until = None if who.kind == "terminal" and not body.for_seconds else self.now + API_CLAIM
        if body.for_seconds:
            until = self.now + body.for_seconds * SECOND
        return Claim(who.id, who.person.id, who.person.name, self.seq + 1, until)

    def address(self, to: str) -> str:
        return "postmaster@example.org" if to == "postmaster" else to

    def do(self, who: Session, verb: str, id: int, n: int, body: Body, added: dict[str, int]) -> bool:
        """Does it; whether the entry is about this mail."""
        mail, seq = self.messages[id].mails[n], self.seq + 1
        match verb:
            case "claim" | "takeover":
                claim = self.new_claim(who, body)
                if mail.claim and mail.claim.session == who.id and self.holds(mail.claim):
                    mail.claim.until = claim.until
                    return False
                mail.claim = claim
            case "assign":
                until = self.now + (body.for_seconds * SECOND if body.for_seconds else ASSIGNED)
                mail.claim = Claim(0, self.people[body.person].id, body.person, seq, until)
            case "unclaim":
                had, mail.claim = mail.claim, None
                return had is not None
            case "note":
                return True
            case "release" if body.to:
                mails = self.messages[id].mails
                for to in map(self.address, body.to):
                    if to not in added:
                        added[to] = other = len(mails)
                        release = f"{encode_mail(id, other)}-{seq}"
                        mails.append(Mail(to, mail.expiry, seq, "RELEASING", None, release, self.now + RECALL))
                        self.sent.append((release, self.now + RECALL))
                self.move(id, n, "ONHOLD")
            case "release":
                release = f"{encode_mail(id, n)}-{seq}"
                self.move(id, n, "RELEASING", release=release, due=self.now + RECALL)
                self.sent.append((release, self.now + RECALL))
            case "delete":
                self.move(id, n, "DELETED")
            case "restore":
                self.move(id, n, "ONHOLD", expiry=body.expiry or self.now + EXPIRY, release=None, due=None)
            case "rescan":
                self.move(id, n, "ONHOLD")
            case "extend":
                self.move(id, n, "ONHOLD", expiry=body.expiry or self.now + EXPIRY)
            case "settle" if body.settle == "arrived":
                self.move(id, n, "RELEASED")
            case "settle" if body.settle == "again":
                self.move(id, n, "RELEASING", due=self.now + RECALL)
                self.sent.append((mail.release, self.now + RECALL))
            case _:  # recall, settle as hold
                self.move(id, n, "ONHOLD", due=None, expiry=max(mail.expiry, self.now + DAY))
        return True

    def rescan(self, message: Message, numbers: Sequence[int] = ()) -> Judged | None:
        """What the policy makes of its mails on hold, and of `numbers`. It is held for the first that does not pass."""
        would = {n: m.rcpt in self.lets for n, m in enumerate(message.mails) if m.status == "ONHOLD" or n in numbers}
        if message.purged or not would:
            return None
        return Judged("POLICY" if all(would.values()) else "PHISH", would)

    # -- acts on many

    def select(self, who: Session, verb: str, targets: Sequence[Target] | None, query: str) -> list[tuple[int, int]]:
        found: dict[tuple[int, int], None] = {}
        if targets is None:
            for id, message in sorted(self.messages.items()):
                if "view" in who.rights(message.customer):
                    for n, m in enumerate(message.mails):
                        if FILTERS[query](who.person.name, message.customer, m):
                            found[id, n] = None
        for id, n in targets or ():
            message = self.messages[id]
            if "view" in who.rights(message.customer):
                for k, m in enumerate(message.mails):
                    if k == n or (n is None and m.status in VERBS[verb][1]):
                        found[id, k] = None
        return list(found)

    def store(
        self, id: str, session: int, verb: str, mails: Sequence[tuple[int, int]], body: Body, by_query: bool
    ) -> No | None:
        if self.silly(verb, body):
            return No("bad-request")
        asks = self.sessions[session]
        if by_query and not any("view" in asks.rights(place) for _, place in asks.person.roles):
            return No("forbidden")
        who = self.alive(session)
        if who is None:
            return No("unauthorized")
        act = self.acts[id] = Many(id, who, verb, body, dict.fromkeys(mails), self.now)
        self.write("act.store", who)
        if verb == "rescan":
            for message in {message for message, _ in mails}:
                if judged := self.rescan(self.messages[message], [n for m, n in mails if m == message]):
                    act.judged[message] = judged
            act.weighed = self.now
            self.write("act.weigh")
        return None

    def found(self, session: int, act: Many) -> Session | No:
        who = self.alive(session)
        if who is None:
            return No("unauthorized")
        rules = any("administer" in who.rights(place) for _, place in who.person.roles)
        return who if act.session.person is who.person or rules else No("not-found")

    def confirm(self, session: int, id: str, expect: int) -> No | None:
        act = self.acts[id]
        who = self.found(session, act)
        if isinstance(who, No):
            return who
        if act.session.person is not who.person:
            return No("forbidden")
        if act.state != "stored" or self.now > (act.weighed or act.created) + CONFIRM:
            return No("status")
        if expect != (len(act.mails) if act.weighed is None else act.passing):
            return No("expect")
        act.state = "running"
        self.write("act.confirm", who)
        return None

    def stop(self, session: int, id: str) -> No | None:
        act = self.acts[id]
        who = self.found(session, act)
        if isinstance(who, No):
            return who
        if act.state in ("stored", "running"):
            act.state, act.over = "stopped", self.now
            self.write("act.stop", who)
        return None

    def step(self, id: str) -> bool:
        act = self.acts[id]
        if act.state != "running":
            return False
        left = sorted(mail for mail, result in act.mails.items() if result is None)
        next_ = left[:STEP]
        if next_ and act.weighed is not None:  # a message gets its verdict at once
            next_ += [mail for mail in left[STEP:] if mail[0] == next_[-1][0]]
        if not next_:
            act.state, act.over = "done", self.now
            self.write("act.done")
            return False
        for message in sorted({m for m, _ in next_}):
            numbers = [n for m, n in next_ if m == message]
            who = act.session
            if not who.person.enabled:
                results = ["refused"] * len(numbers)
            elif self.lacks(who, act.verb, self.messages[message], act.body):
                self.write("denied", who, message)
                results = ["refused"] * len(numbers)
            else:
                results = self.tried(act, who, self.messages[message], numbers)
            act.mails.update({(message, n): r for n, r in zip(numbers, results, strict=True)})
        return True

    def tried(self, act: Many, who: Session, message: Message, numbers: list[int]) -> list[str]:
        judged = act.judged.get(message.id)
        results = [r for _, r, *_ in self.on_message(who, act.verb, message, numbers, act.body, judged)]
        if judged is None:
            return results
        passing = [n for n, result in zip(numbers, results, strict=True) if result == "done" and judged.would[n]]
        let_go = self.on_message(who, "release", message, passing, Body(as_of=self.seq))
        became = dict(zip(passing, (result for _, result, *_ in let_go), strict=True))
        held = {n: "held" if result == "done" else result for n, result in zip(numbers, results, strict=True)}
        return [became.get(n, held[n]) for n in numbers]


_KINDS = {
    "gone": "not-found",
    "changed": "changed",
    "status": "status",
    "claimed": "claimed",
    "lost": "lost",
    "refused": "forbidden",
}
