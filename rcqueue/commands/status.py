"""How a command ends: exit statuses, and the one line that says why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rcqueue.client.http import ApiProblem

DONE = 0
FAILED = 1
USAGE = 2
REFUSED = 3  #: rights, or somebody else's claim
NOT_FOUND = 4
UNREACHABLE = 5

_OF_PROBLEM = {
    "unauthorized": REFUSED,
    "forbidden": REFUSED,
    "claimed": REFUSED,
    "lost": REFUSED,
    "not-found": NOT_FOUND,
    "query": USAGE,
    "bad-request": USAGE,
    "unavailable": UNREACHABLE,
}

_OF_RESULT = {"done": DONE, "held": DONE, "claimed": REFUSED, "refused": REFUSED, "lost": REFUSED, "gone": NOT_FOUND}


class Failure(Exception):
    """Ends the command with `status`; the text is its one line on standard error."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


def of_problem(type: str) -> int:
    return _OF_PROBLEM.get(type, FAILED)


def of_results(results: Iterable[str]) -> int:
    """The status of an act on many mails: done only if each is."""
    return worst(_OF_RESULT.get(result, FAILED) for result in results)


def worst(statuses: Iterable[int]) -> int:
    """One status for many: what weighs most."""
    found = set(statuses)
    return next((status for status in (UNREACHABLE, REFUSED, NOT_FOUND, USAGE, FAILED) if status in found), DONE)


def failure(problem: ApiProblem) -> Failure:
    """The server's words, with what its extension members add to them."""
    text = problem.detail or problem.title
    for name, words in _MORE.get(problem.type, ()):
        value = problem.extra.get(name)
        if value not in (None, "") and str(value) not in text:
            text += words.format(value)
    if problem.type == "unauthorized":
        text += " (sign in with `rcqueue login`)"
    return Failure(of_problem(problem.type), text)


_MORE = {
    "query": (("term", "; term {}"), ("expected", "; expected {}")),
    "forbidden": (("right", "; it needs the right {}"), ("class", "; it needs the class {}")),
    "claimed": (("by", "; {} holds it"),),
    "lost": (("by", "; {} holds it"),),
    "status": (("is", "; it is {}"),),
    "expect": (("count", "; {} match"),),
}
