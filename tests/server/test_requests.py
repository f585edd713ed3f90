"""The links of a notice: following one does nothing, the button behind it requests and never releases, once."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from rcqueue.client.api import ApiProblem
from rcqueue.model.act import ActBody, Verb
from rcqueue.server.marshal import requests as marshalled
from rcqueue.server.routes import requests

from .live import Live, mail
from .noticing import arrived, kinds, links, noticing, notified, rows, until

PRESSED = {"content": b"ask=yes", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
TABLES = ("entry", "mail", "message", "claim", "notice", "notice_link", "notice_stop", "task", "attempt")


def everything(live: Live) -> str:
    """A digest of all that is stored."""
    return hashlib.sha256(repr([rows(live, f"SELECT * FROM {table}") for table in TABLES]).encode()).hexdigest()


@asynccontextmanager
async def told(folder: Path, *subjects: str) -> AsyncIterator[tuple[Live, httpx.AsyncClient, list[str], list[str]]]:
    """A server whose recipient carl got a notice: a client of his, his links (the last stops the notices), and the
    ids of his mails, newest first as in the notice."""
    async with noticing(folder) as live:
        ids = [(await live.send(mail(s), "ada@sender.example", "carl@acme.example"))[0] for s in subjects or ("One",)]
        found = links(await notified(live, "carl@acme.example"))
        await until(lambda: kinds(live).get("notice.sent"))
        async with httpx.AsyncClient(base_url=live.url) as http:
            yield live, http, found, ids[::-1]


async def test_following_a_link_does_nothing_however_often(tmp_path: Path):
    async with told(tmp_path, "One", "Two") as (live, http, found, _):
        before = everything(live)
        for link in (*found, *found):
            page = await http.get(link)
            assert page.status_code == 200 and "<button" in page.text
            assert (await http.head(link)).status_code == 200 and not (await http.head(link)).content
            for method in ("OPTIONS", "PUT", "DELETE", "PATCH"):
                assert (await http.request(method, link)).status_code == 405
            for body in (b"", b"ask=no", b"ask=yes&more", b"x" * 5000):  # what a program may send that presses nothing
                assert "<button" in (await http.post(link, content=body)).text
        assert everything(live) == before


async def test_a_page_is_plain_and_closed(tmp_path: Path):
    async with told(tmp_path) as (_, http, found, _ids):
        for answer in [
            await http.get(found[0]),
            await http.get("/r/" + "x" * 32),
            await http.post(found[0], **PRESSED),
        ]:
            for header, value in requests.HEADERS.items():
                assert answer.headers[header] == value
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "no-store" in answer.headers["Cache-Control"] and answer.headers["Referrer-Policy"] == "no-referrer"
            for nothing in ("<script", "http:", "https:", "src=", "carl", "ada", "sender.example", "One"):
                assert nothing not in answer.text
            style = answer.text.partition("<style>")[2].partition("</style>")[0]
            assert b64encode(hashlib.sha256(style.encode()).digest()).decode() == requests._HASH


async def test_the_button_requests_and_the_operator_releases(tmp_path: Path):
    async with told(tmp_path, "One", "Two") as (live, http, found, ids):
        ben = live.api("ben")
        seq = (await ben.page()).seq
        version = (await ben.page("requested:no")).rows[0].version
        assert "Asked" in (await http.post(found[0], **PRESSED)).text

        part = await ben.entries(seq, wait=5)  # as the feed brings it
        (entry,) = part.entries
        assert (entry.kind, entry.actor, entry.message) == ("mail.request", "system", ids[0])
        assert entry.mails[0].version == version
        assert entry.row is not None and entry.row.requested == 1 and entry.row.status == "ONHOLD"
        assert entry.row.version == version
        (row,) = (await ben.page("requested:yes")).rows
        assert (row.id, row.requested, row.version) == (ids[0], 1, version)
        assert [r.id for r in (await ben.page("requested:<1d")).rows] == [ids[0]]
        assert [r.id for r in (await ben.page("requested:no")).rows] == [ids[1]]
        assert (await ben.counts("requested:yes")).matching == 1
        assert arrived(live, "carl@acme.example")[1:] == []  # never by the link

        stored = everything(live)
        again = await http.post(found[0], **PRESSED)
        assert again.status_code == 404 and "Nothing to do" in again.text and everything(live) == stored

        await ben.act(ids[0], Verb.RELEASE, ActBody(as_of=seq))  # what was seen before the request still holds
        await until(lambda: len(arrived(live, "carl@acme.example")) == 2)
        assert (await ben.page("status:any requested:yes")).rows == []


async def test_forged_used_and_ended_links_all_answer_the_same(tmp_path: Path):
    async with told(tmp_path, *"ABCD") as (live, http, found, ids):
        used, deleted, released, ended = found[:4]
        await http.post(used, **PRESSED)
        await live.api("ben").act(ids[1], Verb.DELETE)
        await live.api("ben").act(ids[2], Verb.RELEASE)
        await until(lambda: "mail.released" in kinds(live))  # all that a release writes is written
        token = ended.removeprefix("/r/")
        with live.server.marshal.database.write_engine.begin() as connection:
            link = marshalled.t.notice_link
            hashed = hashlib.sha256(token.encode()).digest()
            changed = connection.execute(link.update().where(link.c.token == hashed).values(ends=1))
            assert changed.rowcount == 1
        forged = ["/r/" + secrets.token_urlsafe(24), "/r/x", "/r/%00", "/r/" + "a" * 5000, used[:-1], used + "x"]
        stored = everything(live)
        answers = set()
        for link in (used, deleted, released, ended, *forged):
            for answer in (await http.get(link), await http.post(link, **PRESSED)):
                headers = tuple((k, v) for k, v in sorted(answer.headers.items()) if k != "date")
                answers.add((answer.status_code, answer.content, headers))
        assert len(answers) == 1
        assert everything(live) == stored


async def test_two_who_press_at_once_request_once(tmp_path: Path):
    async with told(tmp_path) as (live, http, found, _):
        pages = await asyncio.gather(*(http.post(found[0], **PRESSED) for _ in range(5)))
        assert sorted(page.status_code for page in pages) == [200, 404, 404, 404, 404]
        assert kinds(live)["mail.request"] == 1
        assert rows(live, "SELECT requested FROM message") == [(1,)]


async def test_no_link_asks_for_what_became_dangerous(tmp_path: Path):
    async with told(tmp_path) as (live, http, found, _):
        with live.server.marshal.database.write_engine.begin() as connection:
            connection.execute(marshalled.t.message.update().values(verdict="VIRUS"))  # as a rescan does
        assert (await http.get(found[0])).status_code == (await http.post(found[0], **PRESSED)).status_code == 404
        assert "mail.request" not in kinds(live)


async def test_notices_are_stopped_by_a_button_and_started_by_an_administrator(tmp_path: Path):
    async with told(tmp_path) as (live, http, found, _):
        anna, ben = live.api("anna"), live.api("ben")
        assert "Stopped" in (await http.post(found[-1], **PRESSED)).text
        assert (await http.post(found[-1], **PRESSED)).status_code == 404
        await live.send(mail("New"), "ada@sender.example", "carl@acme.example")
        with live.server.marshal.database.write_engine.begin() as connection:
            connection.execute(marshalled.t.notice.delete())  # as on another day
        assert (await anna.send_notices("acme.example", now=True)).made == 0
        with pytest.raises(ApiProblem, match="no right to administer"):
            await ben.start_notices("carl@acme.example")
        await anna.start_notices("Carl@ACME.example")
        assert (await anna.send_notices("acme.example", now=True)).made == 1
        await until(lambda: len(arrived(live, "carl@acme.example")) == 2)
        with pytest.raises(ApiProblem, match="has not stopped"):
            await anna.start_notices("carl@acme.example")
        assert {"notice.stop": 1, "notice.start": 1, "denied": 1}.items() <= kinds(live).items()


async def test_who_knocks_too_often_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with told(tmp_path) as (live, http, found, _):
        for most, link in ((requests.OF_TOKEN, lambda: found[0]), (requests.OF_TOKEN, lambda: "/r/forged")):
            assert [(await http.get(link())).status_code for _ in range(most + 1)][-2:].count(429) == 1
        busy = await http.post(found[0], **PRESSED)
        assert busy.status_code == 429 and busy.headers["Retry-After"] == "60" and "mail.request" not in kinds(live)
        left = requests.OF_ADDRESS - 2 * requests.OF_TOKEN - 3
        for _ in range(left):
            assert (await http.get("/r/" + secrets.token_urlsafe(24))).status_code == 404
        assert (await http.get("/r/" + secrets.token_urlsafe(24))).status_code == 429


def test_limits_count_a_minute_and_forget():
    limits = requests.Limits()
    assert [limits.exceeded("a", 2, 0.0) for _ in range(3)] == [False, False, True]
    assert limits.exceeded("a", 2, 59.9) and not limits.exceeded("a", 2, 60.0)
    for number in range(requests.KNOWN + 5):
        limits.exceeded(str(number), 2, 61.0)
    assert len(limits._counted) == requests.KNOWN
    assert requests._network("2001:db8::1") == requests._network("2001:db8::2") != requests._network("2001:db9::1")


@pytest.mark.parametrize("leaves", ["release", "delete", "expire"])
async def test_a_request_ends_when_the_mail_leaves_the_hold(leaves: str, tmp_path: Path):
    async with told(tmp_path) as (live, http, found, ids):
        ben = live.api("ben")
        await http.post(found[0], **PRESSED)
        await ben.act(ids[0], Verb.CLAIM)
        await ben.act(ids[0], Verb.EXTEND)  # stays on hold, and asked for
        assert rows(live, "SELECT requested IS NOT NULL FROM mail") == [(1,)]
        if leaves == "expire":
            live.server.marshal.clock._at += 30 * 86400_000_000
        else:
            await ben.act(ids[0], Verb(leaves))
        await until(lambda: rows(live, "SELECT requested, status <> 'ONHOLD' FROM mail") == [(None, 1)])
        assert rows(live, "SELECT requested FROM message") == [(0,)]


async def test_each_guard_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without it, what the tests above forbid happens."""
    good, askable, pressed = marshalled._good, marshalled._askable, requests._pressed

    async def yes(_: Any) -> bool:
        return True

    async with told(tmp_path, *"ABCDE", "F") as (live, http, found, ids):
        monkeypatch.setattr(requests, "_pressed", yes)
        await http.post(found[0], content=b"")
        assert kinds(live).get("mail.request") == 1, "a POST that presses nothing"
        monkeypatch.setattr(requests, "_pressed", pressed)

        monkeypatch.setattr(marshalled, "_good", lambda link, now: link is not None)
        monkeypatch.setattr(marshalled, "_askable", lambda verdict, mail: mail["status"] == "ONHOLD")
        await http.post(found[0], **PRESSED)
        assert kinds(live)["mail.request"] == 2, "a used link"
        monkeypatch.setattr(marshalled, "_askable", askable)

        with live.server.marshal.database.write_engine.begin() as connection:
            connection.execute(marshalled.t.notice_link.update().values(ends=1))
        monkeypatch.setattr(marshalled, "_good", lambda link, now: link is not None and link["used"] is None)
        await http.post(found[2], **PRESSED)
        assert kinds(live)["mail.request"] == 3, "a link whose time is over"
        with live.server.marshal.database.write_engine.begin() as connection:
            connection.execute(marshalled.t.notice_link.update().values(ends=1 << 60))
        monkeypatch.setattr(marshalled, "_good", good)

        monkeypatch.setattr(marshalled, "DANGEROUS", frozenset())
        with live.server.marshal.database.write_engine.begin() as connection:
            connection.execute(marshalled.t.message.update().values(verdict="PHISH"))
        await http.post(found[3], **PRESSED)
        assert kinds(live)["mail.request"] == 4, "mail that is dangerous"

        monkeypatch.setattr(marshalled, "_askable", lambda verdict, mail: True)
        await live.api("ben").act(ids[1], Verb.DELETE)
        await http.post(found[1], **PRESSED)
        assert rows(live, "SELECT count(*) FROM mail WHERE status = 'DELETED' AND requested > 0") == [(1,)]
        monkeypatch.setattr(marshalled, "_askable", askable)

        monkeypatch.setattr(requests.Limits, "exceeded", lambda *_: False)
        assert {(await http.get("/r/forged")).status_code for _ in range(requests.OF_TOKEN + 5)} == {404}
