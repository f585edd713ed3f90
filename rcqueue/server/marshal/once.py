"""A writing call done once: the same Idempotency-Key again answers the same and does nothing (24 hours)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import Needs, RowDict, Rows
from rcqueue.server.store.writer import Decision, Operation

from .refusal import Refusal, unauthorized


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The key of a writing call, and the digest of its body."""

    account: int
    key: str
    digest: bytes

    @classmethod
    def of(cls, account: int, key: str, *body: str | bytes) -> Idempotency:
        parts = (b.encode() if isinstance(b, str) else b for b in body)
        return cls(account, key, hashlib.sha256(b"\x00".join(parts)).digest())

    def answered(self, row: Any) -> str:
        """What the same call was answered before; another body under its key is refused."""
        if row["digest"] != self.digest:
            raise Refusal("idempotency-key", "this Idempotency-Key came with another request before", status=422)
        return str(row["answer"])


@dataclass(frozen=True, slots=True)
class Once:
    """Wraps an operation: its answer is kept in the same transaction, as text by `encode`."""

    operation: Operation
    session: int
    once: Idempotency
    encode: Callable[[Any], str]
    decode: Callable[[str], Any]

    @property
    def needs(self) -> Needs:
        key = (self.once.account, self.once.key)
        mine = Needs(sessions=frozenset({self.session}), rows=frozenset({(t.idempotency.name, key)}))
        return self.operation.needs | mine

    @property
    def weight(self) -> int:
        return self.operation.weight + 500

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        key = (self.once.account, self.once.key)
        if rows.access(self.session, now) is None:
            raise unauthorized()
        if (row := rows.get(t.idempotency, *key)) is not None:
            return Decision(self.decode(self.once.answered(row)))
        decision = self.operation.decide(rows, now, seq)
        if not isinstance(decision.answer, Exception):
            row = {"account": key[0], "key": key[1], "digest": self.once.digest, "status": 200}
            row |= {"answer": self.encode(decision.answer), "at": now}
            rows.put(t.idempotency, key, row)
        return decision


def answered(connection: Connection, once: Idempotency) -> str | None:
    """The same look, ahead of work that comes before the operation."""
    query = select(t.idempotency).where(t.idempotency.c.account == once.account, t.idempotency.c.key == once.key)
    row: RowDict | None = connection.execute(query).mappings().one_or_none()  # type: ignore[assignment]
    return None if row is None else once.answered(row)
