"""Saved filters: one's own are nobody else's; shared ones are seen where their customer's mail is, by whoever has the
classes that they ask about; each change is an entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcqueue.client.http import ApiProblem
from rcqueue.model.access import ROLES, DataClass, Right, Role

from .live import Live


@pytest.fixture
async def live(tmp_path: Path):
    async with Live(tmp_path) as live:
        yield live


async def names(live: Live, who: str) -> list[tuple[str, str, str | None, str]]:
    return [(f.name, f.query, f.customer, f.by) for f in await live.api(who).filters()]


async def test_own_filters_are_ones_own_and_a_name_is_given_once(live: Live):
    ben = live.api("ben")
    await ben.save_filter("big", "size:>1M", "-size")
    await ben.save_filter("big", "size:>2M claim:me", "-size")
    await ben.save_filter("all", "", "time")
    assert await names(live, "ben") == [("all", "", None, "ben"), ("big", "size:>2M claim:me", None, "ben")]
    assert [f.sort for f in await ben.filters()] == ["time", "-size"]
    assert await names(live, "otis") == [] == await names(live, "anna")
    with pytest.raises(ApiProblem) as refused:
        await live.api("otis").delete_filter("big")
    assert refused.value.type == "not-found"
    await ben.delete_filter("big")
    assert await names(live, "ben") == [("all", "", None, "ben")]


async def test_shared_ones_are_seen_by_all_and_changed_by_their_author_or_an_administrator(live: Live):
    ben, otis, anna = live.api("ben"), live.api("otis"), live.api("anna")
    await ben.save_filter("invoices", "subject:invoice", customer="all")
    assert await names(live, "otis") == [("invoices", "subject:invoice", "all", "ben")]
    for change in (otis.save_filter("invoices", "x", customer="all"), otis.delete_filter("invoices", "all")):
        with pytest.raises(ApiProblem) as refused:
            await change
        assert (refused.value.type, refused.value.extra["right"]) == ("forbidden", "administer")
    await anna.save_filter("invoices", "subject:bill", customer="all")
    assert await names(live, "ben") == [("invoices", "subject:bill", "all", "anna")]
    await anna.delete_filter("invoices", "all")
    assert await names(live, "ben") == []
    entries = [
        entry for entry in (await anna.audit()).entries if entry.kind in ("filter.save", "filter.delete", "denied")
    ]
    assert [(entry.kind, entry.actor) for entry in entries] == [
        ("filter.save", "ben"),
        ("denied", "otis"),
        ("denied", "otis"),
        ("filter.save", "anna"),
        ("filter.delete", "anna"),
    ]
    assert "subject" not in str([entry.facts for entry in entries])


async def test_who_lacks_a_class_does_not_see_what_asks_about_it_nor_who_may_not_note_shares(
    live: Live, monkeypatch: pytest.MonkeyPatch
):
    await live.api("ben").save_filter("invoices", "subject:invoice", customer="all")
    await live.api("ben").save_filter("big", "size:>1M", customer="all")
    await live.api("ben").save_filter("by subject", "", "subject", customer="all")
    narrow = Role("narrow", frozenset({Right.VIEW}), frozenset({DataClass.ENVELOPE}))
    monkeypatch.setitem(ROLES, "narrow", narrow)
    anna = live.api("anna")
    await anna.change_person("otis", "grant", {"role": "narrow", "customer": "all"})
    await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
    assert [f.name for f in await live.api("otis").filters()] == ["big"]
    with pytest.raises(ApiProblem) as refused:
        await live.api("otis").save_filter("mine", "size:>1M", customer="all")
    assert refused.value.extra["right"] == "note"
    with pytest.raises(ApiProblem) as refused:
        await live.api("otis").save_filter("mine", "subject:x")
    assert refused.value.extra["class"] == "subject"


async def test_a_mistake_says_what_was_expected_and_nothing_is_saved(live: Live):
    for name, query, sort, customer, said in (
        ("", "x", "-time", None, "name"),
        (" x", "x", "-time", None, "name"),
        ("a/b", "x", "-time", None, "name"),
        ("a\x1bb", "x", "-time", None, "name"),
        ("a\u2028b", "x", "-time", None, "name"),
        ("x", "form:a", "-time", None, "from"),
        ("x", "x", "colour", None, "expected one of time"),
        ("x", "x", "-time", "nowhere", "no customer nowhere"),
        ("x", "x", "-time", "", "a path was expected"),
    ):
        with pytest.raises(ApiProblem) as refused:
            await live.api("ben").save_filter(name, query, sort, customer)
        assert said in str(refused.value)
    assert await names(live, "ben") == []
