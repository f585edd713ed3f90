"""The whole of it: spam is held by the milter, released to the mail server that asks the milter, and arrives, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcqueue.model.act import Verb
from rcqueue.model.mail import Part
from tests.realparts.postfix import Postfix, comes
from tests.realparts.spamd import Spamd
from tests.server.harness import Talk
from tests.server.live import Live, port

from .mails import GTUBE_MAIL

pytestmark = pytest.mark.xdist_group("scanners")


async def test_spam_is_released_through_the_milter_that_held_it(tmp_path: Path, spamd: Spamd):
    milter = port()
    main = {"smtpd_milters": f"inet:{milter}", "milter_default_action": "tempfail"}
    scanner = {"type": "spamassassin", "address": f"127.0.0.1:{spamd.port}"}
    async with Postfix(main) as postfix:
        settings = {"milter": {"listen": milter}, "scanner": [scanner]}
        hop = {"default": f"127.0.0.1:{postfix.port}"}
        async with Live(tmp_path, recall="0s", next_hop=hop, **settings) as live:

            async def send(raw: bytes) -> None:
                async with Talk.to(postfix.port) as talk:
                    await talk.mail("win@lottery.example", ["ben@rcq.example"])
                    assert (await talk.data(raw)).startswith("250")

            await send(GTUBE_MAIL)
            ben = live.api("ben")
            (held,) = (await ben.page()).rows
            assert held.verdict == "SPAM" and "GTUBE" in held.rules and not postfix.delivered()
            await ben.act(held.id, Verb.RELEASE)
            (mail,) = await comes(postfix.delivered)
            (passed,) = (await ben.page("status:passed")).rows
            assert (await ben.part(passed.id, Part.VERDICT)).reason.startswith("released from here as ")
            history = await comes(lambda: _released(ben, held.id))
            assert history[-1].facts["queue_id"] in postfix.log() and history[-1].facts["queue_id"] in history[-1].note

            assert mail.replace(b"\n", b"\r\n").endswith(GTUBE_MAIL) and b"X-Rcqueue-Pass" not in mail
            # What was delivered carries no pass: sent round, it is spam again.
            await send(mail.replace(b"\n", b"\r\n"))
            (again,) = [row for row in (await ben.page()).rows if row.id != held.id]
            assert again.verdict == "SPAM" and "GTUBE" in again.rules
            assert (
                mail.count(b"X-Rcqueue-Release: ") == 1 and len(postfix.delivered()) == 1 and not await postfix.queue()
            )


async def _released(api, id):
    entries = (await api.part(id, Part.HISTORY)).entries
    return entries if entries[-1].kind == "mail.released" else None
