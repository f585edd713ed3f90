"""A scanner that hangs, dies in the middle, answers rubbish or is too old: the mail is held, tagged or deferred, as it
is configured, with the reason; the scanner's health says it; and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from rcqueue.demo.next_hop import Behaviour, NextHop
from rcqueue.demo.ports import bind
from rcqueue.server.config import Config
from rcqueue.server.intake.content_filter import ContentFilter
from rcqueue.server.intake.hold import Intake
from rcqueue.server.scan.judge import Judge
from rcqueue.server.store import tables as t
from tests.server.harness import MAIL, Talk, free_port

#: What a clamd says, and why that is no answer; None: nothing, and it does not hang up.
TROUBLES = {
    "hangs": (None, "no answer within 0.3 s"),
    "dies": (b"stream: O", "it closed the connection in the middle"),
    "rubbish": (b"\xff\x1b[2J\r\n\0", "its answer is none of clamav"),
    "too old": (b"UNKNOWN COMMAND\0", "too old"),
}


@contextlib.asynccontextmanager
async def clamd_that_says(answer: bytes | None):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\0\0\0\0")
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, sock=bind())
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("away", ["hold", "tag", "defer"])
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_it_is_never_silence(queue, tmp_path, trouble, away):
    answer, reason = TROUBLES[trouble]
    behind = NextHop(tmp_path / "behind", lambda _: Behaviour())
    await behind.start()
    async with clamd_that_says(answer) as port:
        config = Config(
            data_dir=tmp_path,
            filter={"listen": f"127.0.0.1:{free_port()}", "reinject": f"127.0.0.1:{behind.port}"},
            scanner=[{"type": "clamav", "address": f"127.0.0.1:{port}", "timeout": "300ms", "away": away}],
        )
        judge = Judge(config)
        filter = ContentFilter(Intake(queue.marshal, config), judge, config.filter, config.smtp)
        await filter.start()
        async with Talk.to(filter.port) as talk:
            await talk.mail("ada@sender.example", ["ben@rcq.example"])
            said = await talk.data(MAIL)
        (health,) = judge.health()
        await filter.stop(grace=1)
        await judge.close()
    passed = behind.received()
    await behind.stop()
    assert said[:4] == {"hold": "250 ", "tag": "250 ", "defer": "451 "}[away]
    held = await queue.rows(t.mail, status="ONHOLD")
    assert (len(held), len(passed)) == {"hold": (1, 0), "tag": (0, 1), "defer": (0, 0)}[away]
    if held:
        (detail,) = await queue.rows(t.message_detail)
        verdict, (result,) = json.loads(detail["verdict"]), json.loads(detail["scans"])
        assert "clamav is away" in verdict["reason"] and reason in result["error"]
        assert await queue.raw(held[0]["message"]) == MAIL
    if passed:
        header = passed[0].raw.partition(b"\r\n\r\n")[0]
        assert b"X-Rcq-Verdict: " in header and b"clamav is away" in header
        assert passed[0].raw.endswith(MAIL)
    assert health.up is False and reason in health.error
