"""How the places of a page are found: along one index, in chunks, with the rest of the filter applied to each chunk.

A walk goes on until there are places enough, the list ends or the time is up; then it says how far it came.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from . import tables as t
from .drivers import GATHER, MAX_ID, Driver, Order, Position, Source, choose, id_range, message_id
from .query_sql import Condition, Filter

FIRST_CHUNK = 512  #: candidates, when some will not match
LAST_CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class Found:
    places: list[Position]
    edge: Position | None  #: how far was looked; None: to the end of the list


@dataclass(frozen=True, slots=True)
class _Stage:
    """A run of the list: all messages whose key is `key`, in the order of ids; or (`ranges`) by key and id."""

    where: tuple[Condition, ...]
    key: Any = None
    ranges: bool = False
    start: int | None = None  #: ids after this one


class Walk:
    """A walk along a driver from a position to the end of the list, a chunk a step."""

    def __init__(self, connection: Connection, f: Filter, driver: Driver, order: Order, start: Position | None) -> None:
        self._connection, self._driver, self._order = connection, driver, order
        self._rest = f.on_message(driver.proves)
        self._low, self._high = id_range(f) if order.key is None else (0, MAX_ID)
        self.edge = start
        self._stages = self._stages_from(start)
        self.chunk = FIRST_CHUNK

    @property
    def done(self) -> bool:
        return not self._stages

    def step(self, want: int) -> list[Position]:
        """The next places that match, in order: at most `want` of them, of one more chunk of candidates."""
        stage = self._stages[0]
        read = [self._read(source, stage, want) for source in self._driver.sources]
        places = self._order.sorted({place for found in read for place in found.places})
        edges = self._order.sorted(found.edge for found in read if found.edge is not None)
        if edges:  # beyond the nearest, not every source was looked at
            places = [place for place in places if not self._order.passed(place, edges[0])]
        elif len(places) <= want:
            self._stages.pop(0)
            self.edge = places[-1] if places else self.edge
            return places
        self.edge = places[want - 1] if len(places) >= want else edges[0]
        self._stages = self._stages_from(self.edge)
        return places[:want]

    def _stages_from(self, position: Position | None) -> list[_Stage]:
        key, down = self._order.key, self._order.descending
        if key is None:
            return [_Stage((), start=position and position.id)]
        some = _Stage((key.is_not(None),), ranges=True)
        none = [_Stage((key.is_(None),))] if self._order.has_gaps else []
        if position is None:
            return [some, *none] if down else [*none, some]
        if position.key is None:
            ties = _Stage((key.is_(None),), start=position.id)
            return [ties] if down else [ties, some]
        ties = _Stage((key == position.key,), position.key, start=position.id)
        rest = _Stage((self._order.after(key, position.key),), ranges=True)
        return [ties, rest, *none] if down else [ties, rest]

    def _read(self, source: Source, stage: _Stage, want: int) -> Found:
        limit = self.chunk if self._rest else want
        columns = [self._order.key.label("key")] if stage.ranges and self._order.key is not None else []
        inner = select(*columns, source.id.label("id")).where(*source.where, *stage.where)
        inner = inner.order_by(*self._order.by(*columns, source.id)).limit(limit)
        if not stage.ranges:
            inner = inner.where(*self._between(source.id, stage.start))
        if source.repeats:
            inner = inner.distinct()

        def place(row: Any) -> Position:
            return Position(row[0] if stage.ranges else stage.key, row[-1])

        if not self._rest:
            places = [place(row) for row in self._connection.execute(inner).all()]
            return Found(places, places[-1] if len(places) == limit else None)
        chunk = inner.subquery("chunk")
        matched = select(*chunk.c).join_from(chunk, t.message, message_id == chunk.c.id).where(*self._rest)
        matched = matched.order_by(*self._order.by(*chunk.c)).limit(want)
        places = [place(row) for row in self._connection.execute(matched).all()]
        if len(places) == want:
            return Found(places, places[-1])
        last = self._connection.execute(inner.limit(1).offset(limit - 1)).one_or_none()  # of the chunk, if it is full
        return Found(places, place(last) if last is not None else None)

    def _between(self, column: ColumnElement[int], start: int | None) -> tuple[Condition, Condition]:
        low, high = self._low, self._high
        if start is not None:
            low, high = (low, min(high, start)) if self._order.descending else (max(low, start), high)
        return column > low, column < high


def _gather(
    connection: Connection, f: Filter, driver: Driver, order: Order, start: Position | None, want: int
) -> list[Position]:
    """The first `want` places after `start` among all that a small driver holds, sorted."""
    rest = f.on_message(driver.proves)
    places: set[Position] = set()
    for source in driver.sources:
        chunk = source.ids().limit(GATHER + 1).subquery("chunk")
        key = order.key
        columns = [key.label("key")] if key is not None else []
        found = select(*columns, chunk.c.id).select_from(chunk).where(*rest, *_beyond(order, start, chunk.c.id))
        if rest or key is not None:
            found = found.join(t.message, message_id == chunk.c.id)
        if source.repeats:  # not in the chunk, where it would lead the planner to another index
            found = found.distinct()
        by = [c.nulls_last() if order.descending else c.nulls_first() for c in order.by(*([key] if columns else []))]
        rows = connection.execute(found.order_by(*by, *order.by(chunk.c.id)).limit(want))
        places.update(Position(row[0] if columns else None, row[-1]) for row in rows)
    return order.sorted(places)[:want]


def _beyond(order: Order, start: Position | None, column: ColumnElement[int]) -> list[Condition]:
    if start is None:
        return []
    later, key = order.after(column, start.id), order.key
    if key is None:
        return [later]
    if start.key is None:
        return [and_(key.is_(None), later) if order.descending else or_(key.is_not(None), later)]
    further = [order.after(key, start.key), and_(key == start.key, later)]
    return [or_(*further, key.is_(None)) if order.descending else or_(*further)]


def find(
    connection: Connection, f: Filter, order: Order, start: Position | None, want: int, deadline: float | None
) -> Found:
    """The first `want` places after `start`, or what there was of them at `deadline` (of time.perf_counter)."""
    if f.empty or want <= 0:
        return Found([], None)
    driver, gathers = choose(connection, f, order)
    if gathers:
        places = _gather(connection, f, driver, order, start, want)
        return Found(places, places[-1] if len(places) == want else None)
    walk = Walk(connection, f, driver, order, start)
    if deadline is None:
        walk.chunk = LAST_CHUNK
    places = []
    while not walk.done and len(places) < want:
        began = time.perf_counter()
        if deadline is not None and began >= deadline and walk.edge != start:
            break
        before = walk.edge
        places += walk.step(want - len(places))
        if deadline is not None and walk.edge != before:
            spent, left = time.perf_counter() - began, deadline - time.perf_counter()
            fits = int(walk.chunk * left / spent / 3)
            walk.chunk = max(FIRST_CHUNK, min(LAST_CHUNK, 4 * walk.chunk, fits))
    return Found(places, None if walk.done else walk.edge)


OLDEST, NEWEST = Order("time", descending=False), Order("time", descending=True)


def everything(
    connection: Connection,
    f: Filter,
    want: int,
    deadline: float | None = None,
    order: Order = OLDEST,
    start: Position | None = None,
) -> Iterator[Found]:
    """All that match, `want` at a time; with a deadline as far as that lets it come: the last has an edge then."""
    while True:
        found = find(connection, f, order, start, want, deadline)
        yield found
        if found.edge is None or (deadline is not None and time.perf_counter() >= deadline):
            return
        start = found.edge
