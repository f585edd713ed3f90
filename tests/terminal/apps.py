"""Small applications to run in a pseudo terminal: `python -m tests.terminal.apps KIND [stock] [ungated]`.

`stock` is Textual's own output, to compare with. `ungated` switches the last gate off, in this process only, to show
that the tests would see what it holds back.
"""

import asyncio
import sys
from functools import cache
from typing import Any

from rich.segment import Segment
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.geometry import Region, Size
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import DataTable, Footer, Header, Input, OptionList, RichLog, Static
from textual.widgets.option_list import Option

from tests.payloads import PAYLOADS

WORDS = ["invoice", "urgent", "account", "verify", "parcel", "refund", "winner", "offer", "limited", "crypto"]
WORDS += ["meeting", "report"]
NAMES = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"]
TEXTS = ["日本語の件名 テスト", "café naïve", "Grüße ✓", "plain", "Ünï → ✓ ± §", "한국어 제목"]


def mail(number: int, change: int = 0) -> str:
    """A line such as a queue has, 150 columns."""
    seed = number * 2654435761 & 0xFFFFFFFF
    seed = (seed ^ change * 40503) & 0xFFFFFFFF
    return (
        f"m{number:08d} {(seed >> 3) % 24:02d}:{(seed >> 7) % 60:02d}  {seed % 300 / 10:5.1f}  "
        f"{NAMES[seed % 8]}{seed % 9973}@ex{seed % 97}.test".ljust(52)
        + f"{NAMES[(seed >> 5) % 8]}@cust{(seed >> 6) % 499}.test".ljust(26)
        + f"{WORDS[seed % 12]} {WORDS[(seed >> 4) % 12]} {WORDS[(seed >> 9) % 12]} #{seed % 99991}".ljust(62)
        + f"{seed % 99991:>8}"
    )


class Table(ScrollView, can_focus=True):
    """Rows drawn one line at a time, as the queue's table does."""

    COMPONENT_CLASSES = {"table--cursor"}
    DEFAULT_CSS = """
    Table { background: $surface; color: $foreground; scrollbar-size: 0 0; }
    Table > .table--cursor { background: $primary; color: $text; text-style: bold; }
    """
    BINDINGS = [
        Binding("down", "move(1)"),
        Binding("up", "move(-1)"),
        Binding("pagedown", "page(1)"),
        Binding("pageup", "page(-1)"),
        Binding("home", "move(-1000000)"),
        Binding("end", "move(1000000)"),
    ]

    def __init__(self, rows: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows = rows
        self.cursor = 0
        self.virtual_size = Size(150, len(rows))

    def render_line(self, y: int) -> Strip:
        row = self.scroll_offset.y + y
        style = self.get_component_rich_style("table--cursor") if row == self.cursor else self.rich_style
        text = self.rows[row] if row < len(self.rows) else ""
        return Strip([Segment(text, style)]).adjust_cell_length(self.size.width, style)

    def show(self, *rows: int) -> None:
        self.refresh(*(Region(0, row - self.scroll_offset.y, self.size.width, 1) for row in rows))

    def action_move(self, by: int) -> None:
        old, self.cursor = self.cursor, max(0, min(len(self.rows) - 1, self.cursor + by))
        top, height = self.scroll_offset.y, self.size.height
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)
        self.show(old, self.cursor)

    def action_page(self, by: int) -> None:
        self.action_move(by * self.size.height)


@cache
def applications(base: type[App[Any]]) -> dict[str, type[App[Any]]]:
    """The same applications on top of Textual's `App` or of ours."""

    class Queue(base):  # type: ignore[misc,valid-type]
        ENABLE_COMMAND_PALETTE = False

        def compose(self) -> ComposeResult:
            yield Static("QUEUE".ljust(150))
            yield Table([mail(number) for number in range(10_000)])

        def on_mount(self) -> None:
            self.query_one(Table).focus()

    class Busy(Queue):
        """1,000 changes a second, all in sight, whole rows."""

        def on_mount(self) -> None:
            super().on_mount()
            self.run_worker(self.feed())

        async def feed(self) -> None:
            table, change = self.query_one(Table), 0
            while True:
                await asyncio.sleep(0.01)
                for _ in range(10):
                    change += 1
                    row = table.scroll_offset.y + change % max(1, table.size.height)
                    table.rows[row] = mail(row, change)
                    table.show(row)

    class Dialog(ModalScreen[None]):
        CSS = "Dialog { align: center middle; } Dialog > Static { width: 50; height: 9; border: round red; }"
        BINDINGS = [("escape", "dismiss")]

        def compose(self) -> ComposeResult:
            yield Static("dialog 日本 text\nline 2")

    class Mixed(base):  # type: ignore[misc,valid-type]
        ENABLE_COMMAND_PALETTE = False
        CSS = "#side { width: 24; } Table { height: 1fr; border: tall green; } DataTable { height: 10; }"
        BINDINGS = [("f2", "dialog", "dialog"), ("f3", "note", "note")]

        def compose(self) -> ComposeResult:
            with Horizontal():
                yield OptionList(*(Option(Content(f"folder {n} {TEXTS[n % 6]}")) for n in range(80)), id="side")
                with Vertical():
                    yield Table([mail(n)[:90] + TEXTS[n % 6] if n % 3 == 0 else mail(n) for n in range(500)])
                    yield DataTable(cursor_type="row")
            yield Input(placeholder="filter")
            yield Footer()

        def on_mount(self) -> None:
            self.query_one(Input).cursor_blink = False
            table = self.query_one(DataTable)
            table.add_columns("a", "b")
            for number in range(60):
                table.add_row(str(number), TEXTS[number % 6])
            self.query_one(Table).focus()

        def action_dialog(self) -> None:
            self.push_screen(Dialog())

        def action_note(self) -> None:
            self.notify("note 日本", timeout=0.3)

    class Hostile(base):  # type: ignore[misc,valid-type]
        """Every payload in every kind of widget, without the first gate."""

        ENABLE_COMMAND_PALETTE = False
        CSS = "Table { height: 60; } DataTable, RichLog, OptionList { height: 60; } Static.one { height: 1; }"

        def compose(self) -> ComposeResult:
            texts = [text for _, text in PAYLOADS]
            yield Header()
            yield Table(texts)
            yield DataTable()
            yield OptionList(*(Option(Content(text)) for text in texts))
            yield RichLog()
            for text in texts:
                yield Static(Content(text), markup=False, classes="one")
            yield Input(value=texts[10])

        def on_mount(self) -> None:
            table, log = self.query_one(DataTable), self.query_one(RichLog)
            table.add_column(Text(PAYLOADS[9][1]))
            for _, text in PAYLOADS:
                table.add_row(Text(text))
                log.write(Text(text))
                self.notify(text, title=text, markup=False)
            self.title, self.sub_title = PAYLOADS[0][1], PAYLOADS[24][1]
            assert self._driver is not None
            for _, text in PAYLOADS:
                self._driver.write(text)
            self.set_timer(0.6, lambda: self.notify("all shown", title="end"))

    class Crash(base):  # type: ignore[misc,valid-type]
        """Breaks in a way that quotes mail: by a key "a" in a handler, "w" in a worker, "r" with a Rich error,
        "c" by a bad stylesheet, "t" in a task that nobody waits for."""

        BINDINGS = [("a", "handler"), ("w", "worker"), ("r", "rich"), ("c", "css"), ("t", "task"), ("q", "quit")]

        def compose(self) -> ComposeResult:
            yield Static("ready")

        def action_handler(self) -> None:
            subject_in_a_local = SECRET
            raise ValueError(subject_in_a_local)

        def action_worker(self) -> None:
            self.run_worker(self.fail())

        def action_rich(self) -> None:
            raise Pretty(SECRET)

        def action_css(self) -> None:
            self.stylesheet.add_source(SECRET)
            self.stylesheet.parse()

        def action_task(self) -> None:
            self.forgotten = asyncio.ensure_future(self.fail())
            self.set_timer(0.1, self.exit)

        async def fail(self) -> None:
            raise ValueError(SECRET)

    class Unstyled(base):  # type: ignore[misc,valid-type]
        """Breaks before there is a driver."""

        CSS_PATH = "there-is-none.tcss"

    return {kind.__name__.lower(): kind for kind in (Queue, Busy, Mixed, Hostile, Crash, Unstyled)}


SECRET = "body text \x1b]52;c;aGlqYWNr\x07 \x9b31m \u202e"


class Pretty(Exception):
    def __rich__(self) -> str:
        return str(self)


def main() -> int:
    kind, *how = sys.argv[1:]
    if "stock" in how:
        base: type[App[Any]] = App
    else:
        from rcqueue.terminal import driver, screen

        base = driver.FrugalApp
        if "ungated" in how:
            screen.split_cells = list  # type: ignore[assignment]
            screen.disputed = lambda cell: False  # type: ignore[assignment]
            driver._MODES = __import__("re").compile("(?s).*")
    app = applications(base)[kind]()
    app.run()
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
