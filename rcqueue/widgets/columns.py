"""The columns of the queue: which there are at a width, how wide they are, and what a row says in each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len

from .line import Piece
from .text import address, age, ago, fit

if TYPE_CHECKING:
    from rcqueue.client.window import Line as Row
    from rcqueue.model.mail import Row as Mail

MARK = 2  # cells before the first column: the cursor, and a mark
SOON = 86400  # seconds: what expires within a day is said in amber
_FIXED = {"who": 11, "age": 4, "score": 5, "kind": 6, "expiry": 4, "customer": 13}
_TITLES = {
    "who": "WHO",
    "age": "AGE",
    "score": "SCORE",
    "kind": "KIND",
    "from": "FROM",
    "to": "TO",
    "subject": "SUBJECT",
    "expiry": "EXP",
    "customer": "CUSTOMER",
}
_ORDER = ("who", "age", "score", "kind", "from", "to", "subject", "expiry", "customer")
_GIVES_WAY = ("customer", "expiry", "score", "kind", "to")  # in this order
_LEAST = {"from": 18, "to": 10, "subject": 14}
_RIGHT = {"age", "score", "expiry"}
_KINDS = {"ATTACHMENT": "ATTACH"}


@dataclass(frozen=True, slots=True)
class Layout:
    """`widths` has the columns that are shown, in order, each with its cells; one blank cell stands before each."""

    width: int
    widths: dict[str, int]

    @classmethod
    def at(cls, width: int) -> Layout:
        shown = list(_ORDER)
        for column in _GIVES_WAY:
            if _needed(shown, column) <= width:
                break
            shown.remove(column)
        rest = width - MARK - len(shown) - sum(_FIXED.get(c, 0) for c in shown)
        widths = dict(_FIXED)
        if "to" in shown:
            widths["to"] = max(_LEAST["to"], min(26, rest * 23 // 100))
            rest -= widths["to"]
        widths["from"] = max(8, min(32, rest * 6 // 10))
        widths["subject"] = max(0, rest - widths["from"])
        return cls(width, {column: widths[column] for column in shown})

    def head(self, sort: str) -> list[Piece]:
        """The titles; one that the list is sorted by, when it is not newest first, has a mark, `-` or `+`."""
        by = {"time": "age", "verdict": "kind"}.get(sort.removeprefix("-"), sort.removeprefix("-"))
        pieces = [(" " * MARK, "")]
        for column, width in self.widths.items():
            text = " " + fit(_TITLES[column], width, right=column in _RIGHT)
            if column == by and sort != "-time":
                at = len(text) - len(text.lstrip()) - 1
                text = text[:at] + ("-" if sort.startswith("-") else "+") + text[at + 1 :]
            pieces.append((text, "dim"))
        return pieces


def _needed(shown: list[str], column: str) -> int:
    """The least width at which `column` is worth its cells: the wider ones ask for more room beside them."""
    room = {"customer": 16, "expiry": 8}.get(column, 0)
    return MARK + len(shown) + room + sum(_FIXED.get(c, 0) or _LEAST[c] for c in shown)


@dataclass(frozen=True, slots=True)
class Look:
    """How a row is to be painted, beside what it says."""

    cursor: bool
    marked: bool
    session: str  #: the mark of my own session: a claim under it is mine
    now: datetime


def cells(line: Row, layout: Layout, look: Look) -> list[Piece]:
    """One row, in exactly the layout's width."""
    mail = line.row
    mine = mail.claim is not None and mail.claim.session == look.session
    base = "dim" if line.gone or (mail.claim is not None and not mine) else ""
    pieces = [((">" if look.cursor else " ") + ("*" if look.marked else "!" if mail.degraded else " "), base)]
    for column, width in layout.widths.items():
        if line.gone and column in ("to", "subject"):
            rest = layout.width - sum(cell_len(text) for text, _ in pieces)
            pieces.append((" " + fit(line.gone, rest - 1), base))
            break
        text, style = _cell(column, mail, layout, look, mine=mine)
        if column == "from":
            text = address(text, width)
        pieces.append((" " + fit(text, width, right=column in _RIGHT), base or style))
    if look.cursor:
        return [(text, f"cursor {style}".strip()) for text, style in pieces]
    return [(text, f"strong {style}".strip()) for text, style in pieces] if line.new else pieces


def _cell(column: str, mail: Mail, layout: Layout, look: Look, *, mine: bool) -> Piece:
    left = (mail.expiry - look.now).total_seconds() if mail.expiry and mail.status == "ONHOLD" else None
    soon = left is not None and left < SOON
    match column:
        case "who":
            if mail.claim is not None:
                some = mail.claim.mails < mail.matching
                who = f"{mail.claim.who} {mail.claim.mails}/{mail.matching}" if some else mail.claim.who
                return who, "mine" if mine else "dim"
            if mail.status != "ONHOLD":
                return mail.status, "warn" if mail.status == "UNCERTAIN" else "dim"
            if mail.requested:
                some = mail.requested < mail.matching
                return f"asks {mail.requested}/{mail.matching}" if some else "asks", "warn" if soon else "strong"
            if soon and left is not None and "expiry" not in layout.widths:
                return f"exp {age(left)}", "warn"
            return "", ""
        case "age":
            return ago((look.now - mail.timestamp).total_seconds()), ""
        case "score":
            return "" if mail.score is None else f"{mail.score:.1f}", ""
        case "kind":
            return _KINDS.get(mail.verdict, mail.verdict), "bad" if mail.verdict == "VIRUS" else ""
        case "from":
            return mail.fromEmail or mail.sender or ("<>" if mail.sender == "" else ""), ""
        case "to":
            return (mail.toEmail or "") if mail.matching == 1 else f"x {mail.matching:,}", ""
        case "subject":
            return mail.subject if mail.subject else "(no subject)" if mail.subject == "" else "", ""
        case "expiry":
            return ("" if left is None else age(left)), "warn" if soon else ""
    return mail.customer, ""
