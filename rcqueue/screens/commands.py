"""The command palette: every action that the registry has for this screen, found by its name or its help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
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


class Palette(CommandPalette):
    """Textual's, with these commands alone, as quiet as the rest."""

    CSS = """
    Palette { background: $queue-veil; }
    Palette > Vertical { width: 76; max-width: 96%; margin-top: 2; }
    Palette SearchIcon, Palette LoadingIndicator { display: none; }
    Palette #--input, Palette #--input.--list-visible {
        border: none; border-top: solid $queue-dim; height: 3; padding: 0 2; background: $queue-background;
    }
    Palette CommandInput, Palette CommandInput:focus {
        border: none; height: 1; margin-top: 1; padding: 0; background: $queue-cursor;
        &:ansi { background: $queue-cursor; color: $queue-text; }
    }
    Palette CommandList, Palette CommandList.--populating {
        border: none; border-bottom: solid $queue-dim; scrollbar-size: 0 0; max-height: 14; padding: 1 0;
        background: $queue-background;
        & > .option-list--option { text-style: none; padding: 0 2; color: $queue-text; }
        & > .option-list--option-highlighted {
            background: $queue-cursor; color: $queue-text; text-style: $queue-cursor-weight;
        }
    }
    """

    def __init__(self) -> None:
        super().__init__([RegistryCommands], placeholder="what would you do?")
