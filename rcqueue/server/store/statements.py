"""The writer's statements by key, each made once: to make one costs as much as to execute it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, case, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from . import tables as t

PRIMARY: dict[str, tuple[str, ...]] = {
    name: tuple(c.name for c in table.primary_key.columns) for name, table in t.metadata.tables.items()
}
_SAME = {"blob", "posting"}  # the same key holds the same row


def _by_key(name: str) -> list[Any]:
    """Its key as parameters k_NAME."""
    table = t.metadata.tables[name]
    return [table.c[c] == bindparam(f"k_{c}") for c in PRIMARY[name]]


@cache
def one_of(name: str) -> Any:
    """By its key, a row a statement: SQLite looks no index up for pairs in a list (a, b) IN ((1, 2), ...)."""
    return select(t.metadata.tables[name]).where(*_by_key(name))


@cache
def insert_into(name: str) -> Any:
    return insert(t.metadata.tables[name])


@cache
def update_of(name: str, columns: tuple[str, ...]) -> Any:
    """New values as parameters v_NAME."""
    values: dict[str, Any] = {c: bindparam(f"v_{c}") for c in columns}
    return update(t.metadata.tables[name]).where(*_by_key(name)).values(values)


@cache
def delete_from(name: str) -> Any:
    return delete(t.metadata.tables[name]).where(*_by_key(name))


@cache
def append_to(name: str, dialect: str) -> Any:
    if name in _SAME:
        return _dialect_insert(dialect)(t.metadata.tables[name]).on_conflict_do_nothing()
    return _see(dialect) if name == t.seen.name else insert_into(name)


@cache
def add_to(name: str, counts: Sequence[str], dialect: str) -> Any:
    """Adds to the counts of a row, or makes it."""
    table = t.metadata.tables[name]
    statement = _dialect_insert(dialect)(table)
    added = {count: table.c[count] + statement.excluded[count] for count in counts}
    return statement.on_conflict_do_update(index_elements=list(PRIMARY[name]), set_=added)


@cache
def add_to_campaign(dialect: str) -> Any:
    """Counters are added to; the first and the last message are the earliest and the latest there were."""
    statement = _dialect_insert(dialect)(t.campaign_mails)
    new, old = statement.excluded, t.campaign_mails.c
    sums = {status: old[status] + new[status] for status in t.STATUSES}
    ends = {
        "first": case((new.first < old.first, new.first), else_=old.first),
        "last": case((new.last > old.last, new.last), else_=old.last),
    }
    return statement.on_conflict_do_update(index_elements=["campaign", "customer"], set_=sums | ends)


def _see(dialect: str) -> Any:
    """Who looks again looked last now; what they did before stays, if it was more."""
    statement = _dialect_insert(dialect)(t.seen)
    new, old = statement.excluded, t.seen.c
    most = case((new.how > old.how, new.how), else_=old.how)
    return statement.on_conflict_do_update(index_elements=["message", "account"], set_={"at": new.at, "how": most})


def _dialect_insert(dialect: str) -> Any:
    return sqlite.insert if dialect == "sqlite" else postgresql.insert
