"""What the command line prints of hostile mail, into a pipe and on a terminal: neither a control nor an escape sequence
nor a character that shows nothing, whoever put it there: a mail, a colleague's note, a next hop's reply."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import threading
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from rcqueue import cli
from rcqueue.demo.next_hop import Behaviour
from rcqueue.model.act import ActBody, Verb
from tests.hostile_mail import hostile_messages

from .harness import Talk
from .live import Live
from .tours import commands

KINDS = 182  #: so many messages are one of each kind
SAID = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\u200b\x00\x7f[bold]"
#: It may stand in a script's own arguments, and come back in what is wrong with them.
NO_FILE = "/" + SAID.replace("\0", "")
SAYING = (
    *(("list", f"colour:{SAID}"), ("list", "--sort", SAID), ("list", "--profile", SAID)),
    *(("show", SAID), ("show", "--part", SAID, SAID), ("import", NO_FILE), ("scan", NO_FILE), (SAID,)),
)
#: How far an act on many is, which a terminal shows in place.
PROGRESS = re.compile(r"\r\x1b\[K|\r\[=* *\] [\d,.%/ a-z]*\x1b\[K")
#: What is opened, part by part.
OPENED = ("text-everything", "html-control", "attachment-bidi")


class Way(NamedTuple):
    """A stream to print on: makes (the end that is read, the end that is printed on)."""

    name: str
    make: Callable[[], tuple[int, int]]


WAYS = (Way("pipe", os.pipe), Way("terminal", os.openpty))


@pytest.fixture
async def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    token = tmp_path / "token"
    token.touch(0o600)
    async with Live(tmp_path, recall="0s") as live:
        token.write_text(live.tokens["anna"])
        monkeypatch.setenv("RCQUEUE_SERVER", live.url)
        monkeypatch.setenv("RCQUEUE_TOKEN_FILE", str(token))
        monkeypatch.setattr(cli, "build_parser", cache(cli.build_parser))
        yield live


async def held(live: Live) -> dict[str, str]:
    """Each text in every field of a mail, and what is opened; by kind its id."""
    ids = {}
    async with Talk.to(live.server.smtp.port) as talk:
        for name, raw in hostile_messages(KINDS):
            kind = name.partition("-")[2]
            if kind.startswith("text-") or kind in OPENED:
                await talk.mail("mallory@evil.example", ["anna@example.org"])
                ids[kind] = (await talk.data(raw)).split()[-1]
    assert len(ids) > 60 and ids.keys() >= set(OPENED)
    return ids


async def said_of(live: Live, id: str) -> None:
    """A colleague says it with a note and with a reason, and a next hop that refuses the mail."""
    ben = live.api("ben")
    live.next_hop.behaviour = lambda _: Behaviour(refuse=f"450 4.2.0 {SAID}")
    await ben.act(id, Verb.NOTE, ActBody(note=SAID))
    await ben.act(id, Verb.EXTEND, ActBody(reason=SAID))
    await ben.act(id, Verb.RELEASE)
    async with asyncio.timeout(10):
        while not (await ben.part(id, "envelope")).mails[0].reply:
            await asyncio.sleep(0.01)


def printed(way: Way, words: tuple[str, ...]) -> str:
    """What a command prints on such a stream, standard error too."""
    end, printing = way.make()
    kept = bytearray()

    def reads() -> None:
        with contextlib.suppress(OSError):  # of a terminal that is gone with who printed on it
            while more := os.read(end, 65536):
                kept.extend(more)

    reader = threading.Thread(target=reads)
    reader.start()
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(open(printing, "w", encoding="utf-8"))
        for context in (contextlib.redirect_stdout(out), contextlib.redirect_stderr(out)):
            stack.enter_context(context)
        stack.enter_context(contextlib.suppress(SystemExit))
        cli.main(words)
    reader.join()
    os.close(end)
    text = kept.decode().replace("\r\n", "\n")
    return PROGRESS.sub("", text) if way.name == "terminal" else text


def wrong(text: str) -> set[str]:
    """Characters that no line of output has; TAB stands between values."""
    kinds = {char: unicodedata.category(char) for char in set(text) - set("\n\t")}
    return {char for char, kind in kinds.items() if kind[0] == "C" or kind in ("Zl", "Zp")}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
async def test_no_command_prints_what_a_terminal_must_not_get(
    way: Way, live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "200")  # every column is shown
    ids = await held(live)
    opened = [ids[kind] for kind in OPENED]
    await said_of(live, opened[0])
    shown = ""
    for words in dict.fromkeys([*commands([*opened, *opened], tmp_path), *SAYING]):
        if words[-2:] == ("--part", "raw"):  # the stored bytes as they are, and never to a terminal
            continue
        said = await asyncio.to_thread(printed, way, words)
        assert not wrong(said), words
        if "--json" in words or words[0] == "acpi":
            for line in said.splitlines():
                assert line.startswith("rcqueue: ") or isinstance(json.loads(line), dict), words
        shown += said
    assert set(ids.values()) <= set(shown.split())  # all of it was listed, and what was said
    assert shown.count("[U+001B]]0;owned") > 10 and "450 4.2.0  ]0;owned [31m[U+009B]2J[U+202E]" in shown


async def test_watch_neither(live: Live):
    watching = []
    for way, more in zip(WAYS, ((), ("--json",)), strict=True):
        end, printing = way.make()
        command = (sys.executable, "-m", "rcqueue", "watch", *more)
        process = await asyncio.create_subprocess_exec(*command, stdout=printing, stdin=asyncio.subprocess.DEVNULL)
        os.close(printing)
        watching.append((process, end))
    async with asyncio.timeout(20):
        while len(live.server.hub) < len(WAYS):
            await asyncio.sleep(0.01)
        ids = await held(live)
        for process, end in watching:
            said = b""
            while any(id.encode() not in said for id in ids.values()):
                said += await asyncio.to_thread(os.read, end, 65536)
            process.send_signal(signal.SIGTERM)
            await process.wait()
            os.close(end)
            assert not wrong(said.decode().replace("\r\n", "\n"))
