"""A mail's way as one list: from the first server that it names to the next hop's answer. It is put together from the
receipt log, what the scanners said, the journal and the attempts, each built from the classes that the viewer has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from sqlalchemy import Connection, func, select

from rcqueue.model.access import Access, DataClass
from rcqueue.model.ids import encode_mail, encode_message, parse_id
from rcqueue.model.journal import Step, Timeline
from rcqueue.model.mail import Hop, Receipt, ScanResult, VerdictDetail, from_us
from rcqueue.server.store import tables as t

from .entries import Entries, note_for, sees
from .show import message_row, result_for, stored_scans, stored_verdict

MOST = 500  #: entries, and attempts, that are shown: the newest
MOST_SAID = 400  #: characters of what another server said
_YEARS = range(1980, 2100)  #: what a date of another server may be and still be shown as a time
_OUTCOMES = frozenset({"mail.released", "mail.retry", "mail.refused", "mail.uncertain"})

#: Facts of entries, and how they are told.
_WORDS = {
    "part": "the {}",
    "verb": "{}",
    "right": "no right to {}",
    "class": "no right to {}",
    "form": "as {}",
    "as": "as {}",
    "learn": "to be learned as {}",
    "tls": "{}",
    "dsn": "DSN {}",
    "ours_removed": "fields of ours removed: {}",
}

Classes = frozenset[DataClass]
_OF_RECEIPT: Classes = frozenset({DataClass.HEADERS, DataClass.ENVELOPE})


def timeline(connection: Connection, who: Access, message: int, n: int | None = None) -> Timeline:
    """The way of a message; with `n`, of that mail of it alone."""
    row = message_row(connection, who, message)
    classes = who.classes_at(row.customer)
    columns = t.message_detail.c
    query = select(columns.receipt, columns.verdict, columns.scans, columns.rescanned).where(columns.message == message)
    detail = connection.execute(query).one_or_none()  # None: it was purged with the bytes
    before: list[Step] = []
    anew: list[Step] = []
    if detail is not None:
        before += _arrival(classes, row, Receipt.model_validate_json(detail.receipt))
        judged = _judgement(classes, row, stored_scans(detail.scans), stored_verdict(detail.verdict), detail.rescanned)
        (before if detail.rescanned is None else anew).extend(judged)
    attempts, left = _attempts(connection, message, n)
    told, untold = _told(connection, who, row, n, {(a.n, a.number): a for a in attempts})
    after = anew + [step for attempt in attempts for step in _tries(classes, row, attempt)] + told
    after.sort(key=lambda step: step.at or datetime.min.replace(tzinfo=UTC))
    if DataClass.ENVELOPE in classes:
        _say_whose(connection, message, after)
    id = encode_message(message) if n is None else encode_mail(message, n)
    return Timeline(id=id, steps=before + after, more=left + untold)


# -- how it came


def _arrival(classes: Classes, row: Any, log: Receipt) -> list[Step]:
    whole = classes >= _OF_RECEIPT
    client, detail = _client_for(classes, row, log)
    came = "connect" if log.connected_at else "received"
    steps = [Step(at=log.connected_at or log.at, what=came, who=client, detail=detail)]
    if log.data_at is not None:
        sender = f"from <{row.sender}> " if whole else ""
        count = len(log.recipients) or row.recipients  # a release to others adds some
        to = "1 recipient" if count == 1 else f"{count} recipients"
        steps.append(Step(at=log.data_at, what="data", detail=f"{sender}to {to}, {row.size} bytes"))
    steps.sort(key=lambda step: step.at or log.at)
    return ([_hop(hop) for hop in reversed(log.trace)] if whole else []) + steps


def _client_for(classes: Classes, row: Any, log: Receipt) -> tuple[str, str]:
    return (log.client, _client(log, row.origin)) if classes >= _OF_RECEIPT else ("", "")


def _client(log: Receipt, origin: str) -> str:
    said = [log.name, f"helo {log.helo}" if log.helo else "", log.protocol, log.tls]
    through = log.forwarded_by and f"through {log.forwarded_by}"
    ident = log.ident and f"{'' if through else 'there '}as {log.ident}"
    return ", ".join(filter(None, [*said, " ".join(filter(None, (through, ident))), origin]))


def _hop(hop: Hop) -> Step:
    words = (("from", hop.from_), ("with", hop.with_), ("id", hop.id), ("for", hop.for_))
    said = " ".join(f"{word} {value}" for word, value in words if value)
    by = hop.by.partition(" ")[0]
    detail = (said if by else hop.raw)[:MOST_SAID]
    return Step(at=_said_at(hop.at), what="hop", who=by[:MOST_SAID], detail=detail, hearsay=True)


def _said_at(text: str) -> datetime | None:
    """A date as another server wrote it, if it can be one."""
    try:
        at = parsedate_to_datetime(text[:80])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return at.replace(tzinfo=at.tzinfo or UTC) if at.year in _YEARS else None


# -- how it was judged


def _judgement(
    classes: Classes, row: Any, scans: Sequence[ScanResult], verdict: VerdictDetail, rescanned: int | None
) -> Iterator[Step]:
    """As it came in, or as it was judged when it was last scanned again."""
    if DataClass.HEADERS in classes:
        for scan in scans:
            at = None if rescanned is None else from_us(rescanned)
            yield Step(at=at, what="scan", who=scan.scanner, detail=_scan(result_for(classes, scan)))
    reason = verdict.reason if DataClass.RULES in classes else ""
    score = ""
    if verdict.score is not None and DataClass.HEADERS in classes:
        score = f", {verdict.score:g}" + (f" of {verdict.required:g}" if verdict.required is not None else "")
    if row.passed and not verdict.reason:
        said = f"nothing stands against it{score}"
    else:
        said = f"{row.verdict}{f': {reason}' if reason else score}"
    # A verdict that no scanner of ours gave is what the header says, which anybody may have written.
    yield Step(
        at=from_us(row.at if rescanned is None else rescanned),
        what="decision",
        who="policy" if scans else "header",
        detail=said,
        hearsay=not scans,
    )


def _scan(result: ScanResult) -> str:
    if result.error is not None:
        said = f"away: {result.error}"
    elif result.skipped is not None:
        return f"not asked: {result.skipped}"
    else:
        said = str(result.kind or "clean")
        if result.score is not None:
            said += f", {result.score:g}" + (f" of {result.required:g}" if result.required is not None else "")
        if result.threats:
            said += f": {', '.join(result.threats)}"
    return f"{said}, {result.seconds:.2f} s"


# -- what was done, and how it went out


def _told(
    connection: Connection, who: Access, row: Any, n: int | None, attempts: dict[tuple[int, int], Any]
) -> tuple[list[Step], int]:
    """The entries that this person may see, and how many earlier ones are left out."""
    of = t.entry.c.message == row.id
    found = connection.execute(select(t.entry).where(of).order_by(t.entry.c.seq.desc()).limit(MOST)).all()
    left = 0
    if len(found) == MOST:
        left = connection.execute(select(func.count()).select_from(t.entry).where(of)).scalar_one() - MOST
    entries = Entries(connection, found[::-1], with_rows=False)
    steps = []
    for entry, leaf in entries.found:
        mails = [mail[0] for mail in leaf.get("mails", ())]
        if not sees(who, entry, leaf) or (n is not None and mails and n not in mails):
            continue
        step = Step(at=from_us(entry.at), what=entry.kind, seq=entry.seq)
        step.who = "system" if entry.account is None else entries.names.get(entry.account, "somebody")
        step.mail = encode_mail(row.id, mails[0]) if len(mails) == 1 < row.recipients else None
        detail = [_SAYS.get(entry.kind), _facts(leaf.get("facts", {}), mails, row), note_for(who, entry)]
        whose = DataClass.ENVELOPE in who.classes_at(row.customer)
        if whose and entry.kind in _OUTCOMES and mails:
            attempt = attempts.get((mails[0], leaf["facts"].get("attempt")))
            if attempt is not None:
                step.who = attempt.next_hop
                detail.append(attempt.queue_id and f"its queue id is {attempt.queue_id}")
        step.detail = "; ".join(filter(None, detail))
        steps.append(step)
    return steps, left


_SAYS = {"mail.request": "its recipient asks for a release", "mail.try": "it does not wait for its next attempt"}


def _say_whose(connection: Connection, message: int, steps: Sequence[Step]) -> None:
    """Where a step is about one mail of several, whose it is."""
    numbers = {step.mail: parse_id(step.mail)[1] for step in steps if step.mail}
    if not numbers:
        return
    query = select(t.mail.c.n, t.mail.c.rcpt).where(t.mail.c.message == message, t.mail.c.n.in_(set(numbers.values())))
    names: dict[int | None, str] = {mail.n: mail.rcpt for mail in connection.execute(query)}
    for step in steps:
        if step.mail and (name := names.get(numbers[step.mail])):
            step.detail = "; ".join(filter(None, (f"<{name}>", step.detail)))


def _facts(facts: dict[str, Any], mails: Sequence[int], row: Any) -> str:
    """What an entry says without a person's words."""
    said = []
    if len(mails) > 1 and "to" not in facts:
        said.append(
            f"{len(mails)} of {row.recipients} mails" if len(mails) < row.recipients else f"all {len(mails)} mails"
        )
    said += [words.format(facts[name]) for name, words in _WORDS.items() if isinstance(facts.get(name), str | int)]
    if isinstance(verdict := facts.get("verdict"), list):
        said.append("still " + verdict[1] if verdict[0] == verdict[1] else " -> ".join(verdict))
    if facts.get("normalised"):
        said.append("line ends made CRLF")
    if facts.get("act"):
        said.append("by an act on many")
    return ", ".join(filter(None, said))


def _attempts(connection: Connection, message: int, n: int | None) -> tuple[list[Any], int]:
    """The newest attempts, oldest first, and how many are left out."""
    of = [t.attempt.c.message == message] + ([] if n is None else [t.attempt.c.n == n])
    order = (t.attempt.c.started.desc(), t.attempt.c.n.desc())
    found = connection.execute(select(t.attempt).where(*of).order_by(*order).limit(MOST)).all()
    left = 0
    if len(found) == MOST:
        left = connection.execute(select(func.count()).select_from(t.attempt).where(*of)).scalar_one() - MOST
    return list(found[::-1]), left


def _tries(classes: Classes, row: Any, attempt: Any) -> Iterator[Step]:
    """The answer to an attempt is an entry."""
    hop = attempt.next_hop if DataClass.ENVELOPE in classes else ""
    mail = encode_mail(row.id, attempt.n) if row.recipients > 1 else None
    said = f"attempt {attempt.number}, release {attempt.release}"
    yield Step(at=from_us(attempt.started), what="attempt", who=hop, detail=said, mail=mail)
    if attempt.dot is not None:
        yield Step(at=from_us(attempt.dot), what="dot", who=hop, detail="all is sent but the final dot", mail=mail)
