"""Real mail, and the project's own, against an independent reader. `RCQUEUE_CORPUS` adds the real mail."""

from __future__ import annotations

import email
import email.policy
from hashlib import sha256
from pathlib import Path

import pytest

from rcqueue.server.reading.deep import Deep, read_deep
from rcqueue.server.reading.scan import Scan, scan
from tests.reading import independent
from tests.reading.sources import sources

SOURCES = sources()


@pytest.fixture(scope="module", params=SOURCES, ids=str)
def mails(request: pytest.FixtureRequest) -> list[tuple[Path, bytes, Scan, Deep]]:
    read = [(path, path.read_bytes()) for path in SOURCES[request.param]]
    return [(path, raw, scan(raw), read_deep(raw)) for path, raw in read]


def test_from_to_and_subject_equal_an_independent_readers(mails: list[tuple[Path, bytes, Scan, Deep]]) -> None:
    different = []
    compared = 0
    for path, raw, ours, _ in mails:
        if ours.degraded:
            continue
        for name in ("from", "to", "subject"):
            mine = [independent.same(value) for key, value in ours.headers if key.lower() == name]
            theirs = [[independent.same(value) for value in values] for values in independent.readings(raw, name)]
            compared += len(mine)
            if mine not in theirs:
                different.append((path.name, name, mine, theirs))
    assert not different
    assert compared > 2 * len(mails)


def test_senders_addresses_equal_an_independent_readers(mails: list[tuple[Path, bytes, Scan, Deep]]) -> None:
    """Where `getaddresses` finds as many as we do. Where it finds more or fewer it misreads what every mail program
    accepts: `a@b <c@d>` as two senders, a comma in an unquoted name, two addresses with a space between."""
    different = []
    agreed = 0
    for path, raw, ours, _ in mails:
        mine = [address for address in ours.from_addresses if "@" in address]
        theirs = independent.addresses(raw, "from")
        if ours.degraded or len(mine) != len(theirs):
            continue
        agreed += 1
        if mine != theirs:
            different.append((path.name, mine, theirs))
    assert not different
    assert agreed > 0.9 * len(mails)


def test_few_are_degraded_and_each_says_why(mails: list[tuple[Path, bytes, Scan, Deep]]) -> None:
    reasons = {path.name: (ours.degraded, deep.degraded) for path, _, ours, deep in mails}
    degraded = {name: reason for name, reason in reasons.items() if any(reason)}
    assert len(degraded) <= 0.02 * len(mails), degraded
    assert all(reason is None or reason.strip() for pair in degraded.values() for reason in pair)


def test_attachments_equal_an_independent_readers(mails: list[tuple[Path, bytes, Scan, Deep]]) -> None:
    """Where `email` finds no defect, its parts with a file name are ours, byte for byte."""
    different = []
    for path, raw, _, deep in mails:
        message = email.message_from_bytes(raw)
        if deep.degraded or any(part.defects for part in message.walk()):
            continue
        theirs = []
        waiting = [message]
        while waiting:
            part = waiting.pop(0)
            if part.get_content_maintype() == "multipart" and part.is_multipart():
                waiting = [*part.get_payload(), *waiting]  # type: ignore[list-item]
            elif part.get_filename() and part.get_content_maintype() not in ("message", "multipart"):
                if encoding := part.get("Content-Transfer-Encoding"):
                    part.replace_header("Content-Transfer-Encoding", encoding.strip())  # it decodes no "base64 "
                octets = part.get_payload(decode=True)
                assert isinstance(octets, bytes)
                theirs.append((part.get_content_type(), len(octets), sha256(octets).hexdigest()))
        mine = [(a.type, a.size, a.sha256) for a in deep.attachments if a.name and not a.type.startswith("message/")]
        if mine != theirs:
            different.append((path.name, mine, theirs))
    assert not different


def test_everything_can_be_stored(mails: list[tuple[Path, bytes, Scan, Deep]]) -> None:
    for path, _, ours, deep in mails:
        text = repr(ours) + deep.model_dump_json()
        assert "\0" not in deep.text and "\\x00" not in text and "\\u0000" not in text, path
        text.encode()  # raises on a lone surrogate
        assert len(ours.subject) <= 2000 and len(ours.from_email) <= 320
