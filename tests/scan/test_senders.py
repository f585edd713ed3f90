"""Senders that people let through or stop: about which mail, and what it changes."""

from __future__ import annotations

from typing import Any

import pytest

from rcqueue.model.folding import fold_address
from rcqueue.model.scan import ScanResult
from rcqueue.server.reading.deep import read_deep
from rcqueue.server.scan.attachments import Contents
from rcqueue.server.scan.decide import Decision, decide
from rcqueue.server.scan.policy import parse
from rcqueue.server.scan.senders import Sender, SenderRule, Senders, Word, pattern_of

from .mails import with_file

ENDS = 1_800_000_000_000_000
POLICY = parse(
    '[default.score.sa]\nhold=8\nreject=20\n[[default.attachment]]\nname="*.exe"\ndo="isolate"',
    {"sa": "hold", "av": "hold"},
)
SPAM = ScanResult(scanner="sa", score=9, required=5.0, kind="SPAM")
HAM = ScanResult(scanner="sa", score=1, required=5.0)
CLEAN = ScanResult(scanner="av")


def rule(kind: str = "allow", pattern: str = "ada@sender.example", **more: Any) -> SenderRule:
    of = {"id": 1, "customer": "acme", "recipient": "", "by": "anna", "ends": ENDS} | more
    return SenderRule(kind=kind, pattern=pattern, **of)


def word(
    *rules: SenderRule, raw: bytes = b"", envelope: str = "", to: str = "x@acme.example", at: str = "acme"
) -> Word:
    return Senders(rules).word(Sender.of(raw, envelope), to, at, ENDS - 1)


def decided(said: Word, *results: ScanResult, has: Contents | None = None) -> Decision:
    return decide(POLICY, [*results, CLEAN], has or Contents(), "x@acme.example", said)


# -- which mail


@pytest.mark.parametrize(
    ("pattern", "who", "about"),
    [
        ("ada@sender.example", "ada@sender.example", True),
        ("ada@sender.example", "ADA@Sender.Example", True),
        ("ada@sender.example", "bda@sender.example", False),
        ("ada@sender.example", "ada@mail.sender.example", False),
        ("sender.example", "ada@sender.example", True),
        ("sender.example", "ada@mail.sender.example", True),
        ("sender.example", "ada@asender.example", False),
        ("xn--bcher-kva.example", "ada@bücher.example", True),
    ],
)
def test_an_address_is_itself_and_a_domain_all_below_it(pattern, who, about):
    raw = f"From: <{who}>\r\n\r\n".encode()
    assert bool(word(rule(pattern=pattern), raw=raw).allow) is about
    assert bool(word(rule("block", pattern), envelope=who).block) is about


@pytest.mark.parametrize(
    ("of", "about"),
    [
        ({}, True),
        ({"customer": "all"}, True),
        ({"customer": "acme/sales"}, False),
        ({"customer": "beta"}, False),
        ({"recipient": "x@acme.example"}, True),
        ({"recipient": "y@acme.example"}, False),
        ({"ends": ENDS - 1}, False),
    ],
)
def test_it_holds_for_its_customer_its_recipient_and_until_its_end(of, about):
    raw = b"From: ada@sender.example\r\n\r\n"
    assert bool(word(rule(**of), raw=raw, to="X@acme.example").allow) is about


def test_allowed_is_the_one_in_from_and_blocked_any_of_all():
    two = b"From: ada@sender.example, eve@evil.example\r\n\r\n"
    again = b"From: eve@evil.example\r\nFrom: ada@sender.example\r\n\r\n"
    for raw in (two, again):
        assert word(rule(), raw=raw).allow is None
        assert word(rule("block"), raw=raw).block is not None
    assert word(rule(), raw=b"From: eve@evil.example\r\n\r\n", envelope="ada@sender.example").allow is None
    named = b'From: "ada@sender.example" <eve@evil.example>\r\n\r\n'
    assert word(rule(), raw=named).allow is None
    assert word(rule(), raw=b"", envelope="").allow is None


@pytest.mark.parametrize("text", ["Ada@Sender.Example", " @sender.example", "sender.example", "a+b@x.co"])
def test_a_pattern_is_an_address_or_a_domain(text):
    assert pattern_of(text) == fold_address(text.strip().removeprefix("@"))


@pytest.mark.parametrize(
    "text", ["", "@", "ada", "ada@", "a b@x.example", "*@x.example@", "*", "a@b@c.example", "x..y"]
)
def test_what_is_neither_is_refused(text):
    with pytest.raises(ValueError, match=r"an address as ada@sender\.example, or a domain"):
        pattern_of(text)


# -- what it changes


def test_a_blocked_sender_is_held_with_the_name_of_who_blocked():
    decision = decided(Word(block=rule("block")), HAM)
    assert (decision.action, decision.kind) == ("HOLD", "POLICY")
    assert decision.reason == "blocked by anna until 2027-01-15 (ada@sender.example)"


def test_an_allowed_sender_is_not_held_as_spam_and_it_says_so():
    decision = decided(Word(allow=rule()), SPAM)
    assert (decision.action, decision.kind, decision.score) == ("PASS", None, 9)
    assert decision.reason == "allowed by anna until 2027-01-15 (ada@sender.example): lifted: sa: 9 of 8"
    assert decided(Word(allow=rule()), HAM).reason == ""
    rejected = SPAM.model_copy(update={"score": 30.0})
    assert decided(Word(allow=rule()), rejected).action == "PASS"


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (ScanResult(scanner="av", kind="VIRUS", threats=["Evil"]), "VIRUS"),
        (ScanResult(scanner="av", kind="PHISH", threats=["Phish"]), "PHISH"),
        (ScanResult(scanner="av", kind="POLICY", threats=["Encrypted"]), "POLICY"),
        (ScanResult(scanner="sa", kind="PHISH", score=9, required=5.0), "PHISH"),
        (ScanResult(scanner="av", error="gone"), "POLICY"),
        (ScanResult(scanner="av", skipped="too large"), "POLICY"),
    ],
)
def test_all_else_holds_an_allowed_sender_s_mail(result, kind):
    results = [SPAM, result] if result.scanner == "av" else [result]
    decision = decide(POLICY, results, Contents(), "x@acme.example", Word(allow=rule()))
    assert (decision.action, decision.kind) == ("HOLD", kind)
    assert ("lifted: sa: 9 of 8" in decision.reason) is (len(results) == 2)


def test_an_attachment_holds_an_allowed_sender_s_mail():
    decision = decided(Word(allow=rule()), HAM, has=Contents.of(read_deep(with_file("a.exe", b"MZ"))))
    assert (decision.action, decision.kind) == ("HOLD", "ATTACHMENT")


def test_who_is_allowed_and_blocked_is_blocked():
    assert decided(Word(allow=rule(), block=rule("block")), SPAM).action == "HOLD"


# -- who it really is

_SAYS = b"Authentication-Results: mx.acme.example; spf=pass; dmarc=%s header.from=%s\r\n"


@pytest.mark.parametrize(
    ("fields", "forged"),
    [
        (b"", False),
        (_SAYS % (b"pass", b"sender.example"), False),
        (_SAYS % (b"fail", b"sender.example"), True),
        (_SAYS % (b"fail (p=REJECT dis=NONE)", b"sender.example"), True),
        (_SAYS % (b"FAIL", b"Sender.Example"), True),
        (_SAYS % (b"fail", b"example"), True),  # the organisation's domain
        (_SAYS % (b"fail", b"other.example"), False),
        (b"Authentication-Results: mx.acme.example; dmarc=fail\r\n", True),
        (b"Authentication-Results: mx.acme.example;\r\n\tdmarc = fail\r\n", True),
        (b"Authentication-Results: mx.acme.example 1; (dmarc=fail) dmarc=pass\r\n", False),
        (b"ARC-Authentication-Results: i=1; mx.acme.example; dmarc=fail\r\n", False),
        (b"Authentication-Results: elsewhere.example; dmarc=fail\r\n", False),
    ],
)
def test_what_is_allowed_does_not_count_when_our_server_says_that_dmarc_fails(fields, forged):
    raw = fields + b"From: ada@sender.example\r\n\r\n"
    sender = Sender.of(raw, "", ("mx.acme.example",))
    assert sender.forged is forged
    said = Senders([rule()]).word(sender, "x@acme.example", "acme", 0)
    decision = decided(said, SPAM)
    assert decision.action == ("HOLD" if forged else "PASS")
    if forged:
        assert "allowed by anna" in decision.reason and decision.reason.endswith("but DMARC fails for it")


def test_with_no_server_named_whoever_says_that_it_fails_is_believed():
    raw = b"Authentication-Results: elsewhere.example; dmarc=fail\r\nFrom: ada@sender.example\r\n\r\n"
    assert Sender.of(raw, "").forged
