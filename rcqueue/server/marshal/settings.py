"""Settings over the policy's file: each an entry with the old and the new value, checked as the file is."""

from __future__ import annotations

from dataclasses import dataclass

from rcqueue.model.access import ROOT, Right
from rcqueue.server.scan.policy import Policy, PolicyMistake
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision

from .asking import who_asks, without
from .refusal import Refusal


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """One value; None takes a setting back. Needs the right to administer at the root: the policy is everybody's."""

    session: int
    policy: Policy  # the file's
    scope: str
    key: str
    value: float | None
    reason: str

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}), settings=True)

    @property
    def weight(self) -> int:
        return 500

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        if Right.ADMINISTER not in who.rights_at(ROOT):
            return without(Right.ADMINISTER, who, ROOT, "policy.set", None)
        if not self.reason.strip():
            raise Refusal("bad-request", "reason: say why; it goes on record")
        where = (self.scope, self.key)
        settings = {place: row["value"] for place, row in rows.tables["policy_setting"].items()}
        before = self.policy.under({(scope, key): value for (scope, key), value in settings.items()})
        try:
            before.with_setting(self.scope, self.key, self.value)
        except PolicyMistake as mistake:
            raise Refusal("bad-request", str(mistake)) from None
        if self.value is None:
            rows.drop(t.policy_setting, where)
        else:
            row = {"scope": self.scope, "key": self.key, "value": self.value, "seq": seq}
            rows.put(t.policy_setting, where, row)
        old = settings.get(where, before.in_file(self.scope, self.key))
        new = self.value if self.value is not None else before.in_file(self.scope, self.key)
        facts: dict[str, object] = {"scope": self.scope, "key": self.key, "old": _said(old), "new": _said(new)}
        if self.value is None:
            facts["back"] = True
        return Decision(
            seq,
            [
                Draft(
                    "policy.set",
                    account=who.account,
                    session=who.session,
                    facts=facts,
                    personal={"reason": self.reason},
                )
            ],
        )


def _said(value: float | None) -> str | None:
    """As an entry holds it: RFC 8785 has its own way with fractions, so they are text."""
    return None if value is None else f"{value:g}"
