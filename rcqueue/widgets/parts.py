"""The parts of a mail as the panes say them. Pure: models in, entries of a pane out."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len

from rcqueue.model.kind import kind_of

from .columns import SOON
from .line import Piece
from .pane import NAME, Entry
from .text import age, ago, fit, moment, plural, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcqueue.model.mail import (
        Author,
        AuthResult,
        Campaign,
        Envelope,
        Headers,
        Receipt,
        ReceiptDetail,
        Row,
        RuleHit,
        ScanResult,
        Summary,
        VerdictDetail,
    )

TABS = ("headers", "verdict", "receipt", "body", "attachments", "timeline", "recipients")
_FIRST = ("from", "to", "cc", "subject", "date")  # the order of the header pane
SOME = 6  # recipients that a receipt names
BRIEF = 66  # cells of a list of addresses, where the subject must still be seen below it
_AUTHORS = ("from", "sender", "reply-to")  # said address by address
RESULTS = 8  # of authentication, that the header pane has room for


def headers(
    row: Row, summary: Summary | None, receipt: Receipt | None, now: datetime, *, brief: bool = False
) -> list[Entry]:
    """What the row itself says stands at once; the rest when it is here. `brief`: a line of addresses is enough."""
    listed, seen = summary.headers if summary is not None else None, _seen(summary, now)
    if listed is None:
        entries = [
            Entry(row.fromEmail or "", "From"),
            Entry(_to(row), "To"),
            Entry(row.subject if row.subject else "(no subject)" if row.subject == "" else "", "Subject"),
        ]
        return [e for e in entries if e.text] + ([Entry("...", style="dim")] if summary is None else seen)
    fields = sorted(
        listed.fields, key=lambda f: _FIRST.index(f.name.lower()) if f.name.lower() in _FIRST else len(_FIRST)
    )
    authors = [Entry(_author(author), _nth(author)) for author in listed.authors if author.field != "Envelope"]
    entries = list(authors)
    for field in fields:
        if authors and field.name.lower() in _AUTHORS:
            continue
        value = field.value
        if field.name.lower() == "to" and row.recipients > 1:
            value = f"{plural(row.recipients, 'recipient')}: {value}"
        if brief and field.name.lower() in ("to", "cc") and cell_len(value) > BRIEF:
            value = fit(value, BRIEF)
        entries.append(_field(field.name, value or "(empty)"))
        if field.name.lower() == "subject":
            entries += seen + campaign(summary.campaign if summary is not None else None)
            entries += _beside(listed, receipt, now)
    if not any(f.name.lower() == "subject" for f in fields):
        entries += seen + _beside(listed, receipt, now)
    if row.sender is not None and row.sender != row.fromEmail:
        marks = [mark for author in listed.authors if author.field == "Envelope" for mark in author.marks]
        entries.append(Entry(_marked(row.sender or "<> (a bounce)", marks), "Envelope"))
    if listed.withheld:
        entries.append(Entry(f"{plural(listed.withheld, 'field')} not shown", style="dim"))
    return entries + degraded(listed.degraded)


def _seen(summary: Summary | None, now: datetime) -> list[Entry]:
    """`bob 5m ago (read), carol 2h ago`: who looked at it, and what was said by who handed it over."""
    if summary is None:
        return []
    claim = summary.row.claim
    said = [Entry(f"{claim.by}: {claim.note or '(no note)'}", "Given by")] if claim is not None and claim.by else []
    by = [
        f"{one.who} {ago((now - one.at).total_seconds())} ago" + (f" ({one.how})" if one.how != "looked" else "")
        for one in summary.seen
    ]
    return said + ([Entry(", ".join(by), "Seen by")] if by else [])


def campaign(one: Campaign | None) -> list[Entry]:
    """`812 mails since 2026-03-14 04:09, 3 released`, of more than one."""
    mails = sum(one.status.values()) if one is not None else 0
    if one is None or mails < 2:
        return []
    said = [f"{plural(mails, 'mail')} since {one.first.astimezone():%Y-%m-%d %H:%M}"]
    said += [f"{n:,} {status.lower()}" for status, n in one.status.items() if status != "ONHOLD"]
    return [Entry(", ".join(said), "Campaign")]


def _author(author: Author) -> str:
    """The address first: a display name is whatever somebody wrote."""
    return _marked(author.address + (f'   "{author.name}"' if author.name else ""), author.marks)


def _nth(author: Author) -> str:
    return author.field if author.nth == 1 else f"{author.field[:6]} {author.nth}"


def _marked(text: str, marks: Sequence[str]) -> str:
    return text + (f"   ! {', '.join(marks)}" if marks else "")


def _field(name: str, value: str) -> Entry:
    return Entry(value, name) if len(name) < NAME else Entry(f"{name}: {value}")


def _to(row: Row) -> str:
    return (row.toEmail or "") if row.recipients == 1 else plural(row.recipients, "recipient")


def _beside(listed: Headers, receipt: Receipt | None, now: datetime) -> list[Entry]:
    """Who says that it is authentic, and who brought it."""
    entries = []
    if auth := _auth(listed.auth):
        entries.append(Entry(auth, "Auth"))
    if receipt is not None:
        client = [receipt.client, f"helo {receipt.helo}" if receipt.helo else ""]
        client += [receipt.tls or "no TLS", f"{ago((now - receipt.at).total_seconds())} ago"]
        entries.append(Entry(spaced(*client), "Client"))
    return entries


def _auth(results: Sequence[AuthResult]) -> str:
    """`spf pass, dkim pass at acme.example   said: dmarc fail`: what our own servers found, then what others wrote."""
    shown, more = results[:RESULTS], len(results) - RESULTS
    ours = _results([one for one in shown if not one.said])
    said = _results([one for one in shown if one.said])
    return spaced(ours, f"said: {said}" if said else "", f"and {more} more" if more > 0 else "")


def _results(results: Sequence[AuthResult]) -> str:
    """What is the same domain all through is written once: all of it is to be one line."""
    domains = {one.of for one in results if one.of}
    once = f" at {domains.pop()}" if len(domains) == 1 else ""
    each = (f"{one.method} {one.result}" + (f" {one.of}" if one.of and not once else "") for one in results)
    return ", ".join(each) + once


def degraded(why: str | None) -> list[Entry]:
    return [Entry(f"! could not be read whole: {why}")] if why else []


def verdict(row: Row, detail: VerdictDetail | None) -> list[Entry]:
    if detail is None:
        score = "" if row.score is None else f"   {row.score:.1f} points"
        return [
            Entry(f"{kind_of(row.verdict, row.status) or 'clean'}{score}", "Verdict"),
            *(Entry(name, indent=2) for name in row.rules or ()),
        ]
    points = ""
    if detail.score is not None:
        needed = "" if detail.required is None else f", {detail.required:.1f} needed"
        points = f"   {detail.score:.1f} points{needed}"
    entries = [
        Entry(
            f"{kind_of(detail.verdict, row.status) or 'clean'}{points}",
            "Verdict",
            "bad" if detail.verdict == "VIRUS" else "",
        )
    ]
    if detail.reason:
        entries.append(Entry(detail.reason, "Reason"))
    if detail.scans:
        entries += [entry for scan in sorted(detail.scans, key=_order) for entry in _scanner(scan, detail)]
    else:
        entries += _rules(detail.rules)
    return entries + degraded(detail.degraded)


def _order(scan: ScanResult) -> int:
    """What went wrong first; then those that have least to say."""
    return (0 if scan.error is not None else 1 if scan.skipped is not None else 2) + len(scan.rules)


def _scanner(scan: ScanResult, detail: VerdictDetail) -> list[Entry]:
    """What one of our own scanners said, its rules below it."""
    columns = ((scan.scanner, min(max(cell_len(s.scanner) for s in detail.scans), 20)),)
    if scan.error is not None:
        return [Entry(f"away: {scan.error}", style="bad", columns=columns)]
    if scan.skipped is not None:
        return [Entry(f"not asked: {scan.skipped}", columns=columns)]
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
        Entry(spaced(*client), "Client"),
        Entry(log.helo or "-", "Helo"),
        Entry(log.tls or "none", "TLS"),
        Entry(spaced(*through), "Through"),
        Entry(detail.origin, "Way in"),
        Entry(f"{log.sender or '<>'}", "Sender"),
        Entry(_some(log.recipients), "To"),
        Entry(size(log.size), "Size"),
    ]
    if log.dsn is not None:
        each = [f"{to}: {asked}" for to, asked in log.dsn.recipients.items()]
        entries.append(Entry(spaced(log.dsn.mail, *each), "DSN"))
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


def spaced(*parts: str) -> str:
    return "   ".join(part for part in parts if part)


RECIPIENTS = ("TO", "STATUS", "EXP", "WHO", "REPLY")


def recipients(envelope: Envelope, me: str, session: str, now: datetime) -> list[tuple[str, list[Piece]]]:
    """A row a mail, with its id."""
    rows = []
    for mail in envelope.mails:
        held = mail.status == "ONHOLD"
        mine = mail.claim is not None and mail.claim.of(me, session)
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
