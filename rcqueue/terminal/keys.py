"""One key at a time: each is given out when the one before has had its effect.

Textual gives a key to what has the focus when it is read, however much is still under way. Over a slow line keys come
many at once, and then the "d" of "/deals" would still go to the table, where it deletes, and a password typed behind
Tab would stand in the field for the name.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

Result = TypeVar("Result")

_PATIENCE = 0.5  # seconds after which a key is not waited for any longer


class KeysInTurn(App[Result]):
    """A key bubbles from the focus up to the application, where its action runs; a mark follows on the same way, and
    when that is here the next key may go."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: deque[events.Key | events.Paste] = deque()
        self._turn = 0
        self._overdue: asyncio.TimerHandle | None = None  # while a key is under way

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        self._waiting.append(event)
        if self._overdue is None:
            await self._next(self._turn)

    async def _next(self, turn: int) -> None:
        """Give out the next key, unless the turn `turn` has ended already."""
        if turn != self._turn:
            return
        self._turn += 1
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
        if not self._waiting:
            return
        event, screen = self._waiting.popleft(), self.screen
        late = asyncio.get_running_loop().call_later
        self._overdue = late(_PATIENCE, self.call_later, self._next, self._turn)
        way = (self.focused or screen).ancestors_with_self
        await super().on_event(event)
        self._follow(self._turn, [*way, *way], screen)  # again behind what its action said there, as Input.Submitted

    def _follow(self, turn: int, way: Sequence[MessagePump], screen: MessagePump) -> None:
        """Be called again by the first of `way` that still takes messages, after all that waits there."""
        for at, node in enumerate(way, 1):
            if node.call_later(self._follow, turn, way[at:], screen):
                return
        self.call_later(self._arrived, turn, screen)

    async def _arrived(self, turn: int, screen: MessagePump) -> None:
        for _ in range(3):  # what the action began as a task gets as far as its first wait
            await asyncio.sleep(0)
        if self.screen is not screen:  # another screen: its field has the focus once it has resumed
            self.screen.call_later(self.call_later, self._next, turn)
        else:
            self.call_later(self._next, turn)
