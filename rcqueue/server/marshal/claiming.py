"""The verbs on claims. Each answers a refusal, or None when it was done."""

from __future__ import annotations

from rcqueue.model.act import MailResult, Result
from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import RowDict

from .doing import SECOND, Doing, lapsed, not_done

API_CLAIM = 15 * 60 * SECOND


def claim(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    session = d.change.rows.get(t.session, d.who.session)
    assert session is not None
    by_lease = session["kind"] == "terminal" and not d.body.for_seconds
    until = None if by_lease else d.change.now + (d.body.for_seconds * SECOND if d.body.for_seconds else API_CLAIM)
    held = d.change.claim_on(n)
    if held and held["session"] == d.who.session and not lapsed(d, held):  # mine already: the fence stays
        d.change.rows.put(t.claim, (d.change.id, n), {"until": until})
        d.fence = max(d.fence or 0, held["fence"])
        return None
    if lapsed(d, {"session": d.who.session, "account": d.who.account, "until": until}):
        return not_done(d, n, Result.REFUSED, mail, "the session that asked for the claim has ended")
    d.change.grant(n, d.who.session, d.who.account, until)
    d.fence = d.change.seq
    return None


def unclaim(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    if d.change.claim_on(n):
        d.change.free(n)
    return None


def takeover(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    return claim(d, n, mail)
