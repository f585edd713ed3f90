"""Signing in: server, name, password. What is wrong is said below the fields, and what was typed stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from rcqueue.widgets import keymap
from rcqueue.widgets.field import Field
from rcqueue.widgets.line import Line

if TYPE_CHECKING:
    from rcqueue.app import RcqueueApp, Start


class LoginScreen(ModalScreen[None]):
    CSS = """
    LoginScreen { align: center middle; background: $queue-veil; }
    LoginScreen > Vertical {
        width: 64; max-width: 96%; height: auto; padding: 1 2;
        border: solid $queue-dim; background: $queue-background;
    }
    LoginScreen Horizontal { height: 1; margin-bottom: 1; }
    LoginScreen Horizontal Line { width: 10; }
    LoginScreen #with-password { margin-bottom: 0; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    app: RcqueueApp

    def __init__(self, start: Start, why: str = "") -> None:
        super().__init__()
        self.start, self.why = start, why
        self._busy = False

    def compose(self) -> ComposeResult:
        fields = (
            ("server", Field(self.start.server, "https://mail.example:8025", id="server")),
            ("name", Field(self.start.user, id="name")),
            ("password", Field(password=True, id="password")),
        )
        with Vertical():
            for name, field in fields:
                with Horizontal(id=f"with-{name}"):
                    yield Line(id=f"of-{name}")
                    yield field
            yield Line(id="said")
            yield Line(id="keys")

    def on_mount(self) -> None:
        for name in ("server", "name", "password"):
            self.query_one(f"#of-{name}", Line).say([(name, "dim")])
        self._say(self.why, "bad")
        self.query_one("#keys", Line).say([(f"enter signs in   {keymap.key('view.quit')} leaves", "dim")])
        empty = next((f for f in self.query(Field) if not f.value), self.query_one("#password", Field))
        empty.focus()

    def _say(self, text: str, style: str = "dim") -> None:
        self.query_one("#said", Line).say([(text, style)])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on to the next field that is empty, and with all three signs in."""
        event.stop()
        empty = next((f for f in self.query(Field) if not f.value), None)
        if empty is not None and empty is not event.input:
            empty.focus()
        elif empty is not None:
            self._say(f"the {empty.id} is needed", "bad")
        elif not self._busy:
            self._busy = True
            self._say("signing in ...")
            self.app.work(self._sign_in())

    async def _sign_in(self) -> None:
        server, name, password = (self.query_one(f"#{field}", Field) for field in ("server", "name", "password"))
        if server.value.strip() != self.start.server:
            self.start.server, self.start.profile = server.value.strip(), None
        self.start.user, self.start.token = name.value.strip(), None
        why = await self.app.sign_in(self.start.user, password.value)
        self._busy = False
        if why:
            password.value = ""
            password.focus()
            self._say(why, "bad")
        else:
            self.dismiss()
