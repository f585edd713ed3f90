"""Ways out through each door: API, command line, /acpi; and what a person without bodies gets of them: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest

from rcqueue.cli import main
from rcqueue.client.api import ApiProblem
from rcqueue.model.act import ActBody, ReleaseAs, Verb
from rcqueue.model.mail import Part

from .live import Live, mail


@pytest.fixture
async def live(tmp_path: Path):
    async with Live(tmp_path, recall="0s", release={"postmaster": "desk@example.org"}) as live:
        yield live


async def arrives(live: Live, to: str) -> bytes:
    async with asyncio.timeout(10):
        while not (found := [got.raw for got in live.next_hop.received() if got.recipients == (to,)]):
            await asyncio.sleep(0.02)
    return found[0]


async def cli(live: Live, monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> tuple[int, str]:
    token = live.folder / f"{name}.token"
    token.write_text(live.tokens[name])
    token.chmod(0o600)
    monkeypatch.setenv("RCQUEUE_SERVER", live.url)
    monkeypatch.setenv("RCQUEUE_TOKEN_FILE", str(token))
    out = io.StringIO()

    def run() -> int:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            return main(words) or 0

    return await asyncio.to_thread(run), out.getvalue()


async def acpi(live: Live, name: str, **asked: Any) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {live.tokens[name]}"}
    async with httpx.AsyncClient(base_url=live.url, headers=headers) as http:
        return [json.loads(line) for line in (await http.post("/acpi", json=asked)).text.splitlines()]


async def test_on_the_command_line(live, monkeypatch):
    (id,) = await live.send(mail("one"))
    words = ("release", id, "--as", "tagged", "--to", "a@example.org", "--to", "postmaster", "--learn", "--json")
    status, said = await cli(live, monkeypatch, "ben", *words)
    assert status == 0 and json.loads(said)["results"][0]["status"] == "ONHOLD"
    for to in ("a@example.org", "desk@example.org"):
        assert b"Subject: [SPAM] one" in await arrives(live, to)
    status, said = await cli(live, monkeypatch, "cleo", "release", id, "--to", "cleo@example.org")
    assert status == 3 and "you may not see that" in said
    status, said = await cli(live, monkeypatch, "ben", "release", id, "--to", "nobody")
    assert status == 2 and "an address was expected" in said
    (two,) = await live.send(mail("two"))
    status, said = await cli(live, monkeypatch, "ben", "delete", two, "--learn")
    assert status == 0
    history = (await live.api("ben").part(id, Part.HISTORY)).entries
    (entry,) = [e for e in history if e.kind == "mail.release"]
    assert entry.facts == {"form": "tagged", "to": 2, "learn": "ham"}
    assert entry.note == "to a@example.org, desk@example.org"


async def test_many_on_the_command_line(live, monkeypatch):
    for number in range(3):
        await live.send(mail(f"many {number}"))
    words = ("release", "--filter", "subject:many", "--expect", "3", "--as", "attachment", "--json")
    status, _ = await cli(live, monkeypatch, "ben", *words)
    assert status == 0
    async with asyncio.timeout(10):
        while len(live.next_hop.received()) < 3:
            await asyncio.sleep(0.02)
    assert all(got.sender == "desk@example.org" for got in live.next_hop.received())


async def test_by_acpi(live):
    (id,) = await live.send(mail("one"))
    (said,) = await acpi(live, "ben", cmd="mail.release", id=id, form="stripped", to="a@example.org", learn=True)
    assert said["code"] == "OK" and said["done"] == 1
    assert b"X-Rcqueue-Remade: stripped" in await arrives(live, "a@example.org")
    change = {"id": id, "status": "ONHOLD", "confirmation": True, "expect": 1}
    (said,) = await acpi(live, "ben", set="RELEASED", form="tagged", to=["postmaster"], **change)
    assert said["result"] == "done" and said["status"] == "ONHOLD"
    assert b"[SPAM]" in await arrives(live, "desk@example.org")
    for wrong in (
        {"set": "DELETED", "form": "tagged", **change},
        {"set": "ONHOLD", "learn": True, **change},
        {"set": "RELEASED", "form": "shredded", **change},
        {"set": "RELEASED", "to": 7, **change},
        {"to": "a@example.org"},
        {"cmd": "mail.release", "id": id, "to": [7]},
        {"cmd": "mail.release", "id": id, "to": [f"a{n}@example.org" for n in range(21)]},
        {"cmd": "mail.delete", "id": id, "to": ["a@example.org"]},
    ):
        (said,) = await acpi(live, "ben", **wrong)
        assert said["code"] == "ERROR", wrong
    (said,) = await acpi(live, "ben", set="DELETED", learn=True, **change)
    assert said["status"] == "DELETED"


async def test_nothing_of_a_body_goes_where_who_may_not_read_it_sends_it(live):
    """Blind, or locked out by name; by any of the doors, one or many."""
    (id,) = await live.send(mail("one", "the secret word"))
    await live.api("anna").change_person("otis", "lock", {"lock": "bodies"})
    for name in ("cleo", "otis"):
        to = [f"{name}@example.org"]
        for form in (None, *ReleaseAs):
            with pytest.raises(ApiProblem) as refused:
                await live.api(name).act(id, Verb.RELEASE, ActBody(to=to, form=form))
            assert refused.value.type == "forbidden" and refused.value.extra["class"] == "body"
        change = {"set": "RELEASED", "id": id, "confirmation": True, "expect": 1, "to": to}
        assert (await acpi(live, name, cmd="mail.release", id=id, to=to))[0]["type"] == "forbidden"
        # 16 characters: the one mail that `set` selects
        assert (await acpi(live, name, **change))[0]["result"] == "refused"
    (row,) = (await live.api("anna").page("status:any")).rows
    assert row.recipients == 1 and row.status == "ONHOLD"
    denied = [e for e in (await live.api("anna").part(id, Part.HISTORY)).entries if e.kind == "denied"]
    assert len(denied) == 2 * 7
    assert live.next_hop.received() == []


async def test_under_one_key_it_is_sent_once(live):
    (id,) = await live.send(mail("one"))
    headers = {"Authorization": f"Bearer {live.tokens['ben']}", "Idempotency-Key": secrets.token_hex(8)}
    async with httpx.AsyncClient(base_url=live.url, headers=headers) as http:
        asked = [http.post(f"/api/v1/mails/{id}/release", json={"to": ["a@example.org"]}) for _ in range(3)]
        answers = [answer.json() for answer in await asyncio.gather(*asked)]
    assert answers[0] == answers[1] == answers[2] and answers[0]["done"] == 1
    await arrives(live, "a@example.org")
    assert live.next_hop.attempts["a@example.org"] == 1
