"""What the view asks the server for, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rcqueue.model.mail import Page

    from .api import Api


@dataclass(frozen=True, slots=True)
class Fetch:
    """A page, or (kind "rows") the rows of `ids`. `value` is a cursor, an id or a time, as the kind needs."""

    kind: Literal["first", "last", "at", "time", "before", "after", "tail", "peek", "rows"]
    generation: int
    value: str = ""
    ids: tuple[str, ...] = ()

    async def ask(self, api: Api, query: str, sort: str, limit: int) -> Page:
        """The server's answer; `limit` is in rows. Raises what Api raises."""
        match self.kind:
            case "rows":
                return await api.rows(self.ids, query)
            case "before":
                return await api.page(query, sort, before=self.value, limit=limit)
            case "after":
                return await api.page(query, sort, after=self.value, limit=limit)
            case "at" | "tail":
                return await api.page(query, sort, at=self.value, limit=limit)
            case "time":
                return await api.page(query, sort, time=self.value, limit=limit)
            case "last":
                return await api.page(query, sort, end=True, limit=limit)
        return await api.page(query, sort, limit=limit)


@dataclass(frozen=True, slots=True)
class Goto:
    """A jump that is under way. `land`: put the cursor just above this id, where it is found."""

    kind: Literal["first", "last", "at", "time"]
    value: str = ""
    land: str | None = None
