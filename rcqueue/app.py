"""The terminal application: who is signed in, which screen is up, where answers are said.

The frame is painted before anything that talks to a server is loaded: `Network.load` brings in httpx, websockets and
pydantic after the first paint, and only what runs after it imports the client.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import events
from textual.binding import BindingType
from textual.screen import Screen
from textual.theme import Theme

from rcqueue import theme
from rcqueue.model.access import Right
from rcqueue.model.actions import named
from rcqueue.screens.dialogs import Told
from rcqueue.screens.place import Place
from rcqueue.screens.queue import QueueScreen
from rcqueue.settings import Settings, SettingsError
from rcqueue.terminal.caps import blocks
from rcqueue.terminal.driver import FrugalApp
from rcqueue.terminal.keys import KeysInTurn
from rcqueue.theme import ThemeError
from rcqueue.widgets import keymap
from rcqueue.widgets.keymap import bindings
from rcqueue.widgets.line import Piece

__all__ = ["DemoAccount", "DemoInfo", "Network", "RcqueueApp", "Start", "ThemeError"]

if TYPE_CHECKING:
    from rcqueue.client.api import Api
    from rcqueue.client.desk import Desk
    from rcqueue.client.feed import Feed
    from rcqueue.client.session import Profile

_Answer = TypeVar("_Answer")
IDLE = 15 * 60.0  #: seconds without a key after which whoever is there has to sign in again; the server says the same
_FLASH = {"": 8.0, "warn": 12.0, "bad": 20.0}  # seconds that an answer stands, by how grave it is


@dataclass(frozen=True, slots=True)
class DemoAccount:
    name: str
    role: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DemoInfo:
    """What the page "Demo" shows: the server's URL, where mail goes in and out, and who can sign in."""

    http: str
    smtp: str
    next_hop: str
    accounts: tuple[DemoAccount, ...]


@dataclass(slots=True)
class Start:
    """How the terminal starts: where, and as whom. Without a server, or a way to sign in, it asks."""

    profile: Profile | None = None
    server: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    token: str | None = field(default=None, repr=False)
    queue: str = "main"
    theme: str = field(default_factory=lambda: os.environ.get("RCQUEUE_THEME", ""))
    settings: Settings = field(default_factory=Settings)
    filter: str = ""
    demo: DemoInfo | None = None

    def __post_init__(self) -> None:
        if self.profile is not None:
            self.server = self.server or self.profile.server
            self.user = self.user or self.profile.user or ""


class Network:
    """Makes what talks to a server. A test gives another one, in the same process."""

    async def load(self) -> None:
        await asyncio.to_thread(lambda: [import_module(f"rcqueue.client.{name}") for name in ("api", "feed")])

    def api(self, start: Start) -> Api:
        from rcqueue.client.api import Api

        profile = start.profile
        return Api(
            start.server,
            start.token,
            ca=profile.ca if profile else None,
            proxy=profile.proxy if profile else None,
        )

    def feed(
        self, start: Start, token: str | None, since: int | None, journal: str | None, idle: Callable[[], float]
    ) -> Feed:
        from rcqueue.client.feed import Feed

        profile = start.profile
        return Feed(
            start.server,
            token,
            queue=start.queue,
            ca=profile.ca if profile else None,
            proxy=profile.proxy if profile else None,
            since=since,
            journal=journal,
            idle=idle,
        )


class RcqueueApp(KeysInTurn[None], FrugalApp[None]):
    CSS = """
    Screen { background: $queue-background; color: $queue-text; }
    """
    TITLE = "rcqueue"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app", action="app.do")]

    def __init__(
        self,
        start: Start,
        network: Network | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Raises ThemeError."""
        self.start, self.network, self.clock = start, network or Network(), clock
        self.settings = start.settings
        chosen = self._first_theme()
        self._defaults = chosen.variables  # every theme has the same ones
        super().__init__()
        self.register_theme(chosen)
        self.theme = chosen.name
        keymap.use(self.settings.keys)
        self.set_keymap(self.settings.keys)
        self.blocks = blocks(os.environ)  #: whether the terminal has block glyphs
        self.state = "starting"  #: what the first line says until there is a queue
        self.api: Api | None = None
        self.desk: Desk | None = None
        self.queue = QueueScreen()
        self._signed_in_here = False
        self._place: Place | None = None  # where the person was whose sign-in is over
        self._last_key = time.monotonic()
        self._flash: tuple[str, str, float, datetime | None] | None = None  # text, style, until, countdown

    def _first_theme(self) -> Theme:
        if self.start.theme or not self.settings.theme:
            return theme.load(self.start.theme or theme.default())
        try:
            return theme.load(self.settings.theme)
        except ThemeError as error:
            self.settings.wrong.append(f"{self.settings.path}: theme: {error}")
            return theme.load(theme.default())

    def get_default_screen(self) -> Screen[Any]:
        return self.queue  # none is made to lie under it

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return self._defaults

    def action_command_palette(self) -> None:
        """Every action of the registry that there is on this screen, and nothing of Textual's own."""
        from rcqueue.screens.commands import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())

    # -- signing in and out -----------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.set_interval(1.0, self._watch_idle)
        self.call_after_refresh(lambda: self.work(self._begin()))

    async def _begin(self) -> None:
        if self.settings.wrong:
            await self.push_screen_wait(Told("These settings can't be used. Without them:", self.settings.wrong))
        await self.network.load()
        start = self.start
        if start.server and start.token:
            why = await self.sign_in()
        elif start.server and start.user and start.password:
            why = await self.sign_in(start.user, start.password)
        else:
            why = ""
        if self.api is None:
            self._ask_who(why)

    def _ask_who(self, why: str) -> None:
        from rcqueue.screens.login import LoginScreen

        self.state = "not signed in"
        self.queue.changed()
        self.push_screen(LoginScreen(self.start, why))

    async def sign_in(self, user: str = "", password: str = "") -> str:
        """Signs in at `start.server`, with the token of `start` when no user is named; returns why not, or ""."""
        from rcqueue.client.desk import Desk
        from rcqueue.client.http import ApiProblem, Unreachable
        from rcqueue.client.session import SessionError

        self.state = "signing in"
        self.queue.changed()
        try:
            api = self.network.api(self.start)
        except SessionError as error:
            self.state = "not signed in"
            return str(error)
        try:
            if user:
                label = f"terminal on {socket.gethostname()}"
                whoami = (await api.login(user, password, "terminal", label)).whoami
                self._signed_in_here = True
            else:
                whoami = await api.whoami()
        except (ApiProblem, Unreachable) as error:
            await api.close()
            self.state = "not signed in"
            return str(error)
        self.api = api
        if Right.VIEW not in whoami.rights and Right.COUNT in whoami.rights:
            from rcqueue.screens.wall import WallScreen

            self.state = "counts alone"
            self.call_later(self.push_screen, WallScreen(api))  # over what asked who this is
            return ""
        desk = self.desk = Desk(
            api,
            lambda since, journal: self.network.feed(self.start, api.token, since, journal, self.idle),
            whoami,
            self.queue.view,
            spawn=self.work,
            changed=self.queue.changed,
            clock=self.clock,
        )
        desk.expired = lambda why: self.lock(why) if desk is self.desk else None
        place, self._place = self._place, None
        self.queue.attach(desk, place if place is not None and place.name == whoami.name else None)
        if whoami.warning:
            self.flash(whoami.warning, "warn")
        return ""

    def _watch_idle(self) -> None:
        if self.desk is not None and not self.desk.ended and self.idle() >= IDLE:
            self.lock("15 minutes without a key")

    def lock(self, why: str) -> None:
        """Takes what is shown away until somebody signs in; the same person finds their place again."""
        desk, api = self.desk, self.api
        if desk is None or api is None:
            return
        self._place = self.queue.leave()
        desk.ended = desk.ended or why
        self.desk = self.api = None
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.work(self._give_up(desk, api))
        self._ask_who(f"{why}: sign in again")

    async def _give_up(self, desk: Desk, api: Api) -> None:
        await desk.close()
        if self._signed_in_here:
            await self._sign_out(api)
        await api.close()

    async def _sign_out(self, api: Api) -> None:
        try:
            await asyncio.wait_for(api.logout(), 3)
        except Exception as error:
            self.log(f"signing out: {type(error).__name__}")  # the lease ends by itself

    async def action_quit(self) -> None:
        """Signing out gives the claims back at once; a token that `rcqueue login` left stays good."""
        if self.desk is not None:
            await self.desk.close()
        if self.api is not None and self._signed_in_here:
            await self._sign_out(self.api)
        self.exit()

    # -- keys -------------------------------------------------------------------------------------------------------

    def idle(self) -> float:
        """Seconds since the last key."""
        return time.monotonic() - self._last_key

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key):
            self._last_key = time.monotonic()
            if self.desk is not None:
                self.desk.following = ""  # any key ends that
        await super().on_event(event)

    async def action_do(self, name: str) -> None:
        self.open(name)

    def action_help_quit(self) -> None:
        self.flash(f"{keymap.key('view.quit')} signs out and quits")

    def open(self, name: str) -> None:
        """Does an action of the registry that is not an act on mail."""
        right = named(name).right
        if right is not None and self.desk is not None and right not in self.desk.whoami.rights:
            self.flash(f"you lack the right to {right}", "warn")
            return
        match name:
            case "view.palette":
                self.action_command_palette()
            case "view.redraw":
                self.action_redraw()
            case "view.theme":
                self._next_theme()
            case "view.quit":
                self.work(self.action_quit())
            case _:
                from rcqueue.screens import pages

                pages.open(self, name)

    def _next_theme(self) -> None:
        names = theme.names()
        now = self.theme.removeprefix("rcqueue-")
        try:
            chosen = theme.load(names[(names.index(now) + 1) % len(names)] if now in names else theme.DEFAULT)
        except theme.ThemeError as error:
            self.flash(str(error), "bad")
            return
        self.register_theme(chosen)
        self.theme = chosen.name
        self.flash(f"theme: {self.theme.removeprefix('rcqueue-')}")
        self.keep("theme", self.theme.removeprefix("rcqueue-"))

    def keep(self, key: str, value: str | Sequence[str]) -> None:
        """Keeps what was chosen at the screen in the settings; says so when it can't."""
        try:
            self.settings.keep(key, value)
        except SettingsError as error:
            self.flash(str(error), "warn")

    # -- answers ----------------------------------------------------------------------------------------------------

    def flash(self, text: str, style: str = "", *, countdown: datetime | None = None) -> None:
        """Says an answer in the one place for it. With `countdown`: until when `u` recalls it."""
        self._flash = (text, style, time.monotonic() + _FLASH[style], countdown)
        self._changed()

    def flash_pieces(self) -> list[Piece]:
        if self._flash is None:
            return []
        text, style, until, countdown = self._flash
        if countdown is not None:
            left = (countdown - self.clock()).total_seconds()
            if left > 0:
                return [(f" {text}, recall with {keymap.key('mail.recall')}, {left:.0f} s", style)]
        if time.monotonic() > until:
            self._flash = None
            return []
        return [(f" {text}", style)]

    def _changed(self) -> None:
        screen = self.screen
        if (changed := getattr(screen, "changed", None)) is not None:
            changed()

    def work(self, what: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine beside the screens; should it break, so does the application, in one line."""
        self.run_worker(what, exit_on_error=True)

    async def call(self, answer: Awaitable[_Answer], *, quiet: bool = False) -> _Answer | None:
        """The server's answer; None, and said in the flash line (unless `quiet`), when it refuses or is not there."""
        from rcqueue.client.http import ApiProblem, Unreachable

        try:
            return await answer
        except (ApiProblem, Unreachable) as error:
            if not quiet:
                self.flash(str(error), "bad")
            return None

    def came(self, messages: set[str]) -> None:
        """The feed spoke of these messages: the screen on top may show one of them."""
        if self.screen is not self.queue and (came := getattr(self.screen, "came", None)) is not None:
            came(messages)

    def rights_changed(self) -> None:
        if self.screen is not self.queue and (changed := getattr(self.screen, "rights_changed", None)) is not None:
            changed()
