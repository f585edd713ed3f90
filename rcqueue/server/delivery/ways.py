"""What is sent for a mail that does not go out as it came: a reader's child looks into it, then it is made anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, select

from rcqueue.model.act import POSTMASTER, ReleaseAs
from rcqueue.model.folding import domain_of
from rcqueue.model.mail import Dsn, VerdictDetail
from rcqueue.model.scan import Action, ScanResult
from rcqueue.server.config import Release
from rcqueue.server.marshal.outcomes import Begun
from rcqueue.server.reading.children import Readers
from rcqueue.server.scan import decide
from rcqueue.server.smtp_data import normalised
from rcqueue.server.store import tables as t

from .parcel import Parcel, Sign, parcel
from .remake import Made, NotSafe, attached, check_stripped, stripped, tagged

log = logging.getLogger(__name__)
_RESULTS = TypeAdapter(list[ScanResult])


@dataclass(frozen=True, slots=True)
class Original:
    """A mail as it came, and what is known of it."""

    raw: bytes
    smtputf8: bool
    dsn: Dsn | None
    from_email: str
    subject: str
    verdict: VerdictDetail
    scans: list[ScanResult]
    first: int  #: when the first attempt of this release began: what is made is the same at each
    sign: Sign


def original(
    connection: Connection,
    begun: Begun,
    raw: bytes,
    smtputf8: bool,
    dsn: Dsn | None,
    attempts: Sequence[Any],
    sign: Sign,
) -> Original:
    """`attempts`: rows of table `attempt`, of this mail."""
    columns = (t.message.c.from_email, t.message.c.subject, t.message_detail.c.verdict, t.message_detail.c.scans)
    query = select(*columns).join(t.message_detail, t.message_detail.c.message == t.message.c.id)
    row = connection.execute(query.where(t.message.c.id == begun.message)).one()
    verdict = VerdictDetail.model_validate_json('{"id":"",' + row.verdict[1:])
    first = min(attempt.started for attempt in attempts if attempt.release == begun.release)
    scans = _RESULTS.validate_json(row.scans)
    return Original(raw, smtputf8, dsn, row.from_email, row.subject, verdict, scans, first, sign)


class Ways:
    """`readers` look into messages; without any it has its own."""

    def __init__(self, release: Release, readers: Readers | None) -> None:
        self._release = release
        self._own = Readers() if readers is None else None
        self._readers = readers or self._own

    async def close(self) -> None:
        if self._own is not None:
            await self._own.close()

    async def parcel(self, mail: Original, begun: Begun) -> Parcel | str:
        """What is sent, or why nothing is."""
        try:
            body = await asyncio.to_thread(normalised, mail.raw)
            made = await self._made(mail, begun, body)
            return await asyncio.to_thread(_parcel, mail, begun, made, body)
        except NotSafe as why:
            return f"it was not sent: it can not be made anew safely: {why}"
        except Exception as error:
            log.exception("delivery: a mail could not be made anew")
            return f"it was not sent: it could not be made anew ({type(error).__name__})"

    async def _made(self, mail: Original, begun: Begun, body: bytes) -> Made:
        assert begun.way is not None and self._readers is not None
        form, names = ReleaseAs(begun.way.form), begun.way.strip
        if form is ReleaseAs.TAGGED:
            return await asyncio.to_thread(tagged, body, _verdict(mail), self._release.tag, begun.sha256)
        if form is ReleaseAs.ATTACHMENT:
            postmaster = self._release.postmaster or f"{POSTMASTER}@{domain_of(begun.recipient) or 'localhost'}"
            about: dict[str, Any] = {"recipient": begun.recipient, "subject": mail.subject, "sender": mail.from_email}
            about |= {"release": begun.release, "at": mail.first, "digest": begun.sha256}
            return await asyncio.to_thread(attached, body, postmaster=postmaster, **about)
        before = await self._readers.read(body)
        made = await asyncio.to_thread(stripped, body, before, names, begun.sha256)
        check_stripped(before, names, await self._readers.read(normalised(made.data)))
        return made


def _parcel(mail: Original, begun: Begun, made: Made, body: bytes) -> Parcel:
    assert begun.way is not None
    sender, dsn = (begun.sender, mail.dsn) if made.sender is None else (made.sender, None)
    how = (made.data, begun.release, sender, begun.recipient, mail.smtputf8)
    goods = parcel(*how, dsn=dsn, sign=mail.sign, fields=made.fields)
    goods.noted.pop("normalised", None)  # of the end of what was made
    goods.noted.update({"form": str(begun.way.form)} | ({"normalised": True} if body != mail.raw else {}))
    return goods


def _verdict(mail: Original) -> Sequence[tuple[str, str]]:
    """The fields that a mail which is passed on with this verdict gets."""
    said = mail.verdict
    decision = decide.Decision(Action.TAG, said.verdict, said.score, said.required, tuple(said.rules), said.reason)
    missing = [f"{one.scanner} ({why})" for one in mail.scans if (why := one.error or one.skipped)]
    return decide.tagged(decision, missing).headers
