"""The writer goes on when those who asked have gone away."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from rcqueue.server.store.rows import Needs
from rcqueue.server.store.writer import Decision


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
