"""The parts of a mail as lines of text. Pure: models in, lines out; what prints them makes them safe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from rcqueue.client.answers import PartModel
from rcqueue.client.dump import hex_lines
from rcqueue.model.journal import History, Step, Timeline
from rcqueue.model.kind import kind_of
from rcqueue.model.mail import (
    Attachment,
    Attachments,
    Author,
    AuthResult,
    Envelope,
    Headers,
    Hex,
    ReceiptDetail,
    Row,
    ScanResult,
    Summary,
    Text,
    VerdictDetail,
)

When = Callable[[datetime | None], str]


def render(model: PartModel, when: When) -> Iterator[str]:
    if isinstance(model, Summary):
        yield from _row(model.row, when)
        for title, part in (("ENVELOPE", model.envelope), ("VERDICT", model.verdict), ("HEADERS", model.headers)):
            if part is not None:
                yield ""
                yield title
                if isinstance(part, VerdictDetail):
                    yield from _verdict(part, model.row.status)
                else:
                    yield from render(part, when)
        if model.seen:
            yield ""
            yield "SEEN BY"
            yield from (f"{when(one.at)}  {one.who}  {one.how}" for one in model.seen)
    elif isinstance(model, Envelope):
        yield from _envelope(model, when)
    elif isinstance(model, Headers):
        yield from (_author(author) for author in model.authors)
        yield from (_result(result) for result in model.auth)
        yield from (f"{field.name}: {field.value}" for field in model.fields)
        if model.withheld:
            yield f"({model.withheld} fields that are not listed)"
        yield from _degraded(model.degraded)
    elif isinstance(model, VerdictDetail):
        yield from _verdict(model)
    elif isinstance(model, ReceiptDetail):
        yield from _receipt(model, when)
    elif isinstance(model, History):
        for entry in model.entries:
            said = "; ".join(filter(None, (entry.said, *_facts(entry.facts))))
            yield f"{when(entry.at)}  {entry.seq}  {entry.kind:<14}  {entry.actor}  {said}".rstrip()
    elif isinstance(model, Timeline):
        if model.more:
            yield f"(and {model.more} steps before)"
        yield from (_step(step, when) for step in model.steps)
    elif isinstance(model, Attachments):
        yield from map(_attachment, model.attachments)
        yield from _degraded(model.degraded)
    elif isinstance(model, Text):
        yield from model.text.split("\n")
        if model.truncated:
            yield "(cut: there is more; --part raw has it all)"
        yield from _beside(model)
        yield from _degraded(model.degraded)
    elif isinstance(model, Hex):
        yield from hex_lines(bytes.fromhex(model.data), model.at)


def _author(author: Author) -> str:
    which = f"{author.field} {author.nth}" if author.nth > 1 else author.field
    name = f'  "{author.name}"' if author.name else ""
    return f"{which}  <{author.address}>{name}" + (f"  ! {'; '.join(author.marks)}" if author.marks else "")


def _result(one: AuthResult) -> str:
    of = f" of {one.of}" if one.of else ""
    return f"{one.method} {one.result}{of}, " + (f"said by {one.by or 'nobody'}" if one.said else f"by {one.by}")


def _attachment(one: Attachment) -> str:
    content = f"  {one.content}" if one.content else ""
    marks = f"  ! {'; '.join(one.marks)}" if one.marks else ""
    return f"{one.size:>10}  {one.type:<28}  {one.name}{content}  sha256 {one.sha256}{marks}"


def _beside(text: Text) -> Iterator[str]:
    """What there is to say of a body, below it."""
    about = (text.source, text.charset, text.encoding, f"language {text.language}" if text.language else "")
    yield ""
    yield f"-- {', '.join(filter(None, about))}"
    yield from (f"-- ! {mark}" for mark in text.marks)
    for link in text.links:
        yield f"-- link {link.to}" + (f"  ! {'; '.join(link.marks)}" if link.marks else "")
    if text.more_links:
        yield f"-- and {text.more_links} links more"


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    """Of an attempt, what its reply does not say."""
    for name, words in (
        ("queue_id", "queue id {}"),
        ("tls", "{}"),
        ("dsn", "DSN {}"),
        ("ours_removed", "{} fields of ours removed"),
    ):
        if name in facts:
            yield words.format(facts[name])
    if facts.get("normalised"):
        yield "line ends made CRLF"


def _row(row: Row, when: When) -> Iterator[str]:
    yield f"id        {row.id}"
    yield f"received  {when(row.timestamp)}  {row.size} bytes"
    yield f"status    {row.status}" + (f", until {when(row.expiry)}" if row.expiry else "")
    yield f"mails     {row.matching} of {row.recipients}"
    if row.claim:
        yield f"claim     {row.claim.who}, {row.claim.mails} of {row.matching}"
    if row.requested:
        yield f"asked for {row.requested} of {row.matching}, by whom it is for"
    yield f"customer  {row.customer}, queue {row.queue}"
    if row.fromEmail is not None:
        yield f"from      {row.fromEmail}"
    if row.toEmail is not None:
        yield f"to        {row.toEmail}"
    if row.subject is not None:
        yield f"subject   {row.subject}"
    yield from _degraded(row.degraded)


def _envelope(envelope: Envelope, when: When) -> Iterator[str]:
    yield f"sender  <{envelope.sender}>"
    for mail in envelope.mails:
        until = f"  until {when(mail.expiry)}" if mail.expiry else ""
        claim = f"  claimed by {mail.claim.who}" if mail.claim else ""
        asks = f"  asks for it since {when(mail.requested)}" if mail.requested else ""
        reply = f"  {mail.reply}" if mail.reply else ""
        yield f"{mail.id}  {mail.status:<9}  {mail.toEmail}{until}{claim}{asks}{reply}"
    if envelope.more:
        yield f"(and {envelope.more} mails more)"


def _verdict(verdict: VerdictDetail, status: str = "") -> Iterator[str]:
    score = "" if verdict.score is None else f"  {verdict.score:g}"
    required = "" if verdict.required is None else f" (of {verdict.required:g})"
    reason = f"  {verdict.reason}" if verdict.reason else ""
    yield f"{kind_of(verdict.verdict, status) or 'clean'}{score}{required}{reason}"
    for rule in verdict.rules:
        points = "" if rule.points is None else f"{rule.points:.1f}"
        yield f"{points:>7}  {rule.name}" + (f"  {rule.description}" if rule.description else "")
    for scan in verdict.scans:
        yield f"{scan.scanner}: {_scan(scan)}"
    yield from _degraded(verdict.degraded)


def _scan(scan: ScanResult) -> str:
    if scan.error is not None:
        return f"away: {scan.error}, {scan.seconds:.2f} s"
    if scan.skipped is not None:
        return f"not asked: {scan.skipped}"
    score = "" if scan.score is None else f" {scan.score:g}" + (f" of {scan.required:g}" if scan.required else "")
    threats = f": {', '.join(scan.threats)}" if scan.threats else ""
    return f"{scan.kind or 'clean'}{score}{threats}, {scan.seconds:.2f} s"


def _step(step: Step, when: When) -> str:
    said = "(as others said) " if step.hearsay else ""
    about = f"{step.mail} " if step.mail else ""
    return f"{when(step.at) or '-':<19}  {step.what:<14}  {step.who or '-':<16}  {about}{said}{step.detail}".rstrip()


def _receipt(detail: ReceiptDetail, when: When) -> Iterator[str]:
    receipt = detail.receipt
    yield f"received   {when(receipt.at)}, {receipt.protocol}, {receipt.size} bytes"
    yield f"client     {receipt.client}" + (f" port {receipt.port}" if receipt.port else "")
    known = (("name", receipt.name), ("helo", receipt.helo), ("tls", receipt.tls), ("through", receipt.forwarded_by))
    for name, value in (*known, ("ident", receipt.ident), ("way in", detail.origin)):
        if value:
            yield f"{name:<9}  {value}"
    flags = [name for name, on in (("8BITMIME", receipt.body_8bit), ("SMTPUTF8", receipt.smtputf8)) if on]
    if flags:
        yield f"with       {' '.join(flags)}"
    yield f"sender     <{receipt.sender}>"
    yield from (f"recipient  <{address}>" for address in receipt.recipients)
    if receipt.dsn is not None:
        yield f"dsn        {receipt.dsn.mail}".rstrip()
        yield from (f"dsn        <{address}> {said}" for address, said in receipt.dsn.recipients.items())
    for name, at in (("connected", receipt.connected_at), ("data", receipt.data_at)):
        if at is not None:
            yield f"{name:<9}  {when(at)}"
    for hop in receipt.trace:
        clauses = (("from", hop.from_), ("by", hop.by), ("with", hop.with_), ("id", hop.id), ("for", hop.for_))
        yield "hop        " + " ".join(f"{word} {value}" for word, value in clauses if value) + f"; {hop.at}"
    yield from receipt.authentication
    yield from (f"{field.name}: {field.value}" for field in receipt.filters)


def _degraded(why: str | None) -> Iterator[str]:
    if why:
        yield f"degraded  {why}"
