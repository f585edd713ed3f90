"""Facets: what the mail that matches a filter has in common, counted, each value with the term that narrows to it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from .access import DataClass
from .fields import FIELDS
from .mail import Wire
from .query import QueryError, QueryForbidden, parse, written

MAX_VALUES = 100  #: of one facet


@dataclass(frozen=True, slots=True)
class Kind:
    """A facet: `field` is that of the filter language which narrows to one of its values."""

    field: str

    @property
    def needs(self) -> frozenset[DataClass]:
        return FIELDS[self.field].needs


#: By name, in the order in which they are shown.
FACETS: dict[str, Kind] = {
    "sender": Kind("from"),
    "domain": Kind("from"),
    "recipient": Kind("to"),
    "rule": Kind("rule"),
    "verdict": Kind("verdict"),
    "campaign": Kind("campaign"),
    "customer": Kind("customer"),
}


class FacetValue(Wire):
    value: str
    mails: int  #: that match the filter and `term`
    term: str  #: what narrows the filter to them


class Facet(Wire):
    """The commonest values first. `capped`: only the newest mails were counted, as many as the time allowed."""

    by: str
    values: list[FacetValue] = Field(default_factory=list)
    capped: bool = False


class Facets(Wire):
    """The answer of `GET /api/v1/facets`, true at journal entry `seq`. `partial`: some of them are capped."""

    seq: int
    partial: bool = False
    facets: list[Facet]


def chosen(by: str, classes: frozenset[DataClass]) -> tuple[str, ...]:
    """The facets that `by` names, with commas; all that `classes` allow if it is empty. Raises ValueError for one that
    there is not, QueryForbidden for one that shows of a class not among `classes`."""
    names = tuple(dict.fromkeys(name for name in by.split(",") if name))
    for name in names:
        if name not in FACETS:
            raise ValueError(f"by: there is no facet {name[:40]!r}; some of {', '.join(FACETS)} were expected")
        for lacking in sorted(FACETS[name].needs - classes):
            raise QueryForbidden(f"by {name}", 0, lacking)
    return names or tuple(name for name, kind in FACETS.items() if kind.needs <= classes)


def term_of(field: str, value: str) -> str | None:
    """The term that asks for a value of a facet; None: the language has no term for it."""
    text = written(field, value)
    try:
        (term,) = parse(text).given
    except (QueryError, ValueError):
        return None
    said = {"rule": value, "verdict": frozenset({value}), "customer": (value,), "campaign": (value,)}.get(field, value)
    return term.text if term.value == said else None
