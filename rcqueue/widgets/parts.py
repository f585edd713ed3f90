"""The parts of a mail as the panes say them. Pure: models in, entries of a pane out."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len

from .columns import SOON
from .line import Piece
from .pane import NAME, Entry
from .text import age, fit, moment, plural, size

if TYPE_CHECKING:
    from rcqueue.model.journal import Entry as Journal
    from rcqueue.model.journal import History
    from rcqueue.model.mail import Envelope, Receipt, ReceiptDetail, Row, Summary, Text, VerdictDetail

TABS = ("headers", "verdict", "receipt", "body", "history", "recipients")
_FIRST = ("from", "reply-to", "to", "cc", "subject", "date")  # the order of the header pane
BRIEF = 66  # cells of a list of addresses, where the subject must still be seen below it
_AUTH = re.compile(r"\b(spf|dkim|dmarc|arc)=(\w+)", re.IGNORECASE)


def headers(
    row: Row, summary: Summary | None, receipt: Receipt | None, now: datetime, *, brief: bool = False
) -> list[Entry]:
    """What the row itself says stands at once; the rest when it is here. `brief`: a line of addresses is enough."""
    listed = summary.headers if summary is not None else None
    if listed is None:
        entries = [
            Entry(row.fromEmail or "", "From"),
            Entry(_to(row), "To"),
            Entry(row.subject if row.subject else "(no subject)" if row.subject == "" else "", "Subject"),
        ]
        return [e for e in entries if e.text] + ([Entry("...", style="dim")] if summary is None else [])
    fields = sorted(
        listed.fields, key=lambda f: _FIRST.index(f.name.lower()) if f.name.lower() in _FIRST else len(_FIRST)
    )
    entries = []
    for field in fields:
        value = field.value
        if field.name.lower() == "to" and row.recipients > 1:
            value = f"{plural(row.recipients, 'recipient')}: {value}"
        if brief and field.name.lower() in ("to", "cc") and cell_len(value) > BRIEF:
            value = fit(value, BRIEF)
        entries.append(_field(field.name, value or "(empty)"))
        if field.name.lower() == "subject" and receipt is not None:
            entries += _from_receipt(receipt, now)
    if not any(f.name.lower() == "subject" for f in fields) and receipt is not None:
        entries += _from_receipt(receipt, now)
    if row.sender is not None and row.sender != row.fromEmail:
        entries.append(Entry(row.sender or "<> (a bounce)", "Sender"))
    if listed.withheld:
        entries.append(Entry(f"{plural(listed.withheld, 'field')} not shown", style="dim"))
    return entries + _degraded(listed.degraded)


def _field(name: str, value: str) -> Entry:
    return Entry(value, name) if len(name) < NAME else Entry(f"{name}: {value}")


def _to(row: Row) -> str:
    return (row.toEmail or "") if row.recipients == 1 else plural(row.recipients, "recipient")


def _from_receipt(receipt: Receipt, now: datetime) -> list[Entry]:
    entries = []
    if auth := _auth(receipt.authentication):
        entries.append(Entry(auth, "Auth"))
    client = [receipt.client, f"helo {receipt.helo}" if receipt.helo else ""]
    client += [receipt.tls or "no TLS", f"{age((now - receipt.at).total_seconds())} ago"]
    entries.append(Entry("   ".join(part for part in client if part), "Client"))
    return entries


def _auth(fields: list[str]) -> str:
    """`spf fail   dkim none   dmarc fail`."""
    found: dict[str, str] = {}
    for field in fields:
        for method, result in _AUTH.findall(field):
            found.setdefault(method.lower(), result.lower())
    return "   ".join(f"{method} {result}" for method, result in found.items())


def _degraded(why: str | None) -> list[Entry]:
    return [Entry(f"could not be read whole: {why}", style="warn")] if why else []


def verdict(row: Row, detail: VerdictDetail | None) -> list[Entry]:
    if detail is None:
        score = "" if row.score is None else f"   {row.score:.1f} points"
        return [Entry(f"{row.verdict}{score}", "Verdict"), *(Entry(name, indent=2) for name in row.rules or ())]
    points = ""
    if detail.score is not None:
        needed = "" if detail.required is None else f", {detail.required:.1f} needed"
        points = f"   {detail.score:.1f} points{needed}"
    entries = [Entry(f"{detail.verdict}{points}", "Verdict", "bad" if detail.verdict == "VIRUS" else "")]
    if detail.reason:
        entries.append(Entry(detail.reason, "Reason"))
    wide = max((len(rule.name) for rule in detail.rules), default=0)
    for rule in sorted(detail.rules, key=lambda r: -(r.points or 0)):
        given = "" if rule.points is None else f"{rule.points:5.1f}"
        entries.append(Entry(rule.description or "", columns=((given, 5), (rule.name, min(wide, 30)))))
    return entries + _degraded(detail.degraded)


def receipt(detail: ReceiptDetail, now: datetime) -> list[Entry]:
    log = detail.receipt
    entries = [
        Entry(f"{moment(log.at)}   {age((now - log.at).total_seconds())} ago", "Received"),
        Entry(
            "   ".join(p for p in (f"{log.client}:{log.port}" if log.port else log.client, log.protocol) if p), "Client"
        ),
        Entry(log.helo or "-", "Helo"),
        Entry(log.tls or "none", "TLS"),
        Entry(f"{log.sender or '<>'}", "Sender"),
        Entry(", ".join(log.recipients) or "-", "To"),
        Entry(size(log.size), "Size"),
    ]
    entries += [Entry(value, "Auth") for value in log.authentication]
    for hop in log.trace:
        said = " ".join(f"{w} {v}" for w, v in (("from", hop.from_), ("by", hop.by), ("with", hop.with_)) if v)
        entries.append(Entry((said or hop.raw) + (f"   {hop.at}" if hop.at and said else ""), "Hop"))
    entries += [Entry(f"{field.name}: {field.value}", "Filter") for field in log.filters]
    return [entry for entry in entries if entry.text]


_KINDS = {"mail.released": "the next hop took it", "mail.refused": "the next hop refused it"}


def history(detail: History) -> list[Entry]:
    return [_event(entry) for entry in reversed(detail.entries)] or [Entry("nothing yet", style="dim")]


def _event(entry: Journal) -> Entry:
    what = _KINDS.get(entry.kind) or entry.kind.partition(".")[2]
    mails = f", {plural(len(entry.mails), 'mail')}" if len(entry.mails) > 1 else ""
    note = f": {entry.note}" if entry.note else ""
    who = "" if entry.actor == "system" else entry.actor
    return Entry(f"{what}{mails}{note}", columns=((entry.at.astimezone().strftime("%m-%d %H:%M:%S"), 14), (who, 10)))


def body(text: Text) -> list[Entry]:
    entries = [*_degraded(text.degraded), Entry(text.text)]  # one: it may have half a million lines
    if text.truncated:
        entries.append(Entry("the rest is not shown; rcqueue show ID --part raw has all of it", style="dim"))
    return entries


def body_locked(row: Row, may_ask: str = "") -> list[Entry]:
    return [
        Entry(f"You may not read bodies at {row.customer}."),
        Entry("What the mail shows without it is in Verdict." + (f" {may_ask}" if may_ask else "")),
    ]


def body_closed(row: Row) -> list[Entry]:
    return [
        Entry("The body is closed. b opens it, for this mail only; that goes on record."),
        Entry(f"{size(row.size)}, {plural(row.recipients, 'recipient')}", style="dim"),
    ]


RECIPIENTS = ("TO", "STATUS", "EXP", "WHO", "REPLY")


def recipients(envelope: Envelope, session: str, now: datetime) -> list[tuple[str, list[Piece]]]:
    """A row a mail, with its id."""
    rows = []
    for mail in envelope.mails:
        held = mail.status == "ONHOLD"
        mine = mail.claim is not None and mail.claim.session == session
        style = "" if held and (mail.claim is None or mine) else "dim"
        left = (mail.expiry - now).total_seconds() if mail.expiry is not None and held else None
        cells: list[Piece] = [
            (mail.toEmail, style),
            ("on hold" if held else mail.status, "warn" if mail.status == "UNCERTAIN" else style),
            ("" if left is None else age(left), "warn" if left is not None and left < SOON else style),
            (mail.claim.who if mail.claim is not None else "", "mine" if mine else style),
            (mail.reply, style),
        ]
        rows.append((mail.id, cells))
    if envelope.more:
        rows.append(("", [(f"and {envelope.more:,} more", "dim"), *[("", "")] * 4]))
    return rows
