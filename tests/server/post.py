"""A queue's way to a next hop, for tests of delivery: the real Delivery, a real next hop that misbehaves by address."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from rcqueue.demo.next_hop import Behaviour
from rcqueue.server.config import SECOND, Config
from rcqueue.server.delivery import Delivery
from rcqueue.server.store import tables as t

from .harness import MAIL, Held, Queue

MS = SECOND // 1000
BEHAVIOURS = {
    "full": Behaviour(refuse="552 5.2.2 Mailbox full"),
    "data": Behaviour(refuse="554 5.7.1 Looks like spam", at_data=True),
    "grey": Behaviour(refuse="451 4.7.1 Greylisted", times=1),
    "never": Behaviour(refuse="450 4.2.0 Not now"),
    "lost": Behaviour(lose_answer=True, times=1),
    "lostnot": Behaviour(lose_answer=True, kept=False, times=1),
    "slow": Behaviour(delay=0.5),
}


class Post:
    """Deliveries of a queue; one after the other, as a server that is restarted has them."""

    def __init__(self, queue: Queue, port: int) -> None:
        self.queue, self.port, self.now = queue, port, None
        self.key: bytes | None = None  #: of passes
        self.release: dict[str, object] = {}  #: the table of the configuration

    async def start(self, **next_hop: object) -> Delivery:
        hop = {"default": f"127.0.0.1:{self.port}", **next_hop}
        config = Config(data_dir=self.queue.folder, next_hop=hop, release=self.release)
        self.now = delivery = Delivery(self.queue.marshal, config, key=self.key, waits=(50 * MS, 100 * MS))
        loop = asyncio.get_running_loop()

        def committed(seq: int, kinds: frozenset[str]) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(delivery.wake)

        self.queue.writer.on_commit = committed
        await delivery.start()
        return delivery

    async def stop(self, grace: float = 1) -> None:
        if self.now is not None:
            await self.now.stop(grace)
        self.now = None


async def until(status: Callable[[], Awaitable[object]], wanted: object, seconds: float = 8) -> None:
    end = time.monotonic() + seconds
    while (found := await status()) != wanted:
        assert time.monotonic() < end, f"{found}, not {wanted}"
        await asyncio.sleep(0.02)


async def released(queue: Queue, to: str, raw: bytes = MAIL) -> Held:
    held = await queue.hold(raw, recipients=(to,))
    await queue.act("operator", "release", held.id)
    return held


async def becomes(queue: Queue, held: Held, status: str) -> None:
    await until(lambda: queue.status(held.id), status)


async def count(queue: Queue, status: str) -> int:
    return len(await queue.rows(t.mail, status=status))


async def attempts(queue: Queue) -> int:
    return len(await queue.rows(t.attempt))
