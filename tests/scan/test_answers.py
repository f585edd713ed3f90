"""What is no answer, or half of one: each scanner makes an error of it, and never "clean"."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rcqueue.demo.ports import bind
from rcqueue.server.scan.base import Scanner, ScanResult
from rcqueue.server.scan.judge import scanner_of

from .mails import ENVELOPE, HAM, at

TYPES = ("spamassassin", "clamav", "sophos-sssp", "sophos-icap", "rspamd")

_HEADER = (
    b"X-Spam-Status: No, score=1.3 required=5.0 tests=RCVD_ILLEGAL_IP=1.3 version=4.0.1\r\n"
    b"X-Spam-Report: \r\n\t*  1.3 RCVD_ILLEGAL_IP Received: contains illegal IP address\r\n\r\n"
)
_JSON = b'{"score":1.0,"required_score":15.0,"action":"no action","symbols":{"A":{"score":1.0}}}'
#: A whole answer of each to a clean mail, as the real one gave it.
CLEAN = {
    "spamassassin": b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: False ; 1.3 / 5.0\r\n\r\n%s"
    % (len(_HEADER), _HEADER),
    "clamav": b"stream: OK\0",
    "sophos-sssp": b"OK SSSP/1.0\r\nACC 1/1\r\nACC 1/2\r\nDONE OK 0000 The function call succeeded\r\n\r\n"
    b"ACC 1/3\r\nOK 0000 /\r\nDONE OK 0000 The function call succeeded\r\n\r\n",
    "sophos-icap": b"ICAP/1.0 204 Unmodified\r\nServer: C-ICAP/0.5.10\r\nConnection: keep-alive\r\n\r\n",
    "rspamd": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n%s"
    % (len(_JSON), _JSON),
}


class Says:
    """A server that answers anything with the same bytes, and closes."""

    def __init__(self, *, greets: bool) -> None:
        self.bytes, self._greets = b"", greets

    async def __aenter__(self) -> Says:
        self._server = await asyncio.start_server(self._serve, sock=bind())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            if not self._greets:
                await reader.read(1)
            writer.write(self.bytes)
            await writer.drain()
            writer.write_eof()
            while await reader.read(1 << 16):  # a reset would take away what was said
                pass
        writer.close()


@contextlib.asynccontextmanager
async def asked(type_: str) -> AsyncIterator[tuple[Says, Scanner]]:
    async with Says(greets=type_ == "sophos-sssp") as says:
        one = scanner_of(at(type_, f"127.0.0.1:{says.port}", timeout="5s"))
        yield says, one
        await one.close()


async def answered(type_: str, answers: Sequence[bytes]) -> list[ScanResult]:
    async with asked(type_) as (says, one):
        results = []
        for says.bytes in answers:
            results.append(await one.scan(HAM, ENVELOPE))
        return results


@pytest.mark.parametrize("type_", TYPES)
async def test_a_whole_answer_is_clean_and_every_part_of_it_is_an_error(type_):
    whole = CLEAN[type_]
    *parts, clean = await answered(type_, [whole[:at] for at in range(len(whole) + 1)])
    assert (clean.error, clean.kind) == (None, None)
    assert all(part.error and part.kind is None and part.score is None for part in parts)


@pytest.mark.parametrize("type_", TYPES)
def test_bytes_of_any_kind_are_no_answer(type_):
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.one_of(st.binary(max_size=300), _damaged(CLEAN[type_])), min_size=1, max_size=10))
    def check(answers: list[bytes]) -> None:
        for result in asyncio.run(answered(type_, answers)):
            assert result.error is None or (result.kind, result.score, result.threats) == (None, None, [])
            assert result.kind is None or result.threats or result.score is not None

    check()


@st.composite
def _damaged(draw: Any, of: bytes) -> bytes:
    place = draw(st.integers(0, len(of) - 1))
    return of[:place] + draw(st.binary(max_size=3)) + of[place + draw(st.integers(0, 3)) :]


@pytest.mark.parametrize(
    ("type_", "says", "reason"),
    [
        ("spamassassin", b"SPAMD/1.0 76 Bad header line: (HEADERS SPAMC/1.5)\r\n", "too old"),
        ("spamassassin", b"SPAMD/1.0 74 EX_IOERR\r\n", "status 74"),
        (
            "spamassassin",
            CLEAN["spamassassin"].replace(b"1.3 / 5.0", b"nan / 5.0"),
            "its answer is none of spamassassin",
        ),
        ("spamassassin", b"HTTP/1.1 400 Bad Request\r\n\r\n", "its answer is none of spamassassin"),
        ("spamassassin", b"SPAMD/1.1 0 EX_OK\r\nContent-length: 99999999999\r\n\r\n", "its answer is none"),
        ("clamav", b"UNKNOWN COMMAND\0", "too old"),
        ("clamav", b"Can't allocate memory ERROR\0", "an error of its own"),
        ("clamav", b"stream: OK FOUND\r\n\0", "its answer is none of clamav"),
        ("clamav", b"x" * (2 << 20), "its answer is none of clamav"),
        ("sophos-sssp", b"OK SSSP/0.9\r\n", "too old"),
        ("sophos-sssp", b"OK SSSP/1.0\r\nREJ 2\r\n", "another version"),
        ("sophos-sssp", CLEAN["sophos-sssp"].replace(b"OK 0000", b"FAIL 0210"), "refuses our options"),
        ("sophos-sssp", b"x" * (2 << 20), "its answer is none of sophos-sssp"),
        ("sophos-icap", b"ICAP/1.0 404 ICAP Service not found\r\n\r\n", "no such service"),
        ("sophos-icap", b"ICAP/1.0 405 Method not allowed\r\n\r\n", "too old"),
        ("sophos-icap", b"ICAP/1.0 500 Server error\r\n\r\n", "status 500"),
        ("sophos-icap", b"HTTP/1.1 204 No Content\r\n\r\n", "its answer is none of sophos-icap"),
        (
            "sophos-icap",
            b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\n"
            b"HTTP/1.1 200 OK\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "another mail without a word why",
        ),
        ("rspamd", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "too old"),
        ("rspamd", b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "status 500"),
        ("rspamd", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "its answer is none of rspamd"),
        ("rspamd", CLEAN["rspamd"].replace(b"no action", b"no notion"), "its answer is none of rspamd"),
        ("rspamd", CLEAN["rspamd"].replace(b":1.0,", b":NaN,", 1), "its answer is none of rspamd"),
        ("rspamd", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (5 << 20), "its answer is none of rspamd"),
    ],
)
async def test_a_wrong_answer_has_a_clear_reason_and_marks_the_health(type_, says, reason):
    async with asked(type_) as (server, one):
        server.bytes = says
        result = await one.scan(HAM, ENVELOPE)
        assert result.error is not None and reason in result.error
        assert (one.health.up, one.health.error) == (False, result.error)
        server.bytes = CLEAN[type_]
        assert (await one.scan(HAM, ENVELOPE)).error is None and one.health.up


@pytest.mark.parametrize("type_", TYPES)
async def test_an_error_quotes_nothing_of_what_came(type_):
    (result,) = await answered(
        type_, [b"SPAMD/1.1 0 secret-word\r\nsecret-word: secret-word\r\n\r\n\0secret-word\0\r\n"]
    )
    assert result.error and "secret" not in result.model_dump_json()


@pytest.mark.parametrize("field", ["X-Virus-ID: Evil", "X-Infection-Found: Type=0; Resolution=2; Threat=Evil;"])
async def test_icap_names_of_threats(field):
    page = b"HTTP/1.1 403 Forbidden\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    head = f"ICAP/1.0 200 OK\r\n{field}\r\nEncapsulated: res-hdr=0, res-body=26\r\n\r\n".encode()
    (result,) = await answered("sophos-icap", [head + page])
    assert (result.kind, result.threats) == ("VIRUS", ["Evil"])


async def test_icap_violations_that_name_the_threat_in_lines_of_their_own():
    head = b"ICAP/1.0 200 OK\r\nX-Violations-Found: 1\r\n\t-\r\n\tEvil\r\n\t0\r\n\t2\r\n"
    head += b"Encapsulated: res-hdr=0, null-body=26\r\n\r\n"
    (result,) = await answered("sophos-icap", [head + b"HTTP/1.1 403 Forbidden\r\n\r\n"])
    assert result.threats == ["Evil"]


async def test_icap_that_gives_the_same_mail_back_calls_it_clean():
    head = b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    (result,) = await answered("sophos-icap", [head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(HAM), HAM)])
    assert (result.error, result.kind) == (None, None)
