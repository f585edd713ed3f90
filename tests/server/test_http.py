"""The API on the whole server: pages, acts, idempotency, problems, parts by class."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from rcqueue.client.http import ApiProblem
from rcqueue.model.act import ActBody, ActRequest, Verb
from rcqueue.model.mail import Part
from rcqueue.server.routes import bound

from .live import Live, mail


@pytest.fixture
async def live(tmp_path: Path):
    async with Live(tmp_path) as live:
        yield live


async def test_mail_that_came_in_is_on_the_first_page(live: Live):
    (message,) = await live.send(mail("First"))
    page = await live.api("ben").page()
    assert [row.id for row in page.rows] == [message]
    row = page.rows[0]
    assert (row.subject, row.fromEmail, row.toEmail) == ("First", "ada@sender.example", "ben@example.org")
    assert page.seq >= row.version


async def test_a_claim_keeps_others_from_acting_and_names_the_holder(live: Live):
    (message,) = await live.send(mail())
    ben, otis = live.api("ben"), live.api("otis")
    claimed = await ben.act(message, Verb.CLAIM)
    assert claimed.fence == claimed.seq
    with pytest.raises(ApiProblem) as refused:
        await otis.act(message, Verb.RELEASE, ActBody(as_of=claimed.seq))
    assert refused.value.type == "claimed" and refused.value.extra["by"] == "ben"
    page = await otis.page()
    assert page.rows[0].claim is not None and page.rows[0].claim.who == "ben"
    done = await ben.act(message, Verb.DELETE, ActBody(as_of=claimed.seq, fence=claimed.fence))
    assert done.results[0].status == "DELETED"
    assert not (await otis.page()).rows


async def test_an_act_on_what_has_changed_is_refused(live: Live):
    (message,) = await live.send(mail())
    ben, otis = live.api("ben"), live.api("otis")
    seen = (await ben.page()).seq
    await otis.act(message, Verb.EXTEND)
    with pytest.raises(ApiProblem) as refused:
        await ben.act(message, Verb.RELEASE, ActBody(as_of=seen))
    assert (refused.value.type, refused.value.status) == ("changed", 409)


async def test_the_same_key_answers_the_same_and_acts_once(live: Live):
    (message,) = await live.send(mail())
    ben = live.api("ben")
    first = await ben.act(message, Verb.DELETE, key="k1")
    assert await ben.act(message, Verb.DELETE, key="k1") == first
    with pytest.raises(ApiProblem) as refused:
        await ben.act(message, Verb.RESTORE, key="k1")
    assert (refused.value.type, refused.value.status) == ("idempotency-key", 422)


async def test_a_writing_call_without_a_key_is_refused(live: Live):
    (message,) = await live.send(mail())
    headers = {"Authorization": f"Bearer {live.tokens['ben']}"}
    async with httpx.AsyncClient(base_url=live.url, headers=headers) as http:
        answer = await http.post(f"/api/v1/mails/{message}/claim", json={})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:rcqueue:idempotency-key"


async def test_a_wrong_filter_names_the_term_the_place_and_what_fits(live: Live):
    with pytest.raises(ApiProblem) as refused:
        await live.api("ben").page("from:a.example scor:>8")
    assert refused.value.type == "query"
    assert refused.value.extra["term"] == "scor:>8" and refused.value.extra["place"] == 15
    assert "score" in refused.value.extra["expected"]


async def test_parts_are_built_from_the_classes_one_has(live: Live):
    more = "X-Rcq-Verdict: SPAM; looks bad\r\nX-Spam-Status: Yes, score=7.1 required=5.0 tests=BAYES_99=3.5\r\n"
    (message,) = await live.send(mail(body="The secret body.", more=more))
    ben, cleo = live.api("ben"), live.api("cleo")
    assert "secret body" in (await ben.part(message, Part.TEXT)).text
    for part in (Part.TEXT, Part.ATTACHMENTS):
        with pytest.raises(ApiProblem) as refused:
            await cleo.part(message, part)
        assert refused.value.type == "forbidden"
    assert [r.name for r in (await cleo.part(message, Part.VERDICT)).rules] == ["BAYES_99"]
    names = [f.name for f in (await cleo.part(message, Part.HEADERS)).fields]
    assert "Subject" in names and "From" in names
    history = [e.kind for e in (await ben.part(message, Part.HISTORY)).entries]
    assert history == ["mail.hold", "mail.read"]
    assert (await live.api("dora").audit(message=message)).entries[-1].kind == "denied"


async def test_what_was_denied_is_told_with_where_as_far_as_one_may_know(tmp_path: Path):
    customers = [{"path": "acme", "domains": ["example.org"]}, {"path": "bank", "domains": ["bank.example"]}]
    async with Live(tmp_path, customers=customers) as live:
        (message,) = await live.send(mail())
        anna, otis = live.api("anna"), live.api("otis")
        await anna.change_person("otis", "grant", {"role": "operator", "customer": "bank"})
        await anna.change_person("otis", "revoke", {"role": "operator", "customer": "all"})
        tries = (
            (live.api("dora").act(message, Verb.RELEASE), "release at acme: no right to release"),
            (live.api("cleo").part(message, Part.TEXT), "read the text at acme"),
            (
                live.api("cleo").act(message, Verb.RELEASE, ActBody(to=["a@b.example"])),
                "release at acme: no right to body",
            ),
            (otis.set_hop("pause", "h:1", "why"), "outgoing.pause: no right to administer"),
            (otis.import_mail(mail(), "a@b.example", ["x@example.org"], key="k"), "import at acme: no right to hold"),
        )
        for call, _ in tries:
            with pytest.raises(ApiProblem):
                await call
        denied = [entry for entry in (await anna.audit()).entries if entry.kind == "denied"]
        assert [entry.said for entry in denied] == [said for _, said in tries]
        own = {entry.said for entry in (await otis.history()).entries if entry.kind == "denied"}
        assert own == {"outgoing.pause: no right to administer", "import: no right to hold"}


async def test_raw_is_the_stored_bytes(live: Live):
    raw = mail(body="Line one\r\n.dot\r\n")
    (message,) = await live.send(raw)
    assert b"".join([chunk async for chunk in live.api("ben").raw(message)]) == raw


async def test_an_act_on_many_is_confirmed_by_its_count_and_tried_on_just_those(live: Live):
    for n in range(5):
        await live.send(mail(f"Number {n}"))
    ben = live.api("ben")
    stored = await ben.store_act(ActRequest(verb=Verb.DELETE, query="subject:number"))
    assert (stored.count, stored.state, len(stored.sample)) == (5, "stored", 5)
    await live.send(mail("Number late"))
    with pytest.raises(ApiProblem) as refused:
        await ben.confirm_act(stored.id, 6)
    assert refused.value.type == "expect"
    await ben.confirm_act(stored.id, 5)
    while (progress := await ben.act_progress(stored.id)).state == "running":
        pass
    assert (progress.state, progress.done) == ("done", 5)
    assert [row.subject for row in (await ben.page()).rows] == ["Number late"]
    assert [r.result for r in (await ben.act_results(stored.id)).results] == ["done"] * 5


async def test_no_token_and_a_page_of_another_origin_are_refused(live: Live):
    async with httpx.AsyncClient(base_url=live.url) as http:
        assert (await http.get("/api/v1/mails")).status_code == 401
        headers = {"Authorization": f"Bearer {live.tokens['ben']}", "Origin": "https://evil.example"}
        assert (await http.get("/api/v1/mails", headers=headers)).status_code == 403


async def test_sign_out_frees_claims_at_once(live: Live):
    (message,) = await live.send(mail())
    ben = live.api("ben")
    await ben.act(message, Verb.CLAIM)
    await ben.logout()
    assert (await live.api("otis").page()).rows[0].claim is None
    with pytest.raises(ApiProblem) as refused:
        await ben.page()
    assert refused.value.status == 401


async def test_rights_taken_away_end_reading_at_once(live: Live):
    (message,) = await live.send(mail())
    ben, anna = live.api("ben"), live.api("anna")
    assert (await ben.part(message, Part.TEXT)).text
    await anna.change_person("ben", "lock", {"lock": "bodies"})
    with pytest.raises(ApiProblem) as refused:
        await ben.part(message, Part.TEXT)
    assert refused.value.type == "forbidden"
    await anna.change_person("ben", "unlock", {"lock": "bodies"})
    assert (await ben.part(message, Part.TEXT)).text
    with pytest.raises(ApiProblem):
        await anna.change_person("anna", "lock", {"lock": "bodies"})


async def test_health_and_metrics_name_no_address_and_no_subject(live: Live):
    await live.send(mail("Secret subject"))
    async with httpx.AsyncClient(base_url=live.url) as http:
        health, metrics = await http.get("/healthz"), await http.get("/metrics")
    assert health.json()["mails"] == {"ONHOLD": 1}
    assert 'rcqueue_mails{status="ONHOLD"} 1.0' in metrics.text
    assert "Secret" not in health.text + metrics.text and "example" not in health.text + metrics.text


async def test_a_page_that_starts_at_no_mail_says_so(live: Live):
    await live.send(mail())
    with pytest.raises(ApiProblem) as refused:
        await live.api("ben").page(sort="score", at="0000000000001")
    assert (refused.value.type, refused.value.status) == ("not-found", 404)


@pytest.mark.parametrize("declared", [True, False])
async def test_a_request_that_is_too_long_is_refused_unread_whoever_asks(live: Live, declared: bool):
    """Signed in or not. It is answered at once, though no end of it comes."""
    chunk = b"%x\r\n%b\r\n" % (1 << 20, b"x" * (1 << 20))
    for path, most in (("/api/v1/login", bound.BODY), ("/api/v1/rules", bound.RULES), ("/acpi", 100 << 20)):
        if most > bound.BODY and not declared:
            continue  # so much is not sent here
        length = f"Content-Length: {most + 1}" if declared else "Transfer-Encoding: chunked"
        reader, writer = await asyncio.open_connection("127.0.0.1", live.config.http.listen.port)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
        writer.write(head.encode() + (b"" if declared else 5 * chunk))
        async with asyncio.timeout(10):
            said = await reader.readuntil(b"}")
        writer.close()
        assert said.startswith(b"HTTP/1.1 413 ") and b"urn:rcqueue:too-large" in said
        assert f"at most {most} bytes were expected".encode() in said
