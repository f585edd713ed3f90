"""Signing in, and who a token is. Tokens are opaque and stored hashed; each request asks the store who it is from."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, func, select

from rcqueue.model.access import Access, Grant, Right
from rcqueue.model.journal import LEASE
from rcqueue.server.marshal import Marshal, Refusal
from rcqueue.server.marshal.door import claimed_by
from rcqueue.server.marshal.ends import Lapse
from rcqueue.server.marshal.once import Idempotency
from rcqueue.server.marshal.people import FirstAdmin, LoginFailed, Renew, StartSession
from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import IDLE, session_over

from . import passwords

P = ParamSpec("P")
R = TypeVar("R")
SECOND = 1_000_000
SIGNED_IN = 12 * 3600 * SECOND
TRIES, WITHIN = 5, 60.0  #: failed sign-ins a name and client before the next must wait
SEEN_EVERY = 30 * SECOND


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def access_of_session(connection: Connection, session: int, now: int) -> Access | None:
    return _access(connection, t.session.c.id == session, now)


def access_of_token(connection: Connection, token: bytes, now: int) -> Access | None:
    """Who a token is and what they may do, in this snapshot; None when there is no such session any more."""
    return _access(connection, t.session.c.token == token, now)


def _access(connection: Connection, which: Any, now: int) -> Access | None:
    query = select(t.session, t.account.c.name, t.account.c.enabled).join(
        t.account, t.account.c.id == t.session.c.account
    )
    row = connection.execute(query.where(which)).mappings().one_or_none()
    if row is None or not row["enabled"] or session_over(row, now):
        return None
    account = row["account"]
    grants = connection.execute(select(t.role_grant).where(t.role_grant.c.account == account)).all()
    locks = connection.execute(select(t.person_lock.c.name).where(t.person_lock.c.account == account)).scalars()
    return Access(
        account=account,
        name=row["name"],
        session=row["id"],
        grants=tuple(sorted((Grant(g.role, g.customer) for g in grants), key=lambda g: (g.customer, g.role))),
        locks=frozenset(locks),
        scope=frozenset(row["scope"].split()),
    )


class Identity:
    def __init__(self, marshal: Marshal) -> None:
        self._marshal = marshal
        self._failed: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._seen: dict[int, int] = {}

    async def first_admin(self, name: str, password: str) -> None:
        """Makes the first account, an administrator's at the root. Raises `Refusal` if there is one already."""
        check_name(name)
        if why := passwords.weakness(password, name):
            raise Refusal("bad-request", why)
        count = select(func.count()).select_from(t.account)
        accounts = await self._marshal.database.read(lambda c: c.execute(count).scalar_one())
        await self._marshal.do(FirstAdmin(name, await passwords.hash_password(password), accounts))

    async def login(self, name: str, password: str, kind: str, label: str, client: str) -> tuple[str, int]:
        """(token, when it ends). Raises `Refusal` unauthorized; the failure is on record."""
        failed = self._failed[name, client]
        while failed and failed[0] < time.monotonic() - WITHIN:
            failed.popleft()
        if len(failed) >= TRIES:
            wait = int(failed[0] + WITHIN - time.monotonic()) + 1
            raise Refusal("unauthorized", f"too many failed sign-ins: try again in {wait} s", retry_after=wait)
        find = select(t.account).where(t.account.c.name == name)
        row = await self._marshal.database.read(lambda c: c.execute(find).one_or_none())
        good = await passwords.verify(row.password if row else None, password)
        if row is None or not good or not row.enabled:
            failed.append(time.monotonic())
            if len(self._failed) > 10_000:
                self._failed.clear()
            await self._marshal.do(LoginFailed(name, client, row.id if row else None))
            raise Refusal("unauthorized", "name or password is wrong")
        self._failed.pop((name, client), None)
        token = secrets.token_urlsafe(32)
        lease = LEASE * SECOND if kind == "terminal" else 0
        start = StartSession(row.id, token_hash(token), kind, label, SIGNED_IN, lease, client=client)
        session = await self._marshal.do(start)
        return token, session["ends"]

    async def make_token(
        self, who: Access, label: str, scope: str, days: int, once: Idempotency | None
    ) -> tuple[str, int, int]:
        """An API token of this person's: (token, id, when it ends). Its scope is rights; empty means all of theirs."""
        if unknown := [word for word in scope.split() if word not in set(Right)]:
            raise Refusal("bad-request", f"scope: {unknown[0]!r} is no right; one of {', '.join(Right)} was expected")
        if who.scope and not (scope and set(scope.split()) <= who.scope):
            raise Refusal("forbidden", "a token cannot make one of a wider scope", right="administer")
        token = secrets.token_urlsafe(32)
        start = StartSession(
            who.account, token_hash(token), "token", label, days * 86400 * SECOND, scope=scope, by=who.session
        )
        session = await self._marshal.do_once(who, once, start, lambda _row: '"answered once"')
        if not isinstance(session, dict):
            raise Refusal("idempotency-key", "the token was made and shown once: make another under a new key")
        return token, session["id"], session["ends"]

    async def read(
        self, token: str, fn: Callable[Concatenate[Connection, Access, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[Access, R]:
        """Who the token is, and `fn(connection, access, ...)`, in one snapshot: a right taken away is gone."""
        digest, now = token_hash(token), self._marshal.clock.now()

        def run(connection: Connection) -> tuple[Access, R]:
            access = access_of_token(connection, digest, now)
            if access is None:
                raise Refusal("unauthorized", "the token is unknown or has ended: sign in again")
            return access, fn(connection, access, *args, **kwargs)

        access, answer = await self._marshal.database.read(run)
        await self._note_seen(access.session, now)
        return access, answer

    async def who(self, token: str) -> Access:
        return (await self.read(token, lambda _connection, access: access))[0]

    async def renew(self, session: int, idle: float) -> None:
        """A terminal answered a ping; `idle` is seconds since its last key. Quiet for too long: its claims go."""
        if idle * SECOND < IDLE:
            await self._marshal.do(Renew(frozenset({session}), LEASE * SECOND))
        elif claimed := await self._marshal.database.read(claimed_by, session):
            await self._marshal.do(Lapse(frozenset(claimed), session=session))

    async def _note_seen(self, session: int, now: int) -> None:
        if self._seen.get(session, 0) + SEEN_EVERY < now:
            if len(self._seen) > 10_000:
                self._seen.clear()
            self._seen[session] = now
            await self._marshal.do(Renew(frozenset({session}), 0))


def check_name(name: str) -> None:
    """An account's name: what people write in filters and read in the claim column."""
    good = name.isascii() and name[:1].isalnum() and all(c.isalnum() or c in "._-" for c in name)
    if not good or len(name) > 32 or name in ("me", "none", "system"):
        raise Refusal("bad-request", "name: 1 to 32 of a-z 0-9 . _ - was expected, and not me, none or system")
