"""Who may do what, and which classes of data they may see. Plain data: no pydantic, so that it may load at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    COUNT = "count"  # to see counts of mail, and whether the server is well; nothing of any mail
    VIEW = "view"
    HEADERS = "headers"
    CLAIM = "claim"
    TAKEOVER = "takeover"
    RELEASE = "release"
    DELETE = "delete"
    EXTEND = "extend"
    NOTE = "note"
    HOLD = "hold"  # to put mail on hold over the API: what a filter's token is narrowed to
    AUDIT = "audit"
    ADMINISTER = "administer"


class DataClass(StrEnum):
    """The classes that data come in; the server builds what a viewer gets from those that the viewer has."""

    ENVELOPE = "envelope"
    HEADERS = "headers"  # listed headers, receipt log, rule names and points
    SUBJECT = "subject"
    ATTACHMENTS = "attachments"  # names, types, hashes
    RULES = "rules"  # rule descriptions and reports, which quote bodies
    BODY = "body"


#: What `people lock NAME bodies` takes away, whatever the roles.
LOCKS: dict[str, frozenset[DataClass]] = {
    "bodies": frozenset({DataClass.BODY, DataClass.ATTACHMENTS, DataClass.RULES}),
}


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    rights: frozenset[Right]
    classes: frozenset[DataClass]


_VIEWER = frozenset({Right.COUNT, Right.VIEW, Right.HEADERS})
_OPERATOR = _VIEWER | {Right.CLAIM, Right.RELEASE, Right.DELETE, Right.EXTEND, Right.NOTE}
_BLIND = frozenset({DataClass.ENVELOPE, DataClass.HEADERS, DataClass.SUBJECT})

ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        Role("operator", _OPERATOR, frozenset(DataClass)),
        Role("blind", _OPERATOR, _BLIND),
        Role("admin", frozenset(Right), frozenset(DataClass)),
        Role("auditor", _VIEWER | {Right.AUDIT}, _BLIND),
        Role("wall", frozenset({Right.COUNT}), frozenset()),
    )
}

ROOT = "all"  #: the customer at the root of the tree


def covers(customer: str, below: str) -> bool:
    """Whether `below` is `customer` or an element under it ("acme" covers "acme/sales"; "all" covers every one)."""
    return customer == ROOT or below == customer or below.startswith(customer + "/")


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, given at a customer; it holds for that customer and all below."""

    role: str
    customer: str


@dataclass(frozen=True, slots=True)
class Access:
    """What one signed-in account may do and see, as of now."""

    account: int
    name: str
    session: int
    grants: tuple[Grant, ...] = ()
    locks: frozenset[str] = frozenset()
    scope: frozenset[str] = frozenset()  #: rights that a token is narrowed to; empty: all of the account's

    def rights_at(self, customer: str) -> frozenset[Right]:
        held: frozenset[Right] = frozenset()
        for grant in self.grants:
            if covers(grant.customer, customer):
                held |= ROLES[grant.role].rights
        return held & self._scope()

    def classes_at(self, customer: str) -> frozenset[DataClass]:
        held: frozenset[DataClass] = frozenset()
        for grant in self.grants:
            if covers(grant.customer, customer):
                held |= ROLES[grant.role].classes
        for lock in self.locks:
            held -= LOCKS[lock]
        return held

    def anywhere(self, right: Right) -> bool:
        """Whether the right is held at any customer."""
        return right in self._scope() and any(right in ROLES[g.role].rights for g in self.grants)

    def _scope(self) -> frozenset[Right]:
        return frozenset(Right(name) for name in self.scope) if self.scope else frozenset(Right)

    def classes_everywhere(self, within: Sequence[str] = (ROOT,)) -> frozenset[DataClass]:
        """The classes held at each customer that this account can view, of these and those below them: what a filter
        may ask about that looks nowhere else."""
        view = [g.customer for g in self.grants if Right.VIEW in ROLES[g.role].rights]
        # Who has a class at a customer has it below, too: the uppermost that can be viewed have the fewest.
        here = [
            path if covers(of, path) else of for path in within for of in view if covers(of, path) or covers(path, of)
        ]
        at = [self.classes_at(customer) for customer in here or view]
        return frozenset.intersection(*at) if at else frozenset()

    def customers(self, right: Right = Right.VIEW) -> tuple[str, ...]:
        """The customers at (and below) which the right is held, without those that another one covers."""
        if right not in self._scope():
            return ()
        paths = sorted({g.customer for g in self.grants if right in ROLES[g.role].rights}, key=len)
        kept: list[str] = []
        for path in paths:
            if not any(covers(k, path) for k in kept):
                kept.append(path)
        return tuple(kept)

    @property
    def key(self) -> tuple[object, ...]:
        """Two accounts with an equal key see the same bytes of everything that is not personal to them."""
        return (
            tuple(sorted((g.customer, g.role) for g in self.grants)),
            tuple(sorted(self.locks)),
            tuple(sorted(self.scope)),
        )

    def only_counts(self) -> bool:
        """Whether this account is for a display on a wall."""
        return bool(self.grants) and all(ROLES[g.role].rights == {Right.COUNT} for g in self.grants)
