"""Where to jump to in the queue: a time as a person writes it, or an id. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

_TIMES = ("%H:%M", "%H:%M:%S")
_DATES = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


def jump_target(text: str, now: datetime) -> tuple[Literal["at", "time"], str]:
    """("at", id of the message) or ("time", RFC 3339). A time without a date is the last such one; times are in the
    time zone of this terminal. Raises ValueError saying what was expected."""
    from rcqueue.model.ids import MESSAGE_CHARS, parse_id

    try:
        parse_id(text)
    except ValueError:
        pass
    else:
        return "at", text.upper()[:MESSAGE_CHARS]
    here = now.astimezone()
    for form in _TIMES + _DATES:
        try:
            at = datetime.strptime(text, form)
        except ValueError:
            continue
        if form in _TIMES:
            at = datetime.combine(here.date(), at.time())
            if at.replace(tzinfo=here.tzinfo) > here:
                at -= timedelta(days=1)
        return "time", at.replace(tzinfo=here.tzinfo).astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise ValueError("expected 14:30, 2026-03-14 14:30, or an id of 13 or 16 characters")


def jump_check(text: str) -> str:
    try:
        jump_target(text, datetime.now(UTC))
    except ValueError as error:
        return str(error)
    return ""
