"""A body leaves by one door: nothing of it, in no form, reaches who may not see it, whatever they ask.

The same tours are gone by people who have the classes, and find it: what finds nothing looks where there is something.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets import ConnectionClosedError

from rcqueue.demo.next_hop import Behaviour
from rcqueue.model.access import ROOT, Access, DataClass
from rcqueue.model.act import Verb
from rcqueue.model.ids import parse_id
from rcqueue.model.mail import BODIES, Part, RuleHit, ScanResult
from rcqueue.server.identity.sessions import token_hash
from rcqueue.server.marshal import entries, show
from rcqueue.server.reading.listed import LISTED
from rcqueue.server.routes.acpi import COMMANDS, Request
from rcqueue.server.store import tables as t
from tests import surface

from .canary import CONTROL, MARK, PLACES, Haystack, Planted, Wire, base64_forms, canary, forms, leaks, planted, word
from .live import Live
from .tours import LOCAL, PASSWORD, SPY, Guest

MAILS = planted()
#: What a display on a wall is answered: numbers, itself, and the description of the API.
COUNTS = {
    "GET /wall",
    "GET /healthz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /whoami",
    "POST /login",
    "POST /logout",
    "acpi wall.show",
}
LINKS = {"GET /r/{token}", "POST /r/{token}"}  #: of notices: whoever has one may use it
REPLY = "reply"  #: a place outside any mail: next hops quote what they refuse
SCANNED = ("scan-reason", "scan-member", "scan-description")  #: what our own scanners say, which quotes bodies too
TEXTS = ("text", "text-utf16", "text-qp", "text-base64", "html", "html-entities", "html-link")


@asynccontextmanager
async def opened(folder: Path, *recipients: str, **more: object) -> AsyncIterator[tuple[Live, list[str]]]:
    """A server with the planted mails, one copy for each recipient."""
    notices = {"domains": ["example.org"], "from": "postmaster@example.org", "url": "https://queue.example.org"}
    async with Live(folder, recall="1s", notices=notices, **more) as live:  # type: ignore[arg-type]
        live.next_hop.behaviour = lambda _: Behaviour(refuse=canary("554 5.7.0 Reject: BANNED: .exe,{reply}.exe"))
        ids = [id for recipient in recipients or ("x@example.org",) for id in await plant(live, MAILS, recipient)]
        await send_back(live, ids[-1])
        scanned(live, ids[0])
        yield live, ids


async def plant(live: Live, mails: Iterable[Planted], recipient: str = "x@example.org") -> list[str]:
    return [id for mail in mails for id in await live.send(mail.raw, "ada@sender.example", recipient)]


async def send_back(live: Live, id: str) -> None:
    """Releases it to the next hop, which sends it back with a reply that says what it found in it."""
    anna = live.api("anna")
    await anna.act(id, Verb.RELEASE)
    async with asyncio.timeout(20):
        while not (await anna.part(id, Part.ENVELOPE)).mails[0].reply:  # type: ignore[union-attr]
            await asyncio.sleep(0.05)


def scanned(live: Live, id: str) -> None:
    """A scanner of ours has been at it."""
    reason, member, description = (canary(f"{{{place}}}") for place in SCANNED)
    said = ScanResult(scanner="spamd", kind="SPAM", score=9.5, reason=reason, members=[f"{member}.exe"])
    said.rules = [RuleHit(name="A_RULE", points=9.5, description=description)]
    of = t.message_detail.c.message == parse_id(id)[0]
    with live.server.marshal.database.write_engine.begin() as connection:
        scans = f"[{said.model_dump_json()}]"
        connection.execute(t.message_detail.update().where(of).values(scans=scans))


def links_of(live: Live, id: str) -> list[str]:
    """Links as notices have them: that ask for this mail, and that stop the notices."""
    ends = live.server.marshal.clock.now() + 3600_000_000
    links = {"asks-for-it": (parse_id(id)[0], 0), "stops-them": (None, None)}
    rows = [
        {"token": token_hash(token), "recipient": "x@example.org", "message": message, "n": n, "ends": ends}
        for token, (message, n) in links.items()
    ]
    with live.server.marshal.database.write_engine.begin() as connection:
        connection.execute(t.notice_link.insert(), rows)
    return list(links)


async def tour(live: Live, name: str, ids: list[str], *, processes: bool = True, feed: bool = True) -> Guest:
    """Everything there is, over every channel."""
    folder = live.folder / name
    folder.mkdir()
    await live.api("anna").set_password(name, PASSWORD)
    guest = Guest(live, name, ids, folder, links_of(live, ids[1]))
    async with guest.feed() if feed else contextlib.nullcontext():
        await guest.cli(processes=processes)
        await guest.api()
        await guest.acpi()
    return guest


# -- the search finds


@pytest.mark.parametrize("form", [*forms(MARK), *base64_forms(MARK)])
def test_a_canary_is_found_in_each_form(form: str):
    octets = (forms(MARK) | base64_forms(MARK))[form]
    assert form in Haystack(b"before " + octets + b" after").has(MARK)
    assert form in Haystack(b"before " + octets[:5] + b"=\r\n" + octets[5:] + b" after").has(MARK)
    assert leaks(octets) and not leaks(octets[:-3])


def test_a_mail_is_known_by_the_digest_of_any_part_of_it():
    for mail in MAILS:
        for name, digest in mail.digests:
            assert f"a digest of {name}" in leaks(digest.hex().upper().encode(), [mail])


# -- who has the classes finds it, who has not does not


async def test_an_operator_finds_each_canary_over_each_channel(tmp_path: Path):
    async with opened(tmp_path) as (live, ids):
        ben = await tour(live, "ben", ids)
    heard = {channel: Haystack(data) for channel, data in ben.heard().items()}
    for channel in ("api", "acpi", "cli"):
        assert heard[channel].lacks((*PLACES, REPLY, *SCANNED)) == set(), channel
    assert heard["feed"].has(word(REPLY))  # of what is planted a feed shows no more to anybody
    assert all(hay.has(CONTROL) for hay in heard.values())
    assert live.next_hop.attempts[SPY]
    assert {name for mail in MAILS for name, digest in mail.digests if heard["api"].has_digest(digest)}


@pytest.mark.parametrize("name", ["cleo", "dora", "otis"], ids=["blind", "auditor", "locked out"])
async def test_who_lacks_the_classes_finds_nothing(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "rcqueue")
    async with opened(tmp_path) as (live, ids):
        if name == "otis":
            await live.api("anna").change_person("otis", "lock", {"lock": "bodies"})
        guest = await tour(live, name, ids, processes=name == "cleo")
    heard = guest.heard()
    assert {channel: leaks(data, MAILS) for channel, data in heard.items()} == {channel: set() for channel in heard}
    assert all(Haystack(data).has(CONTROL) for data in heard.values())
    assert not leaks(caplog.text.encode(), MAILS)
    assert not live.next_hop.attempts[SPY]
    assert not leaks(b"".join(file.read_bytes() for file in guest.folder.rglob("*") if file.is_file()), MAILS)
    for part in (*BODIES, Part.ATTACHMENTS):
        assert guest.statuses[part] == {403}
    if name != "cleo":
        return
    offered: set[object] = surface.routes() | surface.described()
    offered |= surface.commands().keys() - LOCAL
    offered |= {f"acpi {command}" for command in COMMANDS} | {f"acpi key {key}" for key in Request.model_fields}
    assert offered - guest.passed == set(), "no tour comes past these"


async def test_a_display_on_a_wall_gets_nothing_but_counts(tmp_path: Path):
    async with opened(tmp_path) as (live, ids):
        wally = await tour(live, "wally", ids[:6], processes=False, feed=False)
        with pytest.raises(ConnectionClosedError, match="4403"):
            async with wally.feed():
                pass
        wall = await live.api("wally").wall()
    heard = wally.heard()
    for channel, data in heard.items():
        assert leaks(data, MAILS) == set(), channel
        for name in (CONTROL, "anna"):  # what they asked is said back to them, and no more
            assert not Haystack(data).has(name), channel
    assert wall.status["ONHOLD"] and wall.customers == {ROOT: wall.status["ONHOLD"]}
    seen = {route for route, statuses in wally.statuses.items() if statuses & set(range(200, 300))}
    assert seen - LINKS == COUNTS  # no list of none, and no act on none: that would be an answer


# -- each guard is needed: without it, the same search finds something


def _all_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Access, "classes_at", lambda self, customer: frozenset(DataClass))


def _also(data_class: DataClass) -> Callable[[pytest.MonkeyPatch], None]:
    def without(monkeypatch: pytest.MonkeyPatch) -> None:
        real = Access.classes_at
        monkeypatch.setattr(Access, "classes_at", lambda self, customer: real(self, customer) | {data_class})

    return without


def _no_require(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "require", lambda *_: None)


def _whole_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (show, entries):
        monkeypatch.setattr(module, "reply_for", lambda who, customer, reply: reply)


def _whole_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "result_for", lambda classes, result: result)


def _listed_whole(field: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda monkeypatch: monkeypatch.setitem(LISTED, field, str)


GUARDS = {
    "the classes": (_all_classes, "text"),
    "the class of bodies": (_also(DataClass.BODY), "text"),
    "the class of rule text": (_also(DataClass.RULES), "report-description"),
    "the class of attachments": (_also(DataClass.ATTACHMENTS), "file-name"),
    "the check of the class": (_no_require, "file-name"),
    "the codes of replies": (_whole_replies, REPLY),
    "the kind of a verdict alone": (_listed_whole("x-rcq-verdict"), "verdict-reason"),
    "the list of fields": (_listed_whole("x-spam-report"), "report-preview"),
    "what is built of the type": (_listed_whole("content-type"), "top-name"),
    "what is built of the score": (_listed_whole("x-spam-status"), "status-comment"),
    "what is built of the symbols": (_listed_whole("x-spamd-result"), "rspamd-option"),
    "what is built of an alert": (_listed_whole("x-amavis-alert"), "banned-name"),
    "what is built of a virus": (_listed_whole("x-virus-status"), "virus-file"),
    "what is built of a signature": (_listed_whole("dkim-signature"), "bodyhash"),
    "what is built of a scanner's words": (_whole_results, "scan-member"),
}


async def test_without_any_one_guard_something_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = {}
    async with opened(tmp_path) as (live, _):
        for guard, (take_out, place) in GUARDS.items():
            with monkeypatch.context() as without:
                take_out(without)
                ids = await plant(live, [mail for mail in MAILS if place in mail.places] or MAILS[:1])
                if place == REPLY:
                    await send_back(live, ids[0])
                if place in SCANNED:
                    scanned(live, ids[0])
                cleo = Guest(live, "cleo", ids, tmp_path)
                await cleo.api(reads_only=True)
            found[guard] = bool(Haystack(cleo.heard()["api"]).has(word(place)))
        cleo = Guest(live, "cleo", await plant(live, MAILS), tmp_path)
        await cleo.api(reads_only=True)
    assert found == dict.fromkeys(GUARDS, True)
    assert leaks(cleo.heard()["api"], MAILS) == set()  # with all of them back


async def test_a_route_that_no_tour_knows_is_told(monkeypatch: pytest.MonkeyPatch):
    app = surface.app()
    before = surface.routes(app)
    app.add_api_route("/api/v1/mails/{id}/preview", lambda id: "", methods=["GET"])
    assert surface.routes(app) - before == {"GET /api/v1/mails/{id}/preview"}


# -- who sees at one customer and not at another; who must claim first


async def test_each_customer_has_classes_of_its_own(tmp_path: Path):
    customers = [{"path": "acme", "domains": ["acme.example"]}, {"path": "bank", "domains": ["bank.example"]}]
    async with opened(tmp_path, "x@acme.example", "x@bank.example", customers=customers) as (live, ids):
        anna = live.api("anna")
        await anna.change_person("otis", "grant", {"role": "operator", "customer": "acme"})
        await anna.change_person("otis", "grant", {"role": "blind", "customer": "bank"})
        await anna.change_person("otis", "revoke", {"role": "operator", "customer": ROOT})
        acme, bank = ids[: len(MAILS)], ids[len(MAILS) :]
        at_bank, at_acme = Guest(live, "otis", bank, tmp_path), Guest(live, "otis", acme, tmp_path)
        await at_bank.api(reads_only=True)
        await at_acme.api(reads_only=True)
    assert leaks(at_bank.heard()["api"], MAILS) == set()
    assert Haystack(at_acme.heard()["api"]).lacks(PLACES) == set()


async def test_where_a_claim_locks_the_body_only_its_holder_reads_it(tmp_path: Path):
    customers = [{"path": "bank", "domains": ["bank.example"], "claim_locks_body": True}]

    async def texts_found_by(name: str) -> set[str]:
        guest = Guest(live, name, ids, tmp_path)
        await guest.api(reads_only=True)
        assert all(guest.statuses[part] == guest.statuses[Part.TEXT] for part in BODIES)
        assert guest.statuses[Part.TEXT] in ({200}, {409})
        return set(TEXTS) - Haystack(guest.heard()["api"]).lacks(TEXTS)

    async with opened(tmp_path, "x@bank.example", customers=customers) as (live, ids):
        assert await texts_found_by("ben") == set()
        for id in ids:
            await live.api("ben").act(id, Verb.CLAIM)
        assert await texts_found_by("ben") == set(TEXTS)
        assert await texts_found_by("otis") == set()


async def test_a_rescan_tells_no_more_than_one_may_see(tmp_path: Path):
    """Its policy is about attachments: the reason of the new verdict names them."""
    policy = tmp_path / "policy.toml"
    policy.write_text('[[default.attachment]]\nname = "*"\ndo = "isolate"\n')

    async def rescans(name: str) -> bytes:
        async with Wire(live.config.http.listen.port) as wire:
            headers = {"Authorization": f"Bearer {live.tokens[name]}"}
            async with httpx.AsyncClient(base_url=wire.url, headers=headers, timeout=30) as http:

                async def post(path: str, body: dict[str, object]) -> dict[str, Any]:
                    answer = await http.post(path, json=body, headers={"Idempotency-Key": secrets.token_hex(8)})
                    assert answer.status_code in (200, 409), answer.text  # what passed is gone
                    return dict(answer.json())

                for id in ids:
                    await post(f"/api/v1/mails/{id}/rescan", {})
                act = await post("/api/v1/acts", {"verb": "rescan", "query": "status:onhold"})
                async with asyncio.timeout(30):
                    while act["state"] == "weighing":
                        await asyncio.sleep(0.05)
                        act = (await http.get(f"/api/v1/acts/{act['id']}")).json()
                await post(f"/api/v1/acts/{act['id']}/confirm", {"expect": act["would"].get("pass", 0)})
                async with asyncio.timeout(30):
                    while act["state"] in ("stored", "running"):
                        await asyncio.sleep(0.05)
                        act = (await http.get(f"/api/v1/acts/{act['id']}")).json()
                await http.get(f"/api/v1/acts/{act['id']}/results")
            guest = Guest(live, name, ids, tmp_path)
            await guest.api(reads_only=True)
            return wire.heard + guest.heard()["api"]

    async with opened(tmp_path, policy=policy) as (live, ids):
        ids = [id for id in ids if (await live.api("anna").summary(id)).row.status == "ONHOLD"]
        cleo = await rescans("cleo")
        ben = await rescans("ben")
    assert leaks(cleo, MAILS) == set()
    assert Haystack(ben).has(word("file-name")) and b"isolate" in ben


async def test_a_lock_holds_from_the_next_call_on(tmp_path: Path):
    async with opened(tmp_path) as (live, ids):
        before, after = (Guest(live, "otis", ids, tmp_path) for _ in range(2))
        await before.api(reads_only=True)
        await live.api("anna").change_person("otis", "lock", {"lock": "bodies"})
        await after.api(reads_only=True)
    assert Haystack(before.heard()["api"]).lacks(PLACES) == set()
    assert leaks(after.heard()["api"], MAILS) == set()


async def test_what_is_stored_and_broken_is_not_quoted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    broken = canary('{"verdict": "{text}", "fields": ["{text}"]}')
    async with opened(tmp_path) as (live, ids):
        with live.server.marshal.database.write_engine.begin() as connection:
            connection.execute(
                t.message_detail.update().values(dict.fromkeys(("verdict", "headers", "receipt", "scans"), broken))
            )
        headers = {"Authorization": f"Bearer {live.tokens['cleo']}"}
        async with httpx.AsyncClient(base_url=live.url, headers=headers) as http:
            for part in (Part.VERDICT, Part.HEADERS, Part.RECEIPT, Part.SUMMARY, Part.TIMELINE):
                for answer in (
                    await http.get(f"/api/v1/mails/{ids[0]}/{part}"),
                    await http.post("/acpi", json={"cmd": "mail.show", "id": ids[0], "part": part}),
                ):
                    assert answer.status_code == 500 and not leaks(answer.content), answer.text
    assert "ValidationError" in caplog.text and not leaks(caplog.text.encode())
