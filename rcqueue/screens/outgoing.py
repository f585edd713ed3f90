"""Outgoing: the next hops, under each the mails that are on their way to it, and what can be done about both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from rcqueue.widgets import health
from rcqueue.widgets.keymap import Situation, bindings, key
from rcqueue.widgets.line import Piece
from rcqueue.widgets.text import address, age, clock, number, plural

from . import acpi
from .dialogs import Ask, settle_check, some
from .page import Page
from .paged import Paged

if TYPE_CHECKING:
    from datetime import datetime

    from rcqueue.model.health import NextHopState
    from rcqueue.model.outgoing import Outgoing, OutgoingMail

EVERY = 2.0  #: seconds between two looks
PAGE = 500  # mails at a time
MOST = 1000  # that are read anew by themselves


class OutgoingScreen(Page):
    CONTEXT = "outgoing"
    TITLE_TEXT = "Outgoing"
    COLUMNS = ("TO", "STATE", "TRIED", "NEXT", "REPLY")
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("outgoing")]

    def __init__(self) -> None:
        super().__init__()
        self.found: Outgoing | None = None  # the first page: the next hops, and how many there are
        self.mails: Paged[OutgoingMail] = Paged(self._page, lambda mail: mail.id, page=PAGE, most=MOST)

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(EVERY, self._look)
        self._look()

    def heading(self) -> list[Piece]:
        found = self.found
        if found is None:
            return super().heading()
        uncertain = sum(mail.status == "UNCERTAIN" for mail in self.mails.found)
        said: list[Piece] = [(f"   {plural(len(found.mails) + found.more, 'mail')} on the way", "")]
        if uncertain:
            said.append((f"   {number(uncertain)} uncertain", "warn"))
        if self.mails.still:
            said.append((f"   as it was at {clock(found.now)}: {key('view.top')} looks anew", "warn"))
        return super().heading() + said

    def situation(self) -> Situation:
        mail = self._mail()
        hop = self._next_hop()
        status = mail.status if mail is not None else None
        return Situation(super().situation().rights, status=status, paused=hop is not None and hop.paused is not None)

    def changed(self) -> None:
        """The whole reply of the mail under the cursor stands where answers do, when there is none."""
        super().changed()
        if self.is_mounted and self.mails.wants_more(self.table.at):
            self.app.work(self._read(more=True))
        mail = self._mail() if self.is_mounted else None
        if mail is not None and mail.reply and not self.app.flash_pieces():
            self.lines["flash"].say([(f" {mail.reply}", "dim")])

    def _look(self) -> None:
        if not self.mails.still:
            self.app.work(self._read())

    def came(self, _: set[str]) -> None:
        """The feed spoke: the next look is soon enough."""

    async def _page(self, after: str | None) -> tuple[list[OutgoingMail], str | None] | None:
        page = await self.app.call(self.desk.api.outgoing(limit=PAGE, after=after), quiet=True)
        if page is None or not self.is_mounted:
            return None
        if after is None:
            self.found = page
        return page.mails, page.next

    async def _read(self, *, more: bool = False) -> None:
        if not await self.mails.read(more=more) or self.found is None:
            return
        found, mails, wide = self.found, self.mails.found, max(20, self.size.width // 3)
        rows: list[tuple[str, list[Piece]]] = []
        for hop in found.next_hops:
            rows.append((f"hop {hop.at}", _hop(hop, found.now)))
            rows += [(mail.id, _row(mail, found.now, wide)) for mail in mails if mail.next_hop == hop.at]
        known = {hop.at for hop in found.next_hops}
        rows += [(mail.id, _row(mail, found.now, wide)) for mail in mails if mail.next_hop not in known]
        if (left := len(found.mails) + found.more - len(mails)) > 0 and self.mails.next is not None:
            rows.append(("", [(f"  and {number(left)} more", "dim")]))
        self.table.show(rows, left=None if self.table.key == "" else _left)
        self.changed()

    def do_view_top(self) -> None:
        super().do_view_top()
        if self.mails.still:
            self.mails.found = []
            self.app.work(self._read())

    def _mail(self) -> OutgoingMail | None:
        return next((mail for mail in self.mails.found if mail.id == self.table.key), None)

    def _next_hop(self) -> NextHopState | None:
        """The one under the cursor, or that the mail there goes to."""
        mail, key = self._mail(), self.table.key or ""
        at = mail.next_hop if mail is not None else key.removeprefix("hop ")
        return next((hop for hop in self.found.next_hops if hop.at == at), None) if self.found is not None else None

    def do_mail_try(self) -> None:
        if (mail := self._mail()) is not None:
            self.app.work(self._act(mail, "try", "is tried now"))

    def do_mail_settle(self) -> None:
        if (mail := self._mail()) is not None:
            self.app.work(self._settle(mail))

    async def _settle(self, mail: OutgoingMail) -> None:
        ways = "arrived, again (send again) or hold"
        question = Ask(
            f"Did the mail to {_to(mail)} arrive? Type {ways}.", settle_check, hint="arrived", does="settles it"
        )
        if given := await self.app.push_screen_wait(question):
            await self._act(mail, "settle", f"is settled: {given}", settle=given)

    async def _act(self, mail: OutgoingMail, verb: str, said: str, **more: str) -> None:
        from rcqueue.client.http import ApiProblem, Unreachable
        from rcqueue.model.act import ActBody

        assert self.found is not None
        body = ActBody.model_validate({"as_of": self.found.seq, **more})
        try:
            await self.desk.api.act(mail.id, verb, body)
        except (ApiProblem, Unreachable) as error:
            self.app.flash(f"{_to(mail)}: {error}", "bad")
        else:
            self.app.flash(f"{_to(mail)} {said}")
            self.app.queue.did(acpi.of_act(verb, mail.id, body))
        await self._read()

    def do_outgoing_pause(self) -> None:
        if (hop := self._next_hop()) is not None:
            self.app.work(self._pause(hop))

    async def _pause(self, hop: NextHopState) -> None:
        verb = "pause" if hop.paused is None else "resume"
        wait = f"{plural(hop.waiting, 'mail')} wait{'s' if hop.waiting == 1 else ''} for it"
        sentence = f"{verb.capitalize()} {hop.at}? {wait}. Say why; it goes on record."
        if reason := await self.app.push_screen_wait(Ask(sentence, some("a reason"), does=f"{verb}s it")):
            await self._set(hop, verb, reason, "is paused" if verb == "pause" else "runs again")

    def do_outgoing_limit(self) -> None:
        if (hop := self._next_hop()) is not None:
            self.app.work(self._limit(hop))

    async def _limit(self, hop: NextHopState) -> None:
        sentence = f"How many mails a minute may go to {hop.at}? A number, or none for no limit."
        now = "none" if hop.rate is None else str(hop.rate)
        given = await self.app.push_screen_wait(Ask(sentence, _rate_check, value=now, does="goes on"))
        if not given:
            return
        reason = await self.app.push_screen_wait(Ask("Why? It goes on record.", some("a reason"), does="sets it"))
        if reason:
            rate = None if given == "none" else int(given)
            said = "has no limit" if rate is None else f"gets at most {number(rate)} a minute"
            await self._set(hop, "limit", reason, said, rate)

    async def _set(self, hop: NextHopState, verb: str, reason: str, said: str, rate: int | None = None) -> None:
        call, given = self.desk.api.set_hop(verb, hop.at, reason, rate), {"id": hop.at, "reason": reason, "rate": rate}
        await self.change(call, f"{hop.at} {said}", f"outgoing.{verb}", **given)
        await self._read()


def _rate_check(text: str) -> str:
    good = text == "none" or (text.isascii() and text.isdigit() and 1 <= int(text) <= 1_000_000)
    return "" if good else "expected a number from 1 to 1000000, or none"


def _hop(hop: NextHopState, now: datetime) -> list[Piece]:
    state, style = health.hop_state(hop, now)
    said = [f"{number(hop.waiting)} waiting" if hop.waiting else "", state]
    return [(hop.at, "strong"), ("   ".join(filter(None, said)), style)]


def _to(mail: OutgoingMail) -> str:
    return mail.toEmail or mail.id


def _left(cells: Sequence[Piece]) -> list[Piece]:
    """The row of a mail that is not on its way any more, or of a next hop that there is no more."""
    return [(f"{cells[0][0]}   no longer here", "dim")]


def _row(mail: OutgoingMail, now: datetime, width: int) -> list[Piece]:
    releasing = mail.status == "RELEASING"
    left = "now" if mail.next is None else f"in {age((mail.next - now).total_seconds())}"
    style = ("" if mail.reply else "dim") if releasing else "warn"
    return [
        (f"  {address(_to(mail), width)}", style),
        (mail.status, style),
        (f"{mail.attempts:>5}" if mail.attempts else "", style),
        (left if releasing else "", style),
        (mail.reply, style),
    ]
