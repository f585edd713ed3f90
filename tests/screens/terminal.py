"""Running the terminal in a test, and looking at its screen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from textual.pilot import Pilot

from rcqueue.app import RcqueueApp, Start
from rcqueue.model.mail import VerdictKind
from tests.fakes import NOW, FakeNetwork, Store

MAILS = (
    # (sender, recipients, subject, score, verdict)
    ("win@lucky.example", 1, "You have been selected", 14.2, VerdictKind.SPAM),
    ("it-desk@acrne.example", 43, "Password expires today", 8.1, VerdictKind.PHISH),
    ("scan@copier.example", 1, "Scanned document", None, VerdictKind.VIRUS),
    ("shop@deals.example", 1, "Last chance: 70 % off", 6.0, VerdictKind.SPAM),
    ("list@news.example", 500, "Our November newsletter", 5.2, VerdictKind.POLICY),
    ("gro@evil.example", 1, "Invoice [U+202E]fdp.exe", 22.9, VerdictKind.SPAM),
    ("hr@partner.example", 1, "contract.docm", 5.1, VerdictKind.ATTACHMENT),
    ("noreply.campaign.77@bulk-mail.example", 2, "Re: your order", 9.7, VerdictKind.SPAM),
    ("a@b.example", 1, "", 7.7, VerdictKind.SPAM),
    ("kim@例え.example", 1, "お支払いのお願い", 3.3, VerdictKind.SPAM),
)


def queue(mails: int = 60) -> Store:
    """A queue that has always the same mails in it; the first in `MAILS` is the newest."""
    store = Store()
    store.now = NOW - timedelta(minutes=2 * mails)
    for n in reversed(range(mails)):
        sender, recipients, subject, score, verdict = MAILS[n % len(MAILS)]
        store.now += timedelta(minutes=2)
        to = [f"{'sales' if i == 0 else f'r{i}'}@acme.example" for i in range(recipients)]
        message = store.hold(sender, to, subject, score=score, verdict=verdict, rules=["BAYES_99", "URIBL_BLACK"])
        message.size = 14_000
    store.now = NOW
    return store


class Terminal:
    """One terminal on a store. `shown` is its screen as lines of text."""

    def __init__(self, app: RcqueueApp, network: FakeNetwork, pilot: Pilot[Any]) -> None:
        self.app, self.network, self.pilot, self.store = app, network, pilot, network.store

    @property
    def shown(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()] or [""]

    @property
    def text(self) -> str:
        return "\n".join(self.shown)

    @property
    def flash(self) -> str:
        return "".join(text for text, _ in self.app.flash_pieces())

    @property
    def api(self) -> Any:
        return self.network.made

    def calls(self, name: str) -> list[tuple[Any, ...]]:
        return [call for call in self.api.calls if call[0] == name]

    @property
    def at(self) -> str:
        """Sender of the mail under the cursor, as the screen marks it."""
        row = next((line for line in self.shown if line.startswith(">")), "")
        return next((word for word in row.split() if "@" in word), "")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        names = {" ": "space", ":": "colon", "/": "slash", ".": "full_stop", ">": "greater_than_sign", "-": "minus"}
        await self.press(*(names.get(char, char) for char in text))

    async def until(self, true: Callable[[], object], what: str = "") -> None:
        for _ in range(250):
            if true():
                return
            await self.pilot.pause(0.02)
        raise AssertionError(f"did not come: {what}\n{self.text}")

    async def shows(self, text: str) -> None:
        await self.until(lambda: text in self.text, repr(text))


@asynccontextmanager
async def terminal(
    store: Store,
    *,
    size: tuple[int, int] = (80, 24),
    role: str = "admin",
    network: FakeNetwork | None = None,
    signed_in: bool = True,
    **start: Any,
) -> AsyncIterator[Terminal]:
    """A terminal that has signed in as anna (`signed_in`: it is waited for) and has read the queue."""
    network = network or FakeNetwork(store, role=role)
    begin = Start(server="http://mail.example", user="anna", password="secret", **start)
    app = RcqueueApp(begin, network, clock=lambda: store.now)
    async with app.run_test(size=size) as pilot:
        screen = Terminal(app, network, pilot)
        if not signed_in:
            yield screen
            return
        await screen.until(lambda: app.desk is not None and app.queue.view.loaded, "the queue")
        await screen.until(lambda: screen.shown[0].endswith("live") and "held" in screen.shown[0], "the feed")
        yield screen
