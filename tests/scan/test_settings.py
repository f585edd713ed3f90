"""What people set over the policy's file: points and thresholds, what they decide, and what does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from rcqueue.model.mail import RuleHit
from rcqueue.model.scan import ScanResult
from rcqueue.server.scan.attachments import Contents
from rcqueue.server.scan.decide import Decision, decide
from rcqueue.server.scan.policy import Policy, PolicyMistake, parse

AWAYS: Any = {"sa": "hold", "rs": "hold"}
ALONE: Any = {"sa": "hold"}
FILE = """
[default]
scanners = ["sa"]
[default.score.sa]
tag = 4
hold = 8
[default.points.sa]
BY_FILE = 1.5
[domain."sales.example"]
[domain."sales.example".points.sa]
OF_SALES = 2
[domain."own.example".score.sa]
hold = 12
"""
ANY, SALES, OWN = "x@example.org", "x@sales.example", "x@own.example"


def policy(**settings: float) -> Policy:
    """`default__score__sa__hold=5`: a scope and a key."""
    named = {key.replace("__", ".").partition(".")[::2]: value for key, value in settings.items()}
    return parse(FILE, AWAYS).under({(scope.replace("_", "."), key): value for (scope, key), value in named.items()})


def decided(by: Policy, *rules: tuple[str, float | None], score: float = 6, to: str = ANY, **more: Any) -> Decision:
    hits = [RuleHit(name=name, points=points) for name, points in rules]
    result = ScanResult(scanner="sa", score=score, required=5.0, kind="SPAM" if score >= 5 else None, rules=hits)
    return decide(by, [result.model_copy(update=more)], Contents(), to)


def test_a_threshold_that_was_set_holds_for_the_default_and_who_has_none_of_their_own():
    by = policy(default__score__sa__hold=6)
    assert [decided(by, to=to).action for to in (ANY, SALES, OWN)] == ["HOLD", "HOLD", "PASS"]
    assert [decided(policy(), to=to).action for to in (ANY, SALES, OWN)] == ["TAG", "TAG", "PASS"]
    assert decided(by).settings == ("score.sa.hold = 6",) and decided(by, to=OWN).settings == ()


def test_one_of_a_domain_stands_over_the_default_s():
    by = policy(default__score__sa__hold=6, sales_example__score__sa__hold=7, own_example__score__sa__tag=6)
    assert [decided(by, to=to).action for to in (ANY, SALES, OWN)] == ["HOLD", "TAG", "TAG"]
    assert decided(by, to=SALES).settings == ("score.sa.hold = 7",)


def test_points_that_were_set_count_instead_of_those_that_the_scanner_gave():
    heavier, lighter = policy(default__points__sa__A=5), policy(default__points__sa__A=-1)
    assert (decided(policy(), ("A", 2.0)).action, decided(policy(), ("A", 2.0)).score) == ("TAG", 6)
    held = decided(heavier, ("A", 2.0), ("B", 1.0))
    assert (held.action, held.score, held.settings) == ("HOLD", 9, ("points.sa.A = 5",))
    assert [(rule.name, rule.points) for rule in held.rules] == [("A", 5), ("B", 1.0)]
    passed = decided(lighter, ("A", 2.0))
    assert (passed.action, passed.score, passed.kind, passed.reason) == ("PASS", 3, None, "")
    assert decided(heavier, ("B", 1.0)).settings == ()  # it has no say in a mail that the rule does not hit


def test_points_stand_in_the_file_too_and_a_domain_adds_its_own():
    assert decided(policy(), ("BY_FILE", 0.5), ("OF_SALES", 0.0)).score == 7
    assert decided(policy(), ("BY_FILE", 0.5), ("OF_SALES", 0.0), to=SALES).score == 9
    by = policy(sales_example__points__sa__BY_FILE=0.5)
    assert decided(by, ("BY_FILE", 0.5), ("OF_SALES", 0.0), to=SALES).score == 8


def test_where_the_scanner_s_own_measure_holds_it_follows_the_points():
    by = parse("", ALONE).under({("default", "points.sa.A"): 0.0})
    assert decided(parse("", ALONE), ("A", 2.0)).action == "HOLD"
    assert decided(by, ("A", 2.0)).action == "PASS"
    assert decided(by, ("A", -2.0), score=4).action == "HOLD"


def test_what_went_by_no_score_is_not_moved_by_points():
    by = parse("", ALONE).under({("default", "points.sa.A"): -50.0})
    assert decided(by, ("A", 2.0), score=0, kind="SPAM").action == "HOLD"  # it insists
    assert decided(by, ("A", 2.0), threats=["Evil"], kind="VIRUS").action == "HOLD"
    assert decided(by, ("A", None)).score == 6  # nobody knows what to take away


@pytest.mark.parametrize(
    ("scope", "key", "value", "expected"),
    [
        ("default", "score.sa.tag", 9, "score.sa would be tag = 9, hold = 8: some of tag, hold and reject"),
        ("own.example", "score.sa.tag", 13, "none below the one before it"),
        ("default", "score.clam.hold", 5, "there is no scanner 'clam'; one of sa, rs was expected"),
        ("nowhere.example", "score.sa.hold", 5, "one of default, sales.example, own.example was expected"),
        ("default", "score.sa.drop", 5, "score.SCANNER.tag|hold|reject or points.SCANNER.RULE was expected"),
        ("default", "virus", 5, "score.SCANNER.tag|hold|reject or points.SCANNER.RULE was expected"),
        ("default", "score.sa.hold", float("nan"), "finite"),
        ("default", "points.sa.A", float("inf"), "at most 10000"),
        ("default", "points.sa.A", None, "not set for default: there is nothing to take back"),
        ("default", "score.sa.hold", 3, "score.sa would be tag = 4, hold = 3"),
    ],
)
def test_one_that_does_not_fit_is_refused_with_what_was_expected(scope, key, value, expected):
    with pytest.raises(PolicyMistake) as caught:
        policy().with_setting(scope, key, value)
    assert expected in str(caught.value)


def test_one_of_the_default_may_not_break_one_of_a_domain():
    by = policy().with_setting("sales.example", "score.sa.tag", 7)
    with pytest.raises(PolicyMistake, match=r"score\.sa would be tag = 7, hold = 6"):
        by.with_setting("default", "score.sa.hold", 6)
    assert decided(by, to=SALES).action == "PASS"


def test_one_is_taken_back():
    by = policy().with_setting("default", "score.sa.hold", 6).with_setting("default", "score.sa.hold", None)
    assert by.settings == {} and decided(by).action == "TAG"


def test_when_the_file_changes_what_does_not_fit_any_more_is_named_and_the_file_holds():
    settings = {
        ("default", "score.sa.hold"): 6.0,
        ("sales.example", "points.sa.A"): 9.0,
        ("default", "score.rs.hold"): 5.0,
        ("default", "points.sa.B"): 3.0,
    }
    assert parse(FILE, AWAYS).under(settings).faults == {}
    changed = parse("[default.score.sa]\ntag = 7\nhold = 8", {"sa": "hold"}).under(settings)
    assert set(changed.faults) == set(settings) - {("default", "points.sa.B")}
    assert "tag = 7, hold = 6" in changed.faults["default", "score.sa.hold"]
    assert "one of default was expected" in changed.faults["sales.example", "points.sa.A"]
    assert "there is no scanner 'rs'" in changed.faults["default", "score.rs.hold"]
    assert decided(changed, score=7.5).action == "TAG"
    assert decided(changed, ("B", 0.0), score=6).action == "HOLD"  # the others hold
    assert changed.with_setting("default", "points.sa.C", 1.0)  # and can be changed


def test_what_the_file_says_is_told():
    by = policy(default__score__sa__hold=6)
    assert (by.in_file("default", "score.sa.hold"), by.in_file("own.example", "score.sa.hold")) == (8, 12)
    assert (by.in_file("default", "points.sa.BY_FILE"), by.in_file("default", "points.sa.X")) == (1.5, None)
    assert by.in_file("gone.example", "score.sa.hold") is None
