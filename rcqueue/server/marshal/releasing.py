"""The verbs of the way out, and back from it. Each answers a refusal, or None when it was done."""

from __future__ import annotations

from collections.abc import Iterable

from rcqueue.model.access import Access, DataClass, Right
from rcqueue.model.act import POSTMASTER, ActBody, MailResult, ReleaseAs, Result, SettleAs, Way
from rcqueue.model.folding import domain_of
from rcqueue.model.ids import MAX_RECIPIENTS, encode_mail
from rcqueue.server.store.rows import RowDict, Rows

from .customers import customer_of
from .doing import SECOND, Doing, not_done, unlearn


def lacks(rows: Rows, message: int, who: Access, body: ActBody, numbers: Iterable[int]) -> Right | DataClass | None:
    """What a person lacks for this way out of these mails of a message, beside the right to release."""
    row = rows.message(message)
    assert row is not None
    # To whoever can choose where it goes, its body is open.
    if any(to != POSTMASTER for to in body.to) and DataClass.BODY not in who.classes_at(row["customer"]):
        return DataClass.BODY
    mails = rows.mails[message]
    meant = mails.values() if body.to else [mails[n] for n in numbers if n in mails]
    whole = body.form not in (None, ReleaseAs.STRIPPED) and any(_strip(mail) for mail in meant)
    return Right.ADMINISTER if whole and Right.ADMINISTER not in who.rights_at(row["customer"]) else None


def release(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    if d.body.to:
        return _to_others(d, n, mail)
    _send(d, n, _way(d, mail["way"], _strip(mail)))
    return None


def _to_others(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    """New mails of the message go out, one to each address; the one that it was asked for stays on hold."""
    row, mails = d.change.row, d.change.mails
    there = {m["rcpt"].lower() for m in mails.values()}
    new = {}
    for to in d.body.to:
        address = _postmaster(d, mail) if to == POSTMASTER else to
        if address.lower() in d.added:  # by another mail of this act
            continue
        if address.lower() in there:
            return not_done(d, n, Result.STATUS, mail, f"{address} is one of its recipients: release that mail")
        if to != POSTMASTER and customer_of(d.change.rows, address) not in (None, row["customer"]):
            return not_done(d, n, Result.REFUSED, mail, f"{address} is another customer's")
        new[address.lower()] = address
    if len(mails) + len(new) > MAX_RECIPIENTS:
        return not_done(d, n, Result.STATUS, mail, f"a message has at most {MAX_RECIPIENTS} recipients")
    strip = sorted({name for m in mails.values() for name in _strip(m)})  # the strictest of its recipients'
    for folded, address in new.items():
        d.added[folded] = d.change.add(address, "RELEASING", mail["expiry"])
        # Said in any case: what goes to whom it was not sent to goes by SMTP, never by its original's own road.
        _send(d, d.added[folded], _way(d, None, strip) or Way())
    d.facts["to"], d.personal["to"] = len(d.added), [mails[other]["rcpt"] for other in d.added.values()]
    d.change.set(n, "ONHOLD")  # it has another version: whoever looked at it before looks again
    return None


def _send(d: Doing, n: int, way: Way | None) -> None:
    release, due = f"{encode_mail(d.change.id, n)}-{d.change.seq}", d.change.now + d.terms.recall
    stored = way and way.model_dump_json()
    d.change.set(n, "RELEASING", release=release, due=due, reply="", way=stored)
    d.release, d.recall_until = release, due
    if way is not None and way.form != ReleaseAs.ORIGINAL:
        d.facts["form"] = str(way.form)


def _way(d: Doing, before: str | None, strip: list[str]) -> Way | None:
    """How it goes out: as the person says, else as the policy does, whose names of attachments stay with the mail."""
    form = ReleaseAs(d.body.form or (ReleaseAs.STRIPPED if strip else ReleaseAs.ORIGINAL))
    return None if before is None and form is ReleaseAs.ORIGINAL else Way(form=form, strip=strip)


def _strip(mail: RowDict) -> list[str]:
    """The attachments that the policy leaves out of a mail."""
    return Way.model_validate_json(mail["way"]).strip if mail["way"] else []


def _postmaster(d: Doing, mail: RowDict) -> str:
    domain = domain_of(mail["rcpt"])
    return d.terms.postmaster or (f"{POSTMASTER}@{domain}" if domain else POSTMASTER)


def recall(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    if mail["due"] is None:
        return not_done(d, n, Result.STATUS, mail, "it is being handed to the next hop now")
    d.change.set(n, "ONHOLD", due=None, expiry=_still_held(d, mail))
    unlearn(d)
    return None


def try_now(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    """What its next hop put off does not wait any longer. A recall window is not cut short."""
    if mail["due"] is None:
        return not_done(d, n, Result.STATUS, mail, "it is being handed to the next hop now")
    if not mail["reply"]:
        return not_done(d, n, Result.STATUS, mail, "it was not put off: it goes when its recall window ends")
    d.change.set(n, "RELEASING", due=min(mail["due"], d.change.now))
    return None


def settle(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    match d.body.settle:
        case SettleAs.ARRIVED:
            d.change.set(n, "RELEASED")
        case SettleAs.AGAIN:  # the same release id, so that the next hop can tell
            d.release, d.recall_until = mail["release"], d.change.now + d.terms.recall
            d.change.set(n, "RELEASING", due=d.recall_until, reply="")
        case _:
            d.change.set(n, "ONHOLD", due=None, expiry=_still_held(d, mail))
    return None


def _still_held(d: Doing, mail: RowDict) -> int:
    """A mail that comes back to the hold after its expiry has a day left, not none."""
    return max(int(mail["expiry"]), d.change.now + 86400 * SECOND)
