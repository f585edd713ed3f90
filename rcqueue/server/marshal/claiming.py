"""The verbs on claims. Each answers a refusal, or None when it was done."""

from __future__ import annotations

from rcqueue.model.access import Right
from rcqueue.model.act import MailResult, Result
from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import RowDict

from .doing import SECOND, Doing, lapsed, not_done
from .mails import WAITS

API_CLAIM = 15 * 60 * SECOND
ASSIGNED = 8 * 3600 * SECOND  #: how long what was assigned waits, if nothing else is said: a shift
NOTE = 200  #: characters of what was said that stand with the claim; the whole is in its entry


def claim(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    session = d.change.rows.get(t.session, d.who.session)
    assert session is not None
    by_lease = session["kind"] == "terminal" and not d.body.for_seconds
    until = None if by_lease else d.change.now + (d.body.for_seconds * SECOND if d.body.for_seconds else API_CLAIM)
    if lapsed(d, {"session": d.who.session, "account": d.who.account, "until": until}):
        return not_done(d, n, Result.REFUSED, mail, "the session that asked for the claim has ended")
    held = d.change.claim_on(n)
    if held and held["session"] == d.who.session and not lapsed(d, held):  # mine already: the fence stays
        d.change.rows.put(t.claim, (d.change.id, n), {"until": until})
        d.fence = max(d.fence or 0, held["fence"])
        return None
    d.change.grant(n, d.who.session, d.who.account, until)
    d.fence = d.change.seq
    return None


def assign(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    """The claim passes to another person, and waits for them until its end; then it lapses as any."""
    rows, at, name = d.change.rows, d.change.row["customer"], d.body.person
    account = rows.account_names.get(name)
    person = None if account is None else rows.access_of(account, WAITS)
    if person is None or not {Right.VIEW, Right.CLAIM} <= person.rights_at(
        at
    ):  # whether there is such a person is not told
        return not_done(d, n, Result.REFUSED, mail, f"{name}: nobody of that name may claim at {at}")
    until = d.change.now + (d.body.for_seconds * SECOND if d.body.for_seconds else ASSIGNED)
    d.change.grant(n, WAITS, person.account, until, d.who.account, d.body.note[:NOTE])
    d.facts["person"] = person.account
    return None


def unclaim(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    if d.change.claim_on(n):
        d.change.free(n)
    return None


def takeover(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    return claim(d, n, mail)
