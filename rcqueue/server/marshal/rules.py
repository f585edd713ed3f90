"""Pushes of rule files to scanners: each is on record before anything is changed, and again when it has ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, update

from rcqueue.model.access import ROOT, Right
from rcqueue.model.rules import Outcome
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, RowDict, Rows
from rcqueue.server.store.writer import Decision

from .asking import who_asks, without
from .refusal import Refusal


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of a file in a scanner's folder. `content` None: the push `undoes` is taken back."""

    scanner: str
    name: str
    sha256: bytes
    size: int
    content: bytes | None = None
    undoes: int | None = None

    @property
    def kind(self) -> str:
        return "push" if self.undoes is None else "rollback"

    @property
    def facts(self) -> dict[str, Any]:
        return {"scanner": self.scanner, "name": self.name, "sha256": self.sha256.hex(), "size": self.size}


@dataclass(frozen=True, slots=True)
class BeginRules:
    """Puts it on record that a file is going to be changed; answers the entry's number. `drop`: rows no longer kept."""

    session: int
    change: Change
    reason: str
    drop: Sequence[int] = field(default=())

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}))

    @property
    def weight(self) -> int:
        return 500 + len(self.change.content or b"")

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        change = self.change
        if Right.ADMINISTER not in who.rights_at(ROOT):
            return without(Right.ADMINISTER, who, ROOT, f"rules.{change.kind}", None)
        if not self.reason.strip():
            raise Refusal("bad-request", "reason: why the scanner's rules change was expected")
        row: RowDict = {"seq": seq, "kind": change.kind, "scanner": change.scanner, "name": change.name}
        row |= {"sha256": change.sha256, "size": change.size, "content": change.content, "undoes": change.undoes}
        rows.append(t.rule_file, row | {"account": who.account, "at": now, "state": Outcome.BEGUN, "said": "[]"})
        if self.drop:
            rows.sweep(delete(t.rule_file).where(t.rule_file.c.seq.in_(self.drop)))
        draft = Draft(f"rules.{change.kind}", account=who.account, session=who.session)
        draft.facts, draft.personal = {**change.facts, "outcome": Outcome.BEGUN}, {"reason": self.reason}
        return Decision(seq, [draft])


@dataclass(frozen=True, slots=True)
class EndRules:
    """Puts on record what came of it. `account` None: the server found it begun when it started."""

    begun: int
    change: Change
    outcome: Outcome
    said: Sequence[str]
    account: int | None
    session: int | None = None
    needs = Needs()
    weight = 2000

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        file, change = t.rule_file, self.change
        ended = {"state": self.outcome, "said": json.dumps(list(self.said), ensure_ascii=False)}
        rows.sweep(update(file).where(file.c.seq == self.begun).values(ended))
        if change.undoes is not None and self.outcome is Outcome.INSTALLED:
            rows.sweep(update(file).where(file.c.seq == change.undoes).values(state=Outcome.TAKEN_BACK))
        draft = Draft(f"rules.{change.kind}", account=self.account, session=self.session)
        draft.facts = {**change.facts, "outcome": self.outcome, "begun": self.begun}
        draft.personal = {"note": " / ".join(self.said)} if self.said else {}
        return Decision(entries=[draft])
