"""Five operators clear a queue of campaigns: once by rows alone, once a campaign at a time. No mail may be claimed, or
decided, by two of them; and how many keys an operator presses for a mail.

They are scripted above the terminal's own client, against a whole server: each call is what the terminal makes of the
keys that are counted beside it. By rows: `w`, enter (the next 20 are theirs), then for each row `d` and `j`. By
campaigns: `c` (all of it is theirs), `d`, the count, enter, `j`; one that a colleague holds is passed over by `j`.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import select

from benchmarks.figures import Figure
from rcqueue.client.api import Api
from rcqueue.demo import campaigns, compose, lures
from rcqueue.model.access import ROOT, Grant
from rcqueue.model.act import ActBody, ActProgress, ActRequest, Verb
from rcqueue.model.mail import Receipt, from_us
from rcqueue.server.marshal.campaigns import Marked
from rcqueue.server.marshal.hold import Arrival
from rcqueue.server.marshal.people import ChangePerson
from rcqueue.server.reading.scan import scan
from rcqueue.server.reading.traits import traits
from rcqueue.server.store import tables as t
from tests.server.live import Live

MAILS, CAMPAIGNS = 5000, 300
QUICK = 250, 15
OPERATORS = ("ben", "otis", "vera", "kim", "lee")
NEXT = 20
ROWS = 5  #: by rows they clear a fifth of it: each row takes the same keys


class Operator:
    """One of the five: what they press, counted."""

    def __init__(self, name: str, api: Api) -> None:
        self.name, self.api, self.keys, self.rng = name, api, 0, Random(name)

    def press(self, *keys: str) -> None:
        self.keys += sum(len(key) if key.isdecimal() else 1 for key in keys)

    async def by_rows(self) -> None:
        self.press("w", "enter")
        while (dealt := await self.api.next(NEXT)).messages:
            for id in dealt.messages:
                self.press("d", "j")
                await self.api.act(id, Verb.DELETE, ActBody(as_of=dealt.seq, query="claim:me"))
            self.press("w", "enter")

    async def by_campaigns(self) -> None:
        """Each begins somewhere else in the list of campaigns, as people who see each other do."""
        passed: set[str] = set()
        while names := [name for name in await self.left() if name not in passed]:
            name = self.rng.choice(names)
            self.press("c")
            claimed = await self.many(Verb.CLAIM, f"campaign:{name} claim:none")
            if not claimed.done:
                passed.add(name)
                self.press("j")
                continue
            mine = await self.api.store_act(ActRequest(verb=Verb.DELETE, query=f"campaign:{name} claim:me"))
            self.press("d", str(mine.count), "enter", "j")
            await self.ended(await self.api.confirm_act(mine.id, mine.count))

    async def left(self) -> list[str]:
        """The campaigns of which something is held by nobody."""
        rows = (await self.api.page("claim:none", limit=500)).rows
        return sorted({row.campaign for row in rows if row.campaign})

    async def many(self, verb: Verb, query: str) -> ActProgress:
        act = await self.api.store_act(ActRequest(verb=verb, query=query))
        return await self.ended(await self.api.confirm_act(act.id, act.count))

    async def ended(self, act: ActProgress) -> ActProgress:
        while act.state in ("stored", "running"):
            await asyncio.sleep(0.05)
            act = await self.api.act_progress(act.id)
        return act


def arrivals(mails: int, sendings: int) -> list[Arrival]:
    """So many mails of so many sendings of the demo's lures, mixed as they come in; each to one recipient, so that a
    row is a mail (a message to many is one row, and would be decided by one key either way)."""
    rng, found, count = Random(7), [], 0
    under_way = [campaigns.begin(rng, rng.choice(lures.CAMPAIGNS + lures.PHISHING), mails) for _ in range(sendings)]
    for sending in under_way:
        sending.bulk = 0.0
    receipt = Receipt(at=from_us(1_790_000_000_000_000), client="192.0.2.7", helo="mx.sender.example", protocol="ESMTP")
    while count < mails:
        draft = campaigns.draft(rng, rng.choice(under_way), "campaign")
        to = tuple(dict.fromkeys(draft.recipients))[: mails - count]
        raw = compose.finish(rng, draft, receipt.at)
        read = scan(raw)
        marked = Marked(traits(raw, read, draft.sender, to, draft.client.address))
        found.append(Arrival(ROOT, draft.sender, to, raw, read, receipt, marked=marked))
        count += len(to)
    return found


async def shift(held: list[Arrival], how: Callable[[Operator], Awaitable[None]]) -> tuple[int, int, int]:
    """(keys, mails decided, mails that two people claimed or decided) of five who clear it."""
    with tempfile.TemporaryDirectory(prefix="rcqueue-bench-") as folder:
        async with Live(Path(folder), synchronous="FULL") as live:
            marshal = live.server.marshal
            for start in range(0, len(held), 100):
                await marshal.hold(held[start : start + 100])
            admin = (await live.server.identity.who(live.tokens["anna"])).session
            for name in OPERATORS:
                if name not in live.tokens:
                    create = ChangePerson(admin, "create", name, (Grant("operator", ROOT),), password="no hash")
                    await live.sign_in(name, await marshal.do(create))
            people = [Operator(name, live.api(name)) for name in OPERATORS]
            await asyncio.gather(*(how(one) for one in people))
            keys = sum(one.keys for one in people)
            return keys, *await marshal.database.read(_of_the_journal)


def _of_the_journal(connection: Any) -> tuple[int, int]:
    """Mails that were deleted; and those that more than one person claimed or deleted."""
    kinds = ("mail.claim", "mail.delete")
    who: dict[tuple[int, int], set[int]] = {}
    deleted: Counter[tuple[int, int]] = Counter()
    for row in connection.execute(select(t.entry).where(t.entry.c.kind.in_(kinds))):
        for n, *_ in json.loads(row.leaf)["mails"]:
            who.setdefault((row.message, n), set()).add(row.account)
            deleted[row.message, n] += row.kind == "mail.delete"
    twice = {key for key, people in who.items() if len(people) > 1} | {key for key, n in deleted.items() if n > 1}
    return sum(1 for n in deleted.values() if n), len(twice)


def run(*, quick: bool = False) -> list[Figure]:
    mails, sendings = QUICK if quick else (MAILS, CAMPAIGNS)
    held, rows = arrivals(mails, sendings), mails // ROWS

    async def both() -> list[tuple[int, int, int]]:
        return [await shift(held[:rows], Operator.by_rows), await shift(held, Operator.by_campaigns)]

    (row_keys, by_rows, row_twice), (keys, by_campaigns, twice) = asyncio.run(both())
    detail = f"{by_rows:,} by rows, {by_campaigns:,} of {mails:,} by campaigns; {sendings} sendings"
    per_row, per_mail = row_keys / max(1, by_rows), keys / max(1, by_campaigns)
    left = rows + mails - by_rows - by_campaigns
    return [
        Figure("mails claimed or decided by two", row_twice + twice, "", 0, detail),
        Figure("mails left over", left, "", 0),
        Figure("keys a mail, by rows alone", per_row, ""),
        Figure("keys a mail, a campaign at a time", per_mail, ""),
        Figure("keys, a campaign at a time / by rows", per_mail / per_row, "", 0.2),
    ]
