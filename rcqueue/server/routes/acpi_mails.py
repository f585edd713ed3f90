"""The mails of an `/acpi` request: found page by page, each page in a snapshot of its own, and written one a line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from rcqueue.model.access import Access, DataClass
from rcqueue.model.fields import Term
from rcqueue.model.ids import encode_mail, parse_id
from rcqueue.model.query import Query, parse
from rcqueue.server.marshal import Refusal
from rcqueue.server.store import tables as t
from rcqueue.server.store.pages import RowData, mails_of, page, rows_by_id

from .deps import Viewer

SECOND = 1_000_000
MOST = 100_000  #: mails that one `set` may change

#: The seven keys of a mail, and the class of data that each belongs to.
FIELDS: dict[str, DataClass | None] = {
    "timestamp": None,
    "status": None,
    "expiry": None,
    "fromDomain": DataClass.ENVELOPE,
    "fromEmail": DataClass.ENVELOPE,
    "toEmail": DataClass.ENVELOPE,
    "subject": DataClass.SUBJECT,
    "id": None,
    "size": None,
    "verdict": None,
    "score": DataClass.HEADERS,
    "customer": None,
}
SEVEN = tuple(FIELDS)[:7]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a request selects: terms of the filter language, ids, and times in Unix seconds, ends included."""

    words: Sequence[tuple[str, str | None]]
    ids: Sequence[str] | None
    start: float | None
    end: float | None
    filter: str = ""  #: more terms, as they are written

    @property
    def _more(self) -> Sequence[Term]:
        return parse(self.filter, me="me").given  # whose that is, the query of the whole says

    @property
    def narrow(self) -> bool:
        """Whether there is a term beside status and times, or an id: what `set` asks for."""
        given = [field for field, value in self.words if value] + [term.field for term in self._more]
        return self.ids is not None or any(field != "status" for field in given)

    @property
    def text(self) -> str:
        """The filter. Without `status` all statuses. Raises QueryError, of `filter` as it was written."""
        terms = [f"{field}:{_quoted(value)}" for field, value in self.words if value is not None]
        terms += [term.text for term in self._more]
        named = [field for field, value in self.words if value is not None] + [term.field for term in self._more]
        if "status" not in named:
            terms.append("status:any")
        return " ".join(terms)

    def within(self, at: int) -> bool:
        return (self.start is None or at >= self.start * SECOND) and (self.end is None or at <= self.end * SECOND)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


Found = tuple[RowData, list[tuple[int, str, int, str]]]  #: a message and its mails: (n, status, expiry, rcpt)


async def _found(asker: Viewer, selection: Selection) -> AsyncIterator[tuple[Access, list[Found]]]:
    marshal = asker.parts.marshal
    now = marshal.clock.now()
    ids = None if selection.ids is None else [_id(i) for i in selection.ids]
    if ids is not None:
        for at in range(0, len(ids), 500):
            some = ids[at : at + 500]
            yield await asker.read(_some, marshal, selection, some, now)
        return
    cursor: str | None = None
    begin = None if selection.end is None else min(int(selection.end), 1 << 40) * SECOND + SECOND
    while True:
        who, found, cursor, last = await asker.read(_page, marshal, selection, cursor, begin, now)
        yield who, found
        if cursor is None or (last is not None and selection.start is not None and last < selection.start * SECOND):
            return


def _id(text: str) -> tuple[int, int | None]:
    try:
        return parse_id(text)
    except ValueError as error:
        raise Refusal("bad-request", str(error)) from None


def _page(
    connection: Connection,
    who: Access,
    marshal: Any,
    selection: Selection,
    cursor: str | None,
    begin: int | None,
    now: int,
) -> tuple[Access, list[Found], str | None, int | None]:
    query: Query = marshal.query(who, selection.text)
    start = begin if cursor is None else None
    found = page(connection, who, query, "-time", after=cursor, time_us=start, limit=500, now_us=now)
    rows = [row for row in found.rows if selection.within(row.message.at)]
    last = found.rows[-1].message.at if found.rows else None
    return who, [(row, _mails(connection, row, query, now)) for row in rows], found.next, last


def _some(
    connection: Connection,
    who: Access,
    marshal: Any,
    selection: Selection,
    ids: Sequence[tuple[int, int | None]],
    now: int,
) -> tuple[Access, list[Found]]:
    query: Query = marshal.query(who, selection.text)
    wanted: dict[int, set[int | None]] = {}
    for message, n in ids:
        wanted.setdefault(message, set()).add(n)
    rows = rows_by_id(connection, who, list(wanted), query, now)
    return who, [
        (row, [m for m in _mails(connection, row, query, now) if None in wanted[row.id] or m[0] in wanted[row.id]])
        for row in rows
        if selection.within(row.message.at)
    ]


def _mails(connection: Connection, row: RowData, query: Query, now: int) -> list[tuple[int, str, int, str]]:
    numbers = [ref.n for ref in mails_of(connection, row.id, query, now)] if row.message.recipients > 1 else [0]
    mail = t.mail.c
    found = connection.execute(select(mail.n, mail.status, mail.expiry, mail.rcpt).where(mail.message == row.id))
    return [(m.n, m.status, m.expiry, m.rcpt) for m in sorted(found) if m.n in set(numbers)]


class Chosen(NamedTuple):
    id: str
    status: str
    rcpt: str  #: not for who lacks the class


async def select_mails(asker: Viewer, selection: Selection) -> list[Chosen]:
    """Each mail that is selected. Raises `Refusal` beyond 100,000."""
    chosen: list[Chosen] = []
    async for _who, found in _found(asker, selection):
        chosen += [Chosen(encode_mail(row.id, n), status, to) for row, mails in found for n, status, _, to in mails]
        if len(chosen) > MOST:
            raise Refusal("bad-request", f"set: over {MOST:,} mails are selected; a narrower filter was expected")
    return chosen


async def show_mails(
    asker: Viewer,
    selection: Selection,
    skip: int,
    window: int | None,
    fields: Sequence[str] | None,
    *,
    with_ids: bool = False,
) -> AsyncIterator[dict[str, Any]]:
    """One object a mail, newest message first. `with_ids` adds `_id`."""
    left = window
    async for who, found in _found(asker, selection):
        for row, mails in found:
            classes = who.classes_at(row.customer)
            names = [f for f in (fields or SEVEN) if (needed := FIELDS[f]) is None or needed in classes]
            for mail in mails:
                if skip:
                    skip -= 1
                    continue
                if left is not None:
                    if not left:
                        return
                    left -= 1
                line = {name: _value(name, row, mail) for name in names}
                if with_ids:
                    line["_id"] = encode_mail(row.id, mail[0])
                yield line


def _value(name: str, row: RowData, mail: tuple[int, str, int, str]) -> Any:
    n, status, expiry, rcpt = mail
    m = row.message
    match name:
        case "timestamp":
            return round(m.at / SECOND, 3)
        case "status":
            return status
        case "expiry":
            return expiry // SECOND
        case "fromDomain":
            return m.from_domain
        case "fromEmail":
            return m.from_email
        case "toEmail":
            return rcpt
        case "id":
            return encode_mail(row.id, n)
        case _:
            return getattr(m, name)
