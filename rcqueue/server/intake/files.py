"""The import of messages that stand in files: `rcqueue import` reads them, and sends them one by one to here."""

from __future__ import annotations

from collections.abc import Sequence

from rcqueue.model.access import Access
from rcqueue.model.ids import encode_message
from rcqueue.model.mail import Receipt, from_us
from rcqueue.server.marshal import Idempotency, Refusal
from rcqueue.server.marshal.hold import Import

from .hold import CONTROL, Intake

MAX_ADDRESS = 1000


class Importer:
    def __init__(self, intake: Intake, size_limit: int, recipient_limit: int) -> None:
        self._intake, self._size_limit, self._recipient_limit = intake, size_limit, recipient_limit

    async def import_message(
        self, who: Access, raw: bytes, sender: str, recipients: Sequence[str], once: Idempotency | None = None
    ) -> list[str]:
        """Puts a message on hold, its bytes as they are; the ids of its messages (one a customer).

        The same under the same key is done once. Raises `Refusal`: needs the right to hold at each customer.
        """
        if not raw:
            raise Refusal("bad-request", "the body is empty: the bytes of one message were expected")
        if len(raw) > self._size_limit:
            raise Refusal("bad-request", f"{len(raw)} bytes: at most {self._size_limit} were expected")
        if not 0 < len(recipients) <= self._recipient_limit or "" in recipients:
            raise Refusal("bad-request", f"rcpt: 1 to {self._recipient_limit} recipients were expected, none empty")
        for address in (sender, *recipients):
            if CONTROL.search(address) or len(address) > MAX_ADDRESS:
                raise Refusal("bad-request", f"{address[:80]!r}: an address without control characters was expected")
        if self._intake.busy:
            raise Refusal("unavailable", "too much waits to be written: try again later")
        marshal = self._intake.marshal
        receipt = Receipt(at=from_us(marshal.clock.now()), protocol="import")
        arrivals = await self._intake.arrivals(
            sender, recipients, raw, receipt, origin="import", account=who.account, session=who.session
        )
        ids = await marshal.do_once(who, once, Import(arrivals, marshal.terms.expiry, who.session))
        return [encode_message(message) for message in ids]
