"""What is sent for a mail: its stored bytes, the release id on top. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rcqueue.server.smtp_data import normalised

RELEASE_FIELD = "X-Rcqueue-Release"
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Parcel:
    sender: str  #: "" for a bounce
    recipient: str
    data: bytes  #: as the next hop is to store it; each line ends with CRLF
    normalised: bool  #: `data` differs from the stored bytes by more than the release id
    needs: frozenset[str]  #: extensions without which the next hop would have to change the mail

    def stuffed(self) -> Iterator[bytes]:
        """`data` in chunks for the wire, dots stuffed; the final dot is not among them (RFC 5321 4.5.2)."""
        # Every CR and LF in `data` is part of a CRLF, so a dot at the start of a line is found after CRLF, whatever
        # line end the next hop goes by. The first line is ours and starts with no dot.
        stuffed = memoryview(self.data.replace(b"\r\n.", b"\r\n.."))
        for start in range(0, len(stuffed), CHUNK):
            yield bytes(stuffed[start : start + CHUNK])


def parcel(raw: bytes, release: str, sender: str, recipient: str, smtputf8: bool) -> Parcel:
    """`smtputf8`: the mail came in with SMTPUTF8, so that 8-bit bytes in its header are meant as such."""
    body = normalised(raw)
    needs = set()
    if not raw.isascii():
        needs.add("8bitmime")
    header = raw[: body_start.end()] if (body_start := re.search(rb"\n\r?\n", raw)) else raw
    if not (sender + recipient).isascii() or (smtputf8 and not header.isascii()):
        needs.add("smtputf8")
    top = f"{RELEASE_FIELD}: {release}\r\n".encode("ascii")
    return Parcel(sender, recipient, top + body, body != raw, frozenset(needs))
