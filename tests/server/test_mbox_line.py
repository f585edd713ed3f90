"""Mail that begins with the line by which mailboxes are divided: our fields go below it, as mail servers need it."""

from __future__ import annotations

import email
from pathlib import Path

import pytest

from rcqueue.server.delivery.parcel import Parcel, parcel
from rcqueue.server.intake.judged import passed_on
from rcqueue.server.passes import check, on_top, sign
from tests.realparts.postfix import DOMAIN, Postfix, comes

from .harness import Talk

MBOX = Path("tests/samples/mbox-line.eml").read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
LINE, REST = MBOX.split(b"\r\n", 1)
TO = f"anna@{DOMAIN}"


def goods() -> Parcel:
    def pass_of(sender: str, data: bytes) -> tuple[str, str] | None:
        return sign(b"key", "r-1", 1, 2_000_000_000, sender, TO, data)

    return parcel(MBOX, "r-1", "olga@harbour.example", TO, False, sign=pass_of)


def test_it_stays_the_first_line() -> None:
    data = goods().data
    assert data.startswith(LINE + b"\r\nX-Rcqueue-Release: r-1\r\nX-Rcqueue-Pass: ") and data.endswith(REST)
    assert passed_on(MBOX, [("X-Rcq-Verdict", "SPAM")]) == LINE + b"\r\nX-Rcq-Verdict: SPAM\r\n" + REST
    assert check([b"key"], data, "olga@harbour.example", TO, 0) == ("r-1", 1)


@pytest.mark.parametrize("raw", [b"From: a@b.example\r\n\r\n", b"From : a@b.example\r\n\r\n", b"\r\nFrom x\r\n", b""])
def test_where_there_is_none_ours_is_the_first(raw: bytes) -> None:
    assert on_top(raw, b"X-Ours: 1\r\n") == b"X-Ours: 1\r\n" + raw


async def test_a_postfix_finds_all_of_the_header() -> None:
    """And, with ours above that line, none of it: the sender's header is body then."""
    fields = goods().data[len(LINE) + 2 : -len(REST)]
    async with Postfix() as postfix, Talk.to(postfix.port) as talk:
        for data in (goods().data, fields + MBOX):
            await talk.mail("olga@harbour.example", [TO])
            assert (await talk.data(data)).startswith("250")
        await comes(lambda: len(postfix.delivered()) == 2)
        mails = [email.message_from_bytes(raw) for raw in postfix.delivered()]
    right, wrong = sorted(mails, key=lambda mail: mail["Subject"] is None)
    assert (right["X-Rcqueue-Release"], right["Subject"]) == ("r-1", "kept in a file")
    assert (wrong["X-Rcqueue-Release"], wrong["Subject"]) == ("r-1", None)
