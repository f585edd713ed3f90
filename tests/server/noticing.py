"""A server that sends notices, and what they are read with."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import sqlite3
from collections.abc import Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from rcqueue.demo.next_hop import Received

from .live import Live

NOTICES = {"domains": ["acme.example"], "from": "Quarantine <postmaster@acme.example>", "url": "http://127.0.0.1:1/q"}
VIRUS = "X-Virus-Status: Infected (Eicar)\r\n"
LINK = re.compile(r"http://127\.0\.0\.1:1/q(/r/[\w-]{32})\s")


@asynccontextmanager
async def noticing(folder: Path, **more: Any):
    """A server that sends notices to acme.example, at midnight: of what is held now when it is told to."""
    async with Live(folder, recall="0s", notices=NOTICES | {"at": "00:00"}, **more) as live:
        yield live


async def until(holds: Callable[[], Any], seconds: float = 10) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := holds()):
            await asyncio.sleep(0.01)
    return found


def arrived(live: Live, recipient: str) -> list[Received]:
    return [one for one in live.next_hop.received() if one.recipients == (recipient,)]


def read(one: Received) -> EmailMessage:
    parsed = email.message_from_bytes(one.raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def texts(one: Received) -> tuple[str, str]:
    """Plain text and HTML of a notice."""
    plain, html = (part.get_content().replace("\r\n", "\n") for part in read(one).iter_parts())
    return plain, html


def links(one: Received) -> list[str]:
    """The paths of its links, in order; the last stops the notices."""
    return LINK.findall(texts(one)[0])


async def notified(live: Live, recipient: str) -> Received:
    """Has the notices sent now, and waits for that of this recipient."""
    await live.api("anna").send_notices(recipient.rpartition("@")[2], now=True)
    return (await until(lambda: arrived(live, recipient)))[-1]


async def settled(live: Live) -> None:
    """Returns once no notice waits to be sent."""
    async with asyncio.timeout(10):
        while any(day.waiting for day in await live.api("anna").notices()):
            await asyncio.sleep(0.01)


def subjects(one: Received) -> list[str]:
    return re.findall(r"^    (\w+)$", texts(one)[0], re.M)


def rows(live: Live, sql: str, *values: Any) -> list[Any]:
    with sqlite3.connect(f"file:{live.config.data_dir / 'queue.db'}?mode=ro", uri=True) as connection:
        return connection.execute(sql, values).fetchall()


def kinds(live: Live) -> dict[str, int]:
    return dict(rows(live, "SELECT kind, count(*) FROM entry GROUP BY kind"))
