"""A filter or a sort on what one may not see is refused, not answered "0"; and no filter tells of bodies at all."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcqueue.cli import main
from rcqueue.model.access import ROLES, ROOT, Access, DataClass, Grant, Right, Role, covers
from rcqueue.model.facet import FACETS
from rcqueue.model.fields import FIELDS
from rcqueue.model.query import SORTS

from .canary import CONTROL, PLACES, Haystack, planted, word
from .live import Live
from .tours import TERMS, Guest

#: Sees that there is mail, and nothing of it.
NARROW = Role("narrow", frozenset({Right.VIEW, Right.CLAIM, Right.NOTE, Right.EXTEND}), frozenset())
#: Which is in no query of these tests, and is all of one class.
ONLY = {
    DataClass.SUBJECT: CONTROL,
    DataClass.ENVELOPE: "envelopealone",
    DataClass.HEADERS: "URIBL_BLACK",
}


@pytest.fixture
async def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Live]:
    """Otis has the role above in the place of his own."""
    monkeypatch.setitem(ROLES, NARROW.name, NARROW)
    async with Live(tmp_path) as live:
        await live.api("anna").change_person("otis", "grant", {"role": NARROW.name, "customer": ROOT})
        await live.api("anna").change_person("otis", "revoke", {"role": "operator", "customer": ROOT})
        yield live


async def held(live: Live) -> list[str]:
    sender = f"{ONLY[DataClass.ENVELOPE]}@sender.example"
    return [id for mail in planted() for id in await live.send(mail.raw, sender, "x@example.org")]


def client(live: Live, name: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=live.url, headers={"Authorization": f"Bearer {live.tokens[name]}"}, timeout=30)


async def asked_with(http: httpx.AsyncClient, query: str, id: str) -> dict[str, httpx.Response]:
    """The answers to a filter, wherever one can be given."""
    v1 = "/api/v1"

    def key() -> dict[str, str]:
        return {"Idempotency-Key": secrets.token_hex(8)}

    return {
        "page": await http.get(f"{v1}/mails", params={"query": query}),
        "rows": await http.get(f"{v1}/mails/rows", params={"query": query, "ids": id}),
        "counts": await http.get(f"{v1}/counts", params={"query": query}),
        "facets": await http.get(f"{v1}/facets", params={"query": query, "by": "verdict"}),
        "summary": await http.get(f"{v1}/mails/{id}", params={"query": query}),
        "act": await http.post(f"{v1}/mails/{id}/note", headers=key(), json={"note": "x", "query": query}),
        "acts": await http.post(f"{v1}/acts", headers=key(), json={"verb": "extend", "query": query}),
        "claims": await http.get(f"{v1}/claims", params={"query": query}),
        "stand": await http.post(f"{v1}/claims", headers=key(), json={"query": query}),
        "acpi": await http.post("/acpi", json={"cmd": "mail.note", "note": "x", "id": id, "filter": query}),
    }


def term(field: str, value: str) -> str:
    return value if field == "word" else f"{field}:{value}"


async def test_a_term_on_a_class_that_one_lacks_is_refused_wherever_it_is_asked(live: Live):
    (id, *_) = await held(live)
    async with client(live, "otis") as http:
        for name, field in FIELDS.items():
            for negated in ("", "-"):
                query = negated + term(name, TERMS[name].format(id=id))
                answers = await asked_with(http, query, id)
                if not field.needs:
                    assert all(answer.status_code < 500 for answer in answers.values())
                    continue
                assert {at: a.status_code for at, a in answers.items()} == dict.fromkeys(answers, 403), query
                assert {a.json()["class"] for a in answers.values()} <= set(field.needs), query


async def test_of_a_colleague_s_claim_one_is_told_no_filter_that_one_may_not_ask_by(live: Live):
    await held(live)
    for query in ("subject:hello", "age:<1d"):
        await live.api("ben").stand(query)
    told = (await live.api("otis").claims("age:<2d")).standing
    assert [(one.who, one.query, one.both is None) for one in told] == [("ben", None, True), ("ben", "age:<1d", False)]


async def test_so_is_a_sort_and_a_key_of_acpi(live: Live):
    await held(live)
    async with client(live, "otis") as http:
        for sort, needs in SORTS.items():
            for way in ("", "-"):
                answer = await http.get("/api/v1/mails", params={"sort": way + sort})
                assert answer.status_code == (403 if needs else 200), sort
                assert needs is None or answer.json()["class"] == needs
        for key in ("fromDomain", "fromEmail", "toEmail", "subject"):
            answer = await http.post("/acpi", json={key: "a@b.example"})
            assert answer.status_code == 403, key
            assert answer.json()["code"] == "ERROR"


async def test_so_is_a_facet_and_without_a_name_it_is_left_out(live: Live):
    await held(live)
    async with client(live, "otis") as http:
        for name, kind in FACETS.items():
            for answer in (
                await http.get("/api/v1/facets", params={"by": name}),
                await http.post("/acpi", json={"cmd": "mail.facets", "by": name}),
            ):
                assert answer.status_code == (403 if kind.needs else 200), name
                assert not kind.needs or answer.json()["class"] in kind.needs
        answer = await http.get("/api/v1/facets")
        assert [facet["by"] for facet in answer.json()["facets"]] == ["verdict", "customer"]
        assert ONLY[DataClass.ENVELOPE] not in answer.text
    async with client(live, "ben") as http:
        answer = await http.get("/api/v1/facets")
        assert [facet["by"] for facet in answer.json()["facets"]] == list(FACETS)
        assert ONLY[DataClass.ENVELOPE] in answer.text


async def test_the_command_line_says_which_class_and_ends_with_3(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await held(live)
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(live.tokens["otis"])
    monkeypatch.setitem(os.environ, "RCQUEUE_SERVER", live.url)
    monkeypatch.setitem(os.environ, "RCQUEUE_TOKEN_FILE", str(token))
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert await asyncio.to_thread(main, ["list", "subject:plain"]) == 3
        assert await asyncio.to_thread(main, ["list", "--sort", "score"]) == 3
    assert "subject" in said.getvalue() and "headers" in said.getvalue()


async def test_what_one_lacks_the_class_of_is_in_no_answer(live: Live, tmp_path: Path):
    """The same search finds it for who has the classes."""
    ids = await held(live)
    for name, there in (("otis", False), ("ben", True)):
        guest = Guest(live, name, ids, tmp_path)
        async with guest.feed():
            await guest.api(reads_only=True)
            await guest.acpi()
        for channel, data in guest.heard().items():
            for data_class, only in ONLY.items():
                assert bool(Haystack(data).has(only)) == there, (name, channel, data_class)


async def test_no_filter_tells_what_is_in_a_body_a_file_name_or_rule_text(live: Live):
    """Words from there match as little as words that are nowhere, for the blind as for who may see all."""
    hidden = {DataClass.BODY, DataClass.ATTACHMENTS, DataClass.RULES}
    assert not any(field.needs & hidden for field in FIELDS.values()), "a new field: refuse it to the blind, test it"
    await held(live)
    async with client(live, "cleo") as http:
        for place in (*PLACES, "nowhere"):
            for name in ("word", "subject", "rule", "from", "to"):
                query = term(name, word(place).lower() + (".example" if name in ("from", "to") else ""))
                answer = (await http.get("/api/v1/counts", params={"query": f"{query} status:any"})).json()
                assert (answer["matching"], answer["others"]) == (0, {}), query
        every = (await http.get("/api/v1/counts", params={"query": f"{CONTROL} status:any"})).json()
    assert every["matching"] == len(planted())


PATHS = (ROOT, "acme", "acme/sales", "acme/sales/emea", "acmes", "bank")


@given(
    st.lists(st.tuples(st.sampled_from(sorted(ROLES)), st.sampled_from(PATHS)), max_size=4),
    st.lists(st.sampled_from(PATHS), min_size=1, max_size=3),
    st.sampled_from([(), ("bodies",)]),
)
def test_what_may_be_asked_is_what_is_held_wherever_the_filter_looks(
    grants: list[tuple[str, str]], within: list[str], locks: tuple[str, ...]
):
    """Against the naive way: each customer that may be viewed and at which the filter looks."""
    who = Access(1, "otis", 1, tuple(Grant(role, at) for role, at in grants), frozenset(locks))
    viewed = [path for path in PATHS if Right.VIEW in who.rights_at(path)]
    looks = [path for path in viewed if any(covers(place, path) for place in within)]
    held = [who.classes_at(path) for path in looks or viewed]
    assert who.classes_everywhere(within) == (frozenset.intersection(*held) if held else frozenset())
