"""What the filters said, and what of a header a viewer without bodies may see."""

from __future__ import annotations

import pytest

from rcqueue.model.mail import VerdictKind
from rcqueue.server.reading.scan import scan
from tests.reading.sources import header, sample

# -- what may be shown ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('Content-Type: application/pdf; name="CANARY.pdf"; charset=utf-8', "application/pdf; charset=utf-8"),
        ("Content-Type: text/plain; name*0*=utf-8''CANARY; format=flowed", "text/plain; format=flowed"),
        ("Content-Type: CANARY", ""),
        ("DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=n; bh=CANARY; b=CANARY", "a=rsa-sha256; d=b.example; s=n"),
        ("X-Spam-Status: Yes, score=7.1 required=5.0 tests=A_B=1,C_D hammy=CANARY autolearn=no",
         "Yes score=7.1 required=5.0 tests=A_B=1,C_D autolearn=no"),
        ("X-Spamd-Result: default: True [9.0 / 5.0]; AB(9.00)[CANARY.example,x]; CD(0.0)[]",
         "default: True [9.0 / 5.0]; AB(9.00); CD(0.0)"),
        ("X-Amavis-Alert: BANNED, message contains .exe,CANARY.exe", "BANNED"),
        ("X-Amavis-Alert: BAD HEADER SECTION, Non-encoded 8-bit data: CANARY", "BAD HEADER SECTION"),
        ("X-Amavis-Alert: INFECTED, message contains virus: Eicar", "INFECTED, message contains virus: Eicar"),
        ("X-Virus-Status: Infected (CANARY.exe)", "Infected"),
        ("X-Virus-Status: Infected (Win.Test.EICAR_HDB-1)", "Infected Win.Test.EICAR_HDB-1"),
        ("X-Virus-Status: Clean", "Clean"),
        ("X-Spam-Flag: YES CANARY", "YES"),
        ("X-Spam-Score: 5.1 CANARY", "5.1"),
    ],
)  # fmt: skip
def test_listed_fields_are_built_from_what_quotes_nothing(line: str, shown: str) -> None:
    mail = header(line)
    assert mail.headers == [(line.partition(":")[0], shown)]
    assert "CANARY" not in repr(mail)


@pytest.mark.parametrize(
    "name",
    ["X-Spam-Report", "X-Spam-Preview", "X-Spam-Content-Preview", "X-Spam-Hammy", "Content-Disposition", "Content-MD5",
     "Content-Description", "Content-ID", "Thread-Topic", "Comments", "Keywords", "Summary", "ARC-Message-Signature",
     "X-Microsoft-Antispam-Message-Info", "X-Anything", "List-Anything"],
)  # fmt: skip
def test_all_other_fields_are_withheld_and_counted(name: str) -> None:
    mail = header("From: a@b.example", f"{name}: CANARY 9.9 CANARY CANARY")
    assert (mail.headers, mail.withheld) == ([("From", "a@b.example")], 1)
    assert "CANARY" not in repr(mail)


def test_a_spam_report_gives_descriptions_and_no_preview() -> None:
    mail = scan(sample("spamassassin-preview"))
    assert [rule.name for rule in mail.rules] == ["ADVANCE_FEE_2", "SUBJ_ALL_CAPS"]
    assert mail.rules[0].description == "Appears to be advance fee fraud"
    assert "CANARY" not in repr(mail) and "friend, I am" not in repr(mail)
    bare = header(
        "X-Spam-Flag: YES", "X-Spam-Report: Vorschau: Hallo", "\t 9.9 CANARY steht im Text", "\t 1.0 A_RULE text"
    )
    assert bare.rules == []  # a report in some other language: no telling where the preview ends


# -- verdicts ---------------------------------------------------------------------------------------------------------


def test_spamassassin() -> None:
    mail = scan(sample("spamassassin"))
    assert (mail.verdict, mail.score, mail.required, mail.reason) == (VerdictKind.SPAM, 11.6, 5.0, "spam: 11.6 of 5")
    rules = {rule.name: rule for rule in mail.rules}
    assert len(rules) == 6 and round(sum(rule.points or 0 for rule in mail.rules), 3) == 11.6
    assert rules["RCVD_IN_XBL"].points == 3.649  # the report rounds it to 3.6
    assert rules["URIBL_BLACK"].description == "Contains an URL listed in the URIBL blacklist"
    assert rules["HTML_IMAGE_ONLY_08"].description == "BODY: HTML: images with 400-800 bytes of words"
    assert "quick-pills" not in repr(mail.rules)  # [URIs: ...] quotes the body
    assert [field.name for field in mail.filters] == [
        "X-Spam-Flag",
        "X-Spam-Level",
        "X-Spam-Status",
        "X-Spam-Checker-Version",
    ]


def test_rspamd() -> None:
    mail = scan(sample("rspamd"))
    assert (mail.verdict, mail.score, mail.required, mail.reason) == (
        VerdictKind.PHISH,
        16.2,
        15.0,
        "phishing: PHISHING",
    )
    assert [(rule.name, rule.points) for rule in mail.rules][:2] == [("PHISHING", 6.0), ("MIME_HTML_ONLY", 0.2)]
    assert "login.evil.example" not in repr(mail)


@pytest.mark.parametrize(
    ("lines", "verdict", "reason"),
    [
        (["X-Amavis-Alert: INFECTED, message contains virus: Eicar-Test"], "VIRUS", "virus: Eicar-Test"),
        (["X-Virus-Status: Infected with Heuristics.Phishing.Email"], "PHISH", "phishing: Heuristics.Phishing.Email"),
        (["X-Virus-Status: Yes"], "VIRUS", "virus"),
        (["X-Amavis-Alert: BANNED, message contains x.exe", "X-Spam-Flag: YES"], "ATTACHMENT", "forbidden attachment"),
        (["X-Amavis-Alert: BAD HEADER SECTION, x"], "POLICY", "bad header"),
        (["X-Spam-Flag: YES", "X-Spam-Level: *******"], "SPAM", "spam: 7"),
        (["X-Spam: Yes"], "SPAM", "spam"),
        (["X-Spam-Status: No, score=1.0 required=5.0 tests=none"], "POLICY", "no filter says why it is held"),
        (["X-Spam-Flag: NO"], "POLICY", "no filter says why it is held"),
        (["X-Rcq-Verdict: manual; put here by hand", "X-Spam-Flag: YES"], "MANUAL", "put here by hand"),
        (["X-Rcq-Verdict: RELEASED; nonsense", "X-Spam-Flag: YES"], "SPAM", "spam"),
        (["X-Spam-Flag: YES", "X-Spam-Flag: NO"], "SPAM", "spam"),  # the upper one is the filter's
        ([], "POLICY", "no filter says why it is held"),
    ],
)
def test_verdicts(lines: list[str], verdict: str, reason: str) -> None:
    mail = header(*lines, "Subject: s")
    assert (mail.verdict.value, mail.reason) == (verdict, reason)
