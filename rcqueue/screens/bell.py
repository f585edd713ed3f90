"""The bell: what comes in and matches a rule of the settings rings and is said, at most once in five seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rcqueue.model.query import matches_row, parse

from . import phrases

if TYPE_CHECKING:
    from rcqueue.app import RcqueueApp
    from rcqueue.client.desk import Desk
    from rcqueue.model.mail import Row

REST = 5.0  #: seconds between two rings


class Bell:
    def __init__(self, app: RcqueueApp, desk: Desk) -> None:
        """The rules of the settings are filters that parse."""
        self.app, self.desk = app, desk
        self.rules = [parse(rule, me=desk.whoami.name) for rule in app.settings.bell]
        self._rung_at: float | None = None

    def hears(self, row: Row) -> None:
        """A message came in. A row of many recipients does not say how each is: then the server is asked."""
        if not self.rules or not self._rested:
            return
        now = int(self.app.clock().timestamp() * 1_000_000)
        answers = [matches_row(rule, row, now) for rule in self.rules]
        if any(answers):
            self._ring(row)
        elif None in answers:
            self.app.work(
                self._ask(row, [r.text for r, answer in zip(self.rules, answers, strict=True) if answer is None])
            )

    async def _ask(self, row: Row, rules: list[str]) -> None:
        for rule in rules:
            answer = await self.app.call(self.desk.api.rows([row.id], rule), quiet=True)
            if answer is not None and answer.rows and self._rested:
                self._ring(row)
                return

    @property
    def _rested(self) -> bool:
        return self._rung_at is None or time.monotonic() - self._rung_at >= REST

    def _ring(self, row: Row) -> None:
        self._rung_at = time.monotonic()
        self.app.bell()
        self.app.flash(f"bell: {phrases.called(row)}, {row.verdict}", "warn")
