"""The policy: how it is read, what it decides, and that more against a mail never makes it milder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcqueue.model.mail import RuleHit, VerdictKind
from rcqueue.model.scan import Action, ScanResult
from rcqueue.server.config import ConfigMistake
from rcqueue.server.reading.deep import read_deep
from rcqueue.server.scan.attachments import Contents, Part
from rcqueue.server.scan.decide import Decision, decide
from rcqueue.server.scan.policy import Policy, PolicyMistake, load, parse
from rcqueue.server.scan.senders import SenderRule, Word

from .mails import with_file, zipped

AWAYS: Any = {"sa": "hold", "av": "hold", "rs": "tag"}
EXAMPLE = """
[default]
scanners = ["sa", "av"]
virus = "reject"
[default.score.sa]
tag = 5
hold = 8.0
reject = 25.0
[default.away]
av = "defer"
[default.too_large]
sa = "tag"
[[default.attachment]]
name = "*.exe"
do = "block"
[domain."Sales.Example"]
scanners = ["sa", "av", "rs"]
virus = "hold"
[domain."sales.example".score.sa]
hold = 12.0
[domain."sales.example".away]
sa = "tag"
[domain."open.sales.example"]
scanners = []
attachment = []
"""
_ORDER = list(Action)
NOTHING = Contents()


def policy(text: str = EXAMPLE) -> Policy:
    return parse(text.replace("Sales.Example", "sales.example"), AWAYS)


def said(scanner: str = "sa", **more: Any) -> ScanResult:
    return ScanResult(scanner=scanner, **more)


def decided(*results: ScanResult, to: str = "bob@example.org", has: Contents = NOTHING, by: str = EXAMPLE) -> Decision:
    clean = [said(name) for name in AWAYS if name not in [result.scanner for result in results]]
    return decide(policy(by), [*results, *clean], has, to)


# -- reading


def mistakes(text: str) -> list[str]:
    with pytest.raises(PolicyMistake) as caught:
        parse(text, AWAYS)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("[defualt]", "defualt", "one of default, domain was expected"),
        ("[default]\nvirsu = 1", "default.virsu", "one of scanners, score, points, spam, virus"),
        ('[default]\nvirus = "drop"', "default.virus", "expected 'hold' or 'reject'"),
        ('[default]\nvirus = "pass"', "default.virus", "expected 'hold' or 'reject'"),
        ('[default.away]\nav = "pass"', "default.away.av", "expected 'hold', 'tag' or 'defer'"),
        ("[default.score.sa]\nholt = 1", "default.score.sa.holt", "one of tag, hold, reject was expected"),
        ("[default.score.sa]", "default.score.sa", "some of tag, hold and reject were expected"),
        ("[default.score.sa]\nhold = 9\nreject = 8", "default.score.sa", "none below the one before it"),
        ("[default.score.sa]\nhold = nan", "default.score.sa.hold", "finite"),
        ('[default.score.sa]\nhold = "8"\ntag=[]', "default.score.sa.tag", "valid number"),
        ("[default.score.spamd]\nhold = 9", "default.score", "no scanner 'spamd'; one of sa, av, rs was expected"),
        ('[domain.x.away]\nclam = "hold"', "domain.x.away", "no scanner 'clam'"),
        ('[domain."x y"]', "domain.x y", "a domain was expected"),
        ('[domain.x]\nscanners = "sa"', "domain.x.scanners", "a list was expected"),
        ('[[default.attachment]]\ndo = "block"', "default.attachment.1", "name, type, magic or member"),
        ('[[default.attachment]]\nname = "*.exe"', "default.attachment.1.do", "is missing"),
        (
            '[[default.attachment]]\nname = "*.exe"\ndo = "eat"',
            "default.attachment.1.do",
            "'block', 'isolate' or 'strip'",
        ),
        ('[[default.attachment]]\nmagic = "4d5"\ndo = "block"', "default.attachment.1.magic", "in hexadecimal"),
        (
            '[[default.attachment]]\nnmae = "x"\nname = "x"\ndo = "block"',
            "default.attachment.1.nmae",
            "name, type, magic",
        ),
        ('[[default.attachment]]\nmember = "x"\nname = "x"\ndo = "block"', "default.attachment.1", "stands alone"),
        ("[default", "", "TOML was expected"),
    ],
)
def test_a_mistake_names_file_key_and_what_was_expected(text, key, expected):
    said = mistakes(text)
    assert any(line.startswith(f"policy.toml: {key}") and expected in line for line in said), said


def test_all_mistakes_at_once():
    assert len(mistakes('[default]\nspam = "eat"\nx = 1\n[domain.y]\nz = 2')) == 3


@pytest.mark.parametrize(("content", "expected"), [(None, "can't be read: No such file"), (b"\xff", "UTF-8")])
def test_a_file_that_can_not_be_read(tmp_path: Path, content, expected):
    file = tmp_path / "policy.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigMistake, match=expected):
        load(file, AWAYS)


def test_the_nearest_domain_holds_and_the_default_for_what_it_does_not_say():
    of = policy()
    assert [of.terms(f"x@{domain}")[0] for domain in ("example.org", "SALES.example", "a.sales.example")] == [
        "default",
        "sales.example",
        "sales.example",
    ]
    terms = of.terms("x@sales.example")[1]
    assert (terms.virus, terms.phish, terms.away) == ("hold", "hold", {"av": "defer", "sa": "tag"})
    assert terms.score["sa"].hold == 12 and terms.score["sa"].reject is None
    assert len(terms.attachment) == 1 and of.terms("x@open.sales.example")[1].attachment == ()
    assert of.scanners("x@example.org") == ("sa", "av") and of.scanners("x@open.sales.example") == ()


# -- decisions


def test_clean_passes():
    assert decided(said(score=1.5, required=5.0)) == Decision(Action.PASS, None, 1.5, 5.0)


@pytest.mark.parametrize(
    ("score", "action", "required"),
    [(4.9, "PASS", 5.0), (5, "TAG", 5), (7.99, "TAG", 5), (8, "HOLD", 8), (24.9, "HOLD", 8), (25, "REJECT", 25)],
)
def test_thresholds_by_score(score, action, required):
    decision = decided(said(score=score, required=5.0, kind="SPAM" if score >= 5 else None))
    assert (decision.action, decision.required, decision.score) == (action, required, score)
    assert decision.kind == (None if action == "PASS" else "SPAM")


def test_the_domains_own_threshold_holds_in_the_same_message():
    for to, action in (("x@sales.example", "PASS"), ("x@example.org", "HOLD")):
        assert decided(said(score=9, required=5.0, kind="SPAM"), to=to).action == action


def test_a_tag_says_what_was_found_in_fields_that_end_where_they_end():
    rules = [RuleHit(name="A", points=2.602), RuleHit(name="B", points=3)]
    decision = decided(said(score=5.602, required=5.0, kind="SPAM", rules=rules))
    assert decision.headers == (
        ("X-Rcq-Verdict", "SPAM; sa: 5.602 of 5"),
        ("X-Spam-Flag", "YES"),
        ("X-Spam-Status", "Yes, score=5.602 required=5 tests=A=2.602,B=3"),
    )
    many = [RuleHit(name=f"RULE_{n}", points=1.0) for n in range(400)]
    status = dict(decided(said(score=6, required=5.0, kind="SPAM", rules=many)).headers)["X-Spam-Status"]
    assert len(status) <= 900 and status.endswith("=1")


def test_a_virus_is_rejected_or_held_as_the_domain_says():
    virus = said("av", kind="VIRUS", threats=["Evil\r\nX: y"], reason="Evil")
    assert decided(virus).action == "REJECT"
    held = decided(virus, to="x@sales.example")
    assert (held.action, held.kind) == ("HOLD", VerdictKind.VIRUS) and "av: Evil" in held.reason
    assert all("\r" not in value and "\n" not in value for _, value in held.headers)


def test_phishing_and_suspicious_finds_have_terms_of_their_own():
    by = '[default]\nvirus="reject"\nphish="reject"\nsuspicious="hold"'
    assert decided(said("av", kind="PHISH", threats=["P"]), by=by).action == "REJECT"
    assert decided(said("av", kind="POLICY", threats=["Heuristics.Encrypted.Zip"]), by=by).action == "HOLD"


@pytest.mark.parametrize(
    ("scanner", "to", "action"),
    [("av", "x@example.org", "DEFER"), ("sa", "x@example.org", "HOLD"), ("rs", "x@sales.example", "TAG")],
)
def test_a_scanner_that_is_away_is_no_silence(scanner, to, action):
    decision = decided(said(scanner, error="no answer within 30 s"), to=to)
    assert (decision.action, decision.kind) == (action, "POLICY")
    assert f"{scanner} is away: no answer within 30 s" in decision.reason
    assert ("X-Rcq-Not-Scanned", f"{scanner} (no answer within 30 s)") in decision.headers


def test_a_scanner_without_a_word_is_away():
    decision = decide(policy(), [said("av")], Contents(), "x@example.org")
    assert (decision.action, decision.reason) == ("HOLD", "sa is away: it was not asked")


def test_too_large_is_held_or_tagged():
    assert decided(said("sa", skipped="9 bytes, over size_limit, 8")).action == "TAG"
    assert decided(said("av", skipped="9 bytes, over size_limit, 8")).action == "HOLD"


def test_whose_word_does_not_count_is_not_heard():
    assert decided(said("rs", kind="SPAM", score=99)).action == "PASS"


def test_without_a_policy_the_scanners_own_measure_holds():
    assert decided(said(kind="SPAM", score=5, required=5), by="").action == "HOLD"
    assert decided(said(kind=None, score=4, required=5), by="").action == "PASS"
    assert decided(said("av", kind="VIRUS", threats=["E"]), by="").action == "HOLD"


def test_a_scanner_that_insists_against_its_own_score_is_believed():
    """rspamd rejects some mails before it adds up points."""
    assert decided(said(kind="SPAM", score=0, required=15)).action == "HOLD"
    assert decided(said(kind="SPAM", score=6, required=None)).action == "TAG"


@pytest.mark.parametrize(
    ("more", "action"),
    [
        ([], "DEFER"),
        ([said("sa", score=6, required=5.0, kind="SPAM")], "DEFER"),
        ([said("sa", score=9, required=5.0, kind="SPAM")], "HOLD"),
        ([said("sa", score=30, required=5.0, kind="SPAM")], "REJECT"),
    ],
)
def test_the_strongest_of_all_grounds_is_done_and_each_is_told(more, action):
    decision = decided(said("av", error="gone"), *more)
    assert decision.action == action
    assert decision.reason.count(";") == len(more) and "av is away: gone" in decision.reason


# -- attachments


def attached(name: str, content: bytes, type_: str = "application/octet-stream") -> Contents:
    return Contents.of(read_deep(with_file(name, content, type_)))


def test_what_the_reader_sees_of_a_mail_is_what_the_rules_are_about():
    assert attached("Setup.EXE", b"MZ\x90" + bytes(100)) == Contents(
        (Part("Setup.EXE", "application/octet-stream", b"MZ\x90" + bytes(13)),)
    )


@pytest.mark.parametrize(
    ("rule", "name", "content", "type_", "hit"),
    [
        ('name="*.exe"', "Setup.EXE", b"x", "a/b", True),
        ('name="*.exe"', "setup.exe.txt", b"MZ", "a/b", False),
        ('name="*.ex[ec]"', "a.exc", b"", "a/b", True),
        ('type="application/x-ms*"', "a", b"", "application/x-msdownload", True),
        ('type="application/x-ms*"', "a.exe", b"", "application/pdf", False),
        ('magic="4D 5A"', "harmless.txt", b"MZ\x90\x00", "text/plain", True),
        ('magic="4d5a"', "a.exe", b"M", "a/b", False),
        ('name="*.txt"\nmagic="4d5a"', "a.txt", b"MZ", "text/plain", True),
        ('name="*.txt"\nmagic="4d5a"', "a.exe", b"MZ", "a/b", False),
    ],
)
def test_rules_by_name_type_and_first_bytes(rule, name, content, type_, hit):
    by = f'[[default.attachment]]\n{rule}\ndo = "isolate"'
    decision = decided(has=attached(name, content, type_), by=by)
    assert (decision.action, decision.kind) == (("HOLD", "ATTACHMENT") if hit else ("PASS", None))
    assert [one.name for one in decision.found] == [name] * hit


@pytest.mark.parametrize(
    ("do", "action", "strip"), [("block", "REJECT", ()), ("isolate", "HOLD", ()), ("strip", "HOLD", ("a.exe",))]
)
def test_block_rejects_isolate_holds_strip_holds_and_says_what(do, action, strip):
    decision = decided(has=attached("a.exe", b""), by=f'[[default.attachment]]\nname="*.exe"\ndo="{do}"')
    assert (decision.action, decision.strip) == (action, strip)
    assert decision.reason == f"attachment a.exe (name *.exe: {do})"


def test_every_rule_about_every_attachment_counts():
    rules = (("a", "isolate"), ("b", "block"))
    by = "".join(f"[[default.attachment]]\nname='*.{name}'\ndo='{do}'\n" for name, do in rules)
    parts = (Part("x.a", "a/b"), Part("y.a", "a/b"), Part("z.b", "a/b"))
    decision = decided(has=Contents(parts), by=by)
    assert decision.action == "REJECT" and [hit.name for hit in decision.found] == ["x.a", "y.a", "z.b"]


def test_what_a_scanner_lists_of_an_archive():
    by = '[[default.attachment]]\nmember="*.exe"\ndo="block"'
    listing = said("av", members=["a.zip/docs/Setup.exe", "a.zip/readme.txt"])
    assert decided(listing, has=attached("a.zip", zipped()), by=by).found[0].name == "a.zip/docs/Setup.exe"
    assert decided(said("av", members=["a.zip/readme.txt"]), by=by).action == "PASS"


def test_attachments_that_can_not_be_read_are_no_silence():
    unread = Contents(unread="over 1,000 parts")
    assert decided(has=unread).action == "HOLD" and "over 1,000 parts" in decided(has=unread).reason
    assert (
        decided(has=unread, by='[default]\nunreadable="tag"\n[[default.attachment]]\nname="x"\ndo="block"').action
        == "TAG"
    )
    assert decided(has=unread, by="").action == "PASS"  # there are no rules about any
    many = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 1100 + b"--b--\r\n"
    assert Contents.of(read_deep(many)).unread


# -- more against a mail never makes it milder

_NAMES = st.sampled_from(["sa", "av", "rs"])
_SCORES = st.none() | st.floats(-50, 50)


@st.composite
def results(draw: Any) -> list[ScanResult]:
    return [
        said(
            name,
            kind=draw(st.sampled_from([None, "SPAM", "VIRUS", "PHISH", "POLICY"])),
            score=draw(_SCORES),
            required=draw(_SCORES),
            threats=draw(st.lists(st.sampled_from(["E", "F"]), max_size=2)),
            members=draw(st.lists(st.sampled_from(["a.exe", "b.txt"]), max_size=2)),
            error=draw(st.none() | st.just("gone")),
            skipped=draw(st.none() | st.just("large")),
        )
        for name in draw(st.lists(_NAMES, unique=True))
    ]


@st.composite
def policies(draw: Any) -> str:
    def terms(where: str) -> str:
        given = [f"[{where}]"]
        given += [f'spam="{draw(st.sampled_from(["tag", "hold", "reject"]))}"'] * draw(st.integers(0, 1))
        given += [f'{key}="{draw(st.sampled_from(["hold", "reject"]))}"' for key in ("virus", "phish", "suspicious")]
        given += [f"scanners={draw(st.lists(_NAMES, unique=True))}"] * draw(st.integers(0, 1))
        given += [f'[{where}.away]\nav="{draw(st.sampled_from(["hold", "tag", "defer"]))}"']
        given += [f'[{where}.too_large]\nsa="{draw(st.sampled_from(["hold", "tag"]))}"']
        for name in draw(st.lists(_NAMES, unique=True)):
            tag, hold, reject = sorted(draw(st.lists(st.integers(-20, 40), min_size=3, max_size=3)))
            given.append(f"[{where}.score.{name}]\ntag={tag}\nhold={hold}\nreject={reject}")
        for do in draw(st.lists(st.sampled_from(["block", "isolate", "strip"]), max_size=2)):
            rule = draw(st.sampled_from(['name="*.exe"', 'member="*.exe"', 'magic="4d5a"']))
            given.append(f'[[{where}.attachment]]\n{rule}\ndo="{do}"')
        return "\n".join(given)

    return terms("default") + "\n" + terms("domain.a")


_PARTS = st.lists(
    st.builds(Part, st.sampled_from(["a.exe", "b.txt"]), st.just("a/b"), st.sampled_from([b"", b"MZ"])), max_size=2
)
_CONTENTS = st.builds(Contents, _PARTS.map(tuple), st.none() | st.just("damaged"))
_TO = st.sampled_from(["x@a", "x@b.a", "x@c"])
_WORSE = ("score", "threat", "error", "skipped", "gone", "part", "unread", "member")


@settings(max_examples=300, deadline=None)
@given(policies(), results(), _CONTENTS, _TO, st.sampled_from(_WORSE), st.data())
def test_more_against_a_mail_never_makes_it_milder(text, before, contents, to, what, data):
    """And what is not known is never milder than clean."""
    by = parse(text, AWAYS)
    after, more = [one.model_copy() for one in before], contents
    if after and what in ("score", "threat", "error", "skipped", "gone", "member"):
        one = data.draw(st.sampled_from(after))
        match what:
            case "score":
                one.score = None if one.score is None else one.score + data.draw(st.floats(0, 50))
                if one.required is not None and one.score is not None and one.score >= one.required:
                    one.kind = one.kind or "SPAM"  # as scanners have it
            case "threat":
                one.threats = [*one.threats, "G"]
            case "member":
                one.members = [*one.members, "c.exe"]
            case _ if one.kind is None and not one.threats and one.score is None and not one.members:
                one.error = "gone" if what != "skipped" else one.error
                one.skipped = "large" if what == "skipped" else one.skipped
    elif what == "part":
        more = Contents((*contents.parts, Part("a.exe", "a/b", b"MZ")), contents.unread)
    elif what == "unread":
        more = Contents(contents.parts, contents.unread or "damaged")
    mild, strong = decide(by, before, contents, to), decide(by, after, more, to)
    assert _ORDER.index(strong.action) >= _ORDER.index(mild.action)


@settings(max_examples=60, deadline=None)
@given(policies(), results(), _CONTENTS, _TO)
def test_every_decision_is_whole(text, given_results, contents, to):
    decision = decide(parse(text, AWAYS), given_results, contents, to)
    again = decide(parse(text, AWAYS), list(reversed(given_results)), contents, to)
    assert decision == again  # in whichever order the scanners answered
    assert (decision.action == "PASS") == (decision.kind is None) == (not decision.reason) == (not decision.headers)
    wanted = parse(text, AWAYS).scanners(to)
    silent = [name for name in wanted if next((r for r in given_results if r.scanner == name), said(error="x")).error]
    assert all(f"{name} is away" in decision.reason for name in silent)
    assert all(value.isascii() and value.isprintable() and len(value) <= 900 for _, value in decision.headers)


@settings(max_examples=150, deadline=None)
@given(policies(), results(), _CONTENTS, _TO)
def test_an_allowed_sender_lifts_spam_and_no_more(text, given_results, contents, to):
    by, rule = parse(text, AWAYS), SenderRule(1, "allow", "ada@sender.example", "all", "", "anna", 1 << 50)
    plain = decide(by, given_results, contents, to)
    allowed = decide(by, given_results, contents, to, Word(allow=rule))
    assert _ORDER.index(allowed.action) <= _ORDER.index(plain.action) and allowed.kind != "SPAM"
    if plain.kind != "SPAM":  # what was strongest is no ground of spam: it stays
        assert (allowed.action, allowed.kind) == (plain.action, plain.kind)
    assert decide(by, given_results, contents, to, Word(allow=rule, forged=True)).action == plain.action
    blocked = decide(by, given_results, contents, to, Word(allow=rule, block=rule))
    assert _ORDER.index(blocked.action) >= max(_ORDER.index(Action.HOLD), _ORDER.index(plain.action))
