"""Undo of an act on many: an act of its own that takes back what still can be. Releases are recalled while their window
is open, deleted mails are restored; a mail that something else has changed since is left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, select

from rcqueue.model.access import Access, Right
from rcqueue.model.act import ActRequest, Result, Verb
from rcqueue.model.ids import encode_mail
from rcqueue.model.mail import from_us, rfc3339
from rcqueue.server.store import tables as t
from rcqueue.server.store.pages import MailRef

from .refusal import Refusal

UNDO = {Verb.RELEASE: Verb.RECALL, Verb.RESCAN: Verb.RECALL, Verb.DELETE: Verb.RESTORE}
_CHUNK = 500


def asked(connection: Connection, who: Access, act: str) -> ActRequest:
    """What an act of theirs was asked to do; raises `Refusal`."""
    row = connection.execute(select(t.act).where(t.act.c.id == act)).one_or_none()
    if row is None or not may_manage(who, row.account):
        raise Refusal("not-found", f"you have no act {act}")
    return ActRequest.model_validate_json(row.request)


def still_known(act: str, purged: int | None) -> None:
    """Refuses where it would have to be known what became of each mail of an act, after that was purged."""
    if purged is not None:
        when = rfc3339(from_us(purged))
        raise Refusal("gone", f"what became of each mail of act {act} was purged at {when}; only its counts are kept")


def may_manage(who: Access, account: int) -> bool:
    """Whether a person may look after an account's acts: their own, or they administer."""
    return account == who.account or who.anywhere(Right.ADMINISTER)


def undo_of(act: str, request: ActRequest) -> ActRequest:
    """What an undo asks for; raises `Refusal`."""
    verb = Verb(request.verb)
    if verb not in UNDO:
        raise Refusal("bad-request", f"an act of {verb} can't be taken back; of release, rescan and delete it can")
    return ActRequest(verb=UNDO[verb], reason=f"undo of {act}")


def undoable(connection: Connection, after: tuple[int, int], act: str, request: ActRequest) -> Iterator[MailRef]:
    """The mails, after that one, which an act has changed last, and that can still be recalled, or restored."""
    verb = Verb(request.verb)
    done, mail = t.act_mail.c, t.mail.c
    while True:
        beyond = (done.message > after[0]) | ((done.message == after[0]) & (done.n > after[1]))
        some = select(done.message, done.n, done.version)
        some = some.where(done.act == act, done.result == Result.DONE.value, beyond)
        found = connection.execute(some.order_by(done.message, done.n).limit(_CHUNK)).all()
        if not found:
            return
        after = (found[-1].message, found[-1].n)
        by = {(row.message, row.n): row.version for row in found}
        versions = {(row.message, row.version) for row in found}  # to others go few: they are in one chunk
        now = select(t.mail).where(mail.message.in_(sorted({row.message for row in found})))
        for row in connection.execute(now.order_by(mail.message, mail.n)):
            mine = by.get((row.message, row.n))
            if UNDO[verb] is Verb.RESTORE:
                ours = row.status == "DELETED" and row.version == mine
            else:  # a release id names the entry that let the mail go; to others went other mails of the message
                entry = row.status == "RELEASING" and row.due is not None and _entry_of(row)
                ours = (row.message, entry) in versions if request.to else bool(entry) and entry == mine
            if ours:
                yield MailRef(row.message, row.n, row.version, row.rcpt)


def _entry_of(row: Row[Any]) -> int | None:
    """The number of the entry by which a mail was released."""
    number = (row.release or "").removeprefix(f"{encode_mail(row.message, row.n)}-")
    return int(number) if number.isdecimal() else None
