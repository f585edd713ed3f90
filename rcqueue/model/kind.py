"""What kind of mail it is, as lists show it. Light: it is loaded before the first paint."""

from __future__ import annotations


def kind_of(verdict: str, status: str) -> str:
    """The verdict as it is shown; "" of mail that passed clean: no policy stopped it."""
    return "" if (verdict, status) == ("POLICY", "PASSED") else verdict
