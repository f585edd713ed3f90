"""Textual on the frugal way out: a driver for the tty, and the application class that feeds it pictures."""

import asyncio
import os
import re
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, RenderableType
from textual import events
from textual._compositor import CompositorUpdate
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import Monochrome, NoColor
from textual.message import Message
from textual.messages import TerminalSupportsSynchronizedOutput

from rcqueue.safe_text import safe_text
from rcqueue.terminal.caps import Caps
from rcqueue.terminal.encode import Encoder
from rcqueue.terminal.fatal import describe, guard
from rcqueue.terminal.flow import Link
from rcqueue.terminal.screen import Picture
from rcqueue.terminal.styles import Styles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.geometry import Offset, Size
    from textual.screen import Screen

Result = TypeVar("Result")

# The only control strings that Textual may have sent as they are: terminal modes on and off, two questions about modes,
# the keyboard protocol, the bell, the shape of the mouse pointer, and a copy to the clipboard asked for by the user
# (base64, so nothing can hide in it).
_MODES = re.compile(
    r"(?:\x1b\[\?(?:7|25|1000|1003|1004|1006|1015|1016|1049|2004|2048)[hl]"
    r"|\x1b\[\?(?:2026|2048)\$p|\x1b\[>\d{1,2}u|\x1b\[<u"
    r"|\x07|\x1b\]22;[a-z-]{0,20}\x07|\x1b\]52;c;[A-Za-z0-9+/=]*\x07)*"
)
_HANG_UP_CHECK = 0.25  # seconds
_LEAVE = 2.0  # seconds to end in order once the terminal is gone
_DRAIN = 3.0  # seconds that leaving may wait for a slow terminal
_LARGE = 400  # bytes from which a frame is worth the terminal's own double buffering


class FrugalDriver(LinuxDriver):
    """Pictures leave by the encoder, modes by an allow-list, nothing else at all; and never so that it blocks."""

    def __init__(
        self, app: "App[Any]", *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        guard()
        styles = Styles(COLOR_SYSTEMS.get(app.console.color_system or "", ColorSystem.TRUECOLOR))
        caps = Caps.of(os.environ)
        self._fences = caps.diff
        self._picture = Picture(styles)
        self._encoder = Encoder(caps, styles)
        self._cursor = (0, 0)
        self._link: Link | None = None
        self._drawing = False
        self._pending = False
        self._synchronized = False
        self._thread = threading.get_ident()
        self.held = 0
        """Frames that waited for the terminal; they were merged into later ones."""
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                self._loop.add_signal_handler(number, self._signalled, number)
        self._loop.set_exception_handler(self._loop_error)
        self._watch_terminal()

    # Pictures

    def frame(self, update: CompositorUpdate, size: "Size", cursor: "Offset") -> None:
        """Take an update of the compositor for a screen of `size`; it is sent when the terminal is ready for it."""
        if (self._picture.width, self._picture.height) != size:
            self._picture.resize(*size)
            self._encoder.forget()
        self._picture.apply(update)
        self._cursor = cursor
        self._pending = True
        self._emit()

    def redraw(self) -> None:
        """Paint everything anew: something else may have written on the terminal."""
        self._encoder.forget()
        self._pending = True
        self._emit()

    def _emit(self) -> None:
        link = self._link
        if not self._pending or not self._drawing or link is None or not self._picture.height:
            return
        if not link.ready:
            self.held += 1
            return
        self._pending = False
        picture = self._picture
        data = self._encoder.frame(picture.rows, picture.dirty, self._cursor)
        picture.dirty = set()
        if self._synchronized and len(data) > _LARGE:
            data = f"\x1b[?2026h{data}\x1b[?2026l"
        if data:
            link.frame(data)

    # What Textual asks of a driver

    def write(self, data: str) -> None:
        if threading.get_ident() != self._thread:  # the input thread turns modes on
            self._loop.call_soon_threadsafe(self.write, data)
        elif self._link is not None and _MODES.fullmatch(data):
            self._link.send(data)

    def start_application_mode(self) -> None:
        if self._link is None:
            self._link = Link(_open_terminal(), self._loop, self._emit, self._lost)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        # Continued in the background, Textual's driver did nothing: then nothing may be drawn either.
        self._drawing = self._key_thread is not None and self._key_thread.is_alive()
        if self._drawing:
            if self._fences:
                self._link.probe()
            self.redraw()

    def stop_application_mode(self) -> None:
        self._drawing = False
        if self._link is not None:
            self._link.send("\x1b[m")
            super().stop_application_mode()
            self._link.drain(_DRAIN)

    def close(self) -> None:
        super().close()
        if self._link is not None:
            self._link.drain(_DRAIN)
            self._link.close()
            self._link = None

    def process_message(self, message: Message) -> None:
        """In the input thread."""
        if isinstance(message, events.CursorPosition):
            self._loop.call_soon_threadsafe(self._answered)
            return
        if isinstance(message, TerminalSupportsSynchronizedOutput):
            self._synchronized = True
        super().process_message(message)

    def _answered(self) -> None:
        if self._link is not None:
            self._link.answered()

    # Signals come between any two instructions; what they do to the screen must wait for its turn in the loop.

    def _sigtstp_application(self, *args: Any) -> None:
        self._loop.call_soon_threadsafe(super()._sigtstp_application)

    def _sigcont_application(self, *args: Any) -> None:
        self._loop.call_soon_threadsafe(super()._sigcont_application)

    def _loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback that breaks (ours draw) is fatal. Of a task that failed unseen, only the place is told."""
        error = context.get("exception")
        if isinstance(error, Exception) and "handle" in context:
            self._app._handle_exception(error)
        elif error is not None:
            print(describe(error), file=sys.stderr)

    # The end of the terminal

    def _watch_terminal(self) -> None:
        """Textual's input thread reads "nothing" from a dead terminal for ever, at full speed."""
        if self._link is not None and self._link.hung_up():
            self._lost()
        else:
            self._loop.call_later(_HANG_UP_CHECK, self._watch_terminal)

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._lost()
        else:
            self._app.exit(return_code=128 + number)

    def _lost(self) -> None:
        """End in order, but end: there is nobody any more to see it hang."""
        status = 128 + signal.SIGHUP
        last = threading.Timer(_LEAVE, os._exit, (status,))
        last.daemon = True
        last.start()
        self._app.exit(return_code=status)


def _open_terminal() -> int:
    """A descriptor of our own for the terminal, non-blocking. (The flag belongs to the open file: set on descriptor 1
    it would reach the shell that shares it.)"""
    assert sys.__stdout__ is not None
    out = sys.__stdout__.fileno()
    for path in (os.ttyname(out), "/dev/tty"):  # after su, the first may be another user's
        with suppress(OSError):
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return os.dup(out)


class FrugalApp(App[Result]):
    """An application whose pictures go to a `FrugalDriver`; without a terminal (tests, screenshots) a stock one.

    It ends with a status (`return_code`) that is not 0 when it broke, and then says one line on standard error.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+l", "redraw", "Redraw", show=False)]

    _broken = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A theme answers NO_COLOR; Textual's own filter would paint colours that are names black on black.
        self._filters = [each for each in self._filters if not isinstance(each, Monochrome | NoColor)]

    def get_driver_class(self) -> type[Driver]:
        return FrugalDriver  # whatever TEXTUAL_DRIVER says: there is no way around the gate

    def _display(self, screen: "Screen[Any]", renderable: RenderableType | None) -> None:
        driver = self._driver
        if driver is None or driver.is_headless:
            super()._display(screen, renderable)
            return
        # To any driver but ours (inline mode has another) nothing is shown.
        live = self._running and not self._closed and not self._batch_count
        if live and isinstance(driver, FrugalDriver) and isinstance(renderable, CompositorUpdate):
            size = screen.outer_size
            driver.frame(renderable, size, size.clamp_offset(self.cursor_position))
        self.post_display_hook()

    def action_redraw(self) -> None:
        """Clear the terminal and paint everything anew."""
        if isinstance(self._driver, FrugalDriver):
            self._driver.redraw()

    def on_resize(self) -> None:
        self.action_redraw()

    # No picture of the screen is kept: mail stays on the server.

    def get_system_commands(self, screen: "Screen[Any]") -> "Iterable[SystemCommand]":
        return (command for command in super().get_system_commands(screen) if command.title != "Screenshot")

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        self.notify("Screenshots are off: mail is not kept on this host.", severity="warning", markup=False)

    def save_screenshot(self, *args: Any, **kwargs: Any) -> str:
        self.action_screenshot()
        return ""

    def deliver_screenshot(self, *args: Any, **kwargs: Any) -> str | None:
        self.action_screenshot()
        return None

    # A fatal error

    @property
    def return_code(self) -> int | None:
        return 1 if self._broken else super().return_code

    def panic(self, *renderables: RenderableType) -> None:
        """End, with an error. What there is to show is not shown: it may quote mail."""
        first, self._broken = not self._broken, True
        if self.is_headless:  # a test, which should see it all
            super().panic(*renderables)
            return
        if first:
            self._exit_renderables.append(describe(self._exception or RuntimeError()))
        self._close_messages_no_wait()

    def _fatal_error(self) -> None:
        if self.is_headless:
            super()._fatal_error()
        else:
            self.panic()

    def _print_error_renderables(self) -> None:
        """Say in one line why it ended: a fatal error, or the message that `exit` was given."""
        if self.is_headless:
            super()._print_error_renderables()
            return
        messages = [message for message in self._exit_renderables if isinstance(message, str)]
        self._exit_renderables.clear()
        with suppress(OSError):  # the terminal may be gone
            for message in messages:
                print(safe_text(message), file=sys.__stderr__, flush=True)
