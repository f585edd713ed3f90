"""Names of domains that look like others, whom a mail says it is from, and who says that it is authentic."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcqueue.model.mail import Author
from rcqueue.server.reading.authors import marked, results
from rcqueue.server.reading.lookalike import Own, domain_marks
from rcqueue.server.reading.scan import scan

OURS = Own(["acme.example", "bank.example", "kö.example"])


@pytest.mark.parametrize(
    ("domain", "like"),
    [
        ("acrne.example", "acme.example"),  # rn for m
        ("acne.example", "acme.example"),  # a letter other
        ("amce.example", "acme.example"),  # two that changed places
        ("acmee.example", "acme.example"),
        ("acm.example", "acme.example"),
        ("аcme.example", "acme.example"),  # a Cyrillic letter
        ("xn--cme-5cd.example", "acme.example"),  # the same, as it is written
        ("äcme.example", "acme.example"),
        ("mail.acrne.example", "acme.example"),
        ("acme.example.evil.example", "acme.example"),
        ("login.acme.example.evil.example", "acme.example"),
        ("b4nk.example", "bank.example"),
        ("acme.example", None),
        ("mail.acme.example", None),
        ("xn--k-fka.example", None),
        ("news.example", None),
        ("example", None),
        ("acme.other", None),
        ("", None),
    ],
)
def test_what_looks_like_a_domain_of_ours(domain: str, like: str | None) -> None:
    assert OURS.looks_like(domain) == like


def test_a_short_name_looks_like_another_only_by_its_letters() -> None:
    ours = Own(["ab.example"])
    assert ours.looks_like("ac.example") is None and ours.looks_like("аb.example") == "ab.example"


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="acmerne.-xкsо", max_size=40))
def test_whatever_is_below_ours_never_looks_like_it(name: str) -> None:
    assert OURS.looks_like(f"{name}.acme.example") is None
    assert isinstance(domain_marks(name, OURS), list)


def test_ten_thousand_domains_of_ours_cost_a_look_up_each() -> None:
    ours = Own(f"customer{i}.example" for i in range(10_000))
    start = time.process_time()
    for i in range(1000):
        assert ours.looks_like(f"custorner{i}.example") == f"customer{i}.example"
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("domain", "marks"),
    [
        ("xn--bcher-kva.example", ["reads bücher.example"]),
        ("bücher.example", ["is xn--bcher-kva.example"]),
        ("раураl.example", ["is xn--l-7sba6dbr.example", "mixed scripts: Cyrillic and Latin"]),
        ("xn--80ak6aa92e.example", ["reads аррӏе.example", "Cyrillic letters that look like Latin"]),
        ("例え.example", ["is xn--r8jz45g.example"]),
        ("acme.example", []),
        ("xn--99999999999999.example", []),
    ],
)
def test_a_domain_is_shown_in_both_its_forms_and_mixed_scripts_are_marked(domain: str, marks: list[str]) -> None:
    assert domain_marks(domain) == marks


def authors(raw: str, sender: str = "") -> list[tuple[str, int, str, list[str]]]:
    read = scan(raw.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    return [(a.field, a.nth, a.address, a.marks) for a in marked(read.authors, sender, OURS)]


def test_every_author_is_there_and_what_there_is_against_each() -> None:
    raw = """From: "ceo@bank.example" <x@evil.example>, Ann <ann@acrne.example>
From: second@evil.example
Sender: robot@evil.example
Reply-To: y@elsewhere.example"""
    assert authors(raw, "bounce@mailer.example") == [
        ("From", 1, "x@evil.example", ["its name shows ceo@bank.example"]),
        ("From", 1, "ann@acrne.example", ["looks like acme.example"]),
        ("From", 2, "second@evil.example", ["a second From field"]),
        ("Sender", 1, "robot@evil.example", []),
        ("Reply-To", 1, "y@elsewhere.example", ["another domain than From"]),
        ("Envelope", 1, "bounce@mailer.example", ["another domain than From"]),
    ]


@pytest.mark.parametrize(
    ("value", "marks"),
    [
        ("=?utf-8?B?Y2VvQGJhbmsuZXhhbXBsZQ==?= <x@evil.example>", ["its name shows ceo@bank.example"]),
        ("ceo @ bank.example <x@evil.example>", ["its name shows ceo@bank.example"]),
        ("x@EVIL.example <x@evil.example>", []),
        ("=?utf-8?Q?P=D0=B0yment?= <x@evil.example>", ["mixed scripts in its name"]),
        ("Иван Ivanov <x@evil.example>", []),
        ("Ann Lee <x@evil.example>", []),
    ],
)
def test_a_display_name_that_shows_another_address(value: str, marks: list[str]) -> None:
    assert authors(f"From: {value}") == [("From", 1, "x@evil.example", marks)]


def test_an_envelope_of_the_same_house_is_no_news() -> None:
    assert len(authors("From: a@acme.example", "bounce@mail.acme.example")) == 1
    assert len(authors("From: a@acme.example", "")) == 1


def test_of_very_many_authors_some_are_kept() -> None:
    read = scan(b"From: " + b", ".join(b"a%d@b.example" % i for i in range(5000)) + b"\r\n\r\n")
    assert len(read.authors) == 50


FIELDS = [
    "Authentication-Results: mx.acme.example; spf=fail (because; of=this) smtp.mailfrom=a@evil.example;"
    " dkim=none; dmarc=fail (p=reject) header.from=evil.example",
    "Authentication-Results: mx.evil.example; dkim=pass header.d=bank.example; dmarc=pass",
    "ARC-Authentication-Results: i=1; mx.acme.example; arc=pass; spf=pass smtp.mailfrom=x.example",
    'Received-SPF: Pass (mx: domain of a) client-ip=203.0.113.7; envelope-from="a@evil.example"; helo=x;',
    "Authentication-Results: ;;; nonsense",
]


def test_only_a_trusted_servers_results_are_more_than_said() -> None:
    found = [(r.method, r.result, r.of, r.by, r.said) for r in results(FIELDS, ["mx.acme.example"])]
    assert found == [
        ("spf", "fail", "evil.example", "mx.acme.example", False),
        ("dkim", "none", "", "mx.acme.example", False),
        ("dmarc", "fail", "evil.example", "mx.acme.example", False),
        ("dkim", "pass", "bank.example", "mx.evil.example", True),
        ("dmarc", "pass", "", "mx.evil.example", True),
        ("arc", "pass", "", "mx.acme.example (ARC)", True),
        ("spf", "pass", "x.example", "mx.acme.example (ARC)", True),
        ("spf", "pass", "evil.example", "Received-SPF", True),
    ]
    assert all(r.said for r in results(FIELDS, []))


def test_any_author_and_any_field_is_looked_at_in_time() -> None:
    start = time.process_time()
    marked([Author(field="From", address="a@" + "xn--a." * 50_000, name="a@b." * 50_000)] * 10, "x@y", OURS)
    results(["Authentication-Results: a" + "; spf=pass smtp.mailfrom=" * 2000] * 10, [])
    results(["Authentication-Results: a" + "(" * 60_000] * 20, [])
    assert time.process_time() - start < 2
