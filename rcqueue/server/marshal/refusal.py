"""Why something was not done. The kind is stable: it is the last word of the problem's `type` on the wire."""

from __future__ import annotations

from typing import Any

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
