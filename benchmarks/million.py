"""1,000,000 mails on hold: what a person waits for, and what it weighs.

The store is made once (some minutes) and kept in build/, by schema. Asked at the server: the first page of each filter
of filters.txt, and its facets. Asked at the real terminal: how soon there are rows after the login, and what it weighs
beside the same terminal on 1,000.

    python -m benchmarks million
"""

from __future__ import annotations

import hashlib
import inspect
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Connection, Table, insert

from benchmarks import pages
from benchmarks.figures import Figure
from benchmarks.paging import peak
from benchmarks.relay import Relay
from benchmarks.screens import Screen, rcqueue, sign_in
from rcqueue.model.access import Access, DataClass, Grant
from rcqueue.model.facet import FACETS
from rcqueue.model.ids import encode_message
from rcqueue.model.query import parse
from rcqueue.server.store import tables as t
from rcqueue.server.store.database import Database
from rcqueue.server.store.facets import facets
from rcqueue.server.store.migrations import SCRIPTS, migrate
from rcqueue.server.store.pages import build_row, page
from rcqueue.server.store.query_sql import terms_of
from tests.demo_server import DemoServer
from tests.ptyharness import KEYS

HELD, FEW, QUICK = 1_000_000, 1_000, 2_000
KEPT = Path(__file__).parent.parent / "build"
FILTERS = Path(__file__).parent / "filters.txt"
DAY = 86_400_000_000
FRESH = 20 * DAY  #: after which a kept store is made anew: its mails expire 30 days after it was made, and later
SERVED, SERVED_PARTIAL, FACETS_GOAL = 20.0, 50.0, 300.0  # ms
ROUNDS = 5
EVERYWHERE = Access(1, "half", 1, (Grant("admin", "all"),))
CLASSES = frozenset(DataClass)
CHUNK = 20_000


# -- the store ------------------------------------------------------------------------------------------------------


def kept(held: int) -> tuple[Path, int]:
    """The folder of a store with so many on hold, as the demo has it, and the time when it was made."""
    made_of = (SCRIPTS / "versions" / "0001_first.py").read_text(), *map(inspect.getsource, (pages.messages, build))
    digest = hashlib.sha256("".join(made_of).encode()).hexdigest()[:12]
    folder = KEPT / f"held-{held}-{digest}"
    stamp = folder / "made"
    if stamp.exists() and time.time_ns() // 1000 - int(stamp.read_text()) < FRESH:
        return folder, int(stamp.read_text())
    for old in KEPT.glob(f"held-{held}-*"):
        shutil.rmtree(old)
    now = time.time_ns() // 1000
    build(folder / "data", held, now)
    stamp.write_text(str(now))
    return folder, now


def build(folder: Path, held: int, now: int) -> None:
    """Rows are written past the writer, indexes are made when all are there."""
    database = Database(folder, synchronous="OFF")
    migrate(database.write_engine)
    with database.write_engine.begin() as connection:
        session = {"id": 9, "account": 1, "token": b"", "kind": "token", "scope": "", "label": "", "created": now}
        never = now + 1000 * DAY
        connection.execute(insert(t.session), session | {"seen": now, "ends": never, "lease": never})
        connection.execute(insert(t.head), {"id": 1, "journal": "made", "seq": 2 * held, "hash": b""})
    database.close()
    with closing(sqlite3.connect(folder / "queue.db", isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=OFF")
        db.execute("PRAGMA cache_size=-400000")
        late = db.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
        ).fetchall()
        for kind, name, _ in late:
            db.execute(f"DROP {kind} {name}")
        db.execute("BEGIN")
        db.execute("CREATE TEMP TABLE p (term TEXT, message INTEGER)")
        tally: dict[tuple[str, str, str], int] = {}
        made = pages.messages(held, now, 30 * DAY)
        while some := list(islice(made, CHUNK)):
            _write(db, t.message, [row for row, _, _ in some])
            _write(db, t.mail, [mail for _, mails, _ in some for mail in mails])
            _write(db, t.claim, [claim for _, _, claims in some for claim in claims])
            _write(db, t.message_detail, [_detail(row) for row, _, _ in some])
            db.executemany(
                "INSERT INTO p VALUES (?, ?)",
                (
                    (term, row["id"])
                    for row, mails, _ in some
                    for term in terms_of(row, [mail["rcpt"] for mail in mails])
                ),
            )
            for row, mails, _ in some:
                for mail in mails:
                    key = (row["customer"], mail["status"], row["verdict"])
                    tally[key] = tally.get(key, 0) + 1
        db.execute("INSERT INTO posting(term, message) SELECT DISTINCT term, message FROM p ORDER BY term, message")
        counters = [{"customer": c, "status": s, "verdict": v, "n": n} for (c, s, v), n in tally.items()]
        _write(db, t.tally, counters)
        db.execute("INSERT INTO message_words(message_words) VALUES ('rebuild')")
        for _, _, sql in late:
            db.execute(sql)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _write(db: sqlite3.Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    names = [column.name for column in table.columns]
    usual = {column.name: column.default.arg for column in table.columns if column.default is not None}  # type: ignore[attr-defined]
    values = ([row.get(name, usual.get(name)) for name in names] for row in rows)
    db.executemany(f"INSERT INTO {table.name}({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", values)


def _detail(row: dict[str, Any]) -> dict[str, Any]:
    receipt = '{"at":"2026-03-02T10:00:00Z","client":"192.0.2.7","helo":"mx.sender.example","protocol":"ESMTP"}'
    verdict = f'{{"verdict":"{row["verdict"]}","score":{row["score"]:.1f}}}'
    return {"message": row["id"], "receipt": receipt, "headers": "[]", "withheld": 0, "verdict": verdict}


@contextmanager
def opened(folder: Path) -> Iterator[Connection]:
    """A snapshot in which there are the people who claimed something; the demo makes its own."""
    database = Database(folder / "data", synchronous="OFF")
    people = [{"id": i, "name": name, "enabled": True, "created": 0} for name, i in pages.PEOPLE.items()]
    try:
        with database.read_engine.connect() as connection, connection.begin() as transaction:
            connection.execute(insert(t.account), people)
            yield connection
            transaction.rollback()
    finally:
        database.close()


# -- at the server --------------------------------------------------------------------------------------------------


def filters(connection: Connection, now: int) -> list[str]:
    some = connection.exec_driver_sql("SELECT id FROM message WHERE onhold > 0 LIMIT 1").scalar_one()
    week_ago = datetime.fromtimestamp(now / 1e6 - 7 * 86400, UTC)
    text = FILTERS.read_text().format(id=encode_message(some), week_ago=f"{week_ago:%Y-%m-%dT%H:%MZ}")
    return [line.removesuffix("(none)") for line in text.splitlines() if line and not line.startswith("#")]


def first_page(connection: Connection, text: str, now: int) -> tuple[float, int, bool]:
    """(ms, rows, partial) of a filter's first page, from its text to what becomes its JSON."""
    began = time.perf_counter()
    result = page(connection, EVERYWHERE, parse(text, me="half"), now_us=now)
    rows = [build_row(data, CLASSES) for data in result.rows]
    return (time.perf_counter() - began) * 1000, len(rows), result.partial


def facets_of(connection: Connection, text: str, now: int) -> tuple[float, int, bool]:
    """(ms, values, capped) of all facets of a filter."""
    began = time.perf_counter()
    found = facets(connection, EVERYWHERE, parse(text, me="half"), list(FACETS), 12, now_us=now)
    values, capped = sum(len(facet.values) for facet in found), any(facet.capped for facet in found)
    return (time.perf_counter() - began) * 1000, values, capped


def asked(connection: Connection, now: int, rounds: int) -> list[Figure]:
    """Of each filter its page and its facets; a figure for each, those that were slowest said in the first two."""
    served, counted = [], []
    for text in filters(connection, now):
        first_page(connection, text, now)
        answers = [first_page(connection, text, now) for _ in range(rounds)]
        partial = any(answer[2] for answer in answers)
        detail = f"{answers[0][1]} rows{', partial' if partial else ''}"
        goal = SERVED_PARTIAL * 1.1 if partial else SERVED  # the time is looked at between two chunks
        served.append(Figure(f"page: {text}", median(answer[0] for answer in answers), "ms", goal, detail))
        answers = [facets_of(connection, text, now) for _ in range(max(1, rounds // 2))]
        detail = f"{answers[0][1]} values{', capped' if answers[0][2] else ''}"
        counted.append(Figure(f"facets: {text}", median(answer[0] for answer in answers), "ms", FACETS_GOAL, detail))
    return [*served, *counted]


# -- at the terminal ------------------------------------------------------------------------------------------------


def looked_at(folder: Path, seen: str) -> tuple[float, float]:
    """(ms from the login's answer to the first rows, the most memory in MB) of a terminal that goes through the list:
    pages down, to its end and back, and narrows it."""
    with ExitStack() as stack:
        demo = stack.enter_context(DemoServer(data_dir=folder))
        relay = stack.enter_context(Relay(demo.http))
        with Screen(rcqueue("--server", relay.url)) as screen:
            sign_in(screen, "anna", demo.accounts["anna"]["password"])
            first = 1000 * (screen.when(lambda text: seen in text) - relay.signed_in)
            screen.settle(0.5)
            for _ in range(30):
                screen.send(KEYS["pagedown"])
                screen.settle(0.05)
            for key in (KEYS["end"], KEYS["home"]):
                screen.send(key)
                screen.settle(0.5)
            return first, peak(screen.pid)


def run(*, quick: bool = False) -> list[Figure]:
    held = QUICK if quick else HELD
    with ExitStack() as stack:
        folder, now = kept(held)
        few, _ = kept(FEW)
        connection = stack.enter_context(opened(folder))
        figures = asked(connection, now, 1 if quick else ROUNDS)
        stack.close()
    seen = "thing that you asked for"
    small = [looked_at(few, seen) for _ in range(1 if quick else 3)]
    large = [looked_at(folder, seen) for _ in range(1 if quick else 3)]
    first, memory = (median(one[i] for one in large) for i in (0, 1))
    grown = memory - median(one[1] for one in small)
    return [
        Figure(f"{held:,} held: login's answer to first rows", first, "ms", 500),
        Figure(f"terminal's memory beside that at {FEW:,} held", grown, "MB", 5, f"{memory:.1f} MB in all"),
        *figures,
    ]
