"""The verbs of the way out, and back from it. Each answers a refusal, or None when it was done."""

from __future__ import annotations

from rcqueue.model.act import MailResult, Result, SettleAs
from rcqueue.model.ids import encode_mail
from rcqueue.server.store.rows import RowDict

from .doing import SECOND, Doing, not_done


def release(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    release = f"{encode_mail(d.change.id, n)}-{d.change.seq}"
    due = d.change.now + d.terms.recall
    d.change.set(n, "RELEASING", release=release, due=due, reply="")
    d.release, d.recall_until = release, due
    return None


def recall(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    if mail["due"] is None:
        return not_done(d, n, Result.STATUS, mail, "it is being handed to the next hop now")
    d.change.set(n, "ONHOLD", due=None, expiry=_still_held(d, mail))
    return None


def settle(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    match d.body.settle:
        case SettleAs.ARRIVED:
            d.change.set(n, "RELEASED")
        case SettleAs.AGAIN:  # the same release id, so that the next hop can tell
            d.release, d.recall_until = mail["release"], d.change.now + d.terms.recall
            d.change.set(n, "RELEASING", due=d.recall_until)
        case _:
            d.change.set(n, "ONHOLD", due=None, expiry=_still_held(d, mail))
    return None


def _still_held(d: Doing, mail: RowDict) -> int:
    """A mail that comes back to the hold after its expiry has a day left, not none."""
    return max(int(mail["expiry"]), d.change.now + 86400 * SECOND)
