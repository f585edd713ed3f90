"""The fields of the filter language, each declared once: what values fit it, and when a term on it holds.

`holds` judges facts in plain Python; server/store/query_sql.py has the same as SQL, and a test holds the two equal.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from .access import DataClass, covers
from .facts import Facts, MailFacts
from .folding import domain_of, fold_ascii, fold_words, words_of
from .ids import ALPHABET, parse_id

#: The name of a campaign: C... of those by all that is known of a message, E... by envelope, network and subject alone.
CAMPAIGN = f"[CE][{ALPHABET}]{{10}}"
MAX_VALUE = 320  #: characters of one value: the longest address there can be

STATUSES = ("ONHOLD", "RELEASING", "UNCERTAIN", "RELEASED", "DELETED", "EXPIRED", "PASSED", "REJECTED")
VERDICTS = ("SPAM", "VIRUS", "PHISH", "ATTACHMENT", "POLICY", "MANUAL")

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Term:
    """One term. `value` is of the type its field's parser gives; times and durations are microseconds."""

    field: str
    op: str
    value: Any
    negated: bool
    place: int = dataclasses.field(compare=False)
    text: str = dataclasses.field(compare=False)  #: as it reads, normalised


# -- values ---------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"(<=|>=|<|>|=)?\s*(-?\d{1,15}(?:\.\d{1,9})?)([A-Za-z]*)")
_SIZES = {"": 1, "B": 1, "K": 1024, "KB": 1024, "M": 1024**2, "MB": 1024**2, "G": 1024**3, "GB": 1024**3}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

#: (op, value, how it reads) of a raw value; a ValueError says that it does not fit.
Parsed = tuple[str, Any, str]


def _number(raw: str) -> tuple[str, float, str, str]:
    found = _NUMBER.fullmatch(raw)
    if not found:
        raise ValueError
    return found[1] or "=", float(found[2]), found[3], found[2]


def _score(raw: str, me: str) -> Parsed:
    op, number, unit, shown = _number(raw)
    if unit:
        raise ValueError
    return op, number, ("" if op == "=" else op) + shown


def _size(raw: str, me: str) -> Parsed:
    op, number, unit, shown = _number(raw)
    if unit.upper() not in _SIZES or not 0 <= number * _SIZES[unit.upper()] < 1 << 60:
        raise ValueError
    return op, round(number * _SIZES[unit.upper()]), ("" if op == "=" else op) + shown + unit.upper()


def _duration(raw: str, me: str) -> Parsed:
    op, number, unit, shown = _number(raw)
    micros = number * _UNITS[unit.lower()] * 1_000_000 if unit.lower() in _UNITS else math.inf
    if op == "=" or not abs(micros) < 1 << 60:
        raise ValueError
    return op, round(micros), op + shown + unit.lower()


def _moment(raw: str, me: str) -> Parsed:
    found = re.fullmatch(r"(<=|>=|<|>)\s*(\S.*)", raw)
    if not found:
        raise ValueError
    at = datetime.fromisoformat(found[2])
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return found[1], round(at.timestamp() * 1_000_000), found[1] + at.isoformat().replace("+00:00", "Z")


def _address(raw: str, me: str) -> Parsed:
    if raw == "<>":
        return "=", raw, raw
    value = fold_ascii(raw)
    if "@" not in value.lstrip("@"):
        value = raw.lower().lstrip("@").removeprefix("*").strip(".")
    if not value or value.startswith("@") or value.endswith("@") or any(c.isspace() for c in value):
        raise ValueError
    return "=", value, value


def _recipient(raw: str, me: str) -> Parsed:
    if raw == "<>":
        raise ValueError
    return _address(raw, me)


def _one_of(names: tuple[str, ...], every: str = "") -> Callable[[str, str], Parsed]:
    def parse_names(raw: str, me: str) -> Parsed:
        wanted = raw.upper().split(",")
        if wanted == [every]:
            return "=", frozenset(names), raw.lower()
        if not set(wanted) <= set(names):
            raise ValueError
        return "=", frozenset(wanted), ",".join(sorted(set(wanted), key=names.index)).lower()

    return parse_names


def _yes_no(raw: str, me: str) -> Parsed:
    return "=", {"yes": True, "no": False}[raw.lower()], raw.lower()


def _asked(raw: str, me: str) -> Parsed:
    return _yes_no(raw, me) if raw.lower() in ("yes", "no") else _duration(raw, me)


def _phrase(raw: str, me: str) -> Parsed:
    value = fold_words(raw)
    if not value:
        raise ValueError
    return "=", value, raw


def _rule(raw: str, me: str) -> Parsed:
    if not re.fullmatch(r"[A-Za-z0-9_.:+-]+", raw):
        raise ValueError
    return "=", fold_ascii(raw), raw


def _customers(raw: str, me: str) -> Parsed:
    paths = tuple(dict.fromkeys(p.strip("/") for p in raw.split(",")))
    if not all(paths):
        raise ValueError
    return "=", paths, ",".join(paths)


def _ids(raw: str, me: str) -> Parsed:
    texts = raw.upper().split(",")
    return "=", tuple(dict.fromkeys(map(parse_id, texts))), ",".join(dict.fromkeys(texts))


def _campaigns(raw: str, me: str) -> Parsed:
    names = tuple(dict.fromkeys(raw.upper().split(",")))
    if not all(re.fullmatch(CAMPAIGN, name) for name in names):
        raise ValueError
    return "=", names, ",".join(names)


def _holder(raw: str, me: str) -> Parsed:
    if raw.lower() in ("none", "any"):
        return raw.lower(), "", raw.lower()
    if raw.lower() == "me":
        if not me:
            raise ValueError
        return "=", me, "me"
    return "=", raw, raw


# -- what terms hold on ---------------------------------------------------------------------------------------------

Holds = Callable[[Term, Facts, MailFacts | None, int], bool]


def _fits(value: str, address: str) -> bool:
    if "@" in value:
        return fold_ascii(address) == value
    domain = domain_of(address)
    return domain == value or domain.endswith("." + value)


def _from(term: Term, facts: Facts, mail: MailFacts | None, now_us: int) -> bool:
    if term.value == "<>":
        return facts.sender == ""
    return _fits(term.value, facts.from_email) or _fits(term.value, facts.sender)


def _word(term: Term, facts: Facts, mail: MailFacts | None, now_us: int) -> bool:
    return term.value in words_of(facts.subject, facts.from_email, facts.sender, (m.rcpt for m in facts.mails))


def _claimed(term: Term, mail: MailFacts) -> bool:
    if term.op == "=":
        return bool(mail.claim == term.value)
    return (mail.claim is None) == (term.op == "none")


def _seen(term: Term, facts: Facts, mail: MailFacts | None, now_us: int) -> bool:
    if term.op == "=":
        return term.value in facts.seen
    return bool(facts.seen) == (term.op == "any")


def _requested(term: Term, mail: MailFacts, now_us: int) -> bool:
    if term.op == "=":
        return bool((mail.requested is not None) == term.value)
    return mail.requested is not None and bool(COMPARE[term.op](now_us - mail.requested, term.value))


def _on_mail(holds: Callable[[Term, Facts, MailFacts, int], bool]) -> Holds:
    return lambda term, facts, mail, now_us: mail is not None and holds(term, facts, mail, now_us)


Level = Literal["message", "mail"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the language. `indexed`: a page of it costs the same at any size of the queue."""

    name: str
    parse: Callable[[str, str], Parsed]
    fits: str  #: what would have fitted, for the person who mistyped
    holds: Holds
    level: Level = "message"
    needs: frozenset[DataClass] = frozenset()
    indexed: bool = True


_ENVELOPE = frozenset({DataClass.ENVELOPE})
_HEADERS = frozenset({DataClass.HEADERS})
_SUBJECT = frozenset({DataClass.SUBJECT})
EVERYONES = _ENVELOPE | _HEADERS | _SUBJECT  #: what a campaign E... tells of,
ALL_OF_IT = EVERYONES | {DataClass.ATTACHMENTS, DataClass.BODY}  #: and a campaign C...
WORD = "word"  #: the field of bare words; it has no name in the language

FIELDS: dict[str, Field] = {
    f.name: f
    for f in (
        Field(
            "status",
            _one_of(STATUSES, "ANY"),
            "any, or some of onhold, releasing, uncertain, released, deleted, expired with commas",
            _on_mail(lambda t, f, m, now: m.status in t.value),
            "mail",
        ),
        Field("from", _address, "a domain, an address, or <> for no sender", _from, needs=_ENVELOPE),
        Field(
            "to",
            _recipient,
            "a domain or an address",
            _on_mail(lambda t, f, m, now: _fits(t.value, m.rcpt)),
            "mail",
            _ENVELOPE,
        ),
        Field(
            "subject",
            _phrase,
            'words of the subject, with spaces in quotes: "invoice 7"',
            lambda t, f, m, now: t.value in fold_words(f.subject),
            needs=_SUBJECT,
            indexed=False,
        ),
        Field(
            "score",
            _score,
            "a number, with < <= > or >= if wished: >8",
            lambda t, f, m, now: f.score is not None and COMPARE[t.op](f.score, t.value),
            needs=_HEADERS,
        ),
        Field(
            "size",
            _size,
            "bytes or K, M, G, with < <= > or >= if wished: <1M",
            lambda t, f, m, now: COMPARE[t.op](f.size, t.value),
        ),
        Field(
            "verdict",
            _one_of(VERDICTS),
            "some of spam, virus, phish, attachment, policy, manual with commas",
            lambda t, f, m, now: f.verdict in t.value,
        ),
        Field(
            "rule",
            _rule,
            "the name of a rule: URIBL_BLACK",
            lambda t, f, m, now: any(fold_ascii(r) == t.value for r in f.rules),
            needs=_HEADERS,
            indexed=False,
        ),
        Field(
            "customer",
            _customers,
            "paths of customers with commas: acme/sales",
            lambda t, f, m, now: any(covers(path, f.customer) for path in t.value),
        ),
        Field(
            "campaign",
            _campaigns,
            "names of campaigns with commas, as lists show them",
            lambda t, f, m, now: any(name in f.campaigns for name in t.value),
            needs=EVERYONES,
        ),
        Field(
            "age",
            _duration,
            "< or > and a time in s, m, h, d or w: <2h",
            lambda t, f, m, now: COMPARE[t.op](now - f.at, t.value),
        ),
        Field(
            "at",
            _moment,
            "< <= > or >= and an RFC 3339 time: >=2026-11-24T10:00Z",
            lambda t, f, m, now: COMPARE[t.op](f.at, t.value),
        ),
        Field(
            "expires",
            _duration,
            "< or > and a time in s, m, h, d or w: <1d",
            _on_mail(lambda t, f, m, now: m.status == "ONHOLD" and COMPARE[t.op](m.expiry - now, t.value)),
            "mail",
        ),
        Field("claim", _holder, "me, none, any or a name", _on_mail(lambda t, f, m, now: _claimed(t, m)), "mail"),
        Field("seen", _holder, "me, none, any or a name", _seen),
        Field(
            "requested",
            _asked,
            "yes, no, or < or > and how long ago its recipient asked for it: <1d",
            _on_mail(lambda t, f, m, now: _requested(t, m, now)),
            "mail",
        ),
        Field("degraded", _yes_no, "yes or no", lambda t, f, m, now: (f.degraded is not None) == t.value),
        Field(
            "id",
            _ids,
            "ids with commas, 13 characters a message's, 16 a mail's",
            _on_mail(lambda t, f, m, now: any(i == f.id and n in (None, m.n) for i, n in t.value)),
            "mail",
        ),
        Field(WORD, _phrase, "words", _word, needs=_SUBJECT | _ENVELOPE, indexed=False),
    )
}


def campaign_needs(name: str) -> frozenset[DataClass]:
    """The classes of data that a campaign tells of, by its name."""
    return EVERYONES if name.startswith("E") else ALL_OF_IT


def needs(term: Term) -> frozenset[DataClass]:
    """The classes of data that a term tells of."""
    if term.field == "campaign":
        return frozenset().union(*map(campaign_needs, term.value))
    return FIELDS[term.field].needs
