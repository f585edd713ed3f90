"""The filter language: text to a `Query`, and what a query says of a message and its mails.

Every term must hold; `-term` negates. A term looks at the message or at one mail of it; those that look at a mail must
all hold on the same mail. Without a term on status a query means `status:onhold`. Plain data, no pydantic: it may load
at any time.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .access import DataClass
from .facts import Facts, MailFacts
from .fields import FIELDS, MAX_VALUE, STATUSES, WORD, Level, Term, needs
from .ids import parse_id

if TYPE_CHECKING:
    from .mail import Row

MAX_TEXT = 4000  #: characters of a whole filter
MAX_TERMS = 60

#: What a list can be sorted by, and the class of data that sorting by it shows.
SORTS: dict[str, DataClass | None] = {
    "time": None,
    "score": DataClass.HEADERS,
    "size": None,
    "expiry": None,
    "from": DataClass.ENVELOPE,
    "to": DataClass.ENVELOPE,
    "subject": DataClass.SUBJECT,
    "verdict": None,
    "customer": None,
}


class QueryError(ValueError):
    """A filter that does not parse: which `term`, at which `place` (offset in the text), and what was `expected`."""

    def __init__(self, why: str, *, term: str, place: int, expected: str) -> None:
        super().__init__(f"{term[:80]} (character {place + 1}): {why}; expected {expected}")
        self.term, self.place, self.expected = term, place, expected


class QueryForbidden(Exception):
    """A term (or a sort) on a class of data that the viewer lacks."""

    def __init__(self, term: str, place: int, data_class: DataClass) -> None:
        super().__init__(f"{term} needs the class {data_class}, which you may not see")
        self.term, self.place, self.data_class = term, place, data_class


@dataclass(frozen=True)
class Query:
    """What a filter says. `given` are the terms as written, `terms` those with the default on status."""

    given: tuple[Term, ...]

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        if any(t.field == "status" for t in self.given):
            return self.given
        return (*self.given, DEFAULT)

    @cached_property
    def text(self) -> str:
        return " ".join(t.text for t in self.given)

    @cached_property
    def statuses(self) -> frozenset[str]:
        """The statuses that a mail which matches can have."""
        on_status = [t for t in self.terms if t.field == "status"]
        return frozenset(s for s in STATUSES if all((s in t.value) != t.negated for t in on_status))

    def of_level(self, level: Level) -> tuple[Term, ...]:
        return tuple(t for t in self.terms if FIELDS[t.field].level == level)

    def needs(self) -> frozenset[DataClass]:
        return frozenset().union(*(needs(t) for t in self.terms))

    def without(self, field: str) -> Query:
        """The same without its terms on a field."""
        return Query(tuple(term for term in self.given if term.field != field))

    def with_statuses(self, statuses: frozenset[str]) -> Query:
        """The same for mails of other statuses."""
        text = "status:" + ",".join(s.lower() for s in STATUSES if s in statuses)
        rest = (term for term in self.given if term.field != "status")
        return Query((*rest, Term("status", "=", statuses, False, 0, text)))


DEFAULT = Term("status", "=", frozenset({"ONHOLD"}), False, 0, "status:onhold")
ANY_STATUS = Term("status", "=", frozenset(STATUSES), False, 0, "status:any")
EVERY = Query((ANY_STATUS,))  #: every mail, whatever its status


# -- parsing --------------------------------------------------------------------------------------------------------

_FIELD = re.compile(r"([A-Za-z][A-Za-z_]*):")


def parse(text: str, *, me: str = "") -> Query:
    """The query that `text` says; `me` is whose claims `claim:me` means. Raises QueryError."""
    if len(text) > MAX_TEXT:
        raise QueryError(f"{len(text)} characters", term=text[:20], place=0, expected=f"at most {MAX_TEXT}")
    for place, char in enumerate(text):
        if unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\r\n":
            raise QueryError("a control character", term=repr(char), place=place, expected="text that can be read")
    terms: list[Term] = []
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        term, place = _term(text, place, me)
        terms.append(term)
        if len(terms) > MAX_TERMS:
            raise QueryError("too many terms", term=term.text, place=term.place, expected=f"at most {MAX_TERMS}")
    return Query(tuple(terms))


def _term(text: str, start: int, me: str) -> tuple[Term, int]:
    """The term that begins at `start`, and where it ends."""
    negated = text[start] == "-"
    begin = start + negated
    named = _FIELD.match(text, begin)
    raw, end = _value(text, named.end() if named else begin, start)
    term = text[start:end]
    name = named[1].lower() if named else WORD
    if name not in FIELDS or (named and name == WORD):
        raise _unknown(name, term, start)
    if not raw:
        missing = "nothing after the colon" if named else "nothing after the -" if negated else "empty quotes"
        raise QueryError(missing, term=term, place=start, expected=FIELDS[name].fits)
    if len(raw) > MAX_VALUE and name not in ("id", "campaign"):
        raise QueryError(f"{len(raw)} characters", term=term, place=start, expected=f"at most {MAX_VALUE}")
    try:
        op, value, shown = FIELDS[name].parse(raw, me)
    except (ValueError, KeyError, OverflowError):
        shown = f"{raw[:40]!r} does not fit {name}:"
        raise QueryError(shown, term=term, place=start, expected=FIELDS[name].fits) from None
    reads = ("-" if negated else "") + (f"{name}:" if named else "") + _quoted(shown, named is None)
    return Term(name, op, value, negated, start, reads), end


def _value(text: str, begin: int, start: int) -> tuple[str, int]:
    """The value that begins at `begin`, its quotes and escapes taken off, and where it ends."""
    if text[begin : begin + 1] != '"':
        end = begin
        while end < len(text) and not text[end].isspace():
            end += 1
        return text[begin:end], end
    quoted = re.compile(r'"((?:[^"\\]|\\.)*)"(?=\s|$)', re.DOTALL).match(text, begin)
    if not quoted:
        closed = 'a closing " with a space or the end after it'
        raise QueryError("quotes that do not close", term=text[start:][:80], place=start, expected=closed)
    return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL), quoted.end()


def _quoted(shown: str, bare: bool) -> str:
    if not re.search(r'[\s"]', shown) and not (bare and (shown.startswith("-") or _FIELD.match(shown))):
        return shown
    return '"' + re.sub(r'(["\\])', r"\\\1", shown) + '"'


def written(field: str, value: str) -> str:
    """A term on a field as it is written, its value in quotes where it needs them."""
    return f"{field}:{_quoted(value, bare=False)}"


def _unknown(name: str, term: str, place: int) -> QueryError:
    names = sorted(set(FIELDS) - {WORD})
    close = difflib.get_close_matches(name, names, 3, 0.55)
    expected = " or ".join(close) if close else "one of " + ", ".join(names)
    return QueryError(f"no field {name!r}", term=term, place=place, expected=f"{expected} (or quotes, for a word)")


def parse_sort(sort: str) -> tuple[str, bool]:
    """(name, descending) of a sort such as `-time`. Raises ValueError naming those there are."""
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise ValueError(f"no sort {sort[:40]!r}; expected one of {', '.join(SORTS)}, with - in front for descending")
    return name, sort.startswith("-")


# -- judging --------------------------------------------------------------------------------------------------------


def check(query: Query, classes: frozenset[DataClass], sort: str = "-time") -> None:
    """Refuses a query or a sort that would tell of a class of data not among `classes`: raises QueryForbidden."""
    for term in query.terms:
        for lacking in sorted(needs(term) - classes):
            raise QueryForbidden(term.text, term.place, lacking)
    shows = SORTS[parse_sort(sort)[0]]
    if shows is not None and shows not in classes:
        raise QueryForbidden(f"sort {sort}", 0, shows)


def matching(query: Query, facts: Facts, now_us: int) -> tuple[MailFacts, ...]:
    """The mails of the message that match."""
    for term in query.of_level("message"):
        if FIELDS[term.field].holds(term, facts, None, now_us) == term.negated:
            return ()
    terms = query.of_level("mail")
    return tuple(m for m in facts.mails if all(FIELDS[t.field].holds(t, facts, m, now_us) != t.negated for t in terms))


def matches(query: Query, facts: Facts, now_us: int, *, mail: MailFacts | None = None) -> bool:
    """Whether `mail` matches, or, without one, any mail of the message."""
    return any(mail is None or mail.n == m.n for m in matching(query, facts, now_us))


#: The key of a row that is None only when the viewer lacks the class.
_TELLS = {DataClass.ENVELOPE: "toEmail", DataClass.SUBJECT: "subject", DataClass.HEADERS: "rules"}
_TELLS |= dict.fromkeys((DataClass.BODY, DataClass.ATTACHMENTS), "campaign")


def matches_row(query: Query, row: Row, now_us: int) -> bool | None:
    """The same for the row of a message with one mail, as the feed brings it; None: the row can't answer."""
    if row.recipients != 1 or any(getattr(row, _TELLS[needed]) is None for needed in query.needs()):
        return None
    if any(n is not None for term in query.terms if term.field == "id" for _, n in term.value):
        return None
    if any(term.op != "=" for term in query.terms if term.field == "requested"):  # it does not say when
        return None
    if any(term.field == "seen" for term in query.terms):  # nor who looked
        return None
    if any(
        row.campaign is None or name[0] != row.campaign[0]
        for t in query.terms
        if t.field == "campaign"
        for name in t.value
    ):
        return None  # it names the campaign of one kind alone
    message, _ = parse_id(row.id)
    expiry = round(row.expiry.timestamp() * 1_000_000) if row.expiry else 0
    claim, requested = row.claim.who if row.claim else None, 0 if row.requested else None
    mail = MailFacts(0, row.toEmail or "", row.status, expiry, claim, requested)
    facts = Facts(
        id=message,
        at=round(row.timestamp.timestamp() * 1_000_000),
        size=row.size,
        sender=row.sender or "",
        from_email=row.fromEmail or "",
        subject=row.subject or "",
        score=row.score,
        verdict=row.verdict,
        rules=tuple(row.rules or ()),
        customer=row.customer,
        degraded=row.degraded,
        campaigns=(row.campaign,) if row.campaign is not None else (),
        mails=(mail,),
    )
    return matches(query, facts, now_us)
