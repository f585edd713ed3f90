"""When a mail that the next hop did not take is tried again, and when that is given up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

SECOND = 1_000_000
WAITS = tuple(s * SECOND for s in (5, 30, 120, 600, 3600))  #: after the first attempt, the second ...; then the last


def chain(attempts: Iterable[Any], release: str) -> list[Any]:
    """The attempts before this one that ended with "try again", newest first, from rows of table `attempt` in that
    order. A release that a person sent again after UNCERTAIN starts anew, under the same id."""
    found = []
    for attempt in attempts:
        again = attempt.dot is None or 400 <= (attempt.code or 0) < 500
        if attempt.release != release or not again:
            break
        found.append(attempt)
    return found


def wait(tries: int, since: int, now: int, give_up: int, waits: Sequence[int] = WAITS) -> int | None:
    """How long to wait after attempt number `tries` of a chain that began at `since`; None: not again.

    The last attempt is made when the time to give up has come.
    """
    left = since + give_up - now
    if left <= 0:
        return None
    return min(waits[min(tries, len(waits)) - 1], left)
