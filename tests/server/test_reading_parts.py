"""What the parts of a mail say to who reads it: authors, authentication, links, attachments, bytes page by page."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from rcqueue.client.http import ApiProblem
from rcqueue.model.act import Verb
from rcqueue.model.mail import Attachments, Envelope, Headers, Part, Text

from .live import Live

CUSTOMERS = [
    {"path": "acme", "domains": ["acme.example"]},
    {"path": "acme/sales", "domains": ["sales.example"]},
    {"path": "bank", "domains": ["bank.example"], "claim_locks_body": True},
]
RAW = b"""From: "ceo@acme.example" <ceo@acrne.example>
Reply-To: x@barnk.example
Authentication-Results: MX.acme.example; spf=fail smtp.mailfrom=acrne.example; dmarc=fail
Authentication-Results: mx.evil.example; dkim=pass header.d=acme.example
Subject: Hello
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html; charset=iso-8859-1
Content-Transfer-Encoding: 8bit

<p>Your password expires today. Please log in to keep your account with us and the others.</p>
<a href="http://acrne.example/login">acme.example</a> <a href="http://ok.example/">ok</a>
--b
Content-Type: application/pdf; name="invoice.pdf"

MZ
--b--
""".replace(b"\n", b"\r\n")


@pytest.fixture
async def live(tmp_path: Path):
    async with Live(tmp_path, customers=CUSTOMERS, authserv_ids=("mx.acme.example",)) as live:
        yield live


async def headers(live: Live, name: str, id: str) -> Headers:
    found = await live.api(name).part(id, Part.HEADERS)
    assert isinstance(found, Headers)
    return found


async def test_authors_are_marked_by_the_domains_of_the_house_they_came_to(live: Live):
    (sales,) = await live.send(RAW, "bounce@mailer.example", "a@sales.example")
    (bank,) = await live.send(RAW, "bounce@mailer.example", "a@bank.example")
    (other,) = await live.send(RAW, "bounce@mailer.example", "a@elsewhere.example")
    marks = {}
    for house, id in {"sales": sales, "bank": bank, "other": other}.items():
        for name in ("ben", "cleo"):  # both have the class envelope
            marks[house] = [(a.field, a.address, a.marks) for a in (await headers(live, name, id)).authors]
    shows, apart = "its name shows ceo@acme.example", "another domain than From"
    envelope = ("Envelope", "bounce@mailer.example", [apart])
    assert marks["sales"] == [
        ("From", "ceo@acrne.example", ["looks like acme.example", shows]),
        ("Reply-To", "x@barnk.example", [apart]),
        envelope,
    ]
    assert marks["bank"][:2] == [
        ("From", "ceo@acrne.example", [shows]),
        ("Reply-To", "x@barnk.example", ["looks like bank.example", apart]),
    ]
    assert "looks like acme.example" in marks["other"][0][2] and "looks like bank.example" in marks["other"][1][2]


async def test_without_customers_the_recipients_domains_are_those_of_the_house(tmp_path: Path):
    async with Live(tmp_path) as live:
        (id,) = await live.send(RAW, "", "a@acme.example")
        assert "looks like acme.example" in (await headers(live, "ben", id)).authors[0].marks


async def test_only_our_own_servers_results_are_more_than_said(live: Live):
    (id,) = await live.send(RAW, "", "a@acme.example")
    found = [(r.method, r.result, r.of, r.said) for r in (await headers(live, "cleo", id)).auth]
    assert found == [
        ("spf", "fail", "acrne.example", False),
        ("dmarc", "fail", "", False),
        ("dkim", "pass", "acme.example", True),
    ]


async def test_a_body_says_what_it_is_and_where_its_links_lead(live: Live):
    (id,) = await live.send(RAW, "", "a@acme.example")
    ben = live.api("ben")
    text, html = await ben.part(id, Part.TEXT), await ben.part(id, Part.HTML)
    assert isinstance(text, Text) and isinstance(html, Text)
    assert "acme.example [! goes to acrne[.]example]" in text.text and "ok <ok[.]example>" in text.text
    assert (text.source, text.charset, text.encoding, text.language) == ("text/html", "iso-8859-1", "8bit", "en")
    assert [(one.to, one.marks) for one in text.links] == [
        ("hxxp://acrne[.]example/login", ["says acme[.]example", "looks like acme[.]example"]),
        ("hxxp://ok[.]example/", []),
    ]
    assert '<a href="http://acrne.example/login">' in html.text and "\n" in html.text
    attachments = await ben.part(id, Part.ATTACHMENTS)
    assert isinstance(attachments, Attachments)
    (one,) = attachments.attachments
    assert (one.content, one.marks) == ("Windows program", ["named .pdf, but its bytes are of another kind"])


async def test_bytes_come_in_pages_and_are_on_record_once_an_opening(live: Live):
    raw = RAW + b"x" * 40_000 + b"\r\n"
    (id,) = await live.send(raw, "", "a@acme.example")
    ben, otis = live.api("ben"), live.api("otis")

    async def reads() -> list[str]:
        entries = (await live.api("dora").audit(message=id)).entries
        return [e.actor for e in entries if e.kind == "mail.read"]

    got, at, size = b"", 0, 1
    while at < size:
        page = await ben.hex(id, at)
        assert page.at == at and len(page.data) <= 2 * 16 * 1024
        got += bytes.fromhex(page.data)
        at, size = len(got), page.size
    assert got == raw and await reads() == ["ben"]
    assert (await ben.hex(id, size + 5)).data == "" and await reads() == ["ben"]
    await ben.hex(id, 0)  # opened again
    await otis.hex(id, 16_384)  # somebody who has not opened it
    await otis.hex(id, 16_384)
    assert await reads() == ["ben", "ben", "otis"]


async def test_the_next_page_asks_for_every_right_again(live: Live):
    (id,) = await live.send(RAW + b"x" * 40_000, "", "a@bank.example")
    ben, otis = live.api("ben"), live.api("otis")
    await ben.act(id, Verb.CLAIM)
    await ben.hex(id, 0)
    await ben.hex(id, 16_384)
    envelope = await ben.part(id, Part.ENVELOPE)
    assert isinstance(envelope, Envelope) and envelope.mails[0].claim is not None
    await ben.act(id, Verb.UNCLAIM)
    await otis.act(id, Verb.CLAIM)
    with pytest.raises(ApiProblem) as refused:
        await ben.hex(id, 16_384)
    assert refused.value.type == "claimed"
    await otis.hex(id, 0)
    await live.api("anna").change_person("otis", "lock", {"lock": "bodies"})
    with pytest.raises(ApiProblem) as refused:
        await otis.hex(id, 16_384)
    assert refused.value.type == "forbidden"


async def test_a_page_before_the_first_is_refused(live: Live):
    (id,) = await live.send(RAW, "", "a@acme.example")
    headers = {"Authorization": f"Bearer {live.tokens['ben']}"}
    async with httpx.AsyncClient(base_url=live.url, headers=headers) as http:
        assert (await http.get(f"/api/v1/mails/{id}/hex", params={"at": -1})).status_code in (400, 422)
        said = await http.post("/acpi", json={"cmd": "mail.show", "id": id, "part": "hex", "at": -1})
        assert "0 or more" in said.text
