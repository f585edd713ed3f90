"""Saved filters, as they cross the wire: a person's own, and those shared with whoever works at a customer."""

from __future__ import annotations

from pydantic import Field

from .mail import Time, Wire

MAX_NAME = 60  #: characters of a name


class SavedBody(Wire):
    """Body of POST /api/v1/filters: what is there under that name is replaced. `customer`: shared with those who view
    mail there, above or below it; None: one's own."""

    name: str = Field(max_length=MAX_NAME)
    query: str = Field(max_length=4000)
    sort: str = Field(default="-time", max_length=20)
    customer: str | None = Field(default=None, max_length=400)


class SavedEnd(Wire):
    """Body of POST /api/v1/filters/NAME/delete."""

    customer: str | None = Field(default=None, max_length=400)


class SavedFilter(Wire):
    name: str
    query: str
    sort: str
    customer: str | None = None  #: None: one's own
    by: str
    at: Time


class SavedFilters(Wire):
    """One's own first, then the shared ones, each by name."""

    filters: list[SavedFilter]
