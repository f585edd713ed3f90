"""Nothing is answered before it is durable, and what was answered is there after a kill -9.

In the ordinary run 10 kills; with RCQUEUE_FULL=1 the 100 of `make faults`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from rcqueue.client.api import Api
from rcqueue.model.act import ActBody, Verb

from . import strace
from .child import Child
from .harness import Talk
from .live import mail

KILLS = 100 if os.environ.get("RCQUEUE_FULL") else 10


async def _send(port: int, token: str, talk: Talk) -> str:
    """One mail with a token in its subject; what the server said to the final dot."""
    await talk.mail("a@b.example", ["ben@example.org"])
    return await talk.data(mail(f"Subject {token}", body="x" * 500))


def _trace(folder: Path, synchronous: str) -> tuple[list[strace.Call], list[tuple[str, str]]]:
    """What the server did, and (token, a word of its answer) of each mail and act that was answered."""
    trace = folder / "trace"
    # the token must be seen in the page that is written: pages have 4096 bytes
    before = ("strace", "-f", "-y", "-ttt", "-T", "-s", "6000", "-e", f"trace={strace.CALLS}", "-o", str(trace))
    answers: list[tuple[str, str]] = []

    async def sender(child: Child, name: str) -> None:
        async with Talk.to(child.ready["smtp"]) as talk:
            for n in range(8):
                token = f"tok-{name}-{n}-{random.getrandbits(40):x}"
                said = await _send(child.ready["smtp"], token, talk)
                assert said.startswith("250 "), said
                answers.append((token, said.split()[-1]))

    async def actor(child: Child) -> None:
        await asyncio.sleep(0.5)
        api = Api(child.ready["http"], child.ready["tokens"]["ben"])
        for row in (await api.page(limit=8)).rows:
            token = f"why-{random.getrandbits(40):x}"
            answer = await api.act(row.id, Verb.DELETE, ActBody(reason=token))
            assert answer.done
            answers.append((token, rf"\"seq\":{answer.seq},"))  # as strace writes quotes
        await api.close()

    with Child(folder / "data", synchronous, before) as child:

        async def work() -> None:
            await asyncio.gather(*(sender(child, name) for name in "abc"), actor(child))

        asyncio.run(work())
    return strace.read(trace), answers


@pytest.mark.slow
def test_every_250_and_every_2xx_comes_after_the_sync_of_its_bytes(tmp_path: Path):
    calls, answers = _trace(tmp_path, "FULL")
    assert len(answers) == 24 + 8
    early = [why for token, answer in answers if (why := strace.answered_too_early(calls, token, answer))]
    assert not early, early


@pytest.mark.slow
def test_the_same_check_is_red_without_syncs(tmp_path: Path):
    calls, answers = _trace(tmp_path, "OFF")
    early = [why for token, answer in answers if (why := strace.answered_too_early(calls, token, answer))]
    assert len(early) == len(answers) and all("no sync" in why for why in early), early


@pytest.mark.slow
def test_each_mail_with_a_250_is_there_once_after_a_kill(tmp_path: Path):
    folder = tmp_path / "data"
    rng, accepted, sent = random.Random(KILLS), set[str](), set[str]()

    async def sender(child: Child, kill: int, lane: int) -> None:
        try:
            async with Talk.to(child.ready["smtp"]) as talk:
                for n in range(100_000):
                    token = f"kill-{kill}-{lane}-{n}-end"  # each is sent once, whatever comes back
                    sent.add(token)
                    said = await _send(child.ready["smtp"], token, talk)
                    if not said.startswith("250 "):
                        return
                    accepted.add(token)
        except (OSError, AssertionError, TimeoutError):
            return

    async def until_killed(child: Child, kill: int) -> None:
        senders = [asyncio.create_task(sender(child, kill, lane)) for lane in range(4)]
        await asyncio.sleep(rng.uniform(0.05, 0.5))
        child.kill()
        await asyncio.gather(*senders)

    for kill in range(KILLS):
        with Child(folder) as child:
            asyncio.run(until_killed(child, kill))
    began = time.monotonic()
    with Child(folder):  # recovers
        assert time.monotonic() - began < 20
    with sqlite3.connect(folder / "data" / "queue.db") as connection:
        subjects = Counter(s.removeprefix("Subject ") for (s,) in connection.execute("SELECT subject FROM message"))
        entries = connection.execute("SELECT count(*), max(seq) FROM entry").fetchone()
    assert len(accepted) >= KILLS * 5, "the senders got hardly anything through: this proves little"
    assert not accepted - set(subjects), "a mail with a 250 is lost"
    assert set(subjects) <= sent and max(subjects.values()) == 1, "a mail is there twice"
    assert entries[0] == entries[1], "the journal has a gap"
