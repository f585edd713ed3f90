"""Claims of filters: what arrives and matches is the person's, as long as the claim stands."""

from __future__ import annotations

from pydantic import Field

from .mail import Time, Wire


class StandBody(Wire):
    """Body of POST /api/v1/claims."""

    query: str = Field(max_length=4000)
    for_seconds: int | None = Field(default=None, ge=1, le=7 * 86400)  #: as of a claim


class Standing(Wire):
    """A claim of a filter. `query` is None where it asks about a class that the viewer lacks."""

    id: int
    who: str
    query: str | None = None
    created: Time
    until: Time | None = None  #: None: with the lease of the session
    both: int | None = None  #: mails on hold that match it and the filter that was asked about


class Claims(Wire):
    """The claims of filters that stand, one's own and colleagues'; and of a filter, who holds what of it now."""

    standing: list[Standing] = []
    held: dict[str, int] = {}  #: mails that match and are held, by holder
