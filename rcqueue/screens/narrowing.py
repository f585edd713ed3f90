"""The facet strip beside the queue: opened, kept up to date, and what its keys do to the filter."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rcqueue.widgets.facets import Facets

if TYPE_CHECKING:
    from rcqueue.app import RcqueueApp
    from rcqueue.client.desk import Desk

_EVERY = 3.0  # seconds between two readings, while mail comes and goes


class Narrowing:
    """`search` puts a filter in force, and says whether it could be read."""

    def __init__(self, app: RcqueueApp, desk: Desk, strip: Facets, search: Callable[[str], bool]) -> None:
        self.app, self.desk, self.strip, self.search = app, desk, strip, search
        self.open = False
        self._read_at = 0.0
        self._counted: object = None  # the counts when it was last read
        self._asked = ""  # the filter that it was last read for
        self._reading = False

    def look(self) -> None:
        """Reads the facets anew where the filter is another one, or where counts have changed since."""
        other = self.desk.query.text != self._asked
        due = self.desk.counts is not self._counted and time.monotonic() - self._read_at >= _EVERY
        if self.open and not self._reading and (other or due or not self._read_at):
            self._reading = True
            self.app.work(self._read())

    async def _read(self) -> None:
        self._asked, self._counted, self._read_at = self.desk.query.text, self.desk.counts, time.monotonic()
        answer = await self.app.call(self.desk.api.facets(self._asked), quiet=bool(self.strip.items))
        self._reading = False
        if answer is not None:
            self.strip.show(answer.facets, "nothing matches")
            if self._asked != self.desk.query.text:
                self.look()

    def narrow(self, term: str, *, without: bool) -> None:
        """Adds the term, or its opposite, unless the filter has it."""
        text = ("-" if without else "") + term
        given = self.desk.query.text
        if text not in [t.text for t in self.desk.query.given] and self.search(f"{given} {text}".strip()):
            self.look()

    def widen(self) -> None:
        """Takes the last term back."""
        from rcqueue.model.query import Query

        given = self.desk.query.given
        if given and self.search(Query(given[:-1]).text):
            self.look()
