"""A mail's way as the pane says it: newest first, since that is where it is now. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len

from .pane import Entry
from .text import ago, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rcqueue.model.journal import Step, Timeline

WHO = 18  # cells for who did it, at most
_WHAT = 9
_STYLES = {"mail.refused": "bad", "mail.uncertain": "warn", "mail.retry": "warn", "denied": "warn"}

_ANSWERS = frozenset({"mail.released", "mail.refused", "mail.retry"})


def timeline(detail: Timeline, now: datetime, since: int | None = None) -> list[Entry]:
    """A line a step: how long ago, the exact time, what, who, and more. A day has a line where another one begins.
    Entries after `since` have a `+`: they are new."""
    wide = min(WHO, max((cell_len(_who(step)) for step in detail.steps), default=0))
    entries: list[Entry] = []
    day = now.astimezone().date()
    for step in _told(detail.steps):
        at = step.at.astimezone() if step.at is not None else None
        if at is not None and at.date() != day:
            day = at.date()
            entries.append(Entry(f"{day:%Y-%m-%d}", style="dim"))
        when = ("", "") if at is None else (ago((now - at).total_seconds()), f"{at:%H:%M:%S}")
        what = step.what.partition(".")[2] or step.what
        new = since is not None and step.seq is not None and step.seq > since
        columns = (
            (("+" + when[0].rjust(3)) if new else when[0].rjust(4), 4),
            (when[1], 8),
            (what, _WHAT),
            (_who(step), wide),
        )
        said = f"said: {step.detail}" if step.hearsay else step.detail
        entries.append(
            Entry(
                said, style="dim" if step.hearsay else _STYLES.get(step.what, "strong" if new else ""), columns=columns
            )
        )
    if detail.more:
        entries.append(Entry(f"{plural(detail.more, 'earlier step')} not shown", style="dim"))
    return entries or [Entry("nothing yet", style="dim")]


def _told(steps: Sequence[Step]) -> Iterator[Step]:
    """The newest first. The dot of an attempt matters while nobody knows what came of it, and not any more."""
    answered: set[str | None] = set()
    for step in reversed(steps):
        if step.what in _ANSWERS:
            answered.add(step.mail)
        elif step.what == "attempt":
            answered.discard(step.mail)
        if step.what != "dot" or step.mail not in answered:
            yield step


def _who(step: Step) -> str:
    return "" if step.who == "system" else step.who
