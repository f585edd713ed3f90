"""The peer of the queue's table: Textual's own DataTable, holding all the rows, with as many lines around it as the
queue has when its panes are hidden.

python -m benchmarks.datatable ROWS
"""

from __future__ import annotations

import sys

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Static

from benchmarks.held import texts

COLUMNS = {"WHO": 11, "AGE": 4, "SCORE": 5, "KIND": 6, "FROM": 32, "TO": 18, "SUBJECT": 35, "EXP": 4, "CUSTOMER": 13}


class Peer(App[None]):
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Static { height: 1; }
    DataTable { height: 1fr; }
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def compose(self) -> ComposeResult:
        yield Static("status")
        yield Static("filter")
        yield DataTable(cursor_type="row")
        for name in ("banner", "flash", "footer"):
            yield Static(name)

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for title, width in COLUMNS.items():
            table.add_column(title, width=width)
        table.add_rows(map(texts, range(self.rows)))
        table.focus()


if __name__ == "__main__":
    Peer(int(sys.argv[1])).run()
