"""Accounts, roles, locks and sessions: each change an entry, none by oneself for oneself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rcqueue.model.access import LOCKS, ROLES, ROOT, Access, Grant, Right, covers
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, RowDict, Rows, session_over
from rcqueue.server.store.writer import Decision

from .asking import who_asks
from .ends import Lapse
from .refusal import Refusal, no_right, unauthorized

WALL = 30 * 86400 * 1_000_000  #: how long a display on a wall stays signed in


@dataclass(frozen=True, slots=True)
class _Plain:
    @property
    def weight(self) -> int:
        return 500


def _checked_grant(grant: Grant) -> Grant:
    if grant.role not in ROLES:
        raise Refusal("bad-request", f"role {grant.role!r}: one of {', '.join(ROLES)} was expected")
    return grant


def _new_account(rows: Rows, name: str, password: str | None, grants: Sequence[Grant], now: int, seq: int) -> None:
    if name in rows.account_names:
        raise Refusal("bad-request", f"there is an account {name} already")
    rows.put(t.account, (seq,), {"id": seq, "name": name, "password": password, "enabled": True, "created": now})
    for grant in grants:
        rows.grant(seq, _checked_grant(grant), True)


@dataclass(frozen=True, slots=True)
class FirstAdmin(_Plain):
    """The first account, made on the server's host; refused when there is one already."""

    name: str
    password: str
    accounts: int  # how many there are

    @property
    def needs(self) -> Needs:
        return Needs(accounts=frozenset({self.name}))

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        if self.accounts:
            raise Refusal("bad-request", "there are accounts already: an administrator makes further ones")
        _new_account(rows, self.name, self.password, [Grant("admin", ROOT)], now, seq)
        facts = {"person": seq, "role": "admin", "at": ROOT}
        return Decision(seq, [Draft("people.create", facts=facts, personal={"name": self.name})])


@dataclass(frozen=True, slots=True)
class ChangePerson(_Plain):
    """One change by an administrator to another person's account. `what` is the verb of people.*"""

    session: int
    what: str
    name: str
    grants: tuple[Grant, ...] = ()  # create, grant, revoke
    lock: str = ""
    password: str | None = None  # create, password: the argon2id hash

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}), accounts=frozenset({self.name}))

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        person = rows.account_names.get(self.name)
        over = list(self.grants) or sorted(rows.grants[person or 0], key=lambda g: g.customer)
        refusal = self._refusal(rows, who, person, over)
        if refusal is not None:
            denied = Draft(
                "denied",
                account=who.account,
                session=who.session,
                facts={"verb": f"people.{self.what}", "right": Right.ADMINISTER, "person": person},
            )
            return Decision(refusal, [denied] if refusal.kind == "forbidden" else [])
        if self.what == "create":
            _new_account(rows, self.name, self.password, self.grants, now, seq)
            person = seq
        assert person is not None
        self._change(rows, person)
        facts: dict[str, object] = {"person": person}
        if self.grants:
            facts["grants"] = [[g.role, g.customer] for g in self.grants]
        if self.lock:
            facts["lock"] = self.lock
        return Decision(
            seq,
            [
                Draft(
                    f"people.{self.what}",
                    account=who.account,
                    session=who.session,
                    facts=facts,
                    personal={"name": self.name},
                )
            ],
        )

    def _refusal(self, rows: Rows, who: Access, person: int | None, over: Sequence[Grant]) -> Refusal | None:
        mine = who.customers(Right.ADMINISTER)
        for place in {g.customer for g in over} or {ROOT}:
            if not any(covers(m, place) for m in mine):
                return no_right(Right.ADMINISTER, place)
        if self.what != "create":
            if person is None:
                return Refusal("not-found", f"there is no account {self.name}")
            if person == who.account and self.what in ("grant", "revoke", "lock", "unlock", "enable", "disable"):
                return Refusal("forbidden", "nobody changes their own roles, locks or account", right="administer")
            whole = [g.customer for g in rows.grants[person]]
            if self.what not in ("grant", "revoke") and not all(any(covers(m, p) for m in mine) for p in whole):
                return no_right(Right.ADMINISTER, "each customer where they have a role")
        if self.what in ("lock", "unlock") and self.lock not in LOCKS:
            return Refusal("bad-request", f"lock {self.lock!r}: one of {', '.join(LOCKS)} was expected")
        return None

    def _change(self, rows: Rows, person: int) -> None:
        match self.what:
            case "grant" | "revoke":
                for grant in self.grants:
                    rows.grant(person, _checked_grant(grant), self.what == "grant")
            case "lock" | "unlock":
                rows.lock(person, self.lock, self.what == "lock")
            case "enable" | "disable":
                rows.put(t.account, (person,), {"enabled": self.what == "enable"})
            case "password":
                rows.put(t.account, (person,), {"password": self.password})
            case _:
                assert self.what == "create"


@dataclass(frozen=True, slots=True)
class StartSession(_Plain):
    """A sign-in that was proved. Answers the session's row."""

    account: int
    token: bytes
    kind: str
    label: str
    lasts: int
    lease: int = 0
    scope: str = ""
    client: str = ""
    by: int | None = None  # the session that makes this token

    @property
    def needs(self) -> Needs:
        return Needs(account_ids=frozenset({self.account}), sessions=frozenset({self.by}) if self.by else frozenset())

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        account = rows.get(t.account, self.account)
        if account is None or not account["enabled"]:
            raise unauthorized("the account is disabled")
        if self.by is not None and rows.access(self.by, now) is None:
            raise unauthorized()
        kind, scope, lasts = self.kind, self.scope, self.lasts
        access = rows.access_of(self.account, seq)
        if kind != "token" and access is not None and access.only_counts():
            # Whatever the account is granted later: a session that lasts for weeks does no more than count.
            kind, scope, lasts = "wall", str(Right.COUNT), WALL
        row: RowDict = {
            "id": seq,
            "account": self.account,
            "token": self.token,
            "kind": kind,
            "scope": scope,
            "label": self.label,
            "created": now,
            "seen": now,
            "ends": now + lasts,
            "lease": now + self.lease if self.lease and kind != "wall" else 0,
            "ended": None,
        }
        rows.put(t.session, (seq,), row)
        draft = Draft(
            "session.token" if kind == "token" else "session.login",
            account=self.account,
            session=seq,
            facts={"kind": kind},
            personal={"client": self.client, "label": self.label},
        )
        return Decision(dict(row), [draft])


@dataclass(frozen=True, slots=True)
class EndSession(_Plain):
    """Signs a session out; its claims go with it, in the same transaction."""

    session: int
    claimed: frozenset[int] = field(default_factory=frozenset)  # messages that it holds claims on
    why: str = "logout"

    @property
    def needs(self) -> Needs:
        return Needs(messages=self.claimed, sessions=frozenset({self.session}))

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        row = rows.get(t.session, self.session)
        if row is None or row["ended"] is not None:
            return Decision()
        decision = Lapse(self.claimed, session=self.session).decide(rows, now, seq)
        rows.put(t.session, (self.session,), {"ended": now, "lease": 0})
        decision.entries.append(
            Draft("session.logout", account=row["account"], session=self.session, facts={"why": self.why})
        )
        return decision


@dataclass(frozen=True, slots=True)
class Renew(_Plain):
    """Signs of life: these sessions are not idle, and with `lease` their claims live on from now. No entry."""

    sessions: frozenset[int]
    lease: int

    @property
    def needs(self) -> Needs:
        return Needs(sessions=self.sessions)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        for session in self.sessions:
            row = rows.get(t.session, session)
            if row is not None and not session_over(row, now):
                lease = now + self.lease if self.lease else row["lease"]
                rows.put(t.session, (session,), {"lease": lease, "seen": now})
        return Decision()


@dataclass(frozen=True, slots=True)
class LoginFailed(_Plain):
    name: str
    client: str
    account: int | None

    @property
    def needs(self) -> Needs:
        return Needs()

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        draft = Draft(
            "session.fail", facts={"person": self.account}, personal={"name": self.name[:200], "client": self.client}
        )
        return Decision(entries=[draft])
