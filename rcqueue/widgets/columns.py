"""The columns of the queue: which there are at a width, how wide they are, and what a row says in each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len

from rcqueue.model.kind import kind_of
from rcqueue.safe_text import safe_text

from .line import Piece
from .text import address, age, ago, fit, size

if TYPE_CHECKING:
    from rcqueue.client.window import Line as Row
    from rcqueue.model.mail import Row as Mail

MARK = 2  # cells before the first column: the cursor, and a mark
SOON = 86400  # seconds: what expires within a day is said in amber
_FIXED = {"who": 11, "age": 4, "score": 5, "kind": 6, "size": 7, "expiry": 4, "customer": 13, "campaign": 11}
TITLES = {
    "who": "WHO",
    "age": "AGE",
    "score": "SCORE",
    "kind": "KIND",
    "from": "FROM",
    "to": "TO",
    "subject": "SUBJECT",
    "expiry": "EXP",
    "customer": "CUSTOMER",
    "size": "SIZE",
    "rules": "RULES",
    "campaign": "CAMPAIGN",
}
DEFAULT = ("who", "age", "score", "kind", "from", "to", "subject", "expiry", "customer")
EXPECTED = f"a list of some of {', '.join(TITLES)}, none twice"
_GIVES_WAY = ("customer", "expiry", "score", "kind", "to", "size", "campaign", "rules")  # in this order
_LEAST = {"from": 18, "to": 10, "subject": 14, "rules": 16}
_RIGHT = {"age", "score", "expiry", "size"}
_KINDS = {"ATTACHMENT": "ATTACH"}
#: The server's orders, by the column that they are of; the way each begins.
SORTS = {
    "age": "-time",
    "score": "-score",
    "kind": "verdict",
    "from": "from",
    "to": "to",
    "subject": "subject",
    "expiry": "expiry",
    "size": "-size",
    "customer": "customer",
}


def wrong(chosen: Sequence[object]) -> str:
    """What is wrong with these as the columns to show, and what was expected; "" when nothing is."""
    strange = next((c for c in chosen if c not in tuple(TITLES)), None)
    if strange is not None:
        return f"{safe_text(str(strange), limit=40)!r} is no column; expected {EXPECTED}"
    return "" if chosen and len(set(chosen)) == len(chosen) else f"expected {EXPECTED}"


def next_sort(sort: str, shown: Sequence[str]) -> str:
    """The order after `sort`: newest first, oldest first, then by each other column that is shown and can be sorted
    by."""
    sorts = ["-time", "time", *(SORTS[column] for column in shown if column in SORTS and column != "age")]
    same = [n for n, own in enumerate(sorts) if own.removeprefix("-") == sort.removeprefix("-")]
    at = sorts.index(sort) if sort in sorts else same[0] if same else -1
    return sorts[(at + 1) % len(sorts)]


def sort_by(column: str, sort: str) -> str | None:
    """The order when the heading of `column` is chosen: its own, turned round when the list is so already; None: there
    is none by it."""
    own = SORTS.get(column)
    if own == sort:
        return sort.removeprefix("-") if sort.startswith("-") else "-" + sort
    return own


@dataclass(frozen=True, slots=True)
class Layout:
    """`widths` has the columns that are shown, in order, each with its cells; one blank cell stands before each."""

    width: int
    widths: dict[str, int]

    @classmethod
    def at(cls, width: int, chosen: Sequence[str] = DEFAULT) -> Layout:
        """The chosen columns in their order, as far as there is room for them; where the person chose, what stands last
        goes first."""
        shown = list(chosen)
        own = [column for column in reversed(chosen) if column in _GIVES_WAY]
        for column in own if tuple(chosen) != DEFAULT else _GIVES_WAY:
            if column not in shown:
                continue
            if _needed(shown, column) <= width:
                break
            shown.remove(column)
        rest = width - MARK - len(shown) - sum(_FIXED.get(c, 0) for c in shown)
        widths = dict(_FIXED)
        for column, most, share in (("to", 26, 23), ("rules", 40, 25)):
            if column in shown:
                widths[column] = max(_LEAST[column], min(most, rest * share // 100))
                rest -= widths[column]
        if "from" in shown:
            widths["from"] = max(8, min(32, rest * 6 // 10)) if "subject" in shown else max(8, min(60, rest))
            rest -= widths["from"]
        widths["subject"] = max(0, rest)
        return cls(width, {column: widths[column] for column in shown})

    def column_at(self, x: int) -> str | None:
        """The column that is at this cell of a line."""
        end = MARK
        for column, width in self.widths.items():
            end += 1 + width
            if MARK <= x < end:
                return column
        return None

    def head(self, sort: str) -> list[Piece]:
        """The titles; one that the list is sorted by, when it is not newest first, has a mark, `-` or `+`."""
        pieces = [(" " * MARK, "")]
        for column, width in self.widths.items():
            text, style = " " + fit(TITLES[column], width, right=column in _RIGHT), "dim"
            if sort != "-time" and column == sorted_column(sort):
                at = len(text) - len(text.lstrip()) - 1
                text, style = text[:at] + ("-" if sort.startswith("-") else "+") + text[at + 1 :], "strong"
            pieces.append((text, style))
        return pieces


def sorted_column(sort: str) -> str | None:
    """The column that a list in this order is sorted by."""
    return next((column for column, own in SORTS.items() if own.removeprefix("-") == sort.removeprefix("-")), None)


def _needed(shown: list[str], column: str) -> int:
    """The least width at which `column` is worth its cells: the wider ones ask for more room beside them."""
    room = {"customer": 16, "expiry": 8, "size": 8, "rules": 30}.get(column, 0)
    return MARK + len(shown) + room + sum(_FIXED.get(c, 0) or _LEAST[c] for c in shown)


@dataclass(frozen=True, slots=True)
class Look:
    """How a row is to be painted, beside what it says."""

    cursor: bool
    marked: bool
    session: str  #: the mark of my own session: a claim under it is mine
    now: datetime
    changed: bool = False  #: since this terminal last had it under the cursor
    me: str = ""  #: my name: what was assigned to me waits under no session
    looking: str = ""  #: colleagues whose cursor is on it
    letter: str = ""  #: that goes there


def cells(line: Row, layout: Layout, look: Look) -> list[Piece]:
    """One row, in exactly the layout's width."""
    mail = line.row
    mine = mail.claim is not None and mail.claim.of(look.me, look.session)
    base = "dim" if line.gone or (mail.claim is not None and not mine) else ""
    pieces = [
        ((look.letter, "strong") if look.letter else (">" if look.cursor else " ", base)),
        (_mark(mail, look), base),
    ]
    *_, last = layout.widths
    says = next((c for c in layout.widths if c in ("to", "subject", "rules")), last)
    for column, width in layout.widths.items():
        if line.gone and column == says:
            rest = layout.width - sum(cell_len(text) for text, _ in pieces)
            pieces.append((" " + fit(line.gone, rest - 1), base))
            break
        text, style = _cell(column, mail, layout, look, mine=mine)
        if column == "from":
            text = address(text, width)
        pieces.append((" " + fit(text, width, right=column in _RIGHT), base or style))
    if (rest := layout.width - MARK - sum(layout.widths.values()) - len(layout.widths)) > 0 and not line.gone:
        pieces.append((" " * rest, base))
    if look.cursor:
        return [(text, f"cursor {style}".strip()) for text, style in pieces]
    return [(text, f"strong {style}".strip()) for text, style in pieces] if line.new else pieces


def _mark(mail: Mail, look: Look) -> str:
    return "*" if look.marked else "+" if look.changed else "!" if mail.degraded else " "


def _cell(column: str, mail: Mail, layout: Layout, look: Look, *, mine: bool) -> Piece:
    left = (mail.expiry - look.now).total_seconds() if mail.expiry and mail.status == "ONHOLD" else None
    soon = left is not None and left < SOON
    match column:
        case "who":
            if mail.claim is not None:
                some = mail.claim.mails < mail.matching
                who = f"from {mail.claim.by}" if mine and mail.claim.by else mail.claim.who
                who = f"{who} {mail.claim.mails}/{mail.matching}" if some else who
                return who, "mine" if mine else "dim"
            if mail.status != "ONHOLD":
                return mail.status, "warn" if mail.status == "UNCERTAIN" else "dim"
            if mail.requested:
                some = mail.requested < mail.matching
                return f"asks {mail.requested}/{mail.matching}" if some else "asks", "warn" if soon else "strong"
            if soon and left is not None and "expiry" not in layout.widths:
                return f"exp {age(left)}", "warn"
            return (f"({look.looking})", "dim") if look.looking else ("", "")
        case "age":
            return ago((look.now - mail.timestamp).total_seconds()), ""
        case "score":
            return "" if mail.score is None else f"{mail.score:.1f}", ""
        case "kind":
            kind = kind_of(mail.verdict, mail.status)
            return _KINDS.get(kind, kind), "bad" if mail.verdict == "VIRUS" else ""
        case "from":
            return mail.fromEmail or mail.sender or ("<>" if mail.sender == "" else ""), ""
        case "to":
            return (mail.toEmail or "") if mail.matching == 1 else f"x {mail.matching:,}", ""
        case "subject":
            return mail.subject if mail.subject else "(no subject)" if mail.subject == "" else "", ""
        case "expiry":
            return ("" if left is None else age(left)), "warn" if soon else ""
        case "size":
            return size(mail.size), ""
        case "rules":
            return " ".join(mail.rules or ()), ""
        case "campaign":
            return mail.campaign or "", ""
    return mail.customer, ""
