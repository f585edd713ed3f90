"""How SQLite does what pages ask: along indexes, never over a whole table, never sorting more than a chunk."""

import random
import re
from collections.abc import Iterator

import pytest
from sqlalchemy import event

from rcqueue.model.access import Access, Grant
from rcqueue.model.ids import encode_message
from rcqueue.model.query import SORTS, parse
from rcqueue.server.store import drivers, pages
from rcqueue.server.store import tables as t
from rcqueue.server.store.query_sql import Filter
from rcqueue.server.store.rows import Needs, Rows

from .stores import CAMPAIGNS, EVERYWHERE, NOW, messages, query_text, store

HELD = messages(random.Random(1), 200)
SORT_NAMES = [sign + name for name in SORTS for sign in ("-", "")]


def plans(connection, ask, *args, **options):
    """(SQL, lines of its plan) of each statement that `ask(connection, ...)` makes."""
    asked = []

    def listen(_connection, _cursor, statement, parameters, _context, _many):
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", listen)
    try:
        answer = ask(connection, *args, **options)
        if isinstance(answer, Iterator):
            list(answer)
    finally:
        event.remove(connection, "before_cursor_execute", listen)
    raw = connection.connection.dbapi_connection
    return [
        (sql, [line for *_, line in raw.execute("EXPLAIN QUERY PLAN " + sql, parameters)]) for sql, parameters in asked
    ]


def check(found):
    for sql, lines in found:
        for line in lines:
            scan = re.match(r"SCAN (message|mail|posting|claim|entry|session|account)\b", line)
            # Only of an index that is walked, and up to a LIMIT.
            walked = re.search(r"USING (COVERING )?INDEX message_(\w+hold_|\w+_time|degraded)|SCAN claim", line)
            limited = re.search(r"LIMIT \? OFFSET \?", sql)
            counted = re.match(r"SELECT \(SELECT count\(\*\)", sql)  # which index does not matter
            assert not scan or ((walked or counted) and limited), (sql, lines)
            if "USE TEMP B-TREE FOR ORDER BY" in line:
                assert re.search(r"LIMIT \? OFFSET \?\) AS chunk", sql), (sql, lines)


@pytest.mark.parametrize("gathered", [True, False])
def test_no_page_scans_or_sorts_the_table(gathered, monkeypatch):
    monkeypatch.setattr(drivers, "PROBE", 1)
    monkeypatch.setattr(drivers, "GATHER", 4000 if gathered else -1)
    rnd = random.Random(42)
    scoped = Access(2, "bert", 2, (Grant("operator", "acme"), Grant("operator", "zeta")))
    one = encode_message(HELD[7].id)
    with store(HELD) as connection:
        for _ in range(60):
            text = rnd.choice(("", query_text(rnd, 2), query_text(rnd, 1), f"id:{one}"))
            query, sort = parse(text, me="anna"), rnd.choice(SORT_NAMES)
            access = rnd.choice((EVERYWHERE, scoped))
            options = {"sort": sort, "now_us": NOW, "limit": 10}
            first = pages.page(connection, access, query, **options)
            starts = [{}, {"end": True}]
            starts += [{"after": first.next}, {"before": first.next}] if first.next else []
            for start in starts:
                check(plans(connection, pages.page, access, query, **options, **start))
            check(plans(connection, pages.rows_by_id, access, [HELD[3].id], query, NOW))


def test_neither_do_counts_and_mails_of_a_filter():
    rnd = random.Random(43)
    with store(HELD) as connection:
        for _ in range(30):
            query = parse(query_text(rnd, 2), me="anna")
            check(plans(connection, pages.counts, EVERYWHERE, query, now_us=NOW))
            check(plans(connection, pages.matching_mails, EVERYWHERE, query, NOW))
            check(plans(connection, pages.mails_of, HELD[5].id, query, NOW))


@pytest.mark.parametrize(
    ("text", "sort", "index"),
    [
        ("", "-time", "message_onhold_time (id>? AND id<?)"),
        ("", "-score", "message_onhold_score"),
        ("", "from", "message_onhold_from"),
        ("", "-subject", "message_onhold_subject"),
        ("", "expiry", "message_onhold_expiry"),
        ("score:>=8", "-score", "message_onhold_score (score>?)"),
        ("status:any", "time", "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ("status:any", "-subject", "message_offhold_subject"),
        ("status:released", "-time", "message_released_time (id>? AND id<?)"),
        ("from:gmail.com", "-time", "SEARCH posting USING PRIMARY KEY (term=? AND message>? AND message<?)"),
        ("to:example.org", "-time", "SEARCH posting USING PRIMARY KEY (term=? AND message>? AND message<?)"),
        ("customer:acme", "time", "SEARCH posting USING PRIMARY KEY (term=? AND message>? AND message<?)"),
        ("verdict:virus", "-time", "message_onhold_verdict (verdict=? AND id>? AND id<?)"),
        ("-verdict:virus", "-time", "message_onhold_verdict (verdict=? AND id>? AND id<?)"),
        ("claim:me", "-time", "claim_account (account=? AND message>? AND message<?)"),
        ("claim:any", "-time", "SEARCH claim USING PRIMARY KEY (message>? AND message<?)"),
        ("invoice", "-time", "SCAN message_words VIRTUAL TABLE INDEX"),
        ("subject:invoice 70 status:any", "time", "SCAN message_words VIRTUAL TABLE INDEX"),
        ("invoice", "-score", "SCAN message_words VIRTUAL TABLE INDEX"),
        ("degraded:yes status:any", "-time", "message_degraded (id>? AND id<?)"),
        ("requested:yes", "-time", "mail_requested"),
        ("requested:<1d", "-score", "mail_requested"),
        ("expires:<30m", "-time", "mail_expiry (expiry<?)"),
        ("expires:>2d", "-time", "mail_expiry (expiry>?)"),
        ("score:>8", "-time", "message_onhold_score (score>?)"),
        ("size:>=5M", "-time", "message_onhold_size (size>?)"),
        ("age:<1h", "-score", "message_onhold_time (id>? AND id<?)"),
    ],
)
def test_each_index_serves_what_it_is_for(text, sort, index):
    with store(HELD) as connection:
        query = parse(text, me="anna")
        found = plans(connection, pages.page, EVERYWHERE, query, sort, now_us=NOW, limit=10)
        places = [lines for sql, lines in found if not sql.startswith("SELECT (SELECT count(*)")]
        assert any(index in line for lines in places[:-2] for line in lines), places
        check(found)


@pytest.mark.parametrize("several", [f"campaign:{CAMPAIGNS[0]},{CAMPAIGNS[1]}", "-verdict:virus"])
def test_an_index_of_several_sources_is_walked_before_the_whole_queue(several, monkeypatch):
    monkeypatch.setattr(drivers, "PROBE", 5)
    with store(HELD) as connection:
        f = Filter(parse(several, me="anna"), NOW)
        driver, gathered = drivers.choose(connection, f, drivers.Order("time", descending=True))
        assert not gathered
        assert len(driver.sources) > 1
        assert sum(len(connection.execute(source.ids().limit(5)).all()) for source in driver.sources) > 5


@pytest.mark.parametrize("table", t.metadata.tables.values(), ids=str)
def test_the_writer_finds_a_row_of_any_table_by_its_key(table):
    key = tuple(b"" if c.type.python_type is bytes else c.type.python_type() for c in table.primary_key.columns)
    needs = Needs(rows=frozenset({(table.name, key)}))
    with store(()) as connection:
        asked: list[str] = []
        raw = connection.connection.dbapi_connection
        raw.set_trace_callback(asked.append)  # the writer's statements go to the driver itself
        Rows().load(connection, [needs])
        raw.set_trace_callback(None)
        (statement,) = [sql for sql in asked if not sql.startswith("BEGIN")]
        lines = [line for *_, line in raw.execute(f"EXPLAIN QUERY PLAN {statement}")]
    whole = " AND ".join(f"{column.name}=?" for column in table.primary_key.columns)
    assert all(line.startswith("SEARCH ") and line.endswith((f"({whole})", "(rowid=?)")) for line in lines), lines
