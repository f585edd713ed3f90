"""What a marshal has to do when people claim filters: a part of naive.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .naive import API_CLAIM, LEASE, SECOND, Claim, Message, No, Session
from .naive_world import World

MOST = 2
#: Filters that are claimed: (message, mail) -> does it match. The last tells of campaigns, in which bodies have a part.
CLAIMED: dict[str, Any] = {
    "to:r1@example.org": lambda message, mail: mail.rcpt == "r1@example.org",
    "verdict:virus": lambda message, mail: message.verdict == "VIRUS",
    "customer:acme": lambda message, mail: (message.customer + "/").startswith("acme/"),
    "from:sender.example -campaign:C0000000000": lambda message, mail: True,
}


@dataclass
class Standing:
    id: int
    session: Session
    query: str
    until: int | None


class Claiming(World):
    def __init__(self) -> None:
        super().__init__()
        self.standing: dict[int, Standing] = {}

    def stand(self, session: int, query: str, for_seconds: int | None) -> int | No:
        who = self.alive(session)
        if who is None:
            return No("unauthorized")
        if not any("claim" in who.rights(place) for _, place in who.person.roles):
            self.write("denied", who)
            return No("forbidden")
        by_lease = who.kind == "terminal" and not for_seconds
        until = None if by_lease else self.now + (for_seconds * SECOND if for_seconds else API_CLAIM)
        mine = [one for one in self.standing.values() if one.session.person is who.person]
        again = next((one for one in mine if one.session is who and one.query == query), None)
        if again is None and len(mine) >= MOST:
            return No("bad-request")
        if who.kind == "terminal":
            who.lease = max(who.lease, self.now + LEASE)
        if again is not None:
            again.until = until
            return again.id
        id = self.seq + 1
        self.standing[id] = Standing(id, who, query, until)
        self.write("claim.stand", who)
        return id

    def give_back(self, session: int, id: int) -> No | None:
        who = self.alive(session)
        if who is None:
            return No("unauthorized")
        if id not in self.standing or self.standing[id].session.person is not who.person:
            return No("not-found")
        del self.standing[id]
        self.write("claim.end", who)
        return None

    def claim_of(self, one: Standing) -> Claim:
        """What it is to a mail that is held next."""
        person = one.session.person
        return Claim(one.session.id, person.id, person.name, self.seq + 1, one.until)

    def lapse_standing(self, ids: frozenset[int] | None = None) -> None:
        for id in sorted(self.standing if ids is None else ids & self.standing.keys()):
            if not self.holds(self.claim_of(self.standing[id])):
                del self.standing[id]
                self.write("claim.lapse")

    def taken(self, message: Message) -> None:
        """It was just held: it is theirs who claim what it matches, the oldest first."""
        for _, one in sorted(self.standing.items()):
            who, claim = one.session, self.claim_of(one)
            may = {"view", "claim"} <= who.rights(message.customer)
            reads = "campaign:" not in one.query or who.person.reads_bodies(message.customer)
            if not (may and reads and self.holds(claim)):
                continue
            free = [n for n, mail in enumerate(message.mails) if not mail.claim and CLAIMED[one.query](message, mail)]
            for n in free:
                message.mails[n].claim = self.claim_of(one)
            if free:
                self.write("mail.claim", who, message.id, free)

    def hold(self, customer: str, verdict: str, recipients: int, digest: bytes) -> list[int]:
        held = super().hold(customer, verdict, recipients, digest)
        self.taken(self.messages[held[0]])
        return held
