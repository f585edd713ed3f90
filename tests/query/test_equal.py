"""The filter language has two evaluators, plain Python and SQL: over random stores and queries they agree."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from rcqueue.model.fields import FIELDS, STATUSES, VERDICTS
from rcqueue.model.ids import encode_mail, encode_message
from rcqueue.model.mail import Row, Status, VerdictKind
from rcqueue.model.query import EVERY, matches, matches_row, matching, parse
from rcqueue.server.store import tables as t
from rcqueue.server.store.listing import build_row, read_rows
from rcqueue.server.store.query_sql import CONDITIONS, Filter

from .stores import EVERYWHERE, NOW, messages, query_text, store
from .stores import term as one_term

QUERIES = 25


def test_one_declaration_each():
    assert set(FIELDS) == set(CONDITIONS)
    assert list(STATUSES) == list(Status) and list(VERDICTS) == list(VerdictKind)
    assert [s.lower() for s in STATUSES] == list(t.STATUSES)


def test_every_field_is_among_the_terms_that_are_drawn():
    rnd = random.Random(1)
    drawn = {term.field for _ in range(3000) for term in parse(one_term(rnd), me="anna").given}
    assert drawn | {"id"} == set(FIELDS)  # ids are of the messages at hand: below


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_sql_says_what_matches_says(seed: int):
    rnd = random.Random(seed)
    held = messages(rnd, 25)
    with store(held) as connection:
        for _ in range(QUERIES):
            some = rnd.choice(held)
            ids = rnd.choice((encode_message(some.id), encode_mail(some.id, 0), encode_mail(some.id, 1)))
            text = query_text(rnd) + rnd.choice((*[""] * 9, f" id:{ids}", f" -id:{ids}"))
            query = parse(text, me="anna")
            f = Filter(query, NOW)
            expected = {(facts.id, m.n) for facts in held for m in matching(query, facts, NOW)}
            found = connection.execute(select(t.message.c.id).where(*f.on_message())).scalars()
            assert sorted(found) == sorted({message for message, _ in expected}), text
            on_mail = select(t.mail.c.message, t.mail.c.n).join(t.message, t.message.c.id == t.mail.c.message)
            on_mail = on_mail.where(*f.on_message(frozenset({"mails"})), *f.on_mail)
            assert {tuple(row) for row in connection.execute(on_mail)} == expected, text


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_a_row_answers_as_its_message_or_not_at_all(seed: int):
    rnd = random.Random(seed)
    held = messages(rnd, 20)
    with store(held) as connection:
        rows = read_rows(connection, Filter(EVERY, NOW), [facts.id for facts in held])
        for facts, data in zip(held, rows, strict=True):
            row = Row.model_validate(build_row(data, EVERYWHERE.classes_at(facts.customer)))
            lacking = Row.model_validate(build_row(data, ()))
            for _ in range(QUERIES):
                query = parse(query_text(rnd), me="anna")
                tells = not any(term.field == "requested" and term.op != "=" for term in query.terms)
                tells = tells and not any(term.field == "seen" for term in query.terms)
                tells = tells and not any(n[0] == "E" for t in query.terms if t.field == "campaign" for n in t.value)
                if len(facts.mails) == 1 and tells:
                    assert matches_row(query, row, NOW) is matches(query, facts, NOW), query.text
                else:
                    assert matches_row(query, row, NOW) is None
                if query.needs():
                    assert matches_row(query, lacking, NOW) is None
