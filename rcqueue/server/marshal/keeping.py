"""The verbs on what stays here: delete, restore, extend, note. Each answers a refusal, or None when it was done."""

from __future__ import annotations

from rcqueue.model.act import MailResult, Result
from rcqueue.model.mail import to_us
from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import RowDict

from .doing import Doing, not_done, unlearn


def delete(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    d.change.set(n, "DELETED")
    return None


def restore(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    if d.change.row["purged"] is not None:
        return not_done(d, n, Result.STATUS, mail, "its bytes were purged")
    d.change.set(n, "ONHOLD", expiry=_new_expiry(d), reply="", release=None, due=None)
    unlearn(d)
    return None


def extend(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    d.change.set(n, "ONHOLD", expiry=_new_expiry(d))
    return None


def note(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    d.change.mention(n)
    key = (d.change.seq,)
    d.change.rows.put(
        t.note,
        key,
        {"seq": d.change.seq, "message": d.change.id, "account": d.who.account, "text": d.body.note},
    )
    return None


def _new_expiry(d: Doing) -> int:
    return to_us(d.body.expiry) if d.body.expiry else d.change.now + d.terms.expiry
