"""A queue with many mails on hold, made by the store's own writer; and the rows as a table of texts would hold them.

Message 0000000 is the newest, so that in the order in which the terminal opens the numbers rise downwards.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rcqueue.model.mail import Receipt
from rcqueue.server.marshal.hold import Arrival, Hold
from rcqueue.server.reading.scan import scan
from rcqueue.server.store.clock import Clock
from rcqueue.server.store.database import Database
from rcqueue.server.store.migrations import migrate
from rcqueue.server.store.writer import Writer

EXPIRY = 14 * 86_400_000_000
WAITING = 2000  #: operations under way at once


def an_hour_ago() -> int:
    """No mail is so young that its age is written in seconds, and painted anew each second."""
    return time.time_ns() // 1000 - 3_600_000_000


def subject(number: int) -> str:
    return f"Message {number:07} that you asked for"


def sender(number: int) -> str:
    return f"news{number % 1009}@mail{number % 97}.sender.example"


def recipient(number: int) -> str:
    return f"user{number % 977}@customer.example"


def score(number: int) -> float:
    return number % 300 / 10


def raw(number: int) -> bytes:
    """The mail with this number."""
    return (
        f"Received: from mx.sender.example by mx.customer.example; Mon, 2 Mar 2026 10:00:00 +0000\r\n"
        f"From: News <{sender(number)}>\r\nTo: {recipient(number)}\r\nSubject: {subject(number)}\r\n"
        f"X-Spam-Status: Yes, score={score(number)} required=5.0 tests=BAYES_99,HTML_MESSAGE,URIBL_BLACK\r\n"
        f"\r\nHello,\r\n\r\nhere is what you asked for.\r\n"
    ).encode()


def texts(number: int) -> tuple[str, ...]:
    """What the terminal's columns say of this mail: who, age, score, kind, from, to, subject, expiry, customer."""
    who = "" if number % 3 else "anna"
    values = (who, "1m", f"{score(number):.1f}", "SPAM", sender(number), recipient(number), subject(number), "14d")
    return (*values, "all")


def fill(folder: Path, held: int) -> None:
    """Puts `held` mails on hold in a demo's folder, which must not be served. About 2,000 a second."""
    hold(folder, map(_arrival, reversed(range(held))))


def _arrival(number: int) -> Arrival:
    bytes_ = raw(number)
    receipt = Receipt(
        at=datetime.fromtimestamp(an_hour_ago() / 1e6, UTC),
        client="192.0.2.7",
        helo="mx.sender.example",
        protocol="ESMTP",
    )
    return Arrival("all", sender(number), (recipient(number),), bytes_, scan(bytes_), receipt)


def hold(folder: Path, arrivals: Iterable[Arrival]) -> None:
    """Puts these on hold, in their order, in a demo's folder, which must not be served."""
    database = Database(folder / "data", synchronous="OFF")  # what is served later is served with FULL
    migrate(database.write_engine)
    writer = Writer(database, Clock(wall=an_hour_ago))
    under_way: deque[Future[Any]] = deque()
    try:
        for arrival in arrivals:
            under_way.append(writer.submit(Hold([arrival], EXPIRY)))
            if len(under_way) > WAITING:
                under_way.popleft().result()
        while under_way:
            under_way.popleft().result()
    finally:
        writer.close()
        database.close()
