"""Hostile and real mail through the whole server: in over SMTP as it stands, listed, opened in every part over the API
and by `rcqueue show`. What is stored is what was sent; what can be read says what an independent reader says.

`RCQUEUE_CORPUS` adds real mail: 150 of it, the same each time; all of it with `RCQUEUE_FULL=1`.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from rcqueue import cli
from rcqueue.model.mail import Part
from rcqueue.safe_text import forbidden
from tests.hostile_mail import hostile_messages
from tests.reading import independent
from tests.reading.sources import sources

from .harness import Talk
from .live import Live

GENERATED = 320
CONNECTIONS = 4
PROCESSES = {"generated": 14}  #: how many are shown by a process of its own
FEW = 6  #: of each other source
PATHS = sources()
SOURCES = ["generated", *PATHS]


@dataclass
class Mail:
    """A message on its way: its name, its bytes, the id that it got, its row and its parts as the API has them."""

    name: str
    raw: bytes
    id: str = ""
    row: dict[str, Any] = field(default_factory=dict)
    parts: dict[Part, Any] = field(default_factory=dict)

    @property
    def sent(self) -> bytes:
        """What SMTP carries of it: data ends with a line end, which it brings where there is none."""
        return self.raw if not self.raw or self.raw.endswith(b"\r\n") else self.raw + b"\r\n"

    @property
    def degraded(self) -> list[str]:
        """Why it could not be read whole, as the list, the body pane and the attachments say it."""
        said = (self.row, self.parts[Part.TEXT], self.parts[Part.ATTACHMENTS])
        return [part["degraded"] for part in said if part.get("degraded") is not None]


def mails_of(source: str) -> list[Mail]:
    if source == "generated":
        return [Mail(name, raw) for name, raw in hostile_messages(GENERATED)]
    return [Mail(path.name, path.read_bytes()) for path in PATHS[source]]


@pytest.mark.parametrize("source", SOURCES)
async def test_mail_from_the_wire_to_the_screen(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mails = mails_of(source)
    assert source != "generated" or len(mails) >= 300
    async with Live(tmp_path) as live:
        await asyncio.gather(*(send(live, mails[lane::CONNECTIONS]) for lane in range(CONNECTIONS)))
        assert len({mail.id for mail in mails}) == len(mails)
        await asyncio.to_thread(list_all, live, mails)
        await asyncio.gather(
            *(asyncio.to_thread(open_parts, live, mails[lane::CONNECTIONS]) for lane in range(CONNECTIONS))
        )
        token = tmp_path / "token"
        token.touch(0o600)
        token.write_text(live.tokens["ben"])
        monkeypatch.setenv("RCQUEUE_SERVER", live.url)
        monkeypatch.setenv("RCQUEUE_TOKEN_FILE", str(token))
        apart = PROCESSES.get(source, FEW)
        monkeypatch.setattr(cli, "build_parser", cache(cli.build_parser))  # else a fifth of the time goes there
        processes = asyncio.create_task(show_in_processes(mails[:: len(mails) // apart][:apart]))
        await asyncio.to_thread(show_all, mails)
        await processes
    assert [mail.name for mail in mails if mail.parts[Part.RAW] != mail.sent] == []
    degraded = {mail.name: mail.degraded for mail in mails if mail.degraded}
    assert all(reason.strip() and not any(map(forbidden, reason)) for why in degraded.values() for reason in why)
    if source != "generated":
        assert len(degraded) <= 0.02 * len(mails), degraded
        assert list(different(mail for mail in mails if not mail.degraded)) == []


async def send(live: Live, mails: Sequence[Mail]) -> None:
    """Over one connection, byte for byte: bare CR and LF, NUL, 8-bit and long lines as they are."""
    async with Talk.to(live.server.smtp.port) as talk:
        for mail in mails:
            await talk.mail("mallory@evil.example", ["anna@example.org"])
            reply = await talk.data(mail.raw)
            held = re.fullmatch(r"250 2\.0\.0 Held as (\w{13})\r\n", reply)
            assert held, (mail.name, reply)
            mail.id = held[1]


class Asks:
    """Signed in on one connection: http.client, which costs a fifth of what an asynchronous client does."""

    def __init__(self, live: Live) -> None:
        self._headers = {"Authorization": f"Bearer {live.tokens['ben']}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", live.config.http.listen.port, timeout=60)

    def get(self, path: str, **query: str) -> bytes:
        self._connection.request("GET", f"/api/v1{path}?{urlencode(query)}", headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body)
        return body


def list_all(live: Live, mails: Sequence[Mail]) -> None:
    """Page by page; each mail is there once."""
    asks = Asks(live)
    page = json.loads(asks.get("/mails"))
    rows = page["rows"]
    while page["next"] is not None:
        page = json.loads(asks.get("/mails", after=page["next"]))
        rows += page["rows"]
    by_id = {row["id"]: row for row in rows}
    assert len(rows) == len(mails) and by_id.keys() == {mail.id for mail in mails}
    for mail in mails:
        mail.row = by_id[mail.id]
        assert mail.row["size"] == len(mail.sent)


def open_parts(live: Live, mails: Sequence[Mail]) -> None:
    asks = Asks(live)
    for mail in mails:
        for part in Part:
            body = asks.get(f"/mails/{mail.id}/{part}")
            mail.parts[part] = body if part is Part.RAW else json.loads(body)


def show_all(mails: Sequence[Mail]) -> None:
    for mail in mails:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert cli.main(["show", mail.id]) == 0, mail.name
        assert mail.id in out.getvalue()
        assert fit_to_show(out.getvalue()), mail.name


async def show_in_processes(mails: Sequence[Mail]) -> None:
    """Its bytes, and its text, out of a process of its own."""
    for number, mail in enumerate(mails):
        part = (Part.RAW, Part.TEXT)[number % 2]
        command = (sys.executable, "-m", "rcqueue", "show", mail.id, "--part", part)
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
        out, err = await process.communicate()
        assert (process.returncode, err) == (0, b""), mail.name
        if part is Part.RAW:
            assert out == mail.sent, mail.name
        else:
            assert fit_to_show(out.decode()), mail.name


def fit_to_show(text: str) -> bool:
    return not any(map(forbidden, text.replace("\n", "").replace("\t", "")))


def different(mails: Iterator[Mail]) -> Iterator[tuple[str, str, list[str], list[list[str]]]]:
    """(mail, field, ours, theirs) where From, To or Subject say what no independent reader says."""
    for mail in mails:
        fields = mail.parts[Part.HEADERS]["fields"]
        for name in ("from", "to", "subject"):
            ours = [independent.same(f["value"]) for f in fields if f["name"].lower() == name]
            readings = independent.readings(mail.sent, name)
            theirs = [[independent.same(value) for value in reading] for reading in readings]
            if ours not in theirs:
                yield mail.name, name, ours, theirs
