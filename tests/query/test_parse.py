"""The filter language: what parses, what it means, and what a mistake is told."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcqueue.model.access import ROLES, DataClass
from rcqueue.model.facts import Facts, MailFacts
from rcqueue.model.fields import FIELDS, STATUSES, VERDICTS
from rcqueue.model.folding import domain_of, fold_words, words_of
from rcqueue.model.ids import encode_mail, encode_message
from rcqueue.model.query import (
    EVERY,
    SORTS,
    QueryError,
    QueryForbidden,
    check,
    matches,
    matching,
    parse,
    parse_sort,
)

from .stores import HOUR, NOW, query_text

ONE = Facts(
    id=12345 << 21,
    at=NOW - HOUR,
    size=2048,
    sender="Bounces@Mail.Example.org",
    from_email="Alice@Sub.Gmail.com",
    subject="Invoice 7 für Straße",
    score=8.0,
    verdict="SPAM",
    rules=("URIBL_BLACK", "BAYES_99"),
    customer="acme/sales",
    degraded=None,
    mails=(
        MailFacts(0, "Anna@Example.COM", "ONHOLD", NOW + HOUR, "anna"),
        MailFacts(1, "bert@other.net", "RELEASED", NOW + 50 * HOUR),
        MailFacts(2, "cora@example.com", "ONHOLD", NOW + 50 * HOUR),
    ),
    seen=frozenset({"bert"}),
)


def which(text: str, facts: Facts = ONE) -> list[int]:
    """The mails that match."""
    return [m.n for m in matching(parse(text, me="anna"), facts, NOW)]


@pytest.mark.parametrize(
    ("text", "mails"),
    [
        ("", [0, 2]),  # without a term on status: on hold
        ("status:any", [0, 1, 2]),
        ("status:released", [1]),
        ("status:released,onhold", [0, 1, 2]),
        ("STATUS:OnHold", [0, 2]),
        ("-status:onhold", [1]),
        ("status:onhold status:released", []),
        ("from:gmail.com", [0, 2]),  # and below
        ("from:sub.gmail.com", [0, 2]),
        ("from:mail.com", []),
        ("from:com", [0, 2]),
        ("from:@gmail.com", [0, 2]),
        ("from:*.gmail.com", [0, 2]),
        ("from:alice@sub.gmail.com", [0, 2]),
        ("from:alice@gmail.com", []),  # an address is exactly that one
        ("from:mail.example.org", [0, 2]),  # the envelope sender
        ("-from:gmail.com", []),
        ("from:<>", []),
        ("to:example.com", [0, 2]),
        ("to:anna@example.com", [0]),
        ("-to:anna@example.com", [2]),
        ("to:anna@example.com status:released", []),  # on the same mail
        ("to:other.net status:any", [1]),
        ("subject:invoice", [0, 2]),
        ('subject:"invoice 7"', [0, 2]),
        ("subject:STRASSE", [0, 2]),
        ("subject:gmail", []),
        ("score:8", [0, 2]),
        ("score:>8", []),
        ("score:>=8.0", [0, 2]),
        ("score:<8.01", [0, 2]),
        ("-score:>8", [0, 2]),
        ("size:2K", [0, 2]),
        ("size:<1M size:>1k", [0, 2]),
        ("size:>=2048 size:<=2048b", [0, 2]),
        ("verdict:spam", [0, 2]),
        ("verdict:virus,spam", [0, 2]),
        ("-verdict:spam", []),
        ("rule:uribl_black", [0, 2]),
        ("rule:URIBL", []),
        ("customer:acme", [0, 2]),
        ("customer:acme/sales", [0, 2]),
        ("customer:acm", []),
        ("customer:all", [0, 2]),
        ("customer:zeta,acme", [0, 2]),
        ("age:<2h", [0, 2]),
        ("age:<1h", []),
        ("age:<=1h", [0, 2]),
        ("age:>0.5h", [0, 2]),
        ("at:>=2026-09-21T00:00Z", [0, 2]),
        ("at:<2026-09-21T00:00+02:00", []),
        ("expires:<1d", [0]),
        ("expires:>1d", [2]),
        ("expires:>1d status:any", [2]),  # only what is on hold expires
        ("-expires:<1d status:any", [1, 2]),
        ("claim:me", [0]),
        ("claim:anna", [0]),
        ("claim:any", [0]),
        ("claim:none", [2]),
        ("-claim:me status:any", [1, 2]),
        ("seen:me", []),
        ("seen:bert", [0, 2]),
        ("seen:none", []),
        ("-seen:none", [0, 2]),
        ("degraded:no", [0, 2]),
        ("degraded:yes", []),
        (f"id:{encode_message(ONE.id)}", [0, 2]),
        (f"id:{encode_mail(ONE.id, 2).lower()}", [2]),
        (f"-id:{encode_mail(ONE.id, 2)} status:any", [0, 1]),
        ("invoice", [0, 2]),
        ("gmail", [0, 2]),
        ("other.net", [0, 2]),  # a word is of the message: any of its recipients
        ("bounces@", [0, 2]),
        ('"7 für"', [0, 2]),
        ("7 für", [0, 2]),
        ("-viagra", [0, 2]),
        ("viagra", []),
        ('"status:released"', []),  # quotes make words of it
        ("12:30", []),
    ],
)
def test_meaning(text, mails):
    assert which(text) == mails
    assert matches(parse(text, me="anna"), ONE, NOW) is bool(mails)


def test_one_mail_may_be_asked_for():
    anna, bert, _ = ONE.mails
    query = parse("to:example.com")
    assert matches(query, ONE, NOW, mail=anna) and not matches(query, ONE, NOW, mail=bert)


@pytest.mark.parametrize(
    ("text", "term", "place", "expected"),
    [
        ("form:gmail.com", "form:gmail.com", 0, "from (or quotes"),
        ("invoice  -vrdict:spam", "-vrdict:spam", 9, "verdict (or quotes"),
        ("http://x", "http://x", 0, "one of age, at, campaign"),
        ("campaign:7", "campaign:7", 0, "names of campaigns"),
        ("word:x", "word:x", 0, "or quotes"),
        ("status:held", "status:held", 0, "onhold, releasing"),
        ("status:onhold,", "status:onhold,", 0, "with commas"),
        ("a from:", "from:", 2, "a domain, an address"),
        ("from:@", "from:@", 0, "a domain, an address"),
        ("from:a@", "from:a@", 0, "a domain, an address"),
        ('from:"a b"', 'from:"a b"', 0, "a domain, an address"),
        ("to:<>", "to:<>", 0, "a domain or an address"),
        ("score:high", "score:high", 0, ">8"),
        ("score:>8K", "score:>8K", 0, ">8"),
        ("score:nan", "score:nan", 0, ">8"),
        ("size:<1X", "size:<1X", 0, "K, M, G"),
        ("size:-1", "size:-1", 0, "K, M, G"),
        ("size:<999999999999999G", "size:<999999999999999G", 0, "K, M, G"),
        ("age:2h", "age:2h", 0, "<2h"),
        ("age:<2", "age:<2", 0, "<2h"),
        ("age:<2y", "age:<2y", 0, "<2h"),
        ("expires:tomorrow", "expires:tomorrow", 0, "<1d"),
        ("age:<999999999999999w", "age:<999999999999999w", 0, "<2h"),
        ("at:yesterday", "at:yesterday", 0, "RFC 3339"),
        ("at:>=tea", "at:>=tea", 0, "RFC 3339"),
        ("verdict:ham", "verdict:ham", 0, "spam, virus"),
        ("rule:a%b", "rule:a%b", 0, "name of a rule"),
        ("customer:/", "customer:/", 0, "acme/sales"),
        ("degraded:maybe", "degraded:maybe", 0, "yes or no"),
        ("id:123", "id:123", 0, "13 characters"),
        ("id:UUUUUUUUUUUUU", "id:UUUUUUUUUUUUU", 0, "13 characters"),
        ('x subject:"no end', 'subject:"no end', 2, 'a closing "'),
        ('"a"b', '"a"b', 0, 'a closing "'),
        ('""', '""', 0, "words"),
        ("-", "-", 0, "words"),
        ("claim:me", "claim:me", 0, "me, none, any or a name"),  # and nobody is signed in
        ("a\x00b", "'\\x00'", 1, "text that can be read"),
        ("a \ud800", "'\\ud800'", 2, "text that can be read"),
        ("x" * 400, "x" * 400, 0, "at most 320"),
        ("x" * 4001, "x" * 20, 0, "at most 4000"),
        ("a " * 61, "a", 120, "at most 60"),
    ],
)
def test_a_mistake_names_the_term_the_place_and_what_would_fit(text, term, place, expected):
    with pytest.raises(QueryError) as mistake:
        parse(text)
    error = mistake.value
    assert (error.term, error.place) == (term, place)
    assert expected in error.expected
    assert f"character {place + 1}" in str(error) and error.expected in str(error)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=40), st.text(alphabet='ab:-"\\ <>=@,.1Khd\n', max_size=40)))
def test_any_text_parses_or_is_a_mistake_with_a_place(text):
    try:
        query = parse(text, me="anna")
    except QueryError as error:
        assert 0 <= error.place < max(1, len(text)) and error.expected
    else:
        again = parse(query.text, me="anna")
        assert again == query and again.text == query.text
        matches(query, ONE, NOW)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_normalised_text_says_the_same(seed):
    query = parse(query_text(random.Random(seed), 6), me="anna")
    assert parse(query.text, me="anna") == query
    assert all(query.text[: term.place].count(" ") >= 0 for term in query.given)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ('  Status:OnHold   from:"GMail.com" ', "status:onhold from:gmail.com"),
        ("status:released,onhold,released", "status:onhold,released"),
        ("SIZE:<1m -score:=-2.50", "size:<1M -score:-2.50"),
        ('subject:"Invoice 7" "-x" "a:b" Plain', 'subject:"Invoice 7" "-x" "a:b" Plain'),
        (r'"say \"hi\" \\o"', r'"say \"hi\" \\o"'),
        ("age:<2H at:>=2026-01-02", "age:<2h at:>=2026-01-02T00:00:00Z"),
    ],
)
def test_normalised(text, normal):
    assert parse(text).text == normal


def test_the_default_is_not_in_the_text():
    query = parse("invoice")
    assert query.text == "invoice" and [t.text for t in query.terms] == ["invoice", "status:onhold"]
    assert query.statuses == {"ONHOLD"} and EVERY.statuses == set(STATUSES)
    assert parse("-status:deleted").statuses == set(STATUSES) - {"DELETED"}
    assert query.with_statuses(frozenset({"RELEASED", "DELETED"})).text == "invoice status:released,deleted"


def test_terms_and_sorts_on_a_class_that_is_lacking_are_refused():
    every = frozenset(DataClass)
    needs = {
        "from:x": DataClass.ENVELOPE,
        "-to:x": DataClass.ENVELOPE,
        "subject:x": DataClass.SUBJECT,
        "score:>1": DataClass.HEADERS,
        "rule:X": DataClass.HEADERS,
        "x": DataClass.ENVELOPE,
        "y": DataClass.SUBJECT,
    }
    for text, data_class in needs.items():
        query = parse("status:any " + text)
        check(query, every)
        with pytest.raises(QueryForbidden) as refused:
            check(query, every - {data_class})
        assert (refused.value.term, refused.value.place, refused.value.data_class) == (text, 11, data_class)
    free = parse("status:any size:>1 verdict:spam customer:x age:<1d expires:<1d claim:none degraded:yes")
    check(free, frozenset())
    for sort, data_class in SORTS.items():
        check(free, every, sort)
        if data_class is not None:
            with pytest.raises(QueryForbidden):
                check(free, every - {data_class}, "-" + sort)
    # The role without bodies asks about everything that there are terms for.
    for name in FIELDS:
        assert FIELDS[name].needs <= ROLES["blind"].classes


def test_sorts():
    assert parse_sort("-time") == ("time", True) and parse_sort("subject") == ("subject", False)
    for wrong in ("", "-", "--time", "Time", "colour"):
        with pytest.raises(ValueError, match="expected one of time, score"):
            parse_sort(wrong)


def test_folding():
    assert domain_of("A@B.Example") == "b.example" and domain_of("postmaster") == "" and domain_of("") == ""
    assert fold_words("  Café\n\tSTRASSE\u00a0") == fold_words("cafe\u0301 straße")
    assert words_of("A\nB", "X@y", "", ["Z@w"]).count("\n") == 1
    assert len(VERDICTS) == 6
