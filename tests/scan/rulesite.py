"""A server with real scanners in front of a milter's judgement: what is held is what the policy holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rcqueue.cli import main
from rcqueue.model.ids import encode_message
from rcqueue.model.mail import Receipt, from_us
from rcqueue.model.scan import Action
from rcqueue.server.intake.hold import Intake
from rcqueue.server.scan.base import ScanEnvelope
from rcqueue.server.scan.decide import Decision
from rcqueue.server.scan.judge import Judgement
from tests.server.live import Live

CUSTOMERS = [
    {"path": "acme", "domains": ["acme.example"]},
    {"path": "acme/sales", "domains": ["sales.example"]},
]


@asynccontextmanager
async def site(folder: Path, policy: str, **ports: int) -> AsyncIterator[Live]:
    """`ports` by the type of the scanner."""
    file = folder / "policy.toml"
    file.write_text(policy)
    scanners = [{"type": type_, "address": f"127.0.0.1:{port}"} for type_, port in ports.items()]
    async with Live(folder / "live", recall="0s", customers=CUSTOMERS, scanner=scanners, policy=file) as live:
        yield live


async def judged(live: Live, raw: bytes, *to: str, sender: str = "ada@sender.example") -> dict[str, Decision]:
    judgement = await live.server.judge.judge(raw, ScanEnvelope(sender, to or ("bob@acme.example",)))
    return judgement.by_recipient


async def held(live: Live, raw: bytes, *to: str, sender: str = "ada@sender.example") -> list[str]:
    """The ids of what a way in that judges holds of a mail."""
    recipients: Sequence[str] = to or ("bob@acme.example",)
    judgement = await live.server.judge.judge(raw, ScanEnvelope(sender, tuple(recipients)))
    hold = {who: decision for who, decision in judgement.by_recipient.items() if decision.action is Action.HOLD}
    return await held_as(live, raw, Judgement(judgement.results, hold, judgement.contents), sender) if hold else []


async def held_as(live: Live, raw: bytes, judgement: Judgement, sender: str = "ada@sender.example") -> list[str]:
    receipt = Receipt(at=from_us(live.server.marshal.clock.now()), client="192.0.2.1", helo="mx", protocol="ESMTP")
    intake = Intake(live.server.marshal, live.config)
    to = list(judgement.by_recipient)
    ids = await intake.hold(sender, to, raw, receipt, origin="milter", judgement=judgement)
    return [encode_message(id) for id in ids]


class Shell:
    """The command line, as one person of a live server."""

    def __init__(self, live: Live, folder: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
        self._live, self._folder, self._patch, self._capsys = live, folder, monkeypatch, capsys

    async def __call__(self, name: str, *words: str) -> tuple[int, str]:
        """(exit status, what it printed)."""
        token = self._folder / f"token-{name}"
        token.write_text(self._live.tokens[name])
        token.chmod(0o600)
        self._patch.setenv("RCQUEUE_SERVER", self._live.url)
        self._patch.setenv("RCQUEUE_TOKEN_FILE", str(token))
        status = await asyncio.to_thread(main, words)
        out = self._capsys.readouterr()
        return status, out.out + out.err
