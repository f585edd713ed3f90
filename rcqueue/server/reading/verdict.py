"""What the filters in front of the queue said, read from the fields they left: verdict, score, rules, reason.

A filter puts its fields on top, so of two with one name the first is the filter's and the other may be the sender's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rcqueue.model.mail import RuleHit, VerdictKind
from rcqueue.server.reading import caps
from rcqueue.server.reading.listed import rspamd_symbols, virus_name
from rcqueue.server.reading.words import decode

_NUMBER = r"-?\d{1,6}(?:\.\d{1,6})?"
_FIRST_NUMBER = re.compile(_NUMBER)
_SCORE = re.compile(rf"\b(?:score|hits)=({_NUMBER})")
_REQUIRED = re.compile(rf"\brequired=({_NUMBER})")
_OF = re.compile(rf"\[?({_NUMBER})\s*/\s*({_NUMBER})")
_TESTS = re.compile(r"\btests=\[?\s*(\w[\w.=-]*(?:\s*,\s*\w[\w.=-]*)*)")
_TEST = re.compile(rf"([A-Za-z_]\w{{1,79}})(?:=({_NUMBER}))?", re.ASCII)
_REPORT_LINE = re.compile(rf"\*?\s*({_NUMBER})\s+([A-Z_][A-Z0-9_]{{1,79}})(?:\s+(.*))?")
_PHISHING = re.compile(r"phish", re.IGNORECASE)

HELD_WITHOUT_REASON = "no filter says why it is held"


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: VerdictKind
    score: float | None = None
    required: float | None = None
    reason: str = ""  #: of class `rules`: what X-Rcq-Verdict says is free text
    rules: list[RuleHit] = field(default_factory=list)


def judge(values: dict[str, str], report: str = "") -> Judgement:
    """`values` are the filters' fields by lower-case name, each as one line of text; `report` is an X-Spam-Report as
    `fields.cut` gives it, for the rules' descriptions."""
    if not values:
        return Judgement(VerdictKind.POLICY, reason=HELD_WITHOUT_REASON)
    score, required = _score(values)
    rules = _rules(values, report)
    verdict, reason = _verdict(values, score, required, rules)
    return Judgement(verdict, score, required, reason, rules)


def _verdict(
    values: dict[str, str], score: float | None, required: float | None, rules: list[RuleHit]
) -> tuple[VerdictKind, str]:
    kind, _, reason = values.get("x-rcq-verdict", "").partition(";")
    if kind.strip().upper() in VerdictKind.__members__:
        return VerdictKind(kind.strip().upper()), reason.strip()[:200]

    alert, virus_status = values.get("x-amavis-alert", ""), values.get("x-virus-status", "")
    for text in (alert, virus_status):
        if text.lower().startswith("infected") or (text is virus_status and text.lower().startswith("yes")):
            virus = virus_name(text)
            if _PHISHING.search(virus):
                return VerdictKind.PHISH, f"phishing: {virus}"
            return VerdictKind.VIRUS, f"virus: {virus}" if virus else "virus"
    if alert.startswith("BANNED"):
        return VerdictKind.ATTACHMENT, "forbidden attachment"

    if _is_spam(values, score, required):
        phishing = next((rule.name for rule in rules if _PHISHING.search(rule.name) and (rule.points or 0) > 0), None)
        if phishing:
            return VerdictKind.PHISH, f"phishing: {phishing}"
        if score is None:
            return VerdictKind.SPAM, "spam"
        return VerdictKind.SPAM, f"spam: {score:g}" + (f" of {required:g}" if required is not None else "")
    if alert.startswith("BAD"):
        return VerdictKind.POLICY, "bad header"
    return VerdictKind.POLICY, HELD_WITHOUT_REASON


def _is_spam(values: dict[str, str], score: float | None, required: float | None) -> bool:
    for name in ("x-spam-flag", "x-spam-status", "x-spam"):
        if values.get(name, "").lower().startswith("yes"):
            return True
    if values.get("x-rspamd-action", "") in ("reject", "quarantine", "add header", "rewrite subject"):
        return True
    return score is not None and required is not None and score >= required


def _score(values: dict[str, str]) -> tuple[float | None, float | None]:
    status = values.get("x-spam-status", "")
    score, required = _SCORE.search(status), _REQUIRED.search(status)
    if score:
        return float(score[1]), float(required[1]) if required else None
    for name in ("x-spamd-result", "x-rspamd-score"):
        if of := _OF.search(values.get(name, "")):
            return float(of[1]), float(of[2])
    if number := _FIRST_NUMBER.search(values.get("x-spam-score", "")):
        return float(number[0]), None
    stars = values.get("x-spam-level", "")
    return (float(stars.count("*")), None) if stars.startswith("*") else (None, None)


def _rules(values: dict[str, str], report: str) -> list[RuleHit]:
    """Where the filter lists its rules by name, its report only adds to those: a report may quote the body."""
    hits: dict[str, RuleHit] = {}
    if tests := _TESTS.search(values.get("x-spam-status", "")):
        for test in _TEST.finditer(tests[1]):
            name, points = test.groups()
            if name.lower() != "none":
                hits.setdefault(name, RuleHit(name=name, points=None if points is None else float(points)))
    for symbol in rspamd_symbols(values.get("x-spamd-result", "")):
        name, _, points = symbol.rstrip(")").partition("(")
        hits.setdefault(name, RuleHit(name=name, points=float(points)))
    listed = bool(hits)
    for name, in_report, description in _report(report):
        hit = hits.get(name) if listed else hits.setdefault(name, RuleHit(name=name))
        if hit is not None:
            hit.description = hit.description or description or None
            if hit.points is None:  # of one decimal here, of full precision in the list
                hit.points = in_report
    return list(hits.values())[: caps.RULES]


def _report(report: str) -> list[tuple[str, float, str]]:
    """Rule lines of a report: name, points, description. What a report quotes of the body is left out: a preview above
    the details, and what stands in brackets after a description."""
    lines = report.split("\n")
    if not all(line.lstrip().startswith("*") or not line.strip() for line in lines):  # more than a list of rules
        details = [number for number, line in enumerate(lines) if "Content analysis details" in line]
        lines = lines[details[-1] + 1 :] if details else []
    rules: list[tuple[str, float, str]] = []
    open_ended = False
    for line in lines:
        if len(rules) == caps.RULES:
            break
        text = line.strip()
        if match := _REPORT_LINE.match(text):
            description, bracket, _ = (match[3] or "").partition("[")
            rules.append((match[2], float(match[1]), decode(description)[0]))
            open_ended = not bracket
        elif open_ended and (more := text.lstrip("* ").strip()):
            words, bracket, _ = more.partition("[")
            name, points, description = rules[-1]
            rules[-1] = (name, points, f"{description} {decode(words)[0]}".strip()[:300])
            open_ended = not bracket
    return rules
