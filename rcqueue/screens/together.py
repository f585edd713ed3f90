"""Working with colleagues: the next mails of the queue, which are dealt to one alone, and what one is handed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rcqueue.widgets.keymap import key
from rcqueue.widgets.text import plural

from . import acpi, phrases
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
        self.app.queue.did(acpi.of("mail.next", count=self.many, filter=query))
        if not dealt.messages:
            self.app.flash(f"nobody has left anything{of}: all of it is held", "warn")
            return
        among = f" of {plural(len(dealt.messages), 'message')}" if dealt.mails != len(dealt.messages) else ""
        self.app.flash(f"{plural(dealt.mails, 'mail')}{among} for you")
        self.search(f"{query} claim:me".strip())

    async def stand(self) -> None:
        """Claims the filter in force, after saying who holds what of it; or gives it back."""
        without = self.desk.query.without("claim")
        query, me = without.text, self.desk.whoami.name
        if all(term.field == "status" for term in without.given):
            self.app.flash(
                f"claim what of it? {key('mail.list')} or {key('mail.facets')} narrows the list first", "warn"
            )
            return
        found = await self.app.call(self.desk.api.claims(query))
        if found is None:
            return
        mine = next((one for one in found.standing if one.who == me and one.query == query), None)
        if mine is not None:
            if await self.app.call(self._gives_back(mine.id)):
                self.app.flash(f"given back: {query}")
                self.app.queue.did(acpi.of("claim.end", id=mine.id))
            return
        held = [f"{who} holds {plural(n, 'mail')}" for who, n in found.held.items() if who != me]
        said = [f"Of what is here {', '.join(held)}."] if held else []
        said += [
            f"{one.who} claims {one.query}: {plural(one.both, 'mail')} here match both."
            for one in found.standing
            if one.who != me and one.both
        ]
        sentence = " ".join([f"Claim what arrives and matches {query}, as long as you are here?", *said])
        if await self.app.push_screen_wait(Ask(sentence, does="claims it")) is None:
            return
        if await self.app.call(self.desk.api.stand(query)) is not None:
            self.app.queue.did(acpi.of("claim.stand", filter=query))
            self.app.flash(f"what arrives and matches {query} is yours; {key('claim.stand')} here gives it back")

    async def _gives_back(self, id: int) -> bool:
        await self.desk.api.end_standing(id)
        return True

    # -- following a colleague

    async def follow(self) -> None:
        here = sorted(who for who, one in self.desk.presence.items() if one.message)
        if not here:
            self.app.flash("no colleague looks at mail that you may see", "warn")
            return
        who: str | None = here[0]
        if len(here) > 1:
            check = lambda name: "" if name in here else f"expected {', '.join(here)}"  # noqa: E731
            who = await self.app.push_screen_wait(Ask(f"Follow whom? {', '.join(here)}", check, does="follows"))
        if who is not None:
            self.desk.following = who
            self.moved(who)

    def moved(self, who: str) -> None:
        if who != self.desk.following:
            return
        one = self.desk.presence.get(who)
        if one is None:
            self.desk.following = ""
            self.app.flash(f"{who} has left", "warn")
        elif one.message is not None and one.message != self.desk.view.cursor:
            self.app.work(self._go(who, one.message))

    async def _go(self, who: str, message: str) -> None:
        """To the mail that they look at, if it is in this list."""
        view = self.desk.view
        at = next((n for n, line in enumerate(view.visible()) if line.id == message), None)
        if at is not None:
            view.point(at)
        else:
            found = await self.app.call(self.desk.api.rows([message], self.desk.query.text), quiet=True)
            if who != self.desk.following or found is None:
                return
            if not found.rows:
                self.app.flash(f"{who} is at a mail that is not in this list", "warn")
                return
            view.jump("at", message)
        self.desk.pump()
        self.desk.changed()

    # -- what one is handed

    def handed(self, entry: Entry) -> None:
        """Somebody assigned something to me."""
        what = phrases.name(entry.row) if entry.row is not None else "a mail"
        said = f": {entry.note}" if entry.note else ""
        self.app.flash(f"from {entry.actor}: {what}{said}", "warn")
