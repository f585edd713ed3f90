"""What a person may see of one message, built from the classes that they have. Reading a body is an act: an entry."""

from __future__ import annotations

from dataclasses import dataclass

from rcqueue.model.access import DataClass, Right
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision

from .refusal import Refusal, unauthorized
from .verbs import claim_ended


@dataclass(frozen=True, slots=True)
class OpenBody:
    """The door that a body leaves by. The entry is durable before a byte of it goes out."""

    session: int
    message: int
    part: str

    @property
    def needs(self) -> Needs:
        return Needs(messages=frozenset({self.message}), sessions=frozenset({self.session}))

    @property
    def weight(self) -> int:
        return 500

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = rows.access(self.session, now)
        if who is None:
            raise unauthorized()
        row = rows.message(self.message)
        if row is None or Right.VIEW not in who.rights_at(row["customer"]):
            raise Refusal("not-found", "there is no such mail")
        draft = Draft(
            "mail.read",
            customer=row["customer"],
            queue=row["queue"],
            message=self.message,
            account=who.account,
            session=self.session,
            facts={"part": self.part},
        )
        refusal = None
        if DataClass.BODY not in who.classes_at(row["customer"]):
            refusal = Refusal(
                "forbidden", f"you may not read bodies at {row['customer']}", **{"class": DataClass.BODY.value}
            )
        elif row["purged"] is not None:
            raise Refusal("not-found", "its bytes were purged")
        elif self._locked_by_claims(rows, row["customer"], who.account, now):
            refusal = Refusal("claimed", f"at {row['customer']} only the claim's holder reads the body: claim it first")
        if refusal is not None:
            draft.kind, draft.facts = "denied", {"verb": "read", "part": self.part}
        return Decision(refusal, [draft])

    def _locked_by_claims(self, rows: Rows, customer: str, account: int, now: int) -> bool:
        place = rows.get(t.customer, customer)
        if place is None or not place["claim_locks_body"]:
            return False
        claims = rows.claims[self.message].values()
        return not any(c["account"] == account and not claim_ended(rows, c, now) for c in claims)
