"""How many mails one person may decide on at once. Beyond that a second person is needed."""

from __future__ import annotations

from collections.abc import Mapping

from rcqueue.model.access import ROLES, Access, Right, covers
from rcqueue.model.act import Verb
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.writer import Decision

from .refusal import Refusal

#: Verbs that let mail go, or do away with it. The others can be taken back without loss, and have no cap.
CAPPED: Mapping[Verb, Right] = {
    Verb.RELEASE: Right.RELEASE,
    Verb.RESCAN: Right.RELEASE,
    Verb.SETTLE: Right.RELEASE,
    Verb.DELETE: Right.DELETE,
}


def cap_of(who: Access, verb: Verb, caps: Mapping[str, int]) -> int | None:
    """The most mails that a person may do this to at once; None: any number. At each customer the role counts that
    allows most; of several customers the lowest."""
    if verb not in CAPPED or not caps:
        return None
    granted = [g for g in who.grants if CAPPED[verb] in ROLES[g.role].rights]
    found = []
    for customer in {g.customer for g in granted}:
        here = [caps.get(g.role) for g in granted if covers(g.customer, customer)]
        if None not in here:
            found.append(max(cap for cap in here if cap is not None))
    return min(found, default=None)


def beyond(who: Access, verb: Verb, cap: int, count: int) -> Decision:
    """The refusal of an act on too many, on record."""
    said = f"{verb}: you may do it to {cap:,} mails at once, and these are more: a second person is needed for them"
    denied = Draft("denied", account=who.account, session=who.session)
    denied.facts = {"verb": str(verb), "cap": cap, "count": count}
    return Decision(Refusal("forbidden", said, cap=cap), [denied])
