"""The requests that the terminal gives out to be copied do on a real server what they say."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest

from rcqueue.model.act import ActBody, ActRequest, SenderWish
from rcqueue.model.query import parse
from rcqueue.screens import acpi

from .live import Live, mail


@pytest.fixture
async def live(tmp_path: Path):
    async with Live(tmp_path) as live:
        yield live


async def test_what_is_copied_works(live: Live) -> None:
    (message,), (other,) = await live.send(mail()), await live.send(mail("Another"))
    headers = {"Authorization": f"Bearer {live.tokens['anna']}"}
    async with httpx.AsyncClient(base_url=live.url, headers=headers, trust_env=False) as http:

        async def ask(request: str | dict[str, Any]) -> list[dict[str, Any]]:
            asked = shlex.split(request)[1] if isinstance(request, str) else json.dumps(request)
            return [json.loads(line) for line in (await http.post("/acpi", content=asked)).text.splitlines()]

        held = await ask(acpi.of_list(parse("")))
        assert len(held) >= 2 and {row["status"] for row in held} == {"ONHOLD"}
        assert await ask(acpi.of_list(parse(f"id:{message}"))) != held
        assert (await ask(acpi.of_act("claim", message, ActBody(as_of=1, query="status:onhold"))))[0]["done"] >= 1
        mine = parse("claim:me", me="anna")
        claimed = await ask(acpi.of_list(mine))
        assert 0 < len(claimed) < len(held)
        many = ActRequest(verb="delete", query="claim:me", reason="spam")
        assert {row["result"] for row in await ask(acpi.of_many(many, len(claimed), mine))} == {"done"}
        assert await ask(acpi.of_list(mine)) == []
        marked = ActRequest(verb="note", ids=[other], note="looked at")
        assert (await ask(acpi.of_many(marked, 1, mine)))[0]["code"] == "OK"

        await ask(acpi.of_act("restore", message, ActBody()))
        blocked = ActRequest(verb="delete", query="subject:hello", sender=SenderWish())
        assert (await ask(acpi.of_many(blocked, 2, parse(""))))[0]["type"] == "expect"  # it is one, and nothing is done
        assert (await ask(acpi.of_many(blocked, 1, parse(""))))[0]["done"] == 1
        for filter in ({}, {"filter": " "}):
            assert "filter: with expect" in (await ask({"cmd": "mail.claim", "expect": 1} | filter))[0]["message"]
        assert (await ask({"cmd": "mail.claim", "expect": 1, "filter": "x", "id": other}))[0]["code"] == "ERROR"

        wide = {"set": "DELETED", "confirmation": True, "expect": len(held), "filter": "status:onhold"}
        assert "a filter beside status" in (await ask(wide))[0]["message"]
        (wrong,) = await ask({"filter": "fom:x"})
        assert wrong["code"] == "ERROR" and "fom:x (character 1): no field 'fom'" in wrong["message"]
