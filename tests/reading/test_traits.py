"""The marks of a message: cheap whatever is in it, and which messages they join."""

from __future__ import annotations

import time
from itertools import groupby
from random import Random

import pytest

from benchmarks import campaigns
from rcqueue.server.reading.scan import scan
from rcqueue.server.reading.traits import Traits, traits

WORDS = [f"{a}{b}" for a in ("ka", "lo", "mi", "nu", "pe", "ra", "so", "tu", "va", "zo") for b in ("ben", "dar", "fil")]
HEAD = b"From: a@b.example\r\nSubject: two words here\r\nMIME-Version: 1.0\r\n"


def marks(raw: bytes) -> Traits:
    return traits(raw, scan(raw), "a@b.example", ["x@example.org"], "192.0.2.1")


def mail(text: str, subject: str = "two words here") -> tuple[str, tuple[str, ...], bytes]:
    raw = f"From: a@b.example\r\nSubject: {subject}\r\n\r\n{text}\r\nhttps://b.example/x\r\n".encode()
    return "a@b.example", ("x@example.org",), raw


HOSTILE = {
    "divs that nobody sees, none closed": b'<div style="font-size:1px">a ',
    "tags that never end": b"<div style=",
    "openings alone": b"<",
    "links without an end": b"https://x@",
    "one long word": b"a",
    "escapes": b"=3D=\r\n",
    "ideographs": "漢".encode(),
    "boundaries": b"--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n",
    "bytes of no charset": b"\xff\x00\xed\xa0\x80",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", ["text/html", "text/plain; charset=utf-7", "multipart/mixed; boundary=x"])
def test_they_cost_little_whatever_stands_there(piece: bytes, kind: str):
    raw = HEAD + f"Content-Type: {kind}\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n".encode()
    raw += piece * (3_000_000 // len(piece))
    began = time.process_time()
    marks(raw)
    assert time.process_time() - began < 1.0


def test_what_can_t_be_read_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rcqueue.server.reading.traits.parts", lambda raw: 1 / 0)
    assert marks(HEAD + b"\r\ntext") == Traits()


def test_no_campaign_grows_by_chaining():
    """Each mail is like the one before it; the last is nothing like the first."""
    rnd = Random(3)
    words = [rnd.choice(WORDS) + rnd.choice(WORDS) for _ in range(200)]
    texts = []
    for at in range(0, 200, 6):
        texts.append(" ".join(words))
        words[at : at + 6] = [rnd.choice(WORDS) + rnd.choice(WORDS) for _ in range(6)]
    names = [whole for whole, _ in campaigns.assigned([mail(text) for text in texts])]
    runs = [len(list(run)) for _, run in groupby(names)]
    assert len(runs) == len(set(names)) >= 4 and runs[0] >= 3, runs


def test_a_copy_that_leads_elsewhere_is_apart():
    """Sender, subject and text are copied by whoever wants to be released with what they copied."""
    text = " ".join(WORDS)
    copy = [(sender, to, raw.replace(b"https://b.", b"https://evil.")) for sender, to, raw in [mail(text)]]
    (one, _), (same, _), (other, _), (none, _) = campaigns.assigned(
        [mail(text), mail(text + " more"), *copy, (*copy[0][:2], copy[0][2].partition(b"https:")[0])]
    )
    assert one == same != other and none not in (one, other)


def test_without_the_text_a_number_of_a_document_tells_mails_apart():
    subjects = ("Order A17: 48 % off", "Order B9001: 7 % off", "Invoice 20261124 for you", "Invoice 20261125 for you")
    (_, one), (_, same), (_, first), (_, second) = campaigns.assigned([mail("", subject) for subject in subjects])
    assert one == same and len({one, first, second}) == 3


def test_a_list_s_issues_are_apart():
    head = "From: a@b.example\r\nList-Id: <l.b.example>\r\nSubject: Snow report, week {}\r\n\r\n"
    text = " ".join(WORDS) + "\r\nhttps://b.example/\r\n"
    three = [("a@b.example", ("x@example.org",), (head.format(n) + text).encode()) for n in (7, 7, 8)]
    (one, _), (same, _), (other, _) = campaigns.assigned(three)
    assert one == same != other


def test_of_the_demo_s_campaigns_hardly_a_pair_is_joined_wrongly():
    mails = list(campaigns.demo(1200, seed=5))
    found = list(campaigns.assigned((sample.sender, sample.recipients, sample.raw) for sample, _ in mails))
    for kind, recall in ((0, 0.3), (1, 0.05)):
        told = campaigns.pairs((names[kind], truth) for names, (_, truth) in zip(found, mails, strict=True))
        assert told.wrong <= told.joined / 1000 and told.recall > recall, told
