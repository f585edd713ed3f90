"""Which campaign a message belongs to: decided in the transaction that holds it, on what its marks lead to.

A message is compared with the founders of campaigns, never with those that joined: so none grows by chaining. Precision
goes before recall, since one decision is made for all of a campaign.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from rcqueue.model.ids import ALPHABET
from rcqueue.server.reading.traits import Traits, alike
from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import Rows

NAME_CHARS = 10
WINDOW = 14 * 86400 * 1_000_000  #: microseconds from its founding in which messages join a campaign
FOUNDERS = 8  #: that a mark leads to: the newest
ALIKE = 0.8  #: from here on two texts are of one sending, where marks of two kinds agree too
SAME = 0.9  #: and from here on where a link or a file does


def new_name() -> str:
    """At random: a name tells neither when a campaign began nor where."""
    return "".join(secrets.choice(ALPHABET) for _ in range(NAME_CHARS))


@dataclass(frozen=True, slots=True)
class Marked:
    """The marks of an arrival, and the name of a campaign that it founds if it belongs to none."""

    traits: Traits = field(default_factory=Traits)
    fresh: str = field(default_factory=new_name)

    @property
    def keys(self) -> frozenset[bytes]:
        return frozenset((*self.traits.open, *(mark for _, mark in self.traits.whole)))


def assign(rows: Rows, marked: Marked, message: int) -> tuple[str, str]:
    """The names of the message's campaigns: by all that is known of it, and by what everybody may know of it."""
    traits = marked.traits
    whole = _whole(rows, traits)
    if whole is None:
        whole = "C" + marked.fresh
        if traits.whole:
            rows.put(t.campaign, (whole,), {"id": whole, "founder": message, "sketch": traits.sketch, **_own(traits)})
            _found(rows, (mark for _, mark in traits.whole), message, whole)
    outer = next((name for mark in traits.open for name in _newest(rows, mark)), None)
    if outer is None:
        outer = "E" + marked.fresh
        _found(rows, traits.open, message, outer)
    return whole, outer


def _own(traits: Traits) -> dict[str, bool]:
    return {
        "links": any(kind == "link" for kind, _ in traits.whole),
        "files": any(kind == "file" for kind, _ in traits.whole),
        "listed": traits.listed,
    }


def _newest(rows: Rows, mark: bytes) -> list[str]:
    founders = rows.founders[mark]
    return [founders[at] for at in sorted(founders, reverse=True)]


def _whole(rows: Rows, traits: Traits) -> str | None:
    agree: dict[str, set[str]] = {}
    for kind, mark in traits.whole:
        for name in _newest(rows, mark):
            agree.setdefault(name, set()).add(kind)
    best: tuple[float, int, str] | None = None
    for name, kinds in agree.items():
        founder = rows.get(t.campaign, name)
        if founder is None:
            continue
        near = alike(traits.sketch, founder["sketch"])
        if _belong(kinds, near, traits, founder) and (best is None or (near, founder["founder"], name) > best):
            best = near, founder["founder"], name
    return best[2] if best is not None else None


def _belong(kinds: set[str], near: float, traits: Traits, founder: dict[str, object]) -> bool:
    """Whether a message is of a founder's sending: which kinds of marks they share, and how near their texts are."""
    if traits.listed or founder["listed"]:
        return bool(traits.listed and founder["listed"]) and {"sender", "subject"} <= kinds
    own = _own(traits)
    # A copy of a mail that leads elsewhere, or brings something else, is not of its sending, however alike they are.
    if any((own[of] or founder[of]) and kind not in kinds for of, kind in (("links", "link"), ("files", "file"))):
        return False
    if "file" in kinds and not (traits.sketch or founder["sketch"]):  # there is no text
        return len(kinds) > 1
    return (near >= ALIKE and len(kinds) > 1) or (near >= SAME and not kinds.isdisjoint(("link", "file")))


def _found(rows: Rows, marks: Iterable[bytes], message: int, name: str) -> None:
    """The marks lead to this founder from now on; a mark keeps its newest ones."""
    for mark in set(marks):
        founders = rows.founders[mark]
        if len(founders) >= FOUNDERS:
            oldest = min(founders)
            rows.drop(t.campaign_mark, (mark, oldest))
        rows.put(t.campaign_mark, (mark, message), {"mark": mark, "founder": message, "campaign": name})
