"""Colleagues: they sign in like anybody, look at mail, claim it, decide, and go away, through the real API and feed."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence

from rcqueue.client.api import Api
from rcqueue.client.feed import Closed, Feed, PresenceChanged
from rcqueue.client.http import ApiProblem, Unreachable
from rcqueue.model.act import ActBody, Verb
from rcqueue.model.mail import Part, Row

log = logging.getLogger(__name__)

NAMES = ("bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mike")
NOTES = ("asked the sender", "same lure as this morning", "customer rang about it", "waiting for the branch office")
PANES = ("headers", "verdict", "receipt")
NEWEST = 3  # rows at the top that are left to whoever has just sat down


class Colleague:
    """One at work until cancelled. `pace` multiplies how long everything takes."""

    def __init__(self, server: str, name: str, password: str, seed: int, pace: float = 1.0) -> None:
        self._server, self._name, self._password = server, name, password
        self._rng, self._pace = random.Random(seed), pace
        self._feed: Feed | None = None
        self._read_by: dict[str, str | None] = {}  # who looks at which message

    async def work(self) -> None:
        while True:
            try:
                await self._shift()
            except (ApiProblem, Unreachable) as error:
                log.info("%s: %s", self._name, error)
            await self._pause(8, 20)

    async def _shift(self) -> None:
        """Signs in, works through some mail, signs out."""
        api = Api(self._server, None)
        listening: asyncio.Task[None] | None = None
        try:
            signed_in = await api.login(self._name, self._password, "terminal", "colleague")
            self._feed = Feed(self._server, signed_in.token)
            listening = asyncio.create_task(self._listen(self._feed))
            for _ in range(self._rng.randint(6, 14)):
                page = await api.page("status:onhold claim:none", limit=60)
                if page.rows:
                    await self._handle(api, self._choose(page.rows), page.seq)
                await self._pause(0.5, 3)
            await api.logout()
        finally:
            if self._feed is not None:
                await self._feed.close()
            if listening is not None:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            await api.close()

    async def _listen(self, feed: Feed) -> None:
        async for event in feed.events():
            if isinstance(event, PresenceChanged):
                self._read_by.update({seen.who: seen.message for seen in event.presence})
            if isinstance(event, Closed):
                return

    def _choose(self, rows: Sequence[Row]) -> Row:
        """One near the top that nobody else reads."""
        taken = set(self._read_by.values())
        free = [row for row in rows[NEWEST:] if row.id not in taken] or rows
        return free[min(int(self._rng.expovariate(1 / 8)), len(free) - 1)]

    async def _handle(self, api: Api, row: Row, seq: int) -> None:
        """Claims one message, reads about it, and decides or thinks better of it."""
        claimed = await self._try(api, row, Verb.CLAIM, ActBody(as_of=seq))
        if claimed is None:
            return
        for pane in self._rng.sample(PANES, 2):
            if self._feed is not None:
                await self._feed.send_presence(row.id, pane)
            await api.part(row.id, Part(pane))
            await self._pause(1.5, 6)
        choice = self._rng.random()
        wanted = row.verdict in ("SPAM", "POLICY") and (row.score or 0) < 7
        if choice < 0.15:
            await self._try(api, row, Verb.NOTE, ActBody(note=self._rng.choice(NOTES)))
            await self._try(api, row, Verb.UNCLAIM, ActBody())
        elif choice < 0.25:
            await self._pause(10, 25)  # fetches a coffee, the claim stays
            await self._try(api, row, Verb.UNCLAIM, ActBody())
        elif wanted:
            await self._try(api, row, Verb.RELEASE, ActBody(as_of=seq, fence=claimed, reason="wanted by its reader"))
        else:
            await self._try(api, row, Verb.DELETE, ActBody(as_of=seq, fence=claimed))
        if self._feed is not None:
            await self._feed.send_presence(None)

    async def _try(self, api: Api, row: Row, verb: Verb, body: ActBody) -> int | None:
        """The fence (0 without one), or None: somebody else was there first."""
        try:
            return (await api.act(row.id, verb, body)).fence or 0
        except ApiProblem as problem:
            if problem.status not in (404, 409):
                raise
            return None

    async def _pause(self, least: float, most: float) -> None:
        await asyncio.sleep(self._rng.uniform(least, most) * self._pace)
