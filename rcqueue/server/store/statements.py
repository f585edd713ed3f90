"""The writer's statements by what they are for, each made once a dialect."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect, bindparam, case, delete, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from . import tables as t
from .ready import Ready, numbered

PRIMARY: dict[str, tuple[str, ...]] = {
    name: tuple(c.name for c in table.primary_key.columns) for name, table in t.metadata.tables.items()
}
_USUAL: dict[str, dict[str, Any]] = {
    name: {c.name: c.default.arg for c in table.columns if c.default is not None}  # type: ignore[attr-defined]
    for name, table in t.metadata.tables.items()
}
_SAME = {"blob", "posting"}  # the same key holds the same row
_made_once = lru_cache(maxsize=1024)  # of each: columns that change together, and lengths of lists, are few


def _by_key(name: str) -> list[Any]:
    """Its key as parameters k_NAME."""
    table = t.metadata.tables[name]
    return [table.c[c] == bindparam(f"k_{c}") for c in PRIMARY[name]]


# -- reading


@_made_once
def all_of(name: str, dialect: Dialect) -> Ready:
    return Ready(select(t.metadata.tables[name]), dialect)


@_made_once
def one_of(name: str, dialect: Dialect) -> Ready:
    """By its key, a row a statement: SQLite looks no index up for pairs in a list (a, b) IN ((1, 2), ...)."""
    return Ready(select(t.metadata.tables[name]).where(*_by_key(name)), dialect)


@_made_once
def having(column: Any, count: int, dialect: Dialect, *where: Any) -> Ready:
    """The rows whose column has one of `count` values."""
    among = column.in_([bindparam(name) for name in numbered(range(count))])
    return Ready(select(column.table).where(among, *where), dialect)


@_made_once
def waiting(dialect: Dialect) -> Ready:
    """The next `most` mails that `act` has not tried, beyond (`message`, `n`)."""
    mail = t.act_mail.c
    beyond = tuple_(mail.message, mail.n) > tuple_(bindparam("message"), bindparam("n"))
    some = select(t.act_mail).where(mail.act == bindparam("act"), mail.result.is_(None), beyond)
    return Ready(some.order_by(mail.message, mail.n).limit(bindparam("most")), dialect)


# -- writing


@_made_once
def head(dialect: Dialect) -> Ready:
    """The journal's head, locked for the batch: on PostgreSQL other nodes wait here, so that numbers are in commit
    order."""
    return Ready(select(t.head.c.seq, t.head.c.hash).with_for_update(), dialect)


@_made_once
def move_head(dialect: Dialect) -> Ready:
    """To `seq`, with `hash`."""
    return Ready(update(t.head).values(seq=bindparam("seq"), hash=bindparam("hash")), dialect)


@_made_once
def insert_into(name: str, columns: tuple[str, ...], dialect: Dialect) -> Ready:
    return _inserting(insert(t.metadata.tables[name]), columns, dialect)


@_made_once
def append_to(name: str, columns: tuple[str, ...], dialect: Dialect) -> Ready:
    if name in _SAME:
        return _inserting(_insert(dialect)(t.metadata.tables[name]).on_conflict_do_nothing(), columns, dialect)
    return _see(columns, dialect) if name == t.seen.name else insert_into(name, columns, dialect)


@_made_once
def update_of(name: str, columns: tuple[str, ...], dialect: Dialect) -> Ready:
    """New values as parameters v_NAME."""
    values: dict[str, Any] = {c: bindparam(f"v_{c}") for c in columns}
    return Ready(update(t.metadata.tables[name]).where(*_by_key(name)).values(values), dialect)


@_made_once
def delete_from(name: str, dialect: Dialect) -> Ready:
    return Ready(delete(t.metadata.tables[name]).where(*_by_key(name)), dialect)


@_made_once
def add_to(name: str, counts: Sequence[str], dialect: Dialect) -> Ready:
    """Adds to the counts of a row, or makes it."""
    table = t.metadata.tables[name]
    statement = _insert(dialect)(table)
    added = {count: table.c[count] + statement.excluded[count] for count in counts}
    adding = statement.on_conflict_do_update(index_elements=list(PRIMARY[name]), set_=added)
    return _inserting(adding, (*PRIMARY[name], *counts), dialect)


@_made_once
def add_to_campaign(dialect: Dialect) -> Ready:
    """Counters are added to; the first and the last message are the earliest and the latest there were."""
    statement = _insert(dialect)(t.campaign_mails)
    new, old = statement.excluded, t.campaign_mails.c
    sums = {status: old[status] + new[status] for status in t.STATUSES}
    ends = {
        "first": case((new.first < old.first, new.first), else_=old.first),
        "last": case((new.last > old.last, new.last), else_=old.last),
    }
    adding = statement.on_conflict_do_update(index_elements=["campaign", "customer"], set_=sums | ends)
    return _inserting(adding, tuple(t.campaign_mails.c.keys()), dialect)


def _see(columns: tuple[str, ...], dialect: Dialect) -> Ready:
    """Who looks again looked last now; what they did before stays, if it was more."""
    statement = _insert(dialect)(t.seen)
    new, old = statement.excluded, t.seen.c
    most = case((new.how > old.how, new.how), else_=old.how)
    seeing = statement.on_conflict_do_update(index_elements=["message", "account"], set_={"at": new.at, "how": most})
    return _inserting(seeing, columns, dialect)


def _inserting(statement: Any, columns: tuple[str, ...], dialect: Dialect) -> Ready:
    usual = _USUAL[statement.table.name]
    return Ready(statement, dialect, {**dict.fromkeys(columns), **usual}, usual)


def _insert(dialect: Dialect) -> Any:
    return sqlite.insert if dialect.name == "sqlite" else postgresql.insert
