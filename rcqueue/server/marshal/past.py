"""Acts on many that are over: one that nobody confirmed lapses, and some time after an act ended what became of each of
its mails is purged. The act and its counts stay. Rows go some at a time, with others' operations in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select, tuple_

from rcqueue.model.act import ActState
from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import Key, Needs, Rows
from rcqueue.server.store.writer import Decision

from .acts import CONFIRM_WITHIN, confirmable, entry

CHUNK = 200
PIECE = 500  #: rows that one operation drops, as many as one stores


@dataclass(frozen=True, slots=True)
class LapseActs:
    """Those that were not confirmed in time can't be any more."""

    ids: frozenset[str]

    @property
    def needs(self) -> Needs:
        return Needs(acts=self.ids)

    @property
    def weight(self) -> int:
        return 500 * len(self.ids)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        decision = Decision(0)
        for id in sorted(self.ids):
            row = rows.get(t.act, id)
            if row is not None and row["state"] == ActState.STORED and not confirmable(row, now):
                rows.put(t.act, (id,), {"state": ActState.LAPSED.value, "finished": now})
                decision.entries.append(entry("lapse", row, None))
                decision.answer += 1
        return decision


@dataclass(frozen=True, slots=True)
class PurgeAct:
    """From here on nobody is told what became of each mail of an act that ended `after` microseconds ago, and nothing
    of it is undone; then its rows may go."""

    id: str
    after: int

    @property
    def needs(self) -> Needs:
        return Needs(acts=frozenset({self.id}))

    @property
    def weight(self) -> int:
        return 500

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        row = rows.get(t.act, self.id)
        if row is None or row["purged"] is not None or row["finished"] is None or row["finished"] > now - self.after:
            return Decision()
        rows.put(t.act, (self.id,), {"purged": now})
        return Decision(None, [entry("purge", row, None)])


@dataclass(frozen=True, slots=True)
class DropRows:
    """The first rows of an act in `act_mail` or `act_judged`, up to and with that one. No entry: nobody needs them."""

    table: str
    act: str
    upto: Key  # less the act

    @property
    def needs(self) -> Needs:
        return Needs()

    @property
    def weight(self) -> int:
        return 60 * PIECE

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        of, key = _keys(self.table)
        rows.sweep(delete(t.metadata.tables[self.table]).where(of == self.act, tuple_(*key) <= self.upto))
        return Decision()


def _keys(table: str) -> tuple[Any, list[Any]]:
    """The column of the act, and the others of the primary key."""
    of, *key = t.metadata.tables[table].primary_key.columns
    return of, key


def first_rows(connection: Connection, table: str, act: str) -> Key | None:
    """Up to which row one operation drops; None: there is none left."""
    of, key = _keys(table)
    found = connection.execute(select(*key).where(of == act).order_by(*key).limit(PIECE)).all()
    return tuple(found[-1]) if found else None


def unconfirmed(connection: Connection, now: int) -> list[str]:
    """Acts that were stored and not confirmed in time."""
    since = func.coalesce(t.act.c.weighed, t.act.c.created)
    late = select(t.act.c.id).where(t.act.c.state == ActState.STORED.value, since < now - CONFIRM_WITHIN)
    return list(connection.execute(late.limit(CHUNK)).scalars())


def long_over(connection: Connection, before: int) -> list[str]:
    """Acts that ended before `before` and are not purged."""
    old = select(t.act.c.id).where(t.act.c.finished <= before, t.act.c.purged.is_(None))
    return list(connection.execute(old.order_by(t.act.c.finished).limit(CHUNK)).scalars())


def needless(connection: Connection) -> list[tuple[str, str]]:
    """(table, act): rows that nobody needs. Those of acts that are purged, or that tried no mail; of what was weighed
    those of acts that are over."""
    over = t.act.c.finished.is_not(None)
    tried_none = over & (t.act.c.results == "{}")
    mails = _with_rows(connection, t.act_mail.name, t.act.c.purged.is_not(None) | tried_none)
    return mails + _with_rows(connection, t.act_judged.name, over)


def strays(connection: Connection) -> list[tuple[str, str]]:
    """(table, act): selections without an act, at start: the server was stopped before it was there."""
    return _with_rows(connection, t.act_mail.name, t.act.c.id.is_(None))


def _with_rows(connection: Connection, table: str, where: ColumnElement[bool]) -> list[tuple[str, str]]:
    """By leaps along the index: there are many rows, and few acts."""
    of, _ = _keys(table)
    leap = select(func.min(of).label("act")).cte("leap", recursive=True)
    further = select(func.min(of)).where(of > leap.c.act).scalar_subquery()
    leap = leap.union_all(select(further).where(leap.c.act.is_not(None)))
    found = select(leap.c.act).outerjoin(t.act, t.act.c.id == leap.c.act).where(leap.c.act.is_not(None), where)
    return [(table, act) for act in connection.execute(found).scalars()]
