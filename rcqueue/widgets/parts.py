"""The parts of a mail as the panes say them. Pure: models in, entries of a pane out."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len

from .columns import SOON
from .line import Piece
from .pane import NAME, Entry
from .text import age, ago, fit, moment, plural, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcqueue.model.mail import (
        Envelope,
        Receipt,
        ReceiptDetail,
        Row,
        RuleHit,
        ScanResult,
        Summary,
        Text,
        VerdictDetail,
    )

TABS = ("headers", "verdict", "receipt", "body", "timeline", "recipients")
_FIRST = ("from", "reply-to", "to", "cc", "subject", "date")  # the order of the header pane
SOME = 6  # recipients that a receipt names
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
    client += [receipt.tls or "no TLS", f"{ago((now - receipt.at).total_seconds())} ago"]
    entries.append(Entry(_spaced(*client), "Client"))
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
    if detail.scans:
        entries += [entry for scan in sorted(detail.scans, key=_order) for entry in _scanner(scan, detail)]
    else:
        entries += _rules(detail.rules)
    return entries + _degraded(detail.degraded)


def _order(scan: ScanResult) -> int:
    """What went wrong first; then those that have least to say."""
    return (0 if scan.error is not None else 1 if scan.skipped is not None else 2) + len(scan.rules)


def _scanner(scan: ScanResult, detail: VerdictDetail) -> list[Entry]:
    """What one of our own scanners said, its rules below it."""
    columns = ((scan.scanner, min(max(cell_len(s.scanner) for s in detail.scans), 20)),)
    if scan.error is not None:
        return [Entry(f"away: {scan.error}", style="bad", columns=columns)]
    if scan.skipped is not None:
        return [Entry(f"not asked: {scan.skipped}", style="warn", columns=columns)]
    said = scan.kind or "clean"
    if scan.score is not None:
        said += f"   {scan.score:.1f} points" + (f", {scan.required:.1f} needed" if scan.required is not None else "")
    if scan.threats:
        said += f"   {', '.join(scan.threats)}"
    said += f"   {scan.seconds:.2f} s"
    entries = [Entry(said, style="bad" if scan.kind == "VIRUS" else "", columns=columns)]
    if scan.reason and scan.reason not in (detail.reason, *scan.threats):
        entries.append(Entry(scan.reason, indent=6))
    if scan.members:
        entries.append(Entry(f"in it: {', '.join(scan.members)}", indent=6))
    return entries + _rules(scan.rules)


def _rules(rules: Sequence[RuleHit]) -> list[Entry]:
    """Each with its points, the weightiest first."""
    wide = min(max((cell_len(rule.name) for rule in rules), default=0), 30)
    ordered = sorted(rules, key=lambda rule: -(rule.points or 0))
    points = ("" if rule.points is None else f"{rule.points:5.1f}" for rule in ordered)
    return [
        Entry(rule.description or "", columns=((given, 5), (rule.name, wide)))
        for rule, given in zip(ordered, points, strict=True)
    ]


def receipt(detail: ReceiptDetail, now: datetime) -> list[Entry]:
    log = detail.receipt
    client = (f"{log.client}:{log.port}" if log.port else log.client, log.name, log.protocol)
    through = (log.forwarded_by, f"its queue id {log.ident}" if log.ident else "")
    entries = [
        Entry(f"{moment(log.at)}   {ago((now - log.at).total_seconds())} ago", "Received"),
        Entry(_spaced(*client), "Client"),
        Entry(log.helo or "-", "Helo"),
        Entry(log.tls or "none", "TLS"),
        Entry(_spaced(*through), "Through"),
        Entry(detail.origin, "Way in"),
        Entry(f"{log.sender or '<>'}", "Sender"),
        Entry(_some(log.recipients), "To"),
        Entry(size(log.size), "Size"),
    ]
    if log.dsn is not None:
        each = [f"{to}: {asked}" for to, asked in log.dsn.recipients.items()]
        entries.append(Entry(_spaced(log.dsn.mail, *each), "DSN"))
    entries += [Entry(value, "Auth") for value in log.authentication]
    for hop in log.trace:
        said = " ".join(f"{w} {v}" for w, v in (("from", hop.from_), ("by", hop.by), ("with", hop.with_)) if v)
        entries.append(Entry((said or hop.raw) + (f"   {hop.at}" if hop.at and said else ""), "Hop"))
    entries += [Entry(f"{field.name}: {field.value}", "Filter") for field in log.filters]
    return [entry for entry in entries if entry.text]


def _some(recipients: list[str]) -> str:
    """Of very many the first; the tab of the recipients has each."""
    more = len(recipients) - SOME
    return ", ".join(recipients if more <= 1 else [*recipients[:SOME], f"and {more:,} more"]) or "-"


def _spaced(*parts: str) -> str:
    return "   ".join(part for part in parts if part)


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
    if row.status in ("PASSED", "REJECTED"):
        return [Entry("Its bytes were not kept. What is known of it is in Timeline, Verdict and Receipt.")]
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
            (mail.claim.who if mail.claim is not None else "asks" if mail.requested else "", "mine" if mine else style),
            (mail.reply, style),
        ]
        rows.append((mail.id, cells))
    if envelope.more:
        rows.append(("", [(f"and {envelope.more:,} more", "dim"), *[("", "")] * 4]))
    return rows
