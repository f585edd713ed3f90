"""Demo: where the server of the demo is, and who else can sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from rcqueue.widgets.keymap import bindings
from rcqueue.widgets.line import Piece

from .page import Page

if TYPE_CHECKING:
    from rcqueue.app import DemoInfo


class DemoScreen(Page):
    CONTEXT = "demo"
    TITLE_TEXT = "Demo"
    COLUMNS = ("", "")
    CURSOR = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("demo")]

    def __init__(self, info: DemoInfo) -> None:
        super().__init__()
        self.info = info

    def on_mount(self) -> None:
        super().on_mount()
        info = self.info
        lines: list[tuple[str, str]] = [
            ("Server", info.http),
            ("Mail in", f"SMTP {info.smtp}"),
            ("Released mail", info.next_hop),
            ("", ""),
            ("Another terminal", f"rcqueue --server {info.http}"),
            ("", ""),
        ]
        rows: list[tuple[str, list[Piece]]] = [("", [(name, "dim"), (text, "")]) for name, text in lines]
        rows.append(("", [("Accounts", "strong"), ("", "")]))
        wide = max((len(account.role) for account in info.accounts), default=0)
        rows += [("", [(a.name, ""), (f"{a.role:{wide}}  password  {a.password}", "")]) for a in info.accounts]
        rows += [("", [("", ""), ("", "")]), ("", [("All of it is removed at the end.", "dim"), ("", "")])]
        self.table.show(rows)
