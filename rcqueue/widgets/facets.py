"""The facets of the filter in force: what its mails are made of, with counts; keys narrow to one, or leave it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.message import Message
from textual.strip import Strip

from .keymap import bindings
from .line import Piece, Styled
from .text import address, fit, number

if TYPE_CHECKING:
    from textual.binding import BindingType

    from rcqueue.model.facet import Facet

_TITLES = {
    "sender": "SENDERS",
    "domain": "DOMAINS",
    "recipient": "RECIPIENTS",
    "rule": "RULES",
    "verdict": "VERDICTS",
    "campaign": "CAMPAIGNS",
    "customer": "CUSTOMERS",
}


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the strip. One without a term is a heading, or a blank line."""

    text: str
    mails: str = ""
    term: str = ""
    by: str = ""


def items(facets: Sequence[Facet]) -> list[Item]:
    """The lines of the strip: of each facet that has values its heading and those."""
    lines: list[Item] = []
    for facet in facets:
        if facet.values:
            lines += [Item("")] if lines else []
            lines.append(Item(_TITLES.get(facet.by, facet.by.upper())))
            more = "+" if facet.capped else ""
            lines += [Item(v.value, number(v.mails) + more, v.term, facet.by) for v in facet.values]
    return lines


class Facets(Styled, can_focus=True):
    DEFAULT_CSS = """
    Facets { width: 1fr; height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("facets", action="do")]

    class Chosen(Message):
        """Narrow to the mails that this term matches; `without`: to the others."""

        def __init__(self, term: str, *, without: bool) -> None:
            super().__init__()
            self.term, self.without = term, without

    class Widened(Message):
        """The last term is to be taken back."""

    class Left(Message):
        """The strip is to be closed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.items: list[Item] = []
        self.at = self.top = 0
        self.note = "reading ..."  #: what is said when there is no value

    def show(self, facets: Sequence[Facet], note: str = "") -> None:
        """The cursor stays on its value; when that is gone, on what took its place."""
        was = self.items[self.at] if self.at < len(self.items) else None
        new = items(facets)
        if new == self.items and note == self.note:
            return
        self.items, self.note = new, note
        terms = [(item.by, item.term) for item in new]
        if was is not None and (was.by, was.term) in terms and was.term:
            self.at = terms.index((was.by, was.term))
        self.at = self._near(min(self.at, max(0, len(new) - 1)), 1)
        self.move(0)

    def _near(self, at: int, way: int) -> int:
        """The nearest line with a value: this way first."""
        for step in (way, -way):
            here = at
            while 0 <= here < len(self.items):
                if self.items[here].term:
                    return here
                here += step
        return at

    def move(self, rows: int) -> None:
        last = max(0, len(self.items) - 1)
        self.at = self._near(min(max(0, self.at + rows), last), 1 if rows >= 0 else -1)
        height = max(1, self.size.height)
        head = self.at - 1 if self.at and not self.items[self.at - 1].term else self.at  # its heading is seen too
        self.top = max(0, min(max(self.top, self.at - height + 1), head, max(0, len(self.items) - height)))
        self.refresh()

    def on_resize(self) -> None:
        self.move(0)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    # -- keys

    def action_do(self, name: str) -> None:
        getattr(self, "do_" + name.replace(".", "_"))()

    def do_view_down(self) -> None:
        self.move(1)

    def do_view_up(self) -> None:
        self.move(-1)

    def do_view_page_down(self) -> None:
        self.move(max(1, self.size.height))

    def do_view_page_up(self) -> None:
        self.move(-max(1, self.size.height))

    def do_view_top(self) -> None:
        self.move(-len(self.items))

    def do_view_bottom(self) -> None:
        self.move(len(self.items))

    def do_view_narrow(self) -> None:
        self._choose(without=False)

    def do_view_exclude(self) -> None:
        self._choose(without=True)

    def do_view_widen(self) -> None:
        self.post_message(self.Widened())

    def do_view_back(self) -> None:
        self.post_message(self.Left())

    do_mail_facets = do_view_back

    def _choose(self, *, without: bool) -> None:
        if self.at < len(self.items) and (term := self.items[self.at].term):
            self.post_message(self.Chosen(term, without=without))

    # -- the mouse

    def on_click(self, event: events.Click) -> None:
        """A click goes there; one on the line under the cursor narrows."""
        event.stop()
        at = self.top + event.y
        if at < len(self.items) and self.items[at].term:
            if at == self.at and self.has_focus:
                self._choose(without=False)
            else:
                self.move(at - self.at)

    def on_mouse_scroll_down(self) -> None:
        self.move(3)

    def on_mouse_scroll_up(self) -> None:
        self.move(-3)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if not self.items:
            return self.strip([(f" {self.note}", "dim")] if y == 0 else [], width)
        at = self.top + y
        if at >= len(self.items):
            return self.strip([], width)
        item = self.items[at]
        if not item.term:
            return self.strip([("  " + item.text, "dim")], width)
        room = max(4, width - 4 - len(item.mails))
        text = address(item.text, room) if item.by in ("sender", "recipient", "domain") else item.text
        here = at == self.at and self.has_focus
        pieces: list[Piece] = [("> " if here else "  ", ""), (fit(text, room), ""), (f" {item.mails} ", "dim")]
        if here:
            pieces = [(text, f"cursor {style}".strip()) for text, style in [*pieces, (" " * width, "")]]
        return self.strip(pieces, width)
