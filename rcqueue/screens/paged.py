"""A list that is longer than what is read of it: page by page as one goes down, and anew as far as one is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

One = TypeVar("One")
#: Gives the page after a cursor (None: the first) and the cursor of what follows it, or None: it could not be read.
Reads = Callable[[str | None], Awaitable[tuple[list[One], str | None] | None]]

AHEAD = 20  # rows from the end at which the next page is read


class Paged(Generic[One]):
    def __init__(self, read: Reads[One], key: Callable[[One], str], *, page: int, most: int) -> None:
        """`most`: of more it is not read anew by itself, since each reading would take all of it."""
        self.found: list[One] = []
        self.next: str | None = None
        self._read, self._key, self._page, self._most = read, key, page, most
        self._reading = False

    @property
    def still(self) -> bool:
        """So much is read that it stays as it was."""
        return len(self.found) > self._most

    def wants_more(self, at: int) -> bool:
        """Whether the row `at` is so near to the end of what is read that more should be."""
        return self.next is not None and at >= len(self.found) - AHEAD

    async def read(self, *, more: bool = False) -> bool:
        """As many as there are, anew; with `more` the next page after them. False: it could not be, or is under way."""
        if self._reading:
            return False
        self._reading = True
        want = max(self._page, len(self.found))
        found, after = (list(self.found), self.next) if more else ([], None)
        try:
            while True:
                if (page := await self._read(after)) is None:
                    return False
                found += page[0]
                after = page[1]
                if after is None or more or len(found) >= want:
                    break
        finally:
            self._reading = False
        self.found, self.next = list({self._key(one): one for one in found}.values()), after
        return True
