"""Substrings are found by an index of trigrams: whatever is in a subject and whatever is looked for, as plain Python
finds them; and the index says what the messages say, also when they change and when they go."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update
from sqlalchemy.exc import DatabaseError

from rcqueue.model.query import Query, QueryError, matching, parse
from rcqueue.server.store import drivers, pages
from rcqueue.server.store import tables as t
from rcqueue.server.store.query_sql import Filter

from .stores import EVERYWHERE, NOW, messages, row_of, store

#: What means something to SQL, to LIKE, to the index's own language, to lines and to case.
ODD = "aAbß'\"%_*^:+-()\\/ \u2028\u00a0\u0301é中\U0001f4e8NEARorİ"
SUBJECTS = st.text(alphabet=ODD, max_size=14)


def term(field: str, text: str) -> Query | None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    try:
        return parse(f'{field}"{quoted}" status:any')
    except QueryError:  # nothing of it is left when it is folded
        return None


@settings(max_examples=25, deadline=None)
@given(st.lists(SUBJECTS, min_size=1, max_size=8), st.lists(SUBJECTS, max_size=4), st.integers(0, 2**32))
def test_any_substring_is_found_and_no_other(subjects: list[str], asked: list[str], seed: int):
    rnd = random.Random(seed)
    held = [
        dataclasses.replace(facts, subject=subject)
        for facts, subject in zip(messages(rnd, len(subjects)), subjects, strict=True)
    ]
    parts = [subject[rnd.randrange(len(subject) + 1) :][: rnd.randrange(3, 8)] for subject in subjects]
    with store(held) as connection:
        for text in (*asked, *subjects, *parts, "NUL", "' OR 1=1", '" OR "'):
            for field in ("", "subject:"):
                if (query := term(field, text)) is None:
                    continue
                expected = [f.id for f in sorted(held, key=lambda f: -f.id) if matching(query, f, NOW)]
                for sort in ("-time", "-score"):  # the first walks along the index, the other gathers from it
                    found = pages.page(connection, EVERYWHERE, query, sort, now_us=NOW, budget_s=60)
                    ids = [row.id for row in found.rows]
                    assert (ids if sort == "-time" else sorted(ids, reverse=True)) == expected, (field, text)


def test_the_index_is_that_of_the_messages_after_any_change():
    held = messages(random.Random(5), 60)
    with store(held) as connection:

        def check() -> None:  # fails where the index and the table differ
            connection.exec_driver_sql("INSERT INTO message_words(message_words, rank) VALUES ('integrity-check', 1)")

        check()
        changed = dataclasses.replace(held[3], subject="quite another thing")
        connection.execute(update(t.message).where(t.message.c.id == held[3].id).values(words=row_of(changed)["words"]))
        connection.execute(delete(t.message).where(t.message.c.id == held[4].id))
        check()
        found = pages.page(connection, EVERYWHERE, parse("subject:another status:any"), now_us=NOW)
        assert [row.id for row in found.rows] == [held[3].id]
        connection.exec_driver_sql("DROP TRIGGER message_words_update")
        connection.execute(update(t.message).where(t.message.c.id == held[3].id).values(words="gone\n"))
        with pytest.raises(DatabaseError):  # so the check would see it
            check()


def test_what_is_too_short_or_very_long_is_asked_as_it_can_be():
    assert t.trigrams(["ab", ""]) == []
    assert t.trigrams(["abc", "bcd", "x", "abc"]) == ["abc", "bcd"]
    long = t.trigrams(["".join(map(chr, range(0x4E00, 0x4E00 + 300)))])
    assert 8 <= len(long) <= 16


def test_the_rarest_trigrams_are_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drivers, "SAMPLE", 2)
    subjects = ["of the thing"] * 9 + ["of the myriad thing"] + ["of the thing"] * 9
    held = [dataclasses.replace(f, subject=s) for f, s in zip(messages(random.Random(7), 19), subjects, strict=True)]
    with store(held) as connection:
        driver = drivers._words(connection, Filter(parse('subject:"the myriad thing"'), NOW))
        found = connection.execute(driver.sources[0].ids()).scalars().all()
    assert found == [held[9].id]
