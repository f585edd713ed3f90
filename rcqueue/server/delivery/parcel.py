"""What is sent for a mail: its stored bytes, the release id on top. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rcqueue.model.mail import Dsn
from rcqueue.server.passes import RELEASE_FIELD, on_top, without_ours
from rcqueue.server.smtp_data import normalised

CHUNK = 64 * 1024

Sign = Callable[[str, bytes], tuple[str, str] | None]  #: of envelope sender and data: a field, name and value


@dataclass(frozen=True, slots=True)
class Parcel:
    sender: str  #: "" for a bounce
    recipient: str
    data: bytes  #: as the next hop is to store it; each line ends with CRLF
    needs: frozenset[str]  #: extensions without which the next hop would have to change the mail
    noted: dict[str, Any] = field(default_factory=dict)  #: for the entry: in what `data` differs from the stored bytes
    dsn: tuple[str, str] = ("", "")  #: what MAIL and RCPT ask to be told, of a next hop that offers it

    def stuffed(self) -> Iterator[bytes]:
        """`data` in chunks for the wire, dots stuffed; the final dot is not among them (RFC 5321 4.5.2)."""
        # Every CR and LF in `data` is part of a CRLF, so a dot at the start of a line is found after CRLF, whatever
        # line end the next hop goes by. The first line starts with no dot: it is ours, or divides mailboxes.
        stuffed = memoryview(self.data.replace(b"\r\n.", b"\r\n.."))
        for start in range(0, len(stuffed), CHUNK):
            yield bytes(stuffed[start : start + CHUNK])


def parcel(
    raw: bytes,
    release: str,
    sender: str,
    recipient: str,
    smtputf8: bool,
    *,
    dsn: Dsn | None = None,
    sign: Sign = lambda *_: None,
    fields: Iterable[tuple[str, str]] = (),
) -> Parcel:
    """`smtputf8`: the mail came in with SMTPUTF8, so that 8-bit bytes in its header are meant as such. `sign` gives the
    field that lets what is sent pass, where the next hop asks us about it. `fields` are more of ours, on top."""
    body = normalised(raw)
    noted: dict[str, Any] = {"normalised": True} if body != raw else {}
    body, ours = without_ours(body)
    if ours:
        noted["ours_removed"] = ours
    needs = set()
    top = "".join(f"{name}: {value}\r\n" for name, value in ((RELEASE_FIELD, release), *fields)).encode()
    if not (raw.isascii() and top.isascii()):
        needs.add("8bitmime")
    header = raw[: body_start.end()] if (body_start := re.search(rb"\n\r?\n", raw)) else raw
    if not (sender + recipient).isascii() or (smtputf8 and not header.isascii()):
        needs.add("smtputf8")
    if (field := sign(sender, on_top(body, top))) is not None:
        top += "{}: {}\r\n".format(*field).encode("ascii")
    data = on_top(body, top)
    asked = (dsn.mail, dsn.recipients.get(recipient, "")) if dsn is not None else ("", "")
    return Parcel(sender, recipient, data, frozenset(needs), noted, asked)
