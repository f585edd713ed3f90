"""Where is my mail: what passed or was rejected is found for thirty days, without its bytes, and then forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from rcqueue.client.http import ApiProblem
from rcqueue.model.act import ActBody, Verb
from rcqueue.model.mail import Part, Receipt, from_us
from rcqueue.server.marshal.clockwork import Clockwork
from rcqueue.server.marshal.hold import Arrival
from rcqueue.server.reading.scan import scan
from rcqueue.server.store import tables as t

from .live import Live, mail

DAY = 86400 * 1_000_000


async def _arrive(live: Live, subject: str, status: str) -> None:
    raw = mail(subject)
    receipt = Receipt(at=from_us(live.server.marshal.clock.now()), client="192.0.2.7")
    arrival = Arrival("all", "ada@sender.example", ("ben@example.org",), raw, scan(raw), receipt, status=status)
    await live.server.marshal.hold([arrival])


async def test_what_passed_is_found_by_status_and_shows_its_receipt_and_no_bytes(tmp_path: Path):
    async with Live(tmp_path) as live:
        await _arrive(live, "went through", "PASSED")
        await _arrive(live, "turned away", "REJECTED")
        await live.send(mail("waits"))
        ben = live.api("ben")
        assert [r.subject for r in (await ben.page()).rows] == ["waits"]
        (passed,) = (await ben.page("status:passed")).rows
        assert [r.subject for r in (await ben.page("status:rejected")).rows] == ["turned away"]
        assert len((await ben.page("status:any from:sender.example")).rows) == 3
        assert (await ben.counts()).status["PASSED"] == 1
        summary = await ben.summary(passed.id)
        assert summary.verdict is not None and summary.headers.fields[0].name == "From"
        assert (await ben.part(passed.id, Part.RECEIPT)).receipt.client == "192.0.2.7"
        assert [e.kind for e in (await ben.part(passed.id, Part.HISTORY)).entries] == ["mail.pass"]
        with pytest.raises(ApiProblem) as refused:
            await ben.part(passed.id, Part.TEXT)
        assert refused.value.type == "not-found"
        for verb in (Verb.RELEASE, Verb.DELETE, Verb.RESTORE, Verb.CLAIM):
            with pytest.raises(ApiProblem) as refused:
                await ben.act(passed.id, verb)
            assert refused.value.type == "status"


async def test_after_thirty_days_it_is_forgotten_and_its_entry_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with Live(tmp_path) as live:
        await _arrive(live, "went through", "PASSED")
        (waits,) = await live.send(mail("waits"))
        marshal, ben = live.server.marshal, live.api("ben")
        for id in (waits, (await ben.page("status:passed")).rows[0].id):
            await ben.act(id, Verb.NOTE, ActBody(note="asked about"))
        await Clockwork(marshal).purge()
        assert (await live.api("ben").page("status:passed")).rows
        marshal.terms = replace(marshal.terms, passed=-DAY)  # as if a month had gone by
        await Clockwork(marshal).purge()
        assert not (await live.api("ben").page("status:passed")).rows
        assert [r.subject for r in (await live.api("ben").page()).rows] == ["waits"]
        assert (await live.api("ben").counts()).status["PASSED"] == 0
        for table in (t.message, t.mail, t.message_detail, t.note, t.seen):
            count = select(func.count()).select_from(table)
            assert await marshal.database.read(lambda c, q=count: c.execute(q).scalar_one()) == 1
        kinds = select(func.count()).where(t.entry.c.kind == "mail.pass")
        assert await marshal.database.read(lambda c: c.execute(kinds).scalar_one()) == 1
