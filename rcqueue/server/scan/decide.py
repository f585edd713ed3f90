"""What the policy makes of a message for one recipient. Pure: the same words give the same decision."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rcqueue.model.mail import RuleHit, VerdictKind
from rcqueue.model.scan import Action, Found, RecipientDecision, ScanResult

from .attachments import Contents, Do, found
from .base import spam_kind
from .policy import THRESHOLDS, Policy, Terms
from .senders import Word

_ACTIONS = tuple(Action)  # from the mildest to the strongest
_KINDS = (None, "POLICY", "SPAM", "ATTACHMENT", "PHISH", "VIRUS")
_UNPRINTABLE = re.compile(r"[^ -~]+")
_LONGEST_FIELD = 900  #: characters: a line of a mail has 998 at most
_MOST_RULES = 500


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done with one recipient's mail. `headers`: the fields that a tagged mail gets, name and value."""

    action: Action
    kind: VerdictKind | None = None
    score: float | None = None
    required: float | None = None
    rules: tuple[RuleHit, ...] = ()
    reason: str = ""  #: of class `rules`: it names attachments
    headers: tuple[tuple[str, str], ...] = ()
    found: tuple[Found, ...] = ()  #: attachments that rules are about
    policy: str = "default"  #: whose terms these are: the default's, or a domain's
    settings: tuple[str, ...] = ()  #: of what people set over the policy's file: what counted here, "KEY = VALUE"

    @property
    def strip(self) -> tuple[str, ...]:
        """Names of the attachments that a release leaves out."""
        return tuple(hit.name for hit in self.found if hit.action == Do.STRIP)

    def of(self, recipient: str) -> RecipientDecision:
        """As it crosses the wire."""
        return RecipientDecision(
            recipient=recipient,
            action=self.action,
            kind=self.kind,
            score=self.score,
            required=self.required,
            rules=list(self.rules),
            reason=self.reason,
            headers=list(self.headers),
            attachments=list(self.found),
            policy=self.policy,
            settings=list(self.settings),
        )


@dataclass(frozen=True, slots=True)
class _Ground:
    """One thing that speaks for an action."""

    action: Action
    kind: VerdictKind
    reason: str
    required: float | None = None
    result: ScanResult | None = None

    @property
    def weight(self) -> tuple[int, int]:
        return _ACTIONS.index(self.action), _KINDS.index(self.kind)


NOBODY_SAID = Word()


def decide(
    policy: Policy, results: Sequence[ScanResult], contents: Contents, recipient: str, said: Word = NOBODY_SAID
) -> Decision:
    """The strongest of what each scanner, each attachment rule and who blocked its sender asks for. A scanner whose
    word counts and that has none in `results` is away. Whom people allow is not held as spam: all else counts."""
    name, terms = policy.terms(recipient)
    by_scanner = {result.scanner: _weighed(result, terms.points.get(result.scanner, {})) for result in results}
    counted = [(scanner, by_scanner.get(scanner)) for scanner in policy.scanners(recipient)]
    grounds = [ground for scanner, result in counted for ground in _grounds(policy, terms, scanner, result)]
    heard = [result for _, result in counted if result is not None and result.error is None]
    hits: list[Found] = []
    if terms.attachment:
        hits = found(terms.attachment, contents, (m for result in heard for m in result.members))
        grounds += [_of_attachment(hit) for hit in hits]
        if contents.unread:
            grounds.append(_unread(Action(terms.unreadable.upper()), contents.unread))
    lifted: list[_Ground] = []
    if said.block:
        grounds.append(_Ground(Action.HOLD, VerdictKind.POLICY, str(said.block)))
    elif said.allow and not said.forged:
        lifted = [ground for ground in grounds if ground.kind is VerdictKind.SPAM]
        grounds = [ground for ground in grounds if ground.kind is not VerdictKind.SPAM]
    grounds.sort(key=lambda ground: ground.weight, reverse=True)
    lifted.sort(key=lambda ground: ground.weight, reverse=True)
    first = grounds[0] if grounds else None
    scored = next((g for g in grounds + lifted if g.result is not None and g.result.score is not None), None)
    counts = scored.result if scored else next((r for r in heard if r.score is not None), None)
    required = scored.required if scored else None
    decision = Decision(
        first.action if first else Action.PASS,
        first.kind if first else None,
        counts.score if counts else None,
        required if required is not None else counts.required if counts else None,
        tuple(rule for result in heard for rule in result.rules)[:_MOST_RULES],
        "; ".join(dict.fromkeys([*(ground.reason for ground in grounds), *_of_allowed(said, grounds, lifted)])),
        found=tuple(hits),
        policy=name,
        settings=_counted(policy.set_for(recipient), heard),
    )
    if first is None:
        return decision
    missing = [f"{scanner} ({_missing(result)})" for scanner, result in counted if _missing(result)]
    return tagged(decision, missing)


def _weighed(result: ScanResult, points: Mapping[str, float]) -> ScanResult:
    """A result with the policy's points for the rules that hit. What the scanner itself makes of the score follows, if
    it went by the score. A rule whose points it does not tell keeps its weight: nobody knows what to take away."""
    told = {rule.name: rule.points for rule in result.rules if rule.points is not None and rule.name in points}
    if result.score is None or not told:
        return result
    score = round(result.score + sum(points[name] - was for name, was in told.items()), 3)
    rules = [
        rule.model_copy(update={"points": points[rule.name]}) if rule.name in told else rule for rule in result.rules
    ]
    kind, required = result.kind, result.required
    if required is not None and not result.threats and (kind is None or result.score >= required):
        kind = (kind or spam_kind(rules)) if score >= required else None
    return result.model_copy(update={"score": score, "rules": rules, "kind": kind})


def _counted(settings: Mapping[str, float], heard: Sequence[ScanResult]) -> tuple[str, ...]:
    """Of the settings those that had a say: thresholds of who gave a score, points of rules that hit."""
    scored = [result for result in heard if result.score is not None]
    keys = {f"score.{result.scanner}.{name}" for result in scored for name in THRESHOLDS}
    keys |= {f"points.{result.scanner}.{rule.name}" for result in scored for rule in result.rules}
    return tuple(f"{key} = {value:g}" for key, value in sorted(settings.items()) if key in keys)


def _of_allowed(said: Word, grounds: Sequence[_Ground], lifted: Sequence[_Ground]) -> list[str]:
    """What became of it that its sender is allowed."""
    if said.allow is None:
        return []
    if said.forged and any(ground.kind is VerdictKind.SPAM for ground in grounds):
        return [f"{said.allow}, but DMARC fails for it"]
    return [f"{said.allow}: lifted: {ground.reason}" for ground in lifted]


def _grounds(policy: Policy, terms: Terms, scanner: str, result: ScanResult | None) -> Iterator[_Ground]:
    if result is None or result.error is not None:
        away = Action(policy.away(terms, scanner).upper())
        yield _Ground(away, VerdictKind.POLICY, f"{scanner} is away: {_missing(result)}")
        return
    if result.skipped is not None:
        action = Action(terms.too_large.get(scanner, "hold").upper())
        yield _Ground(action, VerdictKind.POLICY, f"{scanner} did not scan it: {result.skipped}")
        return
    kind = VerdictKind(result.kind) if result.kind else None
    if result.threats or (kind and kind is not VerdictKind.SPAM and result.score is None):
        does = {VerdictKind.PHISH: terms.phish, VerdictKind.POLICY: terms.suspicious}.get(kind or VerdictKind.VIRUS)
        named = ", ".join(result.threats) or "without a name"
        kind = kind if kind and kind is not VerdictKind.SPAM else VerdictKind.VIRUS
        yield _Ground(Action((does or terms.virus).upper()), kind, f"{scanner}: {named}", result=result)
    elif kind and _is_insisted(terms, result):
        said = f"{scanner} calls it spam" + (f": {result.reason}" if result.reason else "")
        yield _Ground(Action(terms.spam.upper()), kind, said, result.required, result)
    if result.score is not None and (thresholds := terms.score.get(scanner)) is not None:
        for action in (Action.REJECT, Action.HOLD, Action.TAG):
            least: float | None = getattr(thresholds, action.lower())
            if least is not None and result.score >= least:
                said = f"{scanner}: {result.score:g} of {least:g}"
                yield _Ground(action, kind or VerdictKind.SPAM, said, least, result)
                break


def _is_insisted(terms: Terms, result: ScanResult) -> bool:
    """Whether a scanner's own "spam" counts: there are no thresholds, or its score alone does not say so (a score of 0
    and a rejection is how rspamd says that it needed no rules)."""
    if result.scanner not in terms.score or result.score is None:
        return True
    return result.required is not None and result.score < result.required


def _missing(result: ScanResult | None) -> str:
    """Why there is no word of a scanner; "" if there is."""
    return "it was not asked" if result is None else result.error or result.skipped or ""


def _of_attachment(hit: Found) -> _Ground:
    action = Action.REJECT if hit.action == Do.BLOCK else Action.HOLD
    return _Ground(action, VerdictKind.ATTACHMENT, f"attachment {hit.name} ({hit.rule}: {hit.action})")


def _unread(action: Action, why: str) -> _Ground:
    return _Ground(action, VerdictKind.ATTACHMENT, f"the attachments can not all be read: {why}")


def tagged(decision: Decision, missing: Sequence[str]) -> Decision:
    """The decision with the fields that say it. What comes from outside may neither end a field nor begin one."""
    fields = [("X-Rcq-Verdict", f"{decision.kind}; {decision.reason}")]
    if decision.score is not None:
        spam = decision.kind in (VerdictKind.SPAM, VerdictKind.PHISH)
        tests = ",".join(r.name if r.points is None else f"{r.name}={r.points:g}" for r in decision.rules)
        required = "" if decision.required is None else f" required={decision.required:g}"
        status = f"{'Yes' if spam else 'No'}, score={decision.score:g}{required} tests="
        fields += [("X-Spam-Flag", "YES")] if spam else []
        fields.append(("X-Spam-Status", status + _whole(tests, _LONGEST_FIELD - len(status))))
    if missing:
        fields.append(("X-Rcq-Not-Scanned", ", ".join(missing)))
    headers = tuple((name, _UNPRINTABLE.sub("?", value)[:_LONGEST_FIELD]) for name, value in fields)
    return replace(decision, headers=headers)


def _whole(tests: str, room: int) -> str:
    """As many of the tests as fit, the last one whole."""
    return tests if len(tests) <= room else tests[:room].rpartition(",")[0]
