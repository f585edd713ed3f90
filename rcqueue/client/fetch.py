"""What the view asks the server for, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rcqueue.model.journal import Entry
    from rcqueue.model.mail import Page

    from .api import Api

ASK_LIMIT = 200  #: ids in one `rows` fetch
LOG_LIMIT = 5_000  #: entries kept while a page is under way


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


class Pending:
    """What is under way between a view and its server: at most one page, and one lot of rows asked for by id.

    `generation` goes up when the list is left: what is then still under way is of no more use. While a page is under
    way, or a jump, the entries that come are kept: the page may be older than they are.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.goto: Goto | None = Goto("first")
        self.page: Fetch | None = None
        self.ask: dict[str, Entry | None] = {}  #: ids whose rows must be fetched, and why
        self.asked: dict[str, Entry | None] = {}  #: those that are under way
        self.candidates: set[str] = set()  #: those of both that are not in the window, and may be new
        self._log: dict[str, Entry] = {}  # by message, the latest

    def restart(self, goto: Goto | None) -> None:
        """The list is left, for `goto`; rows that were asked for are asked for again."""
        self.generation += 1
        self.page = None
        self.ask = self.asked | self.ask
        self.asked = {}
        self.goto = goto
        self._log.clear()

    def begin(self, page: Fetch) -> Fetch:
        self.page = page
        if self.goto is None:
            self._log.clear()
        return page

    def begin_rows(self) -> Fetch | None:
        """The rows of the window first, then those that may be new."""
        if not self.ask or self.asked:
            return None
        ids = tuple(sorted(self.ask, key=lambda i: i in self.candidates)[:ASK_LIMIT])
        self.asked = {i: self.ask.pop(i) for i in ids}
        return Fetch("rows", self.generation, ids=ids)

    def failed(self, fetch: Fetch) -> None:
        if fetch.kind == "rows":
            self.ask = self.asked | self.ask
            self.asked = {}
        else:
            self.page = None

    def keep(self, message: str, entry: Entry) -> None:
        waits = self.page is not None or self.goto is not None
        if waits and (len(self._log) < LOG_LIMIT or message in self._log):
            self._log[message] = entry

    def take_log(self) -> tuple[list[tuple[str, Entry]], bool]:
        """The entries kept, with their messages, and whether there were too many to keep."""
        log, full = list(self._log.items()), len(self._log) >= LOG_LIMIT
        self._log.clear()
        return log, full
