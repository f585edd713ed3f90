"""A statement written out once, as its driver takes it.

SQLAlchemy makes the text, the driver executes it. From a statement to the driver SQLAlchemy's way costs several times
what the driver takes, and a batch of the writer has some fifteen of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import Boolean, Connection, Dialect, Table

from . import tables as t

V = TypeVar("V")
_BINDS = (8, 32, 128, 512, 2048)  #: lengths of IN (...): few, so that the statements stay prepared
_NAMES = {name: tuple(c.name for c in table.columns) for name, table in t.metadata.tables.items()}
_TRUTHS = {
    name: tuple(c.name for c in table.columns if isinstance(c.type, Boolean))
    for name, table in t.metadata.tables.items()
}


class Ready:
    """A statement in one dialect. What it is executed with are its parameters by name; those in `usual` need not be
    given."""

    def __init__(
        self,
        statement: Any,
        dialect: Dialect,
        columns: Iterable[str] | None = None,
        usual: Mapping[str, Any] | None = None,
    ) -> None:
        """`columns` are those that an insert fills."""
        compiled = statement.compile(dialect=dialect, column_keys=None if columns is None else list(columns))
        self._text, self._order = str(compiled), compiled.positiontup
        self._usual = {name: value for name, value in compiled.params.items() if value is not None} | dict(usual or {})

    def _values(self, given: Mapping[str, Any]) -> Any:
        values = self._usual | dict(given) if self._usual else given
        return values if self._order is None else [values[name] for name in self._order]

    def each(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Executes it once for each of `rows`."""
        connection.connection.cursor().executemany(self._text, [self._values(row) for row in rows])

    def found(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        cursor = connection.connection.cursor()
        cursor.execute(self._text, self._values(values))
        return cast(list[tuple[Any, ...]], cursor.fetchall())

    def rows(self, connection: Connection, table: Table, **values: Any) -> list[dict[str, Any]]:
        """The same of a statement that selects whole rows of a table: by the names of its columns."""
        names, truths = _NAMES[table.name], _TRUTHS[table.name]
        rows = [dict(zip(names, row, strict=True)) for row in self.found(connection, **values)]
        for row in rows if truths else ():
            row.update((name, bool(row[name])) for name in truths)
        return rows


def padded(values: Sequence[V]) -> list[V]:
    """The values, the last repeated up to one of few lengths."""
    length = next((n for n in _BINDS if n >= len(values)), len(values))
    return [*values, *[values[-1]] * (length - len(values))]


def numbered(values: Sequence[Any]) -> dict[str, Any]:
    """Parameters of a list: value_0, value_1, ..."""
    return {f"value_{i}": value for i, value in enumerate(values)}
