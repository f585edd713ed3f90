"""Working with colleagues: the next mails of the queue, which are dealt to one alone, and what one is handed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rcqueue.widgets.text import plural

from . import phrases
from .dialogs import Ask

if TYPE_CHECKING:
    from rcqueue.app import RcqueueApp
    from rcqueue.client.desk import Desk
    from rcqueue.model.journal import Entry

NEXT = 20  #: how many at once, if nothing else is said


def count_check(text: str) -> str:
    return "" if text.isdecimal() and 1 <= int(text) <= 200 else "expected a number from 1 to 200"


class Together:
    def __init__(self, app: RcqueueApp, desk: Desk, search: Callable[[str], bool]) -> None:
        self.app, self.desk, self.search = app, desk, search
        self.many = NEXT  #: as it was last asked for

    async def next(self) -> None:
        """Claims the next mails of the filter in force, and shows them."""
        query = self.desk.query.without("claim").text  # as it was before the last `next`
        of = f" that match {query}" if query else ""
        sentence = f"Claim how many of the next mails that nobody holds{of}?"
        answer = await self.app.push_screen_wait(Ask(sentence, count_check, value=str(self.many), does="claims them"))
        if answer is None:
            return
        self.many = int(answer)
        dealt = await self.app.call(self.desk.api.next(self.many, query))
        if dealt is None:
            return
        if not dealt.messages:
            self.app.flash(f"nobody has left anything{of}: all of it is held", "warn")
            return
        among = f" of {plural(len(dealt.messages), 'message')}" if dealt.mails != len(dealt.messages) else ""
        self.app.flash(f"{plural(dealt.mails, 'mail')}{among} for you")
        self.search(f"{query} claim:me".strip())

    def handed(self, entry: Entry) -> None:
        """Somebody assigned something to me."""
        what = phrases.name(entry.row) if entry.row is not None else "a mail"
        said = f": {entry.note}" if entry.note else ""
        self.app.flash(f"from {entry.actor}: {what}{said}", "warn")
