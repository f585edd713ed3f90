"""Holds what is stored and the journal to the promises and to each other, step by step, knowing neither the product's
code nor a model of it: only the diagram of DESIGN (State), who held which right, and how to add."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rcqueue.server.store.journal import GENESIS, leaf_hash

from .naive import RIGHTS, VERBS, covers

MailKey = tuple[int, int]

#: What each kind of entry may make of a mail.
MOVES: dict[str, set[tuple[str, str]]] = {
    "mail.release": {("ONHOLD", "RELEASING"), ("ONHOLD", "ONHOLD")},  # to others: it stays
    "mail.recall": {("RELEASING", "ONHOLD")},
    "mail.delete": {("ONHOLD", "DELETED")},
    "mail.restore": {("DELETED", "ONHOLD"), ("EXPIRED", "ONHOLD"), ("RELEASED", "ONHOLD")},
    "mail.extend": {("ONHOLD", "ONHOLD")},
    "mail.settle": {("UNCERTAIN", "RELEASED"), ("UNCERTAIN", "RELEASING"), ("UNCERTAIN", "ONHOLD")},
    "mail.released": {("RELEASING", "RELEASED")},
    "mail.refused": {("RELEASING", "ONHOLD")},
    "mail.try": {("RELEASING", "RELEASING")},
    "mail.retry": {("RELEASING", "RELEASING")},
    "mail.uncertain": {("RELEASING", "UNCERTAIN")},
    "mail.rescan": {("ONHOLD", "ONHOLD"), ("RELEASING", "RELEASING"), ("UNCERTAIN", "UNCERTAIN")},
    "mail.expire": {("ONHOLD", "EXPIRED")},
}
GRANTS = ("mail.claim", "mail.takeover")


@dataclass
class State:
    """What is stored, by key."""

    head: tuple[int, bytes]
    mails: dict[MailKey, Any]  # status, expiry, version, release, due, tries, ended
    messages: dict[int, Any]  # customer, verdict, sha256, recipients, version, next_expiry, purged, counts by status
    claims: dict[MailKey, Any]  # session, account, fence, until
    sessions: dict[int, Any]  # account, scope, lease, seen, ended, ends
    accounts: dict[int, tuple[str, bool]]
    grants: set[tuple[int, str, str]]
    locks: set[tuple[int, str]]
    attempts: dict[tuple[int, int, int], Any]  # release, dot, finished
    acts: dict[str, str]
    act_mails: dict[tuple[str, int, int], str | None]
    standing: dict[int, Any]  # session, account, query, until
    tally: dict[tuple[str, str, str], int]
    blobs: set[tuple[str, bytes]]
    requested: set[MailKey]  # asked for by their recipients
    asked: dict[int, int]  # by message: how many
    campaigns: dict[int, tuple[str, str]]  # by message
    of_campaigns: dict[tuple[str, str], Any]  # by campaign and customer: first, last, counts by status


_STATUSES = ("onhold", "releasing", "uncertain", "released", "deleted", "expired")


def observe(c: sqlite3.Connection) -> State:
    def keyed(table: str, key: str, values: str) -> dict[Any, Any]:
        k, v = len(key.split(",")), len(values.split(","))
        rows = c.execute(f"SELECT {key}, {values} FROM {table}").fetchall()
        return {(r[:k] if k > 1 else r[0]): (r[k:] if v > 1 else r[k]) for r in rows}

    return State(
        c.execute("SELECT seq, hash FROM head").fetchone(),
        keyed("mail", "message, n", "status, expiry, version, release, due, tries, ended"),
        keyed(
            "message",
            "id",
            "customer, verdict, sha256, recipients, version, next_expiry, purged," + ",".join(_STATUSES),
        ),
        keyed("claim", "message, n", "session, account, fence, until"),
        keyed("session", "id", "account, scope, lease, seen, ended, ends"),
        {id: (name, bool(on)) for id, (name, on) in keyed("account", "id", "name, enabled").items()},
        set(c.execute("SELECT account, role, customer FROM role_grant")),
        set(c.execute("SELECT account, name FROM person_lock")),
        keyed("attempt", "message, n, number", "release, dot, finished"),
        keyed("act", "id", "state"),
        keyed("act_mail", "act, message, n", "result"),
        keyed("standing", "id", "session, account, query, until"),
        keyed("tally", "customer, status, verdict", "n"),
        set(c.execute("SELECT customer, sha256 FROM blob")),
        set(c.execute("SELECT message, n FROM mail WHERE requested IS NOT NULL")),
        keyed("message", "id", "requested"),
        keyed("message", "id", "campaign, campaign_open"),
        keyed("campaign_mails", "campaign, customer", "first, last," + ",".join(_STATUSES)),
    )


class Auditor:
    """`look` after each step."""

    def __init__(self) -> None:
        self.seq, self.hash = 0, GENESIS
        self.at = 0
        self.entries: list[tuple[Any, ...]] = []  # of the last look: kind, account, session, message, mails
        self.mails: dict[MailKey, tuple[str, int, int]] = {}  # as the entries leave them: status, version, expiry
        self.claims: dict[MailKey, tuple[int, int, int]] = {}  # the same: session, account, fence
        self.delivered: set[str] = set()
        self.before: State | None = None

    def look(self, c: sqlite3.Connection) -> State:
        state = observe(c)
        self.entries = []
        for row in c.execute("SELECT seq, hash, leaf FROM entry WHERE seq > ? ORDER BY seq", (self.seq,)).fetchall():
            self._entry(state, *row)
        assert state.head == (self.seq, self.hash), "journal: the head is not its last entry"
        self._same_as_replayed(state)
        self._recount(state)
        self.before = state
        return state

    def _entry(self, state: State, seq: int, digest: bytes, leaf_text: str) -> None:
        assert seq == self.seq + 1, f"journal: a gap, {seq} follows {self.seq}"
        leaf = json.loads(leaf_text)
        assert leaf["prev"] == self.hash.hex() and leaf_hash(leaf_text) == digest, f"journal: the chain breaks at {seq}"
        assert leaf["at"] >= self.at, f"journal: entry {seq} is older than the one before"
        self.seq, self.hash, self.at = seq, digest, leaf["at"]
        kind, account, session = leaf["kind"], leaf.get("account"), leaf.get("session")
        message = int(leaf["message"]) if "message" in leaf else None
        self.entries.append((kind, account, session, message, tuple(n for n, *_ in leaf.get("mails", ()))))
        if message is None:
            return
        if account is not None and kind not in ("denied", "mail.hold"):
            self._had_right(kind, account, session, state.messages[message][0], message)
        for n, status, version, expiry in leaf.get("mails", ()):
            new, key = (status, version, int(expiry)), (message, n)
            old = self.mails.get(key)
            self._move(state, seq, leaf, key, old, new)
            # (A new verdict is the whole message's: others' mails of it have another version.)
            if account is not None and kind not in ("mail.takeover", "mail.note", "mail.rescan"):
                self._not_anothers(kind, key, account)
            self.mails[key] = new
            if kind == "mail.assign":
                self.claims[key] = (0, leaf["facts"]["person"], seq)
            elif kind in GRANTS:
                self.claims[key] = (session, account, seq)
            elif kind in ("mail.unclaim", "mail.lapse") or status != "ONHOLD":
                self.claims.pop(key, None)

    def _move(self, state: State, seq: int, leaf: Any, key: MailKey, old: Any, new: Any) -> None:
        kind, says = leaf["kind"], f"entry {seq}, {leaf['kind']}: {old} -> {new}"
        if kind == "mail.hold":
            assert old is None and new[:2] == ("ONHOLD", seq), f"state: {says}"
        elif kind not in MOVES:
            assert new == old, f"state: {says}, which is no change of the mail itself"
        elif old is None:
            assert kind == "mail.release" and new[:2] == ("RELEASING", seq), f"state: {says}"
        else:
            assert old is not None and (old[0], new[0]) in MOVES[kind], f"state: {says}"
            assert new[1] == seq, f"version: {says}"
        if kind == "mail.expire":
            assert old[2] <= leaf["at"], f"expiry: {says} at {leaf['at']}"
        if kind == "mail.released":
            facts = leaf["facts"]
            release, dot, finished = state.attempts[*key, facts["attempt"]]
            assert dot and finished and dot <= finished, f"delivery: {says}, and no dot of it is on record"
            assert release == facts["release"] and release not in self.delivered, f"delivery: {says}, {release} again"
            self.delivered.add(release)

    def _had_right(self, kind: str, account: int, session: int, customer: str, message: int) -> None:
        """By rights and scope as they were before the step."""
        b = self.before
        assert b is not None
        held = {r for a, role, at in b.grants if a == account and covers(at, customer) for r in RIGHTS[role]}
        scope = b.sessions[session][1].split()
        held = held & set(scope) if scope else held
        right = VERBS[kind.removeprefix("mail.")][0]
        holders = {a for (m, _), (_, a, _) in self.claims.items() if m == message}
        if kind == "mail.takeover" and holders == {account}:
            right = right if right in held else "claim"
        assert right in held and "view" in held, f"rights: {kind} by {b.accounts[account][0]}, who had {sorted(held)}"
        assert b.accounts[account][1], f"rights: {kind} by {b.accounts[account][0]}, who was disabled"

    def _not_anothers(self, kind: str, key: MailKey, account: int) -> None:
        if key not in self.claims or self.claims[key][1] == account:
            return
        b = self.before
        assert b is not None
        if key not in b.claims:
            raise AssertionError(f"claim: {kind} on a mail that another had just claimed")
        session, holder, _, until = b.claims[key]
        if session == 0:  # it was assigned
            live = until > self.at
        else:
            _, _, lease, _, ended, ends = b.sessions[session]
            live = ended is None and ends > self.at and (lease if until is None else until) > self.at
        assert not (live and b.accounts[holder][1]), f"claim: {kind} on a mail that {b.accounts[holder][0]} holds"

    def _same_as_replayed(self, state: State) -> None:
        """Each change has its entry: the entries alone give the mails and the claims."""
        stored = {key: (status, version, expiry) for key, (status, expiry, version, *_) in state.mails.items()}
        same("journal: mails as the entries leave them", self.mails, stored)
        held = {key: (session, account, fence) for key, (session, account, fence, _) in state.claims.items()}
        same("journal: claims as the entries leave them", self.claims, held)
        for key in state.claims:
            assert state.mails[key][0] == "ONHOLD", f"claim: on {key}, which is {state.mails[key][0]}"

    def _recount(self, state: State) -> None:
        """Counters are kept, never counted: here they are."""
        tally: Counter[tuple[str, str, str]] = Counter()
        needed = set()
        for id, message in state.messages.items():
            customer, verdict, sha256, recipients, version, next_expiry, purged, *counts = message
            mails = [mail for (m, _), mail in state.mails.items() if m == id]
            by_status = Counter(mail[0] for mail in mails)
            assert counts == [by_status[s.upper()] for s in _STATUSES], f"counters: of message {id}: {counts}"
            assert recipients == len(mails), f"counters: message {id} has {len(mails)} mails"
            assert version == max(mail[2] for mail in mails), f"version: of message {id}"
            held = [mail[1] for mail in mails if mail[0] == "ONHOLD"]
            assert next_expiry == min(held, default=None), f"expiry: the next of message {id}"
            tally.update((customer, mail[0], verdict) for mail in mails)
            if purged is None:
                needed.add((customer, sha256))
        asked = Counter(message for message, _ in state.requested)
        same("counters: mails asked for", dict(asked), {id: n for id, n in state.asked.items() if n})
        for key in state.requested:
            assert state.mails[key][0] == "ONHOLD", f"state: {key} is asked for, and is {state.mails[key][0]}"
        same("counters: the tally", dict(tally), {key: n for key, n in state.tally.items() if n})
        of_campaigns: dict[tuple[str, str], list[int]] = {}
        for id, names in sorted(state.campaigns.items()):
            customer, counts = state.messages[id][0], state.messages[id][-len(_STATUSES) :]
            for name in names:
                counted = of_campaigns.setdefault((name, customer), [id, id, *[0] * len(_STATUSES)])
                counted[1] = id
                counted[2:] = map(int.__add__, counted[2:], counts)
        stored = {key: list(values) for key, values in state.of_campaigns.items()}
        same("counters: those of campaigns", of_campaigns, stored)
        same("purge: bytes that are needed", needed, state.blobs)


def same(what: str, expected: Any, stored: Any) -> None:
    if expected == stored:
        return
    if isinstance(expected, dict):
        keys = [k for k in {**expected, **stored} if expected.get(k) != stored.get(k)]
        expected, stored = {k: expected.get(k) for k in keys}, {k: stored.get(k) for k in keys}
    raise AssertionError(f"{what}: expected {expected!r}\nbut it is {stored!r}")
