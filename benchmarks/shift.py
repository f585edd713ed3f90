"""Five operators at five terminals clear a queue of campaigns: first some of it by rows alone, then all the rest a
campaign at a time. No mail may be claimed by one while another holds it, be decided twice, or otherwise than its sender
calls for; and how many keys an operator presses for a mail.

The keys are real ones, in terminals of 80x24 of the application as it is installed; an operator knows what is painted
and nothing else (`operators`). The server is a process of its own, and what was done is read from its journal. From
when they are signed in every key counts: those that move, those of a count that is typed, those that come too late
because a colleague was faster. By rows: `c`, then `r` or `d`, then `j`. By campaigns: the same, and between them the
count and enter. No time is measured.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, select

from benchmarks.figures import Figure
from benchmarks.held import hold
from benchmarks.operators import HEIGHT, WIDTH, Operator, decides
from benchmarks.screens import Screen, rcqueue, sign_in
from rcqueue.client.api import Api
from rcqueue.demo import campaigns, compose, lures
from rcqueue.demo.next_hop import ACCEPT, by_local_part
from rcqueue.model.access import ROOT
from rcqueue.model.mail import Receipt, RoleGrant, from_us
from rcqueue.server.marshal.campaigns import Marked
from rcqueue.server.marshal.hold import Arrival
from rcqueue.server.reading.scan import scan
from rcqueue.server.reading.traits import traits
from rcqueue.server.store import tables as t
from rcqueue.server.store.database import Database
from tests.demo_server import DemoServer

OPERATORS = ("ben", "otis", "kim", "lee", "mia")
MAILS, SENDINGS = 5000, 300
BY_ROWS = 500  #: further mails, which they clear by rows: each takes the same keys, so no more are needed
QUICK = 24, 4, 5
PASSWORD = secrets.token_hex(8)


def arrivals(mails: int, sendings: int) -> list[Arrival]:
    """So many mails of so many sendings of the demo's lures, mixed as they come in; each to one recipient, so that a
    row is a mail (a message to many is one row, and would be decided by one key either way), who takes it: what the
    next hop refuses comes back and has to be decided again."""
    rng, found, count = Random(7), [], 0
    kinds = lures.CAMPAIGNS + lures.PHISHING  # in turn, so that few of them are to be released and deleted too
    under_way = [campaigns.begin(rng, kinds[n % len(kinds)], mails) for n in range(sendings)]
    for sending in under_way:
        sending.bulk = 0.0
    receipt = Receipt(at=from_us(1_790_000_000_000_000), client="192.0.2.7", helo="mx.sender.example", protocol="ESMTP")
    while count < mails:
        draft = campaigns.draft(rng, rng.choice(under_way), "campaign")
        to = tuple(dict.fromkeys(draft.recipients))[: mails - count]
        if any(by_local_part(one) != ACCEPT for one in to):
            continue
        raw = compose.finish(rng, draft, receipt.at)
        read = scan(raw)
        marked = Marked(traits(raw, read, draft.sender, to, draft.client.address))
        found.append(Arrival(ROOT, draft.sender, to, raw, read, receipt, marked=marked))
        count += len(to)
    return found


def run(*, quick: bool = False) -> list[Figure]:
    mails, sendings, by_rows = QUICK if quick else (MAILS, SENDINGS, BY_ROWS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rcqueue-bench-")))
        hold(folder, arrivals(mails + by_rows, sendings))
        with DemoServer(data_dir=folder) as demo:
            asyncio.run(_accounts(demo))
            command = rcqueue("--server", demo.http)
            screens = [stack.enter_context(Screen(command, width=WIDTH, height=HEIGHT)) for _ in OPERATORS]
            people = [Operator(*one) for one in zip(OPERATORS, range(len(OPERATORS)), screens, strict=True)]
            for one in people:
                sign_in(one.screen, one.name, PASSWORD)
            for screen in screens:
                screen.wait_for("live", 30)
            at_once = stack.enter_context(ThreadPoolExecutor(len(people)))
            list(at_once.map(lambda one: one.by_rows(by_rows // len(people)), people))
            rows_keys, claims = sum(one.keys for one in people), sum(one.claims for one in people)
            list(at_once.map(Operator.by_campaigns, people))
            keys = sum(one.keys for one in people) - rows_keys
        database = Database(folder / "data")
        try:
            with database.snapshot() as connection:
                cleared, twice = of_the_journal(connection.execute(select(t.entry).order_by(t.entry.c.seq)))
                wrong = _otherwise(connection)
        finally:
            database.close()
    by_campaigns = cleared - by_rows
    per_row, per_mail = rows_keys / by_rows, keys / max(1, by_campaigns)
    no_claims = (rows_keys - claims) / by_rows
    beside = f"{per_mail / no_claims:.2f} of what rows take without those that claim"
    lost, strange = sum(one.lost for one in people), sum(one.strange for one in people)
    detail = f"{by_rows:,} by rows, {by_campaigns:,} of {mails:,} by campaigns, {sendings} sendings; {lost} lost races"
    return [
        Figure("mails claimed while another held them, or decided twice", twice, "", 0, detail),
        Figure("mails decided otherwise than their sender calls for", wrong, "", 0),
        Figure("questions that were of another campaign than the row", strange, "", 0),
        Figure("mails left over", mails - by_campaigns, "", 0),
        Figure("keys a mail, by rows alone", per_row, "", None, f"{no_claims:.2f} without those that claim"),
        Figure("keys a mail, a campaign at a time", per_mail, "", None, f"{keys:,} keys"),
        Figure("keys, a campaign at a time / by rows", per_mail / per_row, "", 0.2, beside),
    ]


async def _accounts(demo: DemoServer) -> None:
    api = Api(demo.http, Path(demo.accounts["anna"]["token_file"]).read_text().strip())
    for name in OPERATORS:
        await api.create_person(name, PASSWORD, [RoleGrant(role="operator", customer=ROOT)])
    await api.close()


def of_the_journal(entries: Iterable[Any]) -> tuple[int, int]:
    """Mails that were decided; and those that were claimed or decided while another held them, or decided twice."""
    holder: dict[tuple[int, int], int] = {}
    decided: Counter[tuple[int, int]] = Counter()
    twice = set()
    for entry in entries:
        for n, *_ in json.loads(entry.leaf).get("mails", ()):
            mail = entry.message, n
            if entry.kind in ("mail.claim", "mail.release", "mail.delete"):
                if holder.get(mail, entry.account) != entry.account:
                    twice.add(mail)
                holder[mail] = entry.account
            if entry.kind in ("mail.release", "mail.delete"):
                decided[mail] += 1
            if entry.kind in ("mail.unclaim", "mail.lapse", "mail.release", "mail.delete"):
                holder.pop(mail, None)
    return len(decided), len(twice | {mail for mail, n in decided.items() if n > 1})


def _otherwise(connection: Connection) -> int:
    """Mails of whose sender another decision was to be made."""
    off = select(t.message.c.from_email, t.mail.c.status).join_from(
        t.message, t.mail, t.mail.c.message == t.message.c.id
    )
    found = connection.execute(off.where(t.mail.c.status != "ONHOLD"))
    return sum((decides(row.from_email) == "d") != (row.status == "DELETED") for row in found)
