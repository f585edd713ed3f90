"""What an entry means for a list: what became of a row that left it, and where a row that came belongs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcqueue.model.journal import Entry
    from rcqueue.model.mail import Row

_DONE = {
    "mail.claim": "claimed it",
    "mail.unclaim": "gave it back",
    "mail.takeover": "took it over",
    "mail.assign": "handed it over",
    "mail.release": "released it",
    "mail.recall": "recalled it",
    "mail.delete": "deleted it",
    "mail.restore": "restored it",
    "mail.extend": "extended it",
    "mail.settle": "settled it",
}
_HAPPENED = {
    "mail.released": "released",
    "mail.retry": "released, the next hop asks to wait",
    "mail.refused": "the next hop refused it",
    "mail.uncertain": "uncertain: did it arrive?",
    "mail.expire": "expired",
    "mail.lapse": "its claim lapsed",
    "mail.purge": "purged",
}
_RETURNS = frozenset({"mail.hold", "mail.restore", "mail.recall", "mail.refused", "mail.settle", "mail.request"})


def outcome(entry: Entry | None, me: str) -> str:
    """A few words for a row that left the list: "bob released it", "you deleted it", "expired"."""
    if entry is None:
        return "no longer matches"
    if (done := _DONE.get(entry.kind)) is not None and entry.actor and entry.actor != "system":
        return f"{'you' if entry.actor == me else entry.actor} {done}"
    return _HAPPENED.get(entry.kind, "no longer matches")


def returns(entry: Entry) -> bool:
    """Whether the entry can bring a message onto a list that it was not on: back on hold, or asked for."""
    return entry.kind in _RETURNS


_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _folded(text: str | None) -> str:
    """Text as the server's index has it: its first 64 characters, A-Z as a-z."""
    return (text or "")[:64].translate(_LOWER)


def sort_key(sort: str) -> tuple[Callable[[Row], tuple[Any, str]], bool]:
    """(key of a row, whether the list runs downwards) for one of the server's orders; ties go by id."""
    name = sort.removeprefix("-")

    def key(row: Row) -> tuple[Any, str]:
        match name:
            case "score":
                return (float("-inf") if row.score is None else row.score, row.id)
            case "size":
                return (row.size, row.id)
            case "expiry":
                return (float("inf") if row.expiry is None else row.expiry.timestamp(), row.id)
            case "from":
                return (_folded(row.fromEmail), row.id)
            case "to":
                return (_folded(row.toEmail), row.id)
            case "subject":
                return (_folded(row.subject), row.id)
            case "customer":
                return (row.customer, row.id)
            case "verdict":
                return (row.verdict, row.id)
        return (row.timestamp.timestamp(), row.id)

    return key, sort.startswith("-")


def place(row: Row, first: Row, last: Row, sort: str) -> int:
    """Where `row` belongs in a list from `first` to `last`: -1 above, 1 below, 0 between."""
    key, downwards = sort_key(sort)
    mine, top, end = key(row), key(first), key(last)
    if downwards:
        return -1 if mine > top else 1 if mine < end else 0
    return -1 if mine < top else 1 if mine > end else 0
