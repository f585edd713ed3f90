"""What one terminal knows of the queue it works on: the shell between the server (Api, Feed) and the view.

No Textual: a screen gives `spawn` (runs a coroutine) and `changed` (something to paint), and asks what to show.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from rcqueue.model.access import ROLES, Access, DataClass, Grant
from rcqueue.model.query import Query, matches_row, parse

from .view import View

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rcqueue.model.health import Alert, Health
    from rcqueue.model.journal import Entry, Presence
    from rcqueue.model.mail import Row, Whoami

    from .answers import QueryCounts
    from .api import Api
    from .feed import Event, Feed
    from .fetch import Fetch

_COUNT_EVERY = 1.0  # seconds
_EXPIRING_EVERY = 60.0
#: What expires within a day and nobody has seen.
EXPIRING = "status:onhold expires:<1d seen:none"
_TRY_AGAIN = 1.0
_MOST_WAITING = 10_000  # entries, while the view holds still
_IN, _OUT = frozenset({"mail.hold"}), frozenset({"mail.release", "mail.delete", "mail.expire"})


class Rates:
    """Mails a minute that came in and went out, over the last minute. `now` is in seconds."""

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque(maxlen=60)  # [second, in, out]
        self._since: float | None = None

    def count(self, entries: Iterable[Entry], now: float) -> None:
        self._since = self._since or now
        for entry in entries:
            if entry.kind in _IN or entry.kind in _OUT:
                if not self._seconds or self._seconds[-1][0] != int(now):
                    self._seconds.append([int(now), 0, 0])
                self._seconds[-1][1 if entry.kind in _IN else 2] += len(entry.mails)

    def per_minute(self, now: float) -> tuple[int, int]:
        """(in, out), from what was seen so far when that is less than a minute."""
        if self._since is None:
            return 0, 0
        recent = [s for s in self._seconds if now - s[0] < 60]
        scale = 60 / min(60.0, max(10.0, now - self._since))
        return round(sum(s[1] for s in recent) * scale), round(sum(s[2] for s in recent) * scale)


class FeedLike(Protocol):
    seq: int | None

    def events(self) -> AsyncIterator[Event]: ...
    async def send_presence(self, message: str | None, pane: str = "") -> None: ...
    async def close(self) -> None: ...


class Desk:
    def __init__(
        self,
        api: Api,
        feed: Callable[[int | None, str | None], Feed],
        whoami: Whoami,
        view: View,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        changed: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`feed` makes one, from a sequence and the journal it is of."""
        self.api, self.view, self.whoami = api, view, whoami
        self.spawn, self.changed, self.clock = spawn, changed, clock
        self.query = parse("", me=whoami.name)
        self.counts: QueryCounts | None = None
        self.alerts: list[Alert] = []  #: of the server, that stand
        self.expiring = ""  #: how many mails expire within a day and nobody has seen; "": none
        self.rates = Rates()
        self.presence: dict[str, Presence] = {}
        self.heard = False  #: the feed has been there
        self.lost_at: datetime | None = None  #: since when it is not there any more; None: it was not lost
        self.why_lost = ""
        self.ended = ""  #: why this terminal can't go on with this sign-in
        self.refused: Callable[[str], None] = lambda _: None  #: told what the server refused of the list
        self.came: Callable[[set[str]], None] = lambda _: None  #: told which messages the feed spoke of
        self.handed: Callable[[Entry], None] = lambda _: None  #: told what a colleague assigned to this person
        self.arrived: Callable[[Row], None] = lambda _: None  #: told what came in
        self.expired: Callable[[str], None] = lambda _: None  #: told why the sign-in is over, before its rows go
        self.paused_at: datetime | None = None  #: since when the view holds still
        self._waiting: list[Entry] = []  # what came since
        self._too_many = False  # some of it was let go: the rows have to be asked for
        self.moved: Callable[[str], None] = lambda _: None  #: told which colleague looks at something else now
        self.following = ""  #: the colleague whose cursor this one goes along with
        self.rights_changed: Callable[[], None] = lambda: None
        self._feed: FeedLike | None = None
        self._make_feed = feed
        self._journal = whoami.journal
        self._first: asyncio.Future[int | None] | None = None  # the sequence of the first page
        self._count_due = self._alerts_due = True
        view.me = whoami.name
        view.matches = self._matches

    # -- asked ------------------------------------------------------------------------------------------------------

    @property
    def live(self) -> bool:
        return self.lost_at is None

    @property
    def stale_for(self) -> float:
        """Seconds since the feed was lost; 0 when it is there."""
        return self._since(self.lost_at)

    @property
    def paused_for(self) -> float:
        """Seconds that the view has held still."""
        return self._since(self.paused_at)

    def _since(self, at: datetime | None) -> float:
        return 0.0 if at is None else max(0.0, (self.clock() - at).total_seconds())

    @property
    def fresh(self) -> bool:
        """What is shown is what the server has, as far as it has said."""
        return self.live and self.paused_at is None

    @property
    def waiting(self) -> tuple[int, bool]:
        """(entries that came since the view holds still, whether there are more than that)."""
        return len(self._waiting), self._too_many

    @property
    def access(self) -> Access:
        """What the signed-in account may do, where. A role that only a newer server knows gives nothing here."""
        me = self.whoami
        grants = tuple(Grant(g.role, g.customer) for g in me.roles if g.role in ROLES)
        return Access(0, me.name, 0, grants, frozenset(me.locks))

    def may_read(self, row: Row) -> bool:
        return DataClass.BODY in self.access.classes_at(row.customer)

    def is_mine(self, row: Row) -> bool:
        return row.claim is not None and row.claim.of(self.whoami.name, self.whoami.session)

    # -- done -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._first = asyncio.get_running_loop().create_future()
        self.spawn(self._run())
        self.spawn(self._count())
        self.pump()

    def search(self, text: str, sort: str) -> None:
        """Another filter or order. Raises QueryError."""
        self.query = parse(text, me=self.whoami.name)
        self.counts = None
        self.view.search(self._matches, sort)
        self._count_due = True
        self.pump()
        self.changed()

    def pump(self) -> None:
        """Asks for what the view wants next."""
        while not self.ended and (fetch := self.view.next_fetch()) is not None:
            self.spawn(self._fetch(fetch))

    def pause(self) -> None:
        """The view holds still, until `go_on`: what comes waits, and what a person asks for is read."""
        self.paused_at = self.clock()
        self.changed()

    def go_on(self) -> None:
        self.paused_at = None
        waiting, self._waiting = self._waiting, []
        if self._too_many:
            self._too_many = False
            self.view.resync()
        else:
            self.view.entries(waiting)
            self.came({entry.message for entry in waiting if entry.message})
        self.pump()
        self.changed()

    async def present(self, message: str | None, pane: str) -> None:
        """Tells colleagues what is looked at."""
        if self._feed is not None:
            await self._feed.send_presence(message, pane)

    async def close(self) -> None:
        if self._feed is not None:
            await self._feed.close()

    async def who_am_i(self) -> None:
        """Asks again what may be done and seen; what is shown is read anew where that has changed."""
        from .http import ApiProblem, Unreachable

        try:
            now = await self.api.whoami()
        except (ApiProblem, Unreachable):
            self.rights_changed()  # not known: what is open is closed; the feed says when the sign-in has ended
            return
        before, self.whoami = self.whoami, now
        if (before.roles, before.locks, before.rights) != (now.roles, now.locks, now.rights):
            self.rights_changed()
            self.view.search(self._matches, self.view.sort)
            self.pump()
        self.changed()

    async def look_at_health(self) -> Health:
        """How the server does, now; with it come the alerts. Raises as each call does."""
        health = await self.api.health()
        if health.alerts != self.alerts:
            self.alerts = health.alerts
            self.changed()
        return health

    # -- the server's answers ---------------------------------------------------------------------------------------

    def _matches(self, row: Row) -> bool | None:
        return matches_row(self.query, row, int(self.clock().timestamp() * 1_000_000))

    async def _fetch(self, fetch: Fetch) -> None:
        from .http import ApiProblem, Unreachable

        try:
            page = await fetch.ask(self.api, self.query.text, self.view.sort, self.view.limit_of(fetch))
        except Unreachable:
            await asyncio.sleep(_TRY_AGAIN)
            self.view.failed(fetch)
        except ApiProblem as problem:
            if problem.status >= 500:
                await asyncio.sleep(_TRY_AGAIN)
                self.view.failed(fetch)
            elif problem.status == 401:
                self.ended = str(problem)
            else:
                self.view.refused(fetch)
                self.refused(str(problem))
                self._begin(None)
        else:
            self.view.answer(fetch, page)
            self._begin(page.seq)
        self.changed()  # what is here is painted before more is asked for
        self.pump()

    def _begin(self, seq: int | None) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_result(seq)

    async def _count_expiring(self) -> None:
        counts = await self.api.counts(EXPIRING)
        self.expiring = f"{counts.matching:,}{'+' if counts.capped else ''}" if counts.matching else ""
        self.changed()

    async def _count(self) -> None:
        from .http import ApiProblem, Unreachable

        again = 0.0  # when it is looked again what expires
        while not self.ended:
            if time.monotonic() >= again:
                again = time.monotonic() + _EXPIRING_EVERY
                with contextlib.suppress(ApiProblem, Unreachable):
                    await self._count_expiring()
            if self._alerts_due:
                self._alerts_due = False
                with contextlib.suppress(ApiProblem, Unreachable):  # the feed says when the server is away
                    await self.look_at_health()
            if self._count_due:
                self._count_due = False
                asked: Query = self.query
                try:
                    counts = await self.api.counts(asked.text or None)
                except (ApiProblem, Unreachable):
                    self._count_due = True
                else:
                    if asked is self.query:
                        self.counts = counts
                        self.changed()
            await asyncio.sleep(_COUNT_EVERY)

    # -- the feed ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Follows the feed from the sequence of the first page, so that nothing is missed between the two."""
        from .feed import TOKEN, Closed, Connected, Entries, Lost, PresenceChanged, Resync

        assert self._first is not None
        since = await self._first
        self._feed = self._make_feed(since, None if since is None else self._journal)
        async for event in self._feed.events():
            match event:
                case Connected(hello):
                    self._back()
                    if hello.journal != self._journal:
                        self.view.resync(new_journal=True)
                        self._let_go()  # of the old one, if any
                        self._too_many = self.paused_at is not None
                        self.pump()
                    self._journal = hello.journal
                case Entries():
                    self._take(event.entries)
                case Resync() if self.paused_at is not None:
                    self._let_go()
                case Resync():
                    self.view.resync()
                    self.pump()
                case PresenceChanged(presence):
                    for one in presence:
                        if one.message is None and not one.pane:
                            self.presence.pop(one.who, None)
                        elif one.who != self.whoami.name:
                            self.presence[one.who] = one
                        self.moved(one.who)
                    self._look_again(presence)
                case Lost(why, at, _):
                    self.lost_at = self.lost_at or at
                    self.why_lost = why
                    self.presence.clear()
                case Closed(code, why):  # what was shown under this sign-in is shown no more
                    self.ended = why
                    if code == TOKEN:
                        self.expired(why)
                    self.view.search(self._matches, self.view.sort)
                    self.rights_changed()
            self.changed()

    def _look_again(self, presence: list[Presence]) -> None:
        """A list by who looked at mail changes when somebody does."""
        if any(term.field == "seen" for term in self.query.terms):
            self.view.refresh([one.message for one in presence if one.message in self.view.index])
            self.pump()

    def _back(self) -> None:
        self.heard = True
        if self.lost_at is not None:
            self.lost_at = None
            self._count_due = self._alerts_due = True

    def _take(self, entries: list[Entry]) -> None:
        if self.paused_at is None:
            self.view.entries(entries)
            self.came({entry.message for entry in entries if entry.message})
        elif len(self._waiting) + len(entries) > _MOST_WAITING:
            self._let_go()
        else:
            self._waiting += entries
        for entry in entries:
            if entry.kind in _IN and entry.row is not None:
                self.arrived(entry.row)
        self.rates.count(entries, time.monotonic())
        self._count_due |= bool(entries)
        for entry in entries:
            mine = any(mail.claim is not None and mail.claim.who == self.whoami.name for mail in entry.mails)
            if mine and entry.kind == "mail.assign" and entry.actor != self.whoami.name:
                self.handed(entry)
        self._alerts_due |= any(entry.kind.startswith("alert.") for entry in entries)
        if any(entry.kind.startswith("people.") for entry in entries):
            self.spawn(self.who_am_i())
        self.pump()

    def _let_go(self) -> None:
        self._waiting.clear()
        self._too_many = True
