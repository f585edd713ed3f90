"""Who asks for an operation, and how it is refused to who may not: on record."""

from __future__ import annotations

from rcqueue.model.access import Access, Right
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Rows
from rcqueue.server.store.writer import Decision

from .refusal import no_right, unauthorized


def who_asks(rows: Rows, session: int, now: int) -> Access:
    """Raises `Refusal` when the session has ended."""
    who = rows.access(session, now)
    if who is None:
        raise unauthorized()
    return who


def without(right: Right, who: Access, at: str, verb: str, customer: str | None) -> Decision:
    """The refusal for want of a right, with its entry. `customer`: whose matter it is; None: the installation's."""
    denied = Draft("denied", customer=customer, account=who.account, session=who.session)
    denied.facts = {"verb": verb, "right": str(right)}
    return Decision(no_right(right, at), [denied])
