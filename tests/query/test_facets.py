"""Facets are held against plain counting: the mails of a value are those of the filter narrowed by its term."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcqueue.model.access import ROLES, Access, DataClass, Grant, covers
from rcqueue.model.facet import FACETS, chosen, term_of
from rcqueue.model.facts import Facts
from rcqueue.model.folding import domain_of, fold_ascii
from rcqueue.model.query import QueryForbidden, matching, parse
from rcqueue.server.store import facets as counted
from rcqueue.server.store.facets import facets

from .stores import EVERYWHERE, NOW, messages, query_text, store

SCOPED = Access(2, "bert", 2, (Grant("operator", "acme"), Grant("operator", "zeta")))
BLIND = Access(3, "cora", 3, (Grant("blind", "all"),))


def values_of(name: str, access: Access, facts: Facts, rcpts: Iterable[str]) -> set[str]:
    """Of a message that matches by its mails to `rcpts`: the values that a facet has to list."""
    match name:
        case "sender":
            return {fold_ascii(a) for a in (facts.from_email, facts.sender) if "@" in a} | (
                set() if facts.sender else {"<>"}
            )
        case "domain":
            return {domain_of(a) for a in (facts.from_email, facts.sender)} - {""}
        case "recipient":
            return {fold_ascii(rcpt) for rcpt in rcpts}
        case "rule":
            return {fold_ascii(rule) for rule in facts.rules}
        case "verdict":
            return {facts.verdict}
        case "campaign":
            return {facts.campaigns[access is BLIND]} - {""}
    return {facts.customer}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_a_value_has_the_mails_that_its_term_narrows_to(seed: int):
    rnd = random.Random(seed)
    held = messages(rnd, 25)
    access = rnd.choice((EVERYWHERE, SCOPED, BLIND))
    seen = [f for f in held if any(covers(grant.customer, f.customer) for grant in access.grants)]
    with store(held) as connection:
        for _ in range(6):
            text = query_text(rnd)
            query = parse(text, me="anna")
            found = facets(connection, access, query, list(FACETS), 100, now_us=NOW, budget_s=60)
            assert [facet.by for facet in found] == list(FACETS)
            for facet in found:
                assert not facet.capped
                expected = {}
                for one in seen:
                    rcpts = [mail.rcpt for mail in matching(query, one, NOW)]
                    for value in values_of(facet.by, access, one, rcpts) if rcpts else ():
                        if (term := term_of(FACETS[facet.by].field, value)) is not None:
                            narrowed = parse(f"{text} {term}", me="anna")
                            expected[value] = sum(len(matching(narrowed, other, NOW)) for other in seen)
                assert {value.value: value.mails for value in facet.values} == expected, (text, facet.by)
                order = [(-value.mails, value.value) for value in facet.values]
                assert order == sorted(order)


def test_only_the_newest_are_counted_when_time_is_up_and_it_says_so(monkeypatch):
    monkeypatch.setattr(counted, "BATCH", 8)
    held = messages(random.Random(3), 200)
    with store(held) as connection:
        query = parse("status:any")
        found = facets(connection, EVERYWHERE, query, list(FACETS), 100, now_us=NOW, budget_s=0)
    newest = sorted(held, key=lambda f: -f.id)[:8]
    by = {facet.by: facet for facet in found}
    assert {name for name, facet in by.items() if facet.capped} == {"sender", "domain", "recipient", "rule", "campaign"}
    assert sum(v.mails for v in by["recipient"].values) == sum(len(f.mails) for f in newest)
    assert sum(v.mails for v in by["verdict"].values) == sum(len(f.mails) for f in held)


def test_no_more_values_than_asked_for():
    with store(messages(random.Random(4), 100)) as connection:
        some, every = (
            facets(connection, EVERYWHERE, parse(""), ["sender"], limit, now_us=NOW, budget_s=60)[0].values
            for limit in (3, 100)
        )
    assert len(some) == 3 and some == every[:3]


@pytest.mark.parametrize(
    ("field", "value", "term"),
    [
        ("from", 'odd"one@example.org', r'from:"odd\"one@example.org"'),
        ("from", "two words@example.org", None),
        ("from", "nul\x00@example.org", None),
        ("from", "postmaster", "from:postmaster"),
        ("to", "a@" + "x" * 400, None),
        ("from", "example.org.", None),
        ("rule", "a b", None),
        ("rule", "uribl_black", "rule:uribl_black"),
        ("verdict", "SPAM", "verdict:spam"),
        ("customer", "acme/sales", "customer:acme/sales"),
        ("customer", "a,b", None),
    ],
)
def test_a_term_means_its_value_or_there_is_none(field: str, value: str, term: str | None):
    assert term_of(field, value) == term


def test_a_facet_of_a_class_that_is_lacking_is_refused_or_left_out():
    assert chosen("", frozenset(DataClass)) == tuple(FACETS) == chosen("", ROLES["blind"].classes)
    assert chosen("", frozenset()) == ("verdict", "customer")
    assert chosen("rule,verdict", frozenset({DataClass.HEADERS})) == ("rule", "verdict")
    for name, kind in FACETS.items():
        if kind.needs:
            with pytest.raises(QueryForbidden) as refused:
                chosen(f"verdict,{name}", frozenset(DataClass) - kind.needs)
            assert refused.value.data_class in kind.needs
    with pytest.raises(ValueError, match="no facet 'colour'; some of sender"):
        chosen("colour", frozenset(DataClass))
