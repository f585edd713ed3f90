"""What is sent in place of a mail as it came: attached to a new mail, tagged, or without attachments. Pure.

All that is read and made here has CRLF at the end of each line (smtp_data.normalised). What has to be known of a mail's
parts was found out by a reader's child (reading.deep).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime
from hashlib import sha256

from rcqueue.model.act import ReleaseAs
from rcqueue.model.folding import ascii_domain, domain_of
from rcqueue.model.mail import Attachment
from rcqueue.safe_text import safe_text
from rcqueue.server.reading.deep import Deep
from rcqueue.server.reading.fields import cut

REMADE_FIELD = "X-Rcqueue-Remade"

_SUBJECT = re.compile(rb"^(Subject)[ \t]*:[ \t]*", re.IGNORECASE | re.MULTILINE)
_CONTENT = re.compile(rb"^Content-[!-9;-~]*[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)
_VERSION = re.compile(rb"^MIME-Version[ \t]*:", re.IGNORECASE | re.MULTILINE)
_BY_POLICY = "The policy for mail to you leaves such attachments out."
_BY_HAND = "Whoever released the message chose to leave its attachments out."


class NotSafe(Exception):
    """It can't be made anew so that everybody reads it alike; says why, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Made:
    """What goes out: `data`, and before it these fields of ours."""

    data: bytes
    fields: tuple[tuple[str, str], ...]
    sender: str | None = None  #: of the envelope, if another than the mail's own


def remade(form: ReleaseAs, digest: bytes) -> tuple[str, str]:
    """The field that says that a mail was made anew, and from which bytes (their SHA-256)."""
    return REMADE_FIELD, f"{form}; sha256={digest.hex()}"


def tagged(body: bytes, verdict: Sequence[tuple[str, str]], word: str, digest: bytes) -> Made:
    """With its verdict in fields on top, and a word before its subject; what follows the header stays as it is.
    Raises NotSafe."""
    block = cut(body)
    if block.trouble is not None:
        raise NotSafe(f"its header can not be read to its end: {block.trouble}")
    at = block.body_at
    tag = word.encode("ascii")
    subjects = 0

    def with_word(found: re.Match[bytes]) -> bytes:
        nonlocal subjects
        subjects += 1
        return found[0] if body.startswith(tag, found.end()) else found[1] + b": " + tag + b" "

    header = _SUBJECT.sub(with_word, body[:at])
    own = (remade(ReleaseAs.TAGGED, digest), *verdict)
    return Made(header + body[at:], own if subjects else (*own, ("Subject", word)))


def attached(
    body: bytes, *, postmaster: str, recipient: str, subject: str, sender: str, release: str, at: int, digest: bytes
) -> Made:
    """A new mail from the postmaster, with the mail as it came inside. `at`: its date, in Unix microseconds."""
    # Whoever wrote the mail can't have known this word, so no line of it ends a part of ours.
    boundary = f"rcqueue-{sha256(release.encode() + digest).hexdigest()[:40]}"
    said = (
        f"The attached message was held by a mail filter, and was released to you by the postmaster.\n\n"
        f"From:     {safe_text(sender or '<>', limit=320)}\nSubject:  {safe_text(subject, limit=200)}\n\n"
        "Open it with care.\n"
    )
    encoding = "7bit" if body.isascii() else "8bit"
    fields = (
        remade(ReleaseAs.ATTACHMENT, digest),
        ("From", f"Postmaster <{postmaster}>"),
        ("To", f"<{recipient}>"),
        ("Subject", _encoded(f"Held message: {safe_text(subject, limit=200)}")),
        ("Date", format_datetime(datetime.fromtimestamp(at // 1_000_000, UTC))),
        ("Message-ID", f"<{release}@{ascii_domain(domain_of(postmaster))}>"),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
        ("Content-Transfer-Encoding", encoding),
        ("Content-Type", f'multipart/mixed; boundary="{boundary}"'),
    )
    line = f"--{boundary}\r\n".encode()
    inner = b'Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename="message.eml"\r\n'
    inner += f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    end = f"\r\n--{boundary}--\r\n".encode()
    return Made(b"\r\n" + line + _note(said) + b"\r\n" + line + inner + body + end, fields, postmaster)


def stripped(body: bytes, deep: Deep, names: Sequence[str], digest: bytes) -> Made:
    """With a note in place of the attachments of these names, or, without any, of all; the other parts stay as they
    are. `deep` is what was read of `body`. Raises NotSafe."""
    if deep.unread or deep.doubts or len(deep.spans) != len(deep.attachments):
        raise NotSafe(deep.doubts or deep.degraded or "its parts could not all be read")
    gone = _gone(deep.attachments, names)
    why = _BY_POLICY if names else _BY_HAND
    out: list[bytes] = []
    at = 0
    for (start, end), attachment in zip(deep.spans, deep.attachments, strict=True):
        if attachment not in gone:
            continue
        note = _note(f"An attachment was removed from this message.\n\n{_told(attachment)}\n{why}\n")
        if start == 0:  # it is the whole of the message: its header stays, but for what it says of the content
            header = body[: cut(body).body_at]
            header = _CONTENT.sub(b"", header[:-2] if header.endswith(b"\r\n\r\n") else header)
            note = header + (b"" if _VERSION.search(header) else b"MIME-Version: 1.0\r\n") + note
        out += [body[at:start], note]
        at = end
    return Made(b"".join([*out, body[at:]]), (remade(ReleaseAs.STRIPPED, digest),))


def check_stripped(before: Deep, names: Sequence[str], after: Deep) -> None:
    """What was made is read once more: exactly the attachments that were to stay are there. Raises NotSafe."""
    gone = _gone(before.attachments, names)
    if after.unread or after.doubts or after.attachments != [a for a in before.attachments if a not in gone]:
        raise NotSafe("without its attachments it reads another way than it should")


def _gone(attachments: Sequence[Attachment], names: Sequence[str]) -> list[Attachment]:
    """The attachments that go. A name that none of them has is that of a file within one: then all go."""
    named = [a for a in attachments if (a.name or "(no name)") in names]
    return named if names and {a.name or "(no name)" for a in named} == set(names) else list(attachments)


def _told(attachment: Attachment) -> str:
    name, type_ = safe_text(attachment.name or "(no name)", limit=255), safe_text(attachment.type, limit=100)
    return f"Name:     {name}\nType:     {type_}\nSize:     {attachment.size} bytes\nSHA-256:  {attachment.sha256}\n"


def _note(text: str) -> bytes:
    """A part, header and all. In base64, of which no line can be a boundary, whatever the text is."""
    header = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return header + base64.encodebytes(text.replace("\n", "\r\n").encode()).replace(b"\n", b"\r\n").rstrip()


def _encoded(text: str) -> str:
    """A field's value that may hold anything of safe_text."""
    plain = text.isascii() and "=?" not in text
    return str(Header(text, None if plain else "utf-8", maxlinelen=70).encode(linesep="\r\n"))
