"""What a mail holds, as the panes say it: its body in four forms, and its attachments. Pure.

What there is against it stands behind `!`, as in the header pane, and has no colour: each of them means something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcqueue.client.dump import hex_lines, raw_text

from .pane import Entry
from .parts import degraded, spaced
from .text import number, plural, size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rcqueue.model.mail import Attachments, Hex, Link, Row, ScanResult, Text

FORMS = ("text", "html", "raw", "hex")  #: in which a body can be read; a key goes from one to the next
FOREMOST = 3  # links with something against them that stand above the text


def body(text: Text, form: str = "text") -> list[Entry]:
    about = spaced(text.source, text.charset, text.encoding, f"language {text.language}" if text.language else "")
    entries = [*degraded(text.degraded), Entry(_form(form, about), style="dim")]
    if form == "html":
        entries.append(Entry(text.text or "There is no HTML in it."))
    else:
        entries += [Entry(f"! {mark}") for mark in text.marks]
        against = [link for link in text.links if link.marks]
        entries += [Entry(f"! link: {_link(link)}") for link in against[:FOREMOST]]
        entries += [Entry(""), Entry(text.text)]  # one: it may have half a million lines
    if text.truncated:
        entries.append(Entry("the rest is not shown; rcqueue show ID --part raw has all of it", style="dim"))
    if form == "text" and text.links:
        entries += [Entry(""), Entry(f"{plural(len(text.links) + text.more_links, 'link')}:", style="dim")]
        entries += [Entry(_link(link), indent=2) for link in text.links]
        if text.more_links:
            entries.append(Entry(f"and {number(text.more_links)} more", style="dim", indent=2))
    return entries


def octets(page: Hex, form: str) -> list[Entry]:
    """A page of the bytes, as they read or in hexadecimal."""
    data = bytes.fromhex(page.data)
    last = page.at + len(data)
    where = f"bytes {number(page.at)} to {number(last)} of {number(page.size)}"
    more = "go on down for more" if last < page.size else ""
    shown = raw_text(data) if form == "raw" else "\n".join(hex_lines(data, page.at))
    return [Entry(_form(form, where), style="dim"), Entry(shown), *([Entry(more, style="dim")] if more else [])]


def _form(form: str, about: str) -> str:
    following = FORMS[(FORMS.index(form) + 1) % len(FORMS)]
    return spaced(form, about, f"i: {following}")


def _link(link: Link) -> str:
    return link.to + (f"   ! {', '.join(link.marks)}" if link.marks else "")


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


def attachments(found: Attachments, scans: Iterable[ScanResult]) -> list[Entry]:
    """Each with what it is by its bytes, and below it what there is against it; then what scanners found in archives.
    Nothing of it was opened."""
    entries = degraded(found.degraded)
    for one in found.attachments:
        entries.append(Entry(spaced(one.name or "(no name)", one.content or one.type, size(one.size)), "File"))
        if one.marks:
            entries.append(Entry(f"! {', '.join(one.marks)}", indent=9))
        if one.content:
            entries.append(Entry(f"declared {one.type}", style="dim", indent=9))
        entries.append(Entry(one.sha256, "SHA-256", style="dim"))
    for scan in scans:
        if scan.members:
            entries.append(Entry(f"{scan.scanner} lists in archives: {', '.join(scan.members)}", "Inside"))
    return entries or [Entry("It has no attachments.")]
