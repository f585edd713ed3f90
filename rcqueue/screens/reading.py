"""What is read of the mail under the cursor, part by part, and shown in the panes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rcqueue.widgets import parts
from rcqueue.widgets.line import Piece
from rcqueue.widgets.pane import Entry
from rcqueue.widgets.timeline import timeline

if TYPE_CHECKING:
    from rcqueue.client.desk import Desk
    from rcqueue.model.mail import Row

AGAIN = 0.25  # seconds in which what changes a mail is gathered, before its parts are read anew
#: What each tab needs from the server. A body is read by its key alone, never by moving about.
_NEEDS = {
    "headers": ("summary", "receipt"),
    "verdict": ("summary",),
    "receipt": ("receipt",),
    "timeline": ("timeline",),
    "recipients": ("envelope",),
    "body": (),
}


class Reading:
    """The parts of one message. Another message, or other rights, and all of it is forgotten."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.message: str | None = None
        self.parts: dict[str, Any] = {}
        self.problems: dict[str, str] = {}
        self.seqs: dict[str, int] = {}  #: by part: a sequence that it is at least true at
        self._old: set[str] = set()  # parts that are shown, and to be read anew

    def turn_to(self, message: str | None) -> bool:
        """Whether that is another message than before; then everything read is forgotten."""
        if message == self.message:
            return False
        self.forget()
        self.message = message
        return True

    def forget(self) -> None:
        self.parts.clear()
        self.problems.clear()
        self._old.clear()

    def outdate(self) -> None:
        """What changes with each act may be old: it is shown until it has been read anew."""
        for part in ("timeline", "envelope"):
            self._old.add(part)
            self.problems.pop(part, None)

    @property
    def body_open(self) -> bool:
        return "text" in self.parts

    async def read(self, desk: Desk, tabs: tuple[str, ...], *, body: bool = False) -> None:
        """Asks for what these tabs need and is not here yet; with `body` for the text, which goes on record."""
        from rcqueue.client.http import ApiProblem, Unreachable

        message = self.message
        needs = {part for tab in tabs for part in _NEEDS[tab]} | ({"text"} if body else set())
        for part in sorted(needs - (set(self.parts) - self._old)):
            if message is None:
                return
            line = desk.view.index.get(message)
            seq = line.seq if line is not None else 0
            self._old.discard(part)  # what is told from now on makes it old again
            try:
                if part == "summary":
                    got: object = await desk.api.summary(message, desk.query.text)
                else:
                    got = await desk.api.part(message, part)
            except (ApiProblem, Unreachable) as problem:
                if self.message == message:
                    self.problems[part] = str(problem)
            else:
                if self.message == message:  # the cursor may have gone on meanwhile
                    self.parts[part], self.seqs[part] = got, seq
                    self.problems.pop(part, None)

    def show(self, tab: str, row: Row, *, locked: bool, brief: bool = False) -> list[Entry]:
        """The entries of a pane for this tab; `brief` where the pane is small."""
        if tab == "body":
            if locked:
                return parts.body_locked(row)
            if "text" in self.problems:
                return [Entry(self.problems["text"], style="bad")]
            return parts.body(self.parts["text"]) if self.body_open else parts.body_closed(row)
        wrong = [Entry(self.problems[part], style="bad") for part in _NEEDS[tab] if part in self.problems]
        if wrong:
            return wrong
        summary, receipt, now = self.parts.get("summary"), self.parts.get("receipt"), self.clock()
        if tab == "headers":
            return parts.headers(row, summary, receipt.receipt if receipt else None, now, brief=brief)
        if tab == "verdict":
            return parts.verdict(row, summary.verdict if summary else None)
        if tab == "receipt" and receipt is not None:
            return parts.receipt(receipt, now)
        if tab == "timeline" and "timeline" in self.parts:
            return timeline(self.parts["timeline"], now)
        return [Entry("...", style="dim")]


def tab_line(tabs: tuple[str, ...], active: str, *, locked: bool, open: bool) -> list[Piece]:
    """`Headers  Verdict  Receipt  Body(locked)  Timeline`."""
    pieces: list[Piece] = [(" ", "")]
    for tab in tabs:
        title = tab.capitalize()
        if tab == "body":
            title += "(locked)" if locked else "(open)" if open else ""
        pieces += [(title, "tab" if tab == active else "dim"), ("  ", "")]
    return pieces
