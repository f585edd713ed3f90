"""What is read of the mail under the cursor, part by part, and shown in the panes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rcqueue.widgets import contents, parts
from rcqueue.widgets.line import Piece
from rcqueue.widgets.pane import Entry
from rcqueue.widgets.timeline import timeline

if TYPE_CHECKING:
    from rcqueue.client.desk import Desk
    from rcqueue.model.mail import Row

NOT_OPEN = "i is for a body that is open: b opens it"
PAGE = 16 * 1024  # bytes of a page, as the server gives them
AGAIN = 0.25  # seconds in which what changes a mail is gathered, before its parts are read anew
#: What each tab needs from the server. A body is read by its key alone, never by moving about.
_NEEDS = {
    "headers": ("summary", "receipt"),
    "verdict": ("summary",),
    "receipt": ("receipt",),
    "timeline": ("timeline",),
    "recipients": ("envelope",),
    "body": (),
    "attachments": ("attachments", "summary"),
}


class Reading:
    """The parts of one message. Another message, or other rights, and all of it is forgotten."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.message: str | None = None
        self.parts: dict[str, Any] = {}
        self.problems: dict[str, str] = {}
        self.seqs: dict[str, int] = {}  #: by part: a sequence that it is at least true at
        self.form = contents.FORMS[0]  #: in which the body is shown
        self.since: int | None = None  #: entries after this one are new to who sits here
        self._at = 0  # offset of the page of bytes that is asked for
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
        self.form, self._at = contents.FORMS[0], 0

    def outdate(self) -> None:
        """What changes with each act may be old: it is shown until it has been read anew."""
        for part in ("timeline", "envelope", "summary"):
            self._old.add(part)
            self.problems.pop(part, None)

    @property
    def body_open(self) -> bool:
        return "text" in self.parts

    def next_form(self) -> bool:
        """Text, HTML source, raw, hex, text ... of a body that is open; False: it is not."""
        if self.body_open:
            self.form = contents.FORMS[(contents.FORMS.index(self.form) + 1) % len(contents.FORMS)]
        return self.body_open

    def page(self, by: int) -> bool:
        """Turns to the next (1) or the previous (-1) page of bytes, which is to be read; False: there is none."""
        here = self.parts.get("hex")
        if self.form not in ("raw", "hex") or here is None:
            return False
        step = len(here.data) // 2 if by > 0 else PAGE
        at = max(0, here.at + by * step)
        if at == here.at or at >= here.size:
            return False
        self._at = at
        self._old.add("hex")
        return True

    @property
    def _body_part(self) -> str:
        return "hex" if self.form == "raw" else self.form

    async def read(self, desk: Desk, tabs: tuple[str, ...], *, body: bool = False) -> None:
        """Asks for what these tabs need and is not here yet; with `body` for the body in its form, which goes on
        record: of bytes once, however many pages are turned."""
        from rcqueue.client.http import ApiProblem, Unreachable

        message = self.message
        needs = {part for tab in tabs for part in _NEEDS[tab]} | ({"text", self._body_part} if body else set())
        for part in sorted(needs - (set(self.parts) - self._old)):
            if message is None:
                return
            line = desk.view.index.get(message)
            seq = line.seq if line is not None else 0
            self._old.discard(part)  # what is told from now on makes it old again
            try:
                if part == "summary":
                    got: Any = await desk.api.summary(message, desk.query.text)
                elif part == "hex":
                    got = await desk.api.hex(message, self._at)
                else:
                    got = await desk.api.part(message, part)
            except (ApiProblem, Unreachable) as problem:
                if self.message == message:
                    self.problems[part] = str(problem)
            else:
                if self.message == message:  # the cursor may have gone on meanwhile
                    self.parts[part], self.seqs[part] = got, seq
                    if part == "timeline":
                        desk.view.looked.read(message, max((step.seq or 0 for step in got.steps), default=0))
                        self.since = desk.view.looked.since
                    self.problems.pop(part, None)

    def show(self, tab: str, row: Row, *, locked: bool, brief: bool = False) -> list[Entry]:
        """The entries of a pane for this tab; `brief` where the pane is small."""
        if tab == "body":
            if locked:
                return contents.body_locked(row)
            if "text" in self.problems:
                return [Entry(self.problems["text"], style="bad")]
            return self._body() if self.body_open else contents.body_closed(row)
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
            return timeline(self.parts["timeline"], now, self.since)
        if tab == "attachments" and "attachments" in self.parts:
            scans = summary.verdict.scans if summary is not None and summary.verdict is not None else ()
            return contents.attachments(self.parts["attachments"], scans)
        return [Entry("...", style="dim")]

    def _body(self) -> list[Entry]:
        part = self._body_part
        if part in self.problems:
            return [Entry(self.problems[part], style="bad")]
        if part not in self.parts:
            return [Entry("...", style="dim")]
        of = self.parts[part]
        return contents.octets(of, self.form) if part == "hex" else contents.body(of, self.form)


def tab_line(tabs: tuple[str, ...], active: str, *, locked: bool, open: bool) -> list[Piece]:
    """`Headers  Verdict  Receipt  Body(locked)  Timeline`."""
    pieces: list[Piece] = [(" ", "")]
    for tab in tabs:
        title = tab.capitalize()
        if tab == "body":
            title += "(locked)" if locked else "(open)" if open else ""
        pieces += [(title, "tab" if tab == active else "dim"), ("  ", "")]
    return pieces
