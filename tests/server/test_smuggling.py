"""SMTP smuggling: a mail that some server takes for two. In whatever form it comes, by whatever way, it is stored as it
came; and when it is released or passed on, a server that takes all that looks like an end of data for one sees one.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from rcqueue.demo.ports import bind
from rcqueue.model.ids import encode_mail
from rcqueue.server import smtp_data
from rcqueue.server.config import Config
from rcqueue.server.delivery import parcel
from rcqueue.server.intake import reinject
from rcqueue.server.intake.content_filter import ContentFilter
from rcqueue.server.intake.hold import Intake
from rcqueue.server.intake.milter import MilterIntake
from rcqueue.server.intake.smtp import LmtpIntake, SmtpIntake
from rcqueue.server.store import tables as t
from tests.intake.judging import ByRecipient

from .harness import Queue, Talk, free_port
from .post import Post, count, until

_LINES = {"CRLF": b"\r\n", "LF": b"\n", "CR": b"\r", "LFCR": b"\n\r", "CRCRLF": b"\r\r\n"}
#: By name: what stands where a mail is to end that goes on.
FORMS = {f"{a} . {b}": _LINES[a] + b"." + _LINES[b] for a in _LINES for b in _LINES} | {
    "CRLF NUL . CRLF": b"\r\n\0.\r\n",
    "CRLF . NUL CRLF": b"\r\n.\0\r\n",
    "LF NUL NUL . NUL LF": b"\n\0\0.\0\n",
}
_SECOND = (
    b"MAIL FROM:<boss@bank.example>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\n"
    b"From: boss@bank.example\r\nSubject: smuggled\r\n\r\nsecond %d"
)


def smuggling(number: int, form: bytes) -> bytes:
    """A mail that, to who takes `form` for an end of data, is two."""
    header = b"From: m@evil.example\r\nSubject: form %d\r\n\r\nfirst" % number
    return header + form + _SECOND % number + form + b"QUIT\r\n"


MAILS = [smuggling(number, form) for number, form in enumerate(FORMS.values())]
_LINE_END = re.compile(rb"\r\n|\r|\n")
_OURS = re.compile(rb"(?:X-Rcq[\w-]*: [^\r\n]*\r\n)*")


class Lenient:
    """A server to which CR, LF and CRLF each end a line and NUL is nothing; `mails` are what it took."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.wire: list[bytes] = []  #: by connection, as it was sent

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        sock = bind("127.0.0.1")
        server = await asyncio.start_server(self._client, sock=sock)
        try:
            yield sock.getsockname()[1]
        finally:
            server.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 lenient\r\n")
        waits, data = b"", None
        at = len(self.wire)
        self.wire.append(b"")
        with contextlib.suppress(ConnectionError):
            while got := await reader.read(1 << 16):
                self.wire[at] += got
                waits += got.replace(b"\0", b"")
                # A CR at the end of what is there may be half a CRLF.
                while (end := _LINE_END.search(waits)) and (end.end() < len(waits) or end[0] != b"\r"):
                    line, waits = waits[: end.start()], waits[end.end() :]
                    if data is None:
                        answer, data = self._command(line)
                    elif line == b".":
                        self.mails.append(b"".join(data))
                        answer, data = b"250 2.0.0 Ok", None
                    else:
                        data.append(line.removeprefix(b".") + b"\r\n")
                        continue
                    writer.write(answer + b"\r\n")
        writer.close()

    def _command(self, line: bytes) -> tuple[bytes, list[bytes] | None]:
        match line[:4].upper():
            case b"EHLO":
                return b"250-lenient\r\n250-PIPELINING\r\n250 8BITMIME", None
            case b"DATA":
                return b"354 go on", []
            case _:
                return b"250 2.0.0 Ok", None


class Ways:
    """Each way in, beside one queue; what passes the filter goes to the lenient server."""

    def __init__(self, queue: Queue, behind: int) -> None:
        addresses = {name: {"listen": f"127.0.0.1:{free_port()}"} for name in ("smtp", "lmtp", "milter", "filter")}
        addresses["filter"]["reinject"] = f"127.0.0.1:{behind}"
        self.config = config = Config(data_dir=queue.folder, **addresses)
        intake, judge = Intake(queue.marshal, config), ByRecipient()
        self.servers = {
            "smtp": SmtpIntake(intake, config.smtp),
            "lmtp": LmtpIntake(intake, config.smtp, config.lmtp.listen),
            "milter": MilterIntake(intake, judge, config.milter, config.smtp.size_limit),
            "filter": ContentFilter(intake, judge, config.filter, config.smtp),
        }

    async def __aenter__(self) -> Ways:
        for server in self.servers.values():
            await server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self.servers.values():
            await server.stop(grace=1)

    async def send(self, way: str, raw: bytes, to: str = "hold.ben@example.org") -> None:
        """As a right client does: dots that follow CRLF are stuffed, and nothing else is looked at."""
        port = self.servers[way].port
        if way == "milter":
            await _by_milter(port, raw, to)
            return
        async with Talk.to(port, ehlo=False) as talk:
            await talk.say("LHLO client.example" if way == "lmtp" else "EHLO client.example", "250")
            await talk.mail("m@evil.example", [to], " BODY=8BITMIME")
            said = await talk.data(raw)
            if to.startswith("hold."):
                assert said.startswith("250 2.0.0 Held"), said
            await talk.say("NOOP", "250")  # nothing of the mail was taken for a command


async def _by_milter(port: int, raw: bytes, to: str) -> None:
    """The packets of a mail server that takes CRLF alone for the end of a line."""
    head, _, body = raw.partition(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    packets = [
        (b"O", b"\0\0\0\6\0\0\1\xff\0\x1f\xff\xff"),
        (b"C", b"h\0" + b"4\0\x19198.51.100.7\0"),
        (b"M", b"<m@evil.example>\0"),
        (b"R", b"<%s>\0" % to.encode()),
        *((b"L", line.replace(b":", b"\0", 1) + b"\0") for line in head.split(b"\r\n")),
        (b"N", b""),
        (b"B", body),
        (b"E", b""),
    ]
    for command, data in packets:
        writer.write((len(data) + 1).to_bytes(4, "big") + command + data)
    negotiated = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
    assert negotiated[:1] == b"O"
    assert await asyncio.wait_for(reader.readexactly(5), 10) == b"\0\0\0\1d"  # discarded there, for it is held here
    writer.close()


async def test_no_form_becomes_two_mails_at_a_lenient_server(queue):
    assert len(MAILS) >= 25
    sink = Lenient()
    async with sink.listening() as port, Ways(queue, port) as ways:
        post = Post(queue, port)
        await post.start()
        for way in ways.servers:
            for raw in MAILS:
                await ways.send(way, raw)
        rows = await queue.rows(t.message)
        assert Counter(row["origin"] for row in rows) == dict.fromkeys(ways.servers, len(MAILS))
        assert Counter([await queue.raw(row["id"]) for row in rows]) == dict.fromkeys(MAILS, len(ways.servers))
        for mail in await queue.rows(t.mail):
            await queue.act("operator", "release", encode_mail(mail["message"], mail["n"]))
        await until(lambda: count(queue, "RELEASED"), len(rows), seconds=20)
        await post.stop()
        for raw in MAILS:
            await ways.send("filter", raw, to="ben@example.org")
    got = Counter(_OURS.sub(b"", mail, count=1) for mail in sink.mails)
    # once for each way that held it, once passed on: one mail each, and all of it
    assert got == {_lines(raw): len(ways.servers) + 1 for raw in MAILS}
    assert not any(mail.startswith(b"From: boss") for mail in sink.mails)


def _lines(raw: bytes) -> bytes:
    """As the lenient server reads it: CRLF at each line's end, and no NUL."""
    return _LINE_END.sub(b"\r\n", raw.replace(b"\0", b""))


@pytest.mark.parametrize("out", ["released", "passed on"])
async def test_without_the_normaliser_most_forms_do(queue, monkeypatch, out):
    """What the test above proves: the same mails, the same server, and nothing done to the ends of lines."""
    for module in (parcel, reinject):
        monkeypatch.setattr(module, "normalised", lambda raw: raw)
    sink = Lenient()
    async with sink.listening() as port, Ways(queue, port) as ways:
        if out == "released":
            post = Post(queue, port)
            await post.start()
            for number, raw in enumerate(MAILS):
                await ways.send("smtp", raw, to=f"hold.ben{number}@example.org")
            for mail in await queue.rows(t.mail):
                await queue.act("operator", "release", encode_mail(mail["message"], mail["n"]))
            await until(lambda: _tried(queue), len(MAILS), seconds=20)
            await post.stop()
        else:
            for raw in MAILS:
                await ways.send("filter", raw, to="ben@example.org")
    smuggled = {mail.split(b"second ")[1].split()[0] for mail in sink.mails if mail.startswith(b"From: boss")}
    assert len(smuggled) >= 10, f"{len(smuggled)} of {len(MAILS)}"


async def _tried(queue: Queue) -> int:
    return len({a["message"] for a in await queue.rows(t.attempt) if a["finished"] is not None})


def test_what_is_sent_differs_only_where_it_must():
    """A line of nothing but a dot and NULs loses the NULs: a server that drops those would end the mail there."""
    normalised = smtp_data.normalised
    assert normalised(b"a\r\n\0.\0\r\n\0x.\0\r\n\0..\r\nb\0\r\n") == b"a\r\n.\r\n\0x.\0\r\n\0..\r\nb\0\r\n"
    assert normalised(b"\0.\n\0.") == b".\r\n.\r\n"
    assert normalised(b"a\r.\n") == b"a\r\n.\r\n"
