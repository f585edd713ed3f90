"""What an attempt needs to know of its mail, read and made in a reader's thread."""

from __future__ import annotations

import functools
import hashlib
import logging
import socket
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from rcqueue.model.act import ReleaseAs
from rcqueue.model.mail import Receipt
from rcqueue.server import passes
from rcqueue.server.amavis import file_of
from rcqueue.server.config import SECOND
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.outcomes import Begun
from rcqueue.server.marshal.show import unpacked
from rcqueue.server.store import tables as t
from rcqueue.server.store.ready import padded

from . import retry
from .am_pdp import Quarantined
from .parcel import Parcel, parcel
from .ways import Original, original

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Load:
    parcel: Parcel | Original | str  #: or what is still to be made anew, or why it cannot be sent
    quarantined: Quarantined | None  #: where amavis has it too
    started: int
    before: list[Any]  #: the attempts of the chain that this one goes on with, newest first


# Made once: to make a statement costs as much as to execute it.
_OF: Any = bindparam("messages", expanding=True)
_ATTEMPTS = select(t.attempt).where(t.attempt.c.message.in_(_OF)).order_by(t.attempt.c.number.desc())
_OF_MESSAGE = (
    select(t.message.c.id, t.message.c.origin, t.message_detail.c.receipt, t.blob.c.data, t.blob.c.codec)
    .join(t.message_detail, t.message_detail.c.message == t.message.c.id)
    .outerjoin(t.blob, (t.message.c.customer == t.blob.c.customer) & (t.message.c.sha256 == t.blob.c.sha256))
    .where(t.message.c.id.in_(_OF))
)


def read_loads(connection: Connection, begun: Sequence[Begun], key: bytes | None) -> list[Load]:
    """What attempts need to know, read and made in a reader's thread."""
    if not begun:
        return []
    those = {"messages": padded([one.message for one in begun])}
    attempts: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for row in connection.execute(_ATTEMPTS, those).all():
        attempts[row.message, row.n].append(row)
    messages = {row.id: row for row in connection.execute(_OF_MESSAGE, those).all()}
    return [_load(connection, one, messages[one.message], attempts[one.message, one.n], key) for one in begun]


def _load(connection: Connection, begun: Begun, message: Any, attempts: list[Any], key: bytes | None) -> Load:
    load = functools.partial(
        Load,
        quarantined=_quarantined(connection, begun, message.origin),
        started=attempts[0].started,
        before=retry.chain(attempts[1:], begun.release),
    )
    try:
        raw = unpacked(message)
    except Refusal as gone:
        return load(f"it was not sent: {gone.detail}")
    except Exception:
        log.exception("delivery: stored bytes could not be read")
        raw = b""
    if hashlib.sha256(raw).digest() != begun.sha256:
        return load("it was not sent: stored bytes do not match their hash")
    receipt = Receipt.model_validate_json(message.receipt)
    recipient, end = begun.recipient, attempts[0].started // SECOND + passes.VALID

    def sign(sender: str, data: bytes) -> tuple[str, str] | None:
        return (key and passes.sign(key, begun.release, begun.number, end, sender, recipient, data)) or None

    dsn = receipt.dsn if recipient in receipt.recipients else None  # not of those that somebody added later
    if begun.way is not None and begun.way.form != ReleaseAs.ORIGINAL:
        return load(original(connection, begun, raw, receipt.smtputf8, dsn, attempts, sign))
    return load(parcel(raw, begun.release, begun.sender, recipient, receipt.smtputf8, dsn=dsn, sign=sign))


def _quarantined(connection: Connection, begun: Begun, origin: str) -> Quarantined | None:
    file = file_of(origin)
    if file is None:
        return None
    released = (t.entry.c.message == begun.message, t.entry.c.kind == "mail.release")
    who = select(t.account.c.name).join(t.entry, t.entry.c.account == t.account.c.id).where(*released)
    name = connection.execute(who.order_by(t.entry.c.seq.desc()).limit(1)).scalar()
    return Quarantined(*file, begun.recipient, f"{name or 'rcqueue'}@{socket.gethostname()}")
