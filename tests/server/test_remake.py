"""What is made anew, over the project's samples and real mail, read by another reader: Python's own."""

from __future__ import annotations

import email
import email.message
from email.message import Message
from hashlib import sha256

import pytest

from rcqueue.server.delivery.remake import NotSafe, attached, check_stripped, stripped, tagged
from rcqueue.server.reading.deep import read_deep
from rcqueue.server.reading.fields import cut
from rcqueue.server.smtp_data import normalised
from tests.reading.sources import sources

MAILS = [(path.name, path.read_bytes()) for paths in sources().values() for path in paths]
MAILS = [(name, normalised(raw)) for name, raw in MAILS if len(raw) < 1 << 20]


def leaves(raw: bytes) -> list[Message]:
    return [part for part in email.message_from_bytes(raw).walk() if not part.is_multipart()]


def test_stripped_another_reader_finds_no_attachment_and_all_else():
    """Of each mail that has none for that reader, and of each that had some."""
    done = attachments = 0
    for name, body in MAILS:
        deep = read_deep(body)
        try:
            made = stripped(body, deep, [], sha256(body).digest()).data
            check_stripped(deep, [], read_deep(normalised(made)))
        except NotSafe:
            continue
        done, attachments = done + 1, attachments + len(deep.attachments)
        found = leaves(made)
        for part in found:
            assert part.get_filename() is None, name
            # multipart/digest: a part without a type; to Python a message
            assert part.get_content_maintype() == "text", (name, part.get_content_type())
        if not deep.attachments:
            assert made == body, name
        if not any(start == 0 for start, _ in deep.spans):
            position = 0
            for piece in _pieces(body, deep.spans):  # what was not cut out is there, byte for byte and in order
                position = made.index(piece, position) + len(piece)
    print(f"{done} of {len(MAILS)} stripped, {attachments} attachments")
    assert done > len(MAILS) // 2 and attachments >= 10


def _pieces(body: bytes, spans: list[tuple[int, int]]) -> list[bytes]:
    edges = [0, *(edge for span in spans for edge in span), len(body)]
    return [body[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def test_attached_another_reader_finds_the_whole_of_it():
    for name, body in MAILS:
        digest, more = sha256(body).digest(), {"subject": "s\u202e =?x?=", "sender": "a@b.example", "at": 0}
        made = attached(body, postmaster="p@b.example", recipient="r@b.example", release="r-1", digest=digest, **more)
        header = "".join(f"{field}: {value}\r\n" for field, value in made.fields).encode()
        assert all(len(line) < 998 for line in header.splitlines()) and header.isascii(), name
        message = email.message_from_bytes(header + made.data)
        assert [part.get_content_type() for part in message.get_payload()] == ["text/plain", "message/rfc822"], name
        assert body + b"\r\n--" + message.get_boundary().encode() + b"--\r\n" in made.data, name


def test_tagged_the_body_is_the_same():
    for name, body in MAILS:
        try:
            made = tagged(body, [("X-Rcq-Verdict", "SPAM; x")], "[SPAM]", b"")
        except NotSafe:
            continue
        at = cut(body).body_at
        assert made.data.endswith(body[at:]) and cut(made.data).body_at - at == len(made.data) - len(body), name


@pytest.mark.parametrize("names", [["nothing.exe"], []])
def test_without_attachments_nothing_is_cut(names):
    body = b"Subject: a\r\n\r\ntext\r\n"
    made = stripped(body, read_deep(body), names, b"")
    assert made.data == body and made.fields == (("X-Rcqueue-Remade", "stripped; sha256="),)
