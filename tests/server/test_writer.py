"""The writer goes on when those who asked have gone away; what nobody waits for is written all the same."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from rcqueue.server.marshal.outcomes import Outcome
from rcqueue.server.store import writer
from rcqueue.server.store.rows import Needs
from rcqueue.server.store.writer import Decision

from .harness import Held, Queue


class Slow:
    """Keeps the writer busy until it is let go."""

    needs, weight = Needs(), 1

    def __init__(self, event) -> None:
        self.event = event

    def decide(self, rows, now, seq):
        assert self.event.wait(60)
        return Decision("slow")


@pytest.mark.parametrize("waits", [0.05, 0])
async def test_a_caller_that_is_cancelled_does_not_end_the_writer(queue, waits):
    busy = threading.Event()
    first = asyncio.create_task(queue.marshal.do(Slow(busy)))
    await asyncio.sleep(waits)
    second = asyncio.create_task(queue.marshal.do(Slow(busy)))
    await asyncio.sleep(waits)
    for task in (first, second):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    busy.set()
    held = await asyncio.wait_for(queue.hold(), 5)
    assert await queue.status(held.id) == "ONHOLD"


async def answered(queue: Queue) -> tuple[Held, asyncio.Task[None]]:
    """A mail that its next hop has taken, and the end of that attempt, which waits for company."""
    held = await queue.hold()
    await queue.act("operator", "release", held.id)
    begun = await queue.marshal.begin_attempt(held.number, 0, "x:1")
    await queue.marshal.before_dot(begun)
    ending = asyncio.create_task(queue.marshal.end_attempt(begun, Outcome.RELEASED, 250, "250 Ok"))
    await asyncio.sleep(0.05)
    return held, ending


async def test_an_outcome_is_written_in_a_moment_though_nobody_else_writes(queue):
    held, ending = await answered(queue)
    await asyncio.wait_for(ending, 5)
    assert await queue.status(held.id) == "RELEASED"


async def test_an_outcome_goes_with_the_next_that_somebody_waits_for_and_stands_before_it(queue, monkeypatch):
    monkeypatch.setattr(writer, "IDLE", 3600)
    held, ending = await answered(queue)
    assert not ending.done()
    await asyncio.wait_for(queue.hold(), 5)
    assert ending.done() and await queue.status(held.id) == "RELEASED"
    assert [entry["kind"] for entry in await queue.entries()][-2:] == ["mail.released", "mail.hold"]


async def test_an_outcome_that_waits_for_company_is_written_before_a_stop(queue, monkeypatch):
    monkeypatch.setattr(writer, "IDLE", 3600)
    held, ending = await answered(queue)
    await asyncio.wait_for(asyncio.to_thread(queue.writer.close), 5)
    await asyncio.wait_for(ending, 5)
    assert await queue.status(held.id) == "RELEASED"
