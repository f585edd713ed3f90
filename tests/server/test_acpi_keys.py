"""An `/acpi` command with a key too many is refused by that key's name, and nothing is done: no entry is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from rcqueue.model.mail import Part

from .live import Live, mail

WRONG: tuple[dict[str, Any], ...] = (
    {"cmd": "mail.claim"},
    {"cmd": "mail.delete"},
    {"cmd": "mail.body"},
    *({"cmd": "mail.show", "part": part} for part in (Part.RAW, Part.TEXT)),
    {"cmd": "people.create", "name": "new", "password": "long enough to be one", "role": "blind", "customer": "all"},
    {"cmd": "people.lock", "name": "ben", "lock": "bodies"},
    {"cmd": "people.disable", "name": "ben"},
    {"cmd": "people.grant", "name": "ben", "role": "auditor", "customer": "all"},
    {"cmd": "people.password", "name": "ben", "password": "another one that is long"},
)


@pytest.fixture
async def live(tmp_path: Path):
    async with Live(tmp_path) as live:
        yield live


async def test_a_key_too_many_and_nothing_is_done(live: Live) -> None:
    (message,) = await live.send(mail())
    headers = {"Authorization": f"Bearer {live.tokens['anna']}"}
    async with httpx.AsyncClient(base_url=live.url, headers=headers, trust_env=False) as http:
        note = {"cmd": "mail.note", "id": message, "note": "an entry"}
        before = (await http.post("/acpi", json=note)).json()["seq"]
        for asked in WRONG:
            one = asked | ({"id": message} if asked["cmd"].startswith("mail.") else {})
            said = (await http.post("/acpi", json=one | {"colour": "red"})).json()
            assert said["code"] == "ERROR" and "unknown key 'colour'" in said["message"], asked
        done = (await http.post("/acpi", json=note)).json()
        assert (done["code"], done["seq"]) == ("OK", before + 1)
