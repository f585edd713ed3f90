"""What rcqueue writes into a header: on mail that it sends, and off mail that came from outside.

A released mail carries a pass, so that it is not caught again when its next hop asks us about it. It is bound to that
release and attempt, to envelope sender, recipient and body, and ends an hour after the attempt began:

    X-Rcqueue-Release: 1QGZ5CH2N8M4A000-1841
    X-Rcqueue-Pass: a=1; t=1764000000; h=HEX

`a` is the number of the attempt, `t` the end in Unix seconds, `h` an HMAC-SHA256 by a key that stays in data_dir. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import NamedTuple

from rcqueue.server.reading import caps
from rcqueue.server.reading.fields import cut

RELEASE_FIELD = "X-Rcqueue-Release"
PASS_FIELD = "X-Rcqueue-Pass"  # noqa: S105
LOOP = "loop"  #: how the reason begins that a mail is held for which came back
NOTICE = "notice-"  #: how the release id of a notice begins, which has no release of a mail behind it
VALID = 3600  #: seconds from the beginning of an attempt

#: How the names of the fields begin that only we write, in lower case. From outside they are forged.
OURS = (b"x-rcq-", b"x-rcqueue-")
_FIELD = rb"(?im)^%s[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*"
_OURS = re.compile(_FIELD % rb"X-(?:Rcq|Rcqueue)-[!-9;-~]*")
_OUR_PASS = re.compile(_FIELD % PASS_FIELD.encode())
_MBOX_LINE = re.compile(rb">*From (?![ \t]*:)[^\r\n]*(?:\r\n?|\n)")
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_PASS = re.compile(r"a=(\d{1,9}); t=(\d{1,12}); h=([0-9a-f]{64})")


class Pass(NamedTuple):
    """A pass of ours, as far as the key tells."""

    release: str
    attempt: int


def sign(
    key: bytes, release: str, attempt: int, end: int, sender: str, recipient: str, data: bytes
) -> tuple[str, str] | None:
    """The field, name and value, of what is sent; None where it can't be said where the body of `data` begins."""
    digest = _body_digest(data)
    if digest is None:
        return None
    return PASS_FIELD, f"a={attempt}; t={end}; h={_mac(key, release, attempt, end, sender, recipient, digest)}"


def check(keys: Sequence[bytes], raw: bytes, sender: str, recipient: str, now: int) -> Pass | None:
    """The pass that `raw` carries: made with one of the keys for this envelope and body, and not over at `now`."""
    if not keys or PASS_FIELD.lower().encode() not in raw[: caps.HEADER_BLOCK].lower():
        return None
    found: dict[str, list[str]] = {}
    for name, value in cut(raw).fields:
        # A mail whose header begins with a fold has it folded onto the last of our fields.
        found.setdefault(name.lower(), []).append(value.partition("\n")[0].strip())
    releases, passes = found.get(RELEASE_FIELD.lower(), []), found.get(PASS_FIELD.lower(), [])
    said = _PASS.fullmatch(passes[0]) if len(passes) == len(releases) == 1 else None
    if said is None or int(said[2]) < now or (digest := _body_digest(raw)) is None:
        return None
    attempt, end = int(said[1]), int(said[2])
    for key in keys:
        if hmac.compare_digest(said[3], _mac(key, releases[0], attempt, end, sender, recipient, digest)):
            return Pass(releases[0], attempt)
    return None


def on_top(raw: bytes, fields: bytes) -> bytes:
    """The message with more fields on top; below a line by which mailboxes are divided, if it begins with one: to a
    mail server that is no field, and anywhere but in the first line it would end the header there."""
    at = found.end() if (found := _MBOX_LINE.match(raw)) else 0
    return raw[:at] + fields + raw[at:]


def without_ours(raw: bytes) -> tuple[bytes, int]:
    """The message without the fields that only we write, and how many there were."""
    return _without(_OURS, raw)


def without_pass(raw: bytes) -> bytes:
    """A mail of ours that came back, as it goes on: what else we wrote into it is for who reads it."""
    return _without(_OUR_PASS, raw)[0]


def _without(fields: re.Pattern[bytes], raw: bytes) -> tuple[bytes, int]:
    block = cut(raw)
    body_at = block.body_at
    if block.trouble is not None:  # a header that is not read to its end: it ends at the first empty line at the latest
        empty = _EMPTY_LINE.search(raw)
        body_at = min(body_at, empty.end()) if empty else body_at
    header, count = fields.subn(b"", raw[:body_at])
    return (header + raw[body_at:] if count else raw), count


def _body_digest(data: bytes) -> bytes | None:
    block = cut(data)
    return hashlib.sha256(data[block.body_at :]).digest() if block.trouble is None else None


def _mac(key: bytes, release: str, attempt: int, end: int, sender: str, recipient: str, body: bytes) -> str:
    # No NUL is in any of them but the digest, which comes last.
    said = "\0".join(("rcqueue pass", release, str(attempt), str(end), sender, recipient, "")).encode(
        "utf-8", "surrogateescape"
    )
    return hmac.new(key, said + body, hashlib.sha256).hexdigest()
