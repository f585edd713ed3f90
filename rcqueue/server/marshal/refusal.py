"""Why something was not done. The kind is stable: it is the last word of the problem's `type` on the wire."""

from __future__ import annotations

from typing import Any

from rcqueue.model.access import Access, Right
from rcqueue.server.store.writer import Refused


class Refusal(Refused):
    """`kind` is one of the problem types of the API; `extra` are its extension members."""

    def __init__(self, kind: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.extra = kind, detail, extra


def unauthorized(detail: str = "the session has ended: sign in again") -> Refusal:
    return Refusal("unauthorized", detail)


def no_right(right: str, at: str) -> Refusal:
    return Refusal("forbidden", f"you have no right to {right} at {at}", right=right)


def customers_with(who: Access, right: Right) -> tuple[str, ...]:
    """The customers at (and below) which they have the right. Raises Refusal: nowhere. An empty list would be an
    answer, and not the one that they asked for."""
    if not (customers := who.customers(right)):
        raise no_right(right, "any customer")
    return customers
