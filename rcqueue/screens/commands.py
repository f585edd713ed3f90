"""The command palette: every action that the registry has for this screen, found by its name or its help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from rcqueue.model.actions import Action
from rcqueue.widgets import keymap

if TYPE_CHECKING:
    from textual.screen import Screen


class RegistryCommands(Provider):
    def _actions(self) -> list[Action]:
        screen: Any = self.screen
        situation = screen.situation() if hasattr(screen, "situation") else keymap.Situation(frozenset())
        context = getattr(screen, "CONTEXT", "app")
        skipped = ("view.palette", "view.down", "view.up", "view.page_down", "view.page_up")
        return [a for a in keymap.of((context, "app")) if keymap.allowed(a, situation) and a.name not in skipped]

    @staticmethod
    def _title(action: Action) -> str:
        keys = keymap.keys_name(action)
        return action.help + (f"   [{keys}]" if keys else "")

    async def discover(self) -> Hits:
        for action in self._actions():
            yield DiscoveryHit(Content(self._title(action)), lambda a=action: self._run(a), text=action.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action in self._actions():
            title = self._title(action)
            if (score := matcher.match(f"{title} {action.name}")) > 0:
                yield Hit(score, Content(title), lambda a=action: self._run(a), text=action.help)

    def _run(self, action: Action) -> None:
        screen: Screen[Any] = self.screen
        do = getattr(screen, "action_do", None)
        if do is not None and "app" not in action.contexts:
            do(action.name)
        else:
            app: Any = self.app
            app.open(action.name)
