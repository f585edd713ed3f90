"""Campaigns: mail that belongs together, a row each. Enter opens its mails; keys of acts decide for all of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType

from rcqueue.model.query import DEFAULT
from rcqueue.widgets.keymap import Situation, bindings
from rcqueue.widgets.line import Line, Piece
from rcqueue.widgets.text import address, ago, fit, number, plural

from . import frame
from .finding import CAMPAIGN
from .page import Page
from .paged import Paged

if TYPE_CHECKING:
    from textual.timer import Timer

    from rcqueue.model.mail import Campaign

EVERY = 5.0  # seconds between two readings while the feed says nothing
SOON = 0.5  # seconds from what the feed says to a reading
SHARE = 10  # times as long as the last reading took, at least, before the next one that the feed asks for
PAGE = 100  # campaigns at a time
MOST = 500  # that are read anew by themselves
WIDE = 120  # cells from which recipients have a column
FROM = 30  # cells of it
NARROW = 20  # cells of the sender where there is little room: the subject tells more
COLUMNS = ("", "MAILS", "LAST", "SINCE", "REL", "DEL", "CLAIMED", "FROM", "SUBJECT")


class CampaignsScreen(Page):
    """Those of the queue's filter. Whatever is done here is done to the mails that match it, of what is marked or
    else under the cursor."""

    CONTEXT = "campaigns"
    COLUMNS = COLUMNS
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("campaigns")]

    def __init__(self, at: str | None = None, marks: Iterable[str] = ()) -> None:
        """`at` is where the cursor stands at first."""
        super().__init__()
        self.at = at
        self.list: Paged[Campaign] = Paged(self._page, lambda one: one.id, page=PAGE, most=MOST)
        self.marks = set(marks)
        self.filter = ""
        self._took = 0.0
        self._soon: Timer | None = None

    def compose(self) -> ComposeResult:
        title, table, *rest = super().compose()
        yield title
        yield table
        yield Line(id="banner")
        yield from rest

    def on_mount(self) -> None:
        self.filter = self.desk.query.text
        super().on_mount()
        self.set_interval(EVERY, self._again)
        self._read()

    def situation(self) -> Situation:
        now = super().situation()
        here = self.table.key is not None
        return Situation(now.rights, status="ONHOLD" if here else None, marks=int(here), running=now.running)

    def heading(self) -> list[Piece]:
        said = f" Campaigns of {self.filter or DEFAULT.text}"
        marked = f"   {len(self.marks)} marked" if self.marks else ""
        return [(fit(said, min(cell_len(said), self.size.width // 2)), "strong"), (marked, "")]

    # -- reading ----------------------------------------------------------------------------------------------------

    def came(self, _: set[str]) -> None:
        """The feed spoke: what colleagues claim and decide is read anew, so that two seldom go for one campaign."""
        if self._soon is None:
            self._soon = self.set_timer(max(SOON, SHARE * self._took), self._again)

    def _again(self) -> None:
        self._soon = None
        if not self.list.still:
            self._read()

    def _read(self, *, more: bool = False) -> None:
        self.app.work(self._read_now(more))

    async def _page(self, after: str | None) -> tuple[list[Campaign], str | None] | None:
        asked = self.desk.api.campaigns(self.filter, after=after, limit=PAGE)
        page = await self.app.call(asked, quiet=bool(self.list.found))
        return None if page is None or not self.is_mounted else (page.campaigns, page.next)

    async def _read_now(self, more: bool) -> None:
        began = time.monotonic()
        if await self.list.read(more=more):
            self._took = time.monotonic() - began
            self.marks &= {one.id for one in self.list.found}
            self.table.empty = "No campaign has a mail that matches."
            self._show()

    def _show(self) -> None:
        wide = self.size.width >= WIDE
        self.table.columns = [*COLUMNS[:-1], "TO", COLUMNS[-1]] if wide else list(COLUMNS)
        self.table.show([(one.id, self._row(one, wide)) for one in self.list.found], left=_left)
        if self.at is not None:
            self.table.go(self.at)
            self.at = None
        self.changed()

    def _row(self, one: Campaign, wide: bool) -> list[Piece]:
        now = self.app.clock()
        marked = one.id in self.marks
        claims = one.claims
        claimed = "" if not claims else claims[0].who + (f" +{len(claims) - 1}" if claims[1:] else "")
        cells = [
            "*" if marked else "",
            number(one.mails) + ("+" if one.capped else ""),
            ago((now - one.last).total_seconds()),
            ago((now - one.first).total_seconds()),
            *(number(n) if (n := one.status.get(status)) else "" for status in ("RELEASED", "DELETED")),
            claimed,
            _several(one.fromDomains, address, FROM if wide else NARROW),
        ]
        if wide:
            cells.append(_several(one.toEmails, address))
        style = "strong" if marked else ""
        return [*((cell, style) for cell in cells), (_several(one.subjects, all_of_them=wide), style)]

    def on_resize(self) -> None:
        if self.is_mounted:
            self._show()

    def changed(self) -> None:
        super().changed()
        if self.is_mounted and (acting := self.app.queue.acting) is not None:
            self.lines["banner"].say(frame.banner(self.desk, acting, self.desk.view, self.size.width))
        if self.is_mounted and self.list.wants_more(self.table.at):
            self._read(more=True)

    # -- keys -------------------------------------------------------------------------------------------------------

    @property
    def _meant(self) -> list[str]:
        """The campaigns that a key acts on."""
        here = self.table.key
        return [one.id for one in self.list.found if one.id in self.marks] or ([here] if here is not None else [])

    def _query(self, names: list[str]) -> str | None:
        """The filter of their mails; None: who reads bodies at some customers alone marked some of both kinds."""
        terms = [one.term.replace(one.id, "", 1) for one in self.list.found if one.id in names]
        if len(set(terms)) != 1:
            self.app.flash("marked are campaigns of where you read bodies, and others: decide those apart", "warn")
            return None
        return f"{self.filter} {terms[0].replace('campaign:', 'campaign:' + ','.join(names), 1)}".strip()

    def action_do(self, name: str) -> None:
        acting = self.app.queue.acting
        if name.startswith("mail.") and acting is not None:
            if (names := self._meant) and (query := self._query(names)) is not None:
                self.app.work(self._act(name, query, plural(len(names), "campaign")))
        else:
            super().action_do(name)

    async def _act(self, name: str, query: str, of: str) -> None:
        assert self.app.queue.acting is not None
        await self.app.queue.acting.on_all(name, query, of)
        self._read()

    def do_act_stop(self) -> None:
        if (acting := self.app.queue.acting) is not None:
            self.app.work(acting.stop())

    def do_view_select(self) -> None:
        if (here := self.table.key) is not None:
            self.marks ^= {here}
            self._show()
            self.table.move(1)

    def do_view_select_none(self) -> None:
        self.marks.clear()
        self._show()

    def do_view_campaign(self) -> None:
        """Its mails, in the list of the queue, from which a key leads back."""
        if (here := self.table.key) is not None and (query := self._query([here])) is not None:
            queue, marks = self.app.queue, frozenset(self.marks)
            back = lambda: self.app.push_screen(CampaignsScreen(here, marks))  # noqa: E731
            queue.visit(query, queue.view.sort, CAMPAIGN, back)
            self.dismiss()


def _left(cells: Sequence[Piece]) -> list[Piece]:
    """The row of a campaign of which no mail matches any more."""
    mark, mails, sender, subject = (cells[n][0] for n in (0, 1, COLUMNS.index("FROM"), -1))
    return [(text, "dim") for text in (mark, mails, f"no longer here: {sender}  {subject}")]


def _several(
    values: list[str] | None, cut: Callable[[str, int], str] = fit, most: int = FROM, *, all_of_them: bool = False
) -> str:
    """`parcel.example +2`, the first in at most so many cells; with `all_of_them` each."""
    if not values:
        return ""
    if all_of_them:
        return " | ".join(value or "(no subject)" for value in values)
    more = f" +{len(values) - 1}" if values[1:] else ""
    return cut(values[0], min(cell_len(values[0]), most)) + more
