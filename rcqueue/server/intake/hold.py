"""From an envelope and raw bytes to messages on hold, whichever way they came in."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from rcqueue.model.act import ReleaseAs, Way
from rcqueue.model.mail import Receipt, VerdictKind
from rcqueue.model.scan import ScanResult
from rcqueue.server.config import Config
from rcqueue.server.marshal import Marshal
from rcqueue.server.marshal.campaigns import Marked
from rcqueue.server.marshal.hold import Arrival, Return
from rcqueue.server.reading.scan import Scan, scan
from rcqueue.server.reading.traits import Traits, traits
from rcqueue.server.scan.decide import Decision
from rcqueue.server.scan.judge import Judgement
from rcqueue.server.store.writer import Stopped

from . import dsn
from .again import not_held_yet
from .returned import Returned, returned

log = logging.getLogger(__name__)

LARGE = 1 << 20  #: bytes; scanning less than this takes less than handing it to a thread
MAX_WAITING = 2000  #: operations that wait for the writer
MAX_BYTES = 256 << 20  #: of mails that wait for the writer
GATHER = 0.2  #: seconds for which notes of passed and refused mail are gathered
MAX_NOTES = 200  #: in one transaction
MAX_REASON = 2000  #: characters

#: No envelope address holds these: they could not be said to the next hop again.
CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

_RESULTS = TypeAdapter(list[ScanResult])


class Busy(Exception):
    """More waits to be written than the bounds allow: try again later."""


class Intake:
    def __init__(
        self,
        marshal: Marshal,
        config: Config,
        *,
        keys: Sequence[bytes] = (),
        max_waiting: int = MAX_WAITING,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """`keys` are those of the passes of released mail."""
        self.marshal, self._config, self._keys = marshal, config, keys
        self._max_waiting, self._max_bytes = max_waiting, max_bytes
        self._bytes = 0
        self._notes: list[functools.partial[Coroutine[Any, Any, list[Arrival]]]] = []
        self._noting: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self.marshal.writer.waiting > self._max_waiting or self._bytes > self._max_bytes

    def customers(self, recipients: Sequence[str]) -> int:
        """How many messages a transaction to these recipients becomes."""
        return len({self._config.customer_of(recipient) for recipient in recipients})

    async def hold(
        self,
        sender: str,
        recipients: Sequence[str],
        raw: bytes,
        receipt: Receipt,
        *,
        origin: str,
        judgement: Judgement | None = None,
        back: Returned | None = None,
    ) -> list[int]:
        """Holds what one transaction brought: a message for each customer among its recipients; their ids.

        `origin` is the way in ("smtp", "lmtp", "milter" ...); where the original still waits, also which it is. With a
        `judgement` the verdict is that of our own scanners; without one it is read from the header, unless the mail
        is one that was released from here and has come back (`back`): that is a loop.

        What a mail server hands over once more (again.py) is not held twice, and answered as it was.

        Durable when this returns. Never refuses a mail for what it holds. Raises Busy; Stopped while shutting down.
        """
        if self.busy:
            raise Busy
        self._bytes += len(raw)
        try:
            if judgement is None and (back := await self.returned(sender, recipients, raw)) is not None:
                judgement = back.loops
            arrivals = await self.arrivals(
                sender, recipients, raw, receipt, origin=origin, judgement=judgement, back=back
            )
            arrivals, before = await not_held_yet(self.marshal, arrivals)
            return before + (await self.marshal.hold(arrivals) if arrivals else [])
        finally:
            self._bytes -= len(raw)

    async def returned(self, sender: str, recipients: Sequence[str], raw: bytes) -> Returned | None:
        """What is known of a mail that was released from here and has come back; None: it is none."""
        return await returned(self.marshal, self._keys, sender, recipients, raw)

    async def lets_go(self, back: Returned, sender: str, raw: bytes, receipt: Receipt, *, origin: str) -> bool:
        """Whether a mail that came back goes on, which is then on record; if not, it is held. Durable either way."""
        (goes_on,), (loops,) = [
            await self.arrivals(
                sender, [back.recipient], raw, receipt, origin=origin, status=status, judgement=judgement, back=back
            )
            for status, judgement in (("PASSED", back.goes_on), ("ONHOLD", replace(back, again=True).loops))
        ]
        return bool(await self.marshal.do(Return(goes_on, loops, back.by, self.marshal.terms.expiry)))

    def record(
        self,
        status: str,
        sender: str,
        recipients: Sequence[str],
        raw: bytes,
        receipt: Receipt,
        *,
        origin: str,
        judgement: Judgement,
    ) -> None:
        """Notes what is known of mail that was PASSED or REJECTED, soon, many at a time: nobody waits for it. None is
        noted while more waits to be written than the bounds allow."""
        if self.busy:
            return
        self._bytes += len(raw)
        self._notes.append(
            functools.partial(
                self.arrivals, sender, recipients, raw, receipt, status=status, origin=origin, judgement=judgement
            )
        )
        if self._noting is None or self._noting.done():
            self._noting = asyncio.get_running_loop().create_task(self._note(), name="notes")

    async def _note(self) -> None:
        while self._notes:
            await asyncio.sleep(GATHER)
            notes, self._notes = self._notes[:MAX_NOTES], self._notes[MAX_NOTES:]
            try:
                arrivals = [arrival for note in notes for arrival in await note()]
                try:
                    await self.marshal.hold(arrivals)
                except Stopped:
                    return
                except Exception:  # one of them takes none of the others with it
                    log.exception("what is known of some mails could not be noted together; one by one")
                    for arrival in arrivals:
                        await self.marshal.hold([arrival])
            except Exception:
                log.exception("what is known of a mail could not be noted")
            finally:
                self._bytes -= sum(len(note.args[2]) for note in notes)

    async def close(self) -> None:
        """Notes what is still to be noted; after the ways in have stopped."""
        if self._noting is not None:
            await asyncio.gather(self._noting, return_exceptions=True)

    async def arrivals(
        self,
        sender: str,
        recipients: Sequence[str],
        raw: bytes,
        receipt: Receipt,
        *,
        origin: str,
        status: str = "ONHOLD",
        judgement: Judgement | None = None,
        back: Returned | None = None,
        account: int | None = None,
        session: int | None = None,
    ) -> list[Arrival]:
        """The same, read and ready to be held; `receipt` is what is known beside the bytes and the envelope."""
        look = functools.partial(_read, raw, sender, recipients, receipt.client)
        read, marks = look() if len(raw) < LARGE else await asyncio.to_thread(look)
        customers: dict[str, dict[str, None]] = {}
        for recipient in recipients:
            customers.setdefault(self._config.customer_of(recipient), {})[recipient] = None
        seen = {"sender": sender, "size": len(raw), "trace": read.trace}
        seen |= {"authentication": read.authentication, "filters": read.filters, "authors": read.authors}
        scans = _RESULTS.dump_json(judgement.results).decode() if judgement is not None else "[]"
        return [
            Arrival(
                customer,
                sender,
                tuple(theirs),
                raw,
                read if judgement is None else _judged(read, [judgement.by_recipient[to] for to in theirs]),
                receipt.model_copy(update={**seen, "recipients": list(theirs), "dsn": dsn.of(receipt.dsn, theirs)}),
                status=status,
                origin=origin,
                scans=scans,
                marked=Marked(marks),
                returned=back.by if back is not None else None,
                ways=_ways(judgement, theirs),
                account=account,
                session=session,
            )
            for customer, theirs in customers.items()
        ]


def _read(raw: bytes, sender: str, recipients: Sequence[str], client: str) -> tuple[Scan, Traits]:
    read = scan(raw)
    return read, traits(raw, read, sender, recipients, client)


def _ways(judgement: Judgement | None, recipients: Iterable[str]) -> dict[str, Way]:
    """How the policy wants each mail to go out, where it isn't as it came."""
    strip = {to: judgement.by_recipient[to].strip for to in recipients} if judgement is not None else {}
    return {to: Way(form=ReleaseAs.STRIPPED, strip=list(dict.fromkeys(names))) for to, names in strip.items() if names}


def _judged(read: Scan, decisions: Sequence[Decision]) -> Scan:
    """What was read, with the verdict of our scanners for that in the header, which anybody may have written.

    A message has one verdict: that of its first recipient; and every reason that it is held for.
    """
    decision = decisions[0]
    return replace(
        read,
        verdict=decision.kind or VerdictKind.POLICY,
        score=decision.score,
        required=decision.required,
        rules=list(decision.rules),
        reason="; ".join(dict.fromkeys(filter(None, (d.reason for d in decisions))))[:MAX_REASON],
    )
