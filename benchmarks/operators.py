"""A scripted operator at a real terminal: presses keys, and knows nothing but what is painted.

What they decide by is the sender in the row under their cursor: offers that people signed up for are released, all else
is deleted. What a colleague has locked they leave alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.screens import Screen
from tests.ptyharness import KEYS

WIDTH, HEIGHT = 80, 24
PATIENCE = 60.0  #: seconds for what a key asks for
#: How each sorts the list, by that many times `o`: so they begin at different mails.
ORDERS = ("newest first", "oldest first", "most points first", "by verdict", "by from")
APART = 3  #: pages of campaigns that they begin from each other
EMPTY = "No campaign has a mail"

_WANTED = re.compile(r"(?:^|@)(?:deals|outlet|bulk)\d*\.")
_TITLES = re.compile(r" (?:WHO|CLAIMED) .*\bFROM .*\bSUBJECT")
_GONE = re.compile(r"\b(?:deleted|released) it\b|\bno longer\b")
_ASKED = re.compile(r"Type ([\d,]+) to confirm")
_Seen = TypeVar("_Seen")


def decides(sender: str) -> str:
    """The key for mail of this sender, an address or a domain."""
    return "r" if _WANTED.search(sender) else "d"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the queue or of the campaigns, as it is painted."""

    line: int
    here: bool  #: the cursor is on it
    who: str  #: who holds it, or some of it; "" nobody
    sender: str
    gone: bool
    text: str

    def held_by(self, name: str) -> bool:
        return self.who.split(" ")[0] == name


def rows(text: str) -> list[Row]:
    """The rows that are on the screen."""
    lines = text.splitlines()
    titles = next((n for n, line in enumerate(lines) if _TITLES.search(line)), None)
    if titles is None:
        return []
    at = {title.group(): title.start() for title in re.finditer(r"[A-Z]+", lines[titles])}
    starts = list(at.values())
    shown = [at["WHO" if "WHO" in at else "CLAIMED"], at["FROM"]]
    columns = [slice(start, starts[starts.index(start) + 1]) for start in shown]
    found = []
    for n, line in enumerate(lines[titles + 1 :], titles + 1):
        who, sender = (line[column].strip() for column in columns)
        if not sender:
            break
        who = "" if who.startswith("(") else who.split("  ")[0]  # (kim) only looks at it
        found.append(Row(n, line.startswith(">"), who, sender, bool(_GONE.search(line)), line[1:].strip()))
    return found


class Operator:
    """Presses keys, counted in `keys`, of which `claims` claim. `lost`: claims that a colleague was faster with;
    `strange`: questions that did not name the sender of the row that the key was pressed on."""

    def __init__(self, name: str, turn: int, screen: Screen) -> None:
        self.name, self.turn, self.screen = name, turn, screen
        self.keys = self.claims = self.mails = self.lost = self.strange = 0

    def press(self, *keys: str | bytes) -> None:
        for key in keys:
            self.screen.send(key)
        self.keys += len(keys)

    def sees(self, shown: Callable[[], _Seen | None], what: str, limit: float = PATIENCE) -> _Seen:
        self.screen.wait_until(lambda: bool(shown()), limit, f"{self.name}: {what}")
        seen = shown()
        assert seen is not None
        return seen

    def changes(self, before: str, limit: float) -> bool:
        """Whether the rows come to differ from `before` in that many seconds."""
        try:
            self.sees(lambda: self.screen.text != before or None, "a change", limit)
        except AssertionError:
            return False
        return True

    @property
    def rows(self) -> list[Row]:
        return rows(self.screen.text)

    @property
    def here(self) -> Row | None:
        return next((row for row in self.rows if row.here), None)

    def row(self, right: Callable[[Row], bool], what: str) -> Row:
        """The row under the cursor, as soon as it is so."""
        return self.sees(lambda: row if (row := self.here) is not None and right(row) else None, what)

    # -- by rows

    def by_rows(self, mails: int) -> None:
        """So many mails of the list, one after the other: claim, decide, next."""
        self.press(*("o" for _ in range(self.turn)))
        if self.turn:
            self.screen.wait_for(f"sorted: {ORDERS[self.turn]}", PATIENCE)
        while self.mails < mails:
            row = self.row(lambda row: True, "a mail under the cursor")
            if row.gone or (row.who and not row.held_by(self.name)):  # a colleague's, who may be done with it
                self._next()
                continue
            self._claim()
            row = self.row(lambda row: bool(row.who) or row.gone, "who has it")
            if row.gone or not row.held_by(self.name):
                self.lost += 1
            else:
                self.press(decides(row.sender))
                self.row(lambda row: row.gone, "that it is done")
                self.mails += 1
            self._next()

    def _claim(self) -> None:
        self.press("c")
        self.claims += 1

    def _next(self, key: str = "j") -> None:
        before = self.here
        self.press(key)
        self.sees(lambda: self.here != before or None, "the next row")

    # -- by campaigns

    def by_campaigns(self) -> None:
        """All there is, a campaign at a time."""
        self.press("m")
        self.sees(lambda: self.here if "CLAIMED" in self.screen.text else None, "campaigns")
        for _ in range(self.turn * APART):
            self._page()
        decided = time.monotonic()
        while EMPTY not in self.screen.text:
            assert time.monotonic() < decided + PATIENCE, f"{self.name} finds nothing to do:\n{self.screen.text}"
            free = [row for row in self.rows if not row.gone and (not row.who or row.held_by(self.name))]
            here = self.here
            if here is None or not free:
                self._elsewhere()
            elif here.gone:
                self._next()
            elif here in free:
                self._decide(here)
                decided = time.monotonic()
            else:
                self._next("j" if free[-1].line > here.line else "k")

    def _page(self) -> bool:
        before = self.screen.text
        self.press(" ")
        return self.changes(before, 1)

    def _elsewhere(self) -> None:
        """Nothing is to be done on this screen: one further, from the end to the top again."""
        if EMPTY not in self.screen.text and not self._page():
            before = self.screen.text
            self.press("g")
            if not self.changes(before, 1):
                self.changes(self.screen.text, 5)  # what is left is in others' hands

    def _decide(self, row: Row) -> None:
        if not row.who:
            self._claim()
            row = self.row(lambda row: bool(row.who) or row.gone, "who has it")
            if row.gone or not row.held_by(self.name):
                self.lost += 1
                return
        count = self._asked(row)
        self.press(*count, KEYS["enter"])
        self.sees(lambda: not _ASKED.search(self.screen.text) or None, "that the question is answered")
        self.row(lambda now: now.gone or now.sender != row.sender or not now.held_by(self.name), "that it is done")

    def _asked(self, row: Row) -> str:
        """The count that is to be typed for this campaign."""
        self.press(decides(row.sender))
        asked = self.sees(lambda: _ASKED.search(self.screen.text), "how many")
        question = re.sub(r"[\s│]", "", self.screen.text)
        self.strange += "+" not in row.sender and row.sender.removeprefix("..") not in question
        return asked[1]
