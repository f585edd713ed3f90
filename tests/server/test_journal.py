"""The journal's chain tells of every change that is made to an entry afterwards."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import first_fault, leaf_hash

from .harness import Queue


async def journal(queue: Queue) -> list[SimpleNamespace]:
    held = await queue.hold()
    await queue.act("operator", "delete", held.mails[0], reason="spam")
    rows = await queue.read(lambda c: c.execute(select(t.entry).order_by(t.entry.c.seq)).mappings().all())
    return [SimpleNamespace(**row) for row in rows]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", 1),
        ("kind", "mail.release"),
        ("queue", "another"),
        ("customer", "acme"),
        ("customer", None),
        ("message", 1),
        ("message", None),
        ("account", 1),
        ("account", None),
        ("personal", '{"reason":"not spam"}'),
        ("salt", b"another"),
        ("salt", None),
        ("hash", bytes(32)),
        ("leaf", '{"seq":0,"prev":""}'),
    ],
)
async def test_an_entry_that_is_changed_is_named(queue: Queue, column: str, value: Any):
    entries = await journal(queue)
    assert first_fault(entries) is None
    setattr(entries[-1], column, value)
    fault = first_fault(entries)
    assert fault is not None and f"entry {entries[-1].seq}" in fault


async def test_one_that_is_taken_out_or_written_anew_is_missed(queue: Queue):
    entries = await journal(queue)
    assert "is missing" in str(first_fault(entries[:3] + entries[4:]))
    again = entries[3].leaf.replace(entries[3].kind, "mail.note")
    entries[3].leaf, entries[3].kind, entries[3].hash = again, "mail.note", leaf_hash(again)
    assert f"entry {entries[4].seq} does not follow" in str(first_fault(entries))


async def test_what_is_personal_can_be_erased(queue: Queue):
    entries = await journal(queue)
    for entry in entries:
        entry.personal = entry.salt = None
    assert first_fault(entries) is None
    assert "spam" not in "".join(entry.leaf for entry in entries)
