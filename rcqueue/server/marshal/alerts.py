"""Alerts that are raised and cleared by the server: each an entry."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from sqlalchemy import delete

from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision


@dataclass(frozen=True, slots=True)
class SetAlerts:
    """`raised`: texts by the names of alerts that do not stand yet; `cleared`: names of some that do."""

    raised: Mapping[str, str]
    cleared: Set[str]
    needs = Needs()
    weight = 2000

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        entries = []
        for name in sorted(self.cleared):
            rows.sweep(delete(t.alert).where(t.alert.c.name == name))
            entries.append(Draft("alert.clear", facts={"alert": name}))
        for name, text in sorted(self.raised.items()):
            rows.append(t.alert, {"name": name, "at": now, "text": text})
            entries.append(Draft("alert.raise", facts={"alert": name}, personal={"note": text}))
        return Decision(now, entries)
