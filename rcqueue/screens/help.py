"""Help: every key that works where one came from, from the registry."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from rcqueue.widgets import keymap
from rcqueue.widgets.line import Piece

from .page import Page

_TERMS = (
    ("from:gmail.com", "a domain and those below it, or an address; to: and sender likewise"),
    ('subject:"invoice 7"', "words of the subject; bare words look at subject, from and to"),
    ("score:>8  size:<1M", "points of the spam filter; octets"),
    ("verdict:virus", "spam, virus, phish, attachment, policy or manual"),
    ("rule:BAYES_99", "a rule that fired"),
    ("claim:me|none|NAME", "who holds it"),
    ("age:<2h  expires:<1d", "how old, how long still"),
    ("status:released", "onhold unless said; any for all"),
    ("-term", "what must not hold"),
)


class HelpScreen(Page):
    CONTEXT = "help"
    COLUMNS = ("", "")
    CURSOR = False
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("help")]

    def __init__(self, of: str) -> None:
        """`of` is the context that help is asked for."""
        super().__init__()
        self.of = of

    def heading(self) -> list[Piece]:
        return [(" Help", "strong"), (f"  every key of {self.of if self.of != 'app' else 'this screen'}", "dim")]

    def on_mount(self) -> None:
        super().on_mount()
        now = self.situation()
        actions = [a for a in keymap.of((self.of, "app")) if keymap.keys_of(a) and keymap.allowed(a, now)]
        rows: list[tuple[str, list[Piece]]] = []
        acts = [a for a in actions if a.object == "mail" or (a.view and a.dangerous)]
        groups = (
            ("Acts on mail", acts),
            ("More", [a for a in actions if a not in acts and not a.view]),
            ("The view", [a for a in actions if a not in acts and a.view]),
        )
        for name, group in groups:
            if group:
                rows.append(("", [(name, "strong"), ("", "")]))
                rows += [(a.name, [("  " + keymap.keys_name(a), ""), (a.help, "")]) for a in group]
                rows.append(("", [("", ""), ("", "")]))
        if self.of == "queue":
            rows.append(("", [("The filter", "strong"), ("", "")]))
            rows += [("", [("  " + term, ""), (what, "")]) for term, what in _TERMS]
        self.table.show(rows)
