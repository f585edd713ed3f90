"""Through a real Postfix, by milter and by content filter, on hold, released, and at the next hop as it was sent:
header and body by bytes, DKIM signatures good, and one mail for each, whatever it has that looks like its end.

Real mail when `RCQUEUE_CORPUS` names some: 25 of it, all of it with `RCQUEUE_FULL=1`; the project's own always.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import dkim
import pytest

from rcqueue.demo.next_hop import Behaviour, NextHop
from rcqueue.model.ids import encode_mail
from rcqueue.server.config import Config
from rcqueue.server.intake.content_filter import ContentFilter
from rcqueue.server.intake.hold import Intake
from rcqueue.server.intake.milter import MilterIntake
from rcqueue.server.smtp_data import normalised
from rcqueue.server.store import tables as t
from tests.hostile_mail import hostile_messages
from tests.intake.judging import ByRecipient
from tests.reading.sources import sources
from tests.realparts.postfix import comes

from .front import WAYS, Front
from .harness import Queue, Talk
from .post import Post, count, until
from .test_smuggling import MAILS as SMUGGLING
from .test_smuggling import Lenient

FULL = os.environ.get("RCQUEUE_FULL") == "1"
LANES = 4
MAIN = {
    # What Postfix itself would do to a mail is not looked at here: it adds no fields, drops none, refuses none for its
    # trace, cuts no header, makes no bare CR a space.
    "local_header_rewrite_clients": "",
    "message_drop_headers": "",
    "hopcount_limit": "2000",
    "header_size_limit": "60000000",
    "cleanup_replace_stray_cr_lf": "no",
}
_FIELD = re.compile(rb"[!-9;-~]+:")
_TOP = re.compile(rb"(?:X-Rcqueue-[\w-]*: [^\r\n]*\r\n)+")
_RECEIVED = re.compile(rb"Received: from [^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n")
_NUMBER = re.compile(r"-(\d+)@")
_OURS = re.compile(rb"^X-Rcq[\w-]*[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE)

pytestmark = pytest.mark.xdist_group("mail-path")  # one Postfix for all of them


class World:
    """One way in behind Postfix, the queue, and the way out to `out`."""

    def __init__(self, queue: Queue, front: Front, way: str, out: int) -> None:
        self.queue, self.port = queue, front.ports[way]
        config = Config(
            data_dir=queue.folder,
            smtp={"trusted": ["127.0.0.1"]},
            milter={"listen": f"127.0.0.1:{front.milter}"},
            filter={"listen": f"127.0.0.1:{front.filter}", "reinject": f"127.0.0.1:{front.behind}"},
        )
        intake, judge = Intake(queue.marshal, config), ByRecipient()
        self.intake: MilterIntake | ContentFilter
        if way == "milter":
            self.intake = MilterIntake(intake, judge, config.milter, config.smtp.size_limit)
        else:
            self.intake = ContentFilter(intake, judge, config.filter, config.smtp)
        self.post = Post(queue, out)

    async def __aenter__(self) -> World:
        await self.intake.start()
        await self.post.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.intake.stop(grace=1)
        await self.post.stop()

    async def through(self, mails: list[bytes]) -> None:
        """Each sent to `hold.mail-N`, held, released, and taken by the next hop."""
        numbered = list(enumerate(mails))
        await asyncio.gather(*(self._send(numbered[lane::LANES]) for lane in range(LANES)))
        before = await count(self.queue, "RELEASED")
        await until(lambda: count(self.queue, "ONHOLD"), len(mails), seconds=60 + len(mails) / 4)
        await asyncio.gather(*(self._release(mail) for mail in await self.queue.rows(t.mail, status="ONHOLD")))
        await until(lambda: count(self.queue, "RELEASED"), before + len(mails), seconds=60 + len(mails) / 4)

    async def _send(self, mails: list[tuple[int, bytes]]) -> None:
        async with Talk.to(self.port) as talk:
            for number, raw in mails:
                await talk.mail("ada@sender.example", [f"hold.mail-{number}@rcq.example"], " BODY=8BITMIME")
                said = await talk.data(raw)
                assert said.startswith("250 2.0.0 Ok"), said

    async def _release(self, mail: dict) -> None:
        await self.queue.act("operator", "release", encode_mail(mail["message"], mail["n"]))


@pytest.fixture(scope="module")
async def front():
    async with Front(MAIN) as front:
        yield front


@pytest.fixture
async def hop(tmp_path):
    hop = NextHop(tmp_path / "hop", lambda _: Behaviour())
    await hop.start()
    yield hop
    await hop.stop()


def message(raw: bytes) -> bytes:
    """As a client sends a file: without a mailbox's line above it, with CRLF at the end of each line (a bare CR stays),
    and with the line that ends the header."""
    raw = re.sub(rb"\r?\n", b"\r\n", re.sub(rb"\AFrom [^\n]*\n", b"", raw))
    raw += b"" if raw.endswith(b"\r\n") else b"\r\n"
    return raw if b"\r\n\r\n" in raw else raw + b"\r\n"


def told_whole(raw: bytes) -> bool:
    """Whether Postfix tells of the header as it is: one that it takes for a header, which no milter packet cuts."""
    head, blank, _ = raw.partition(b"\r\n\r\n")
    every = head.split(b"\r\n")
    return (
        bool(blank and _FIELD.match(head))
        and all(_FIELD.match(line) or line[:1] in (b" ", b"\t") for line in every)
        and not any(byte in head.replace(b"\r\n", b"") for byte in (b"\0", b"\r", b"\n"))
        and max(map(len, re.split(rb"\r\n(?![ \t])", head))) < 60_000
    )


def without_ours(raw: bytes) -> bytes:
    """Without the fields that only we may write, and that do not get through."""
    head, blank, body = raw.partition(b"\r\n\r\n")
    return _OURS.sub(b"", head + b"\r\n") + blank[2:] + body


def arrived(hop: NextHop) -> dict[int, bytes]:
    """What is at the next hop, by number, without what we put on top, and what Postfix did."""
    got = {}
    for mail in hop.received():
        (to,) = mail.recipients
        number = int(_NUMBER.search(to)[1])
        assert number not in got, f"{to} is there twice"
        raw = mail.raw
        top = _TOP.match(raw)
        assert top, raw[:200]
        raw = raw[top.end() :]
        # what stands before the filter is Postfix's own, and held as it came
        if (trace := _RECEIVED.match(raw)) and b"by mx.rcq.example (Postfix)" in trace[0]:
            raw = raw[trace.end() :]
        got[number] = without_ours(raw)
    return got


def mails_of(source: str) -> list[bytes]:
    if source == "generated":
        every = [raw for _, raw in hostile_messages(320)]
        some = every if FULL else [raw for raw in every if len(raw) < 20_000]
    else:
        some = [path.read_bytes() for path in sources()[source]]
    return [message(raw) for raw in (some if FULL or source == "samples" else Random(5).sample(some, 25))]


@pytest.mark.parametrize("source", ["generated", *sources()])
@pytest.mark.parametrize("way", WAYS)
async def test_what_arrives_is_what_was_sent(queue, front, hop, way, source):
    mails = mails_of(source)
    assert len(mails) >= 20
    async with World(queue, front, way, hop.port) as world:
        await world.through(mails)
    got = arrived(hop)
    assert got.keys() == set(range(len(mails)))
    whole = {number for number, raw in enumerate(mails) if told_whole(raw)}
    assert len(whole) > len(mails) * (0.4 if source == "generated" else 0.9)
    assert [number for number in whole if got[number] != without_ours(normalised(mails[number]))] == []
    for number in got.keys() - whole:
        assert got[number].endswith(normalised(mails[number].partition(b"\r\n\r\n")[2])), mails[number]


@pytest.mark.parametrize("way", WAYS)
async def test_signatures_still_verify(queue, front, way, tmp_path):
    """The next hop is Postfix too, on the port behind: what is verified is the file in its Maildir."""
    key, answer = signing_key(tmp_path)
    mails = [signed(raw, key, canonical) for raw in mails_to_sign() for canonical in (b"simple", b"relaxed")]
    assert len(mails) >= 40 and all(dkim.verify(raw, dnsfunc=answer) for raw in mails)
    async with World(queue, front, way, front.behind) as world:
        await world.through(mails)
        files = await comes(lambda: len(found := front.delivered()) == len(mails) and found)
    for path in front.mail.glob("all/new/*"):
        path.unlink()
    copies = [raw.replace(b"\n", b"\r\n") for raw in files]
    assert all(b"X-Rcqueue-Release: " in raw for raw in copies)
    assert [raw for raw in copies if not dkim.verify(raw, dnsfunc=answer)] == []
    assert Counter(raw.partition(b"\r\n\r\n")[2] for raw in copies) == Counter(
        normalised(raw).partition(b"\r\n\r\n")[2] for raw in mails
    )
    changed = [raw.replace(b"\r\nSubject:", b"\r\nSubject: [spam]", 1) for raw in copies]
    assert not any(dkim.verify(raw, dnsfunc=answer) for raw in changed if b"[spam]" in raw)


def signing_key(folder: Path) -> tuple[bytes, Callable[..., bytes]]:
    """(a new key, a name server that knows of it alone)."""
    file = folder / "key.pem"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", file, "1024"], check=True, capture_output=True)
    public = subprocess.run(
        ["openssl", "rsa", "-in", file, "-pubout", "-outform", "DER"], check=True, capture_output=True
    ).stdout
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    def answer(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"s1._domainkey.sender.example.", name
        return record

    return file.read_bytes(), answer


def signed(raw: bytes, key: bytes, canonical: bytes) -> bytes:
    field = dkim.sign(raw, b"s1", b"sender.example", key, canonicalize=(canonical, canonical))
    return bytes(field) + raw


def mails_to_sign() -> list[bytes]:
    """Mail with all that a signature is sensitive to: folds, spaces, dots, empty lines, 8-bit, long lines."""
    odd = (
        b"From: Ada <ada@sender.example>\r\nSUBJECT:no space\r\nTo:   many@x.example,\r\n\tfolded@x.example  \r\n"
        b"Subject:  two   spaces \r\n \r\n fold\r\nX-Empty:\r\n\r\n.\r\n..\r\n.dots\r\n \r\n trailing \t\r\n\xfc\r\n"
        + b"x" * 3000
        + b"\r\n\r\n\r\n"
    )
    fit = [raw for raw in mails_of("generated") + mails_of("samples") if told_whole(raw) and raw.startswith(b"From:")]
    return [odd, *(raw for raw in fit if raw == normalised(raw))][:25]


async def test_no_form_of_smuggling_becomes_two_mails(queue, front):
    """Postfix is told to take nothing else for the end of a mail; what then gets through goes out as one, too."""
    sink = Lenient()
    async with sink.listening() as port:
        for way in WAYS:
            async with World(queue, front, way, port) as world:
                await world.through(SMUGGLING)
    rows = await queue.rows(t.message)
    assert Counter(row["origin"] for row in rows) == dict.fromkeys(WAYS, len(SMUGGLING))
    assert len(sink.mails) == len(rows)
    assert not any(mail.startswith(b"From: boss") for mail in sink.mails)
