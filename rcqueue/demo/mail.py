"""An endless stream of held mail as a filter hands it over, for the demo, the tests and the benchmarks.

The same seed gives the same mails but for their dates. Every domain is a reserved one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from rcqueue.demo import campaigns, compose, hostile, lures, partners, scripts, singles
from rcqueue.demo.compose import Draft
from rcqueue.demo.places import CUSTOMERS

__all__ = ["CUSTOMERS", "WEIGHTS", "Sample", "messages"]

#: Kinds of mail, in hundredths of the stream.
WEIGHTS = {
    "campaign": 46,
    "spam": 22,
    "script": 7,
    "newsletter": 5,
    "partner": 3,
    "phish": 4,
    "virus": 3,
    "attachment": 4,
    "policy": 2,
    "bounce": 2,
    "hostile": 1.2,
    "broken": 0.8,
}


@dataclass(frozen=True)
class Sample:
    """One SMTP transaction: envelope, the bytes with CRLF line ends, and which kind (of WEIGHTS) the mail is."""

    sender: str  #: "" for a bounce
    recipients: tuple[str, ...]  #: 1..60
    raw: bytes
    kind: str
    smtputf8: bool  #: addresses or fields hold raw UTF-8


def _now() -> datetime:
    return datetime.now(UTC)


def messages(seed: int, now: Callable[[], datetime] = _now, kinds: dict[str, float] = WEIGHTS) -> Iterator[Sample]:
    """Mails without end. `now` is asked once a mail; `kinds` are weights by kind, to have other proportions or one
    kind alone."""
    rng = Random(seed)
    mixer = _Mixer(rng)
    names, weights = list(kinds), list(kinds.values())
    while True:
        kind = rng.choices(names, weights)[0]
        draft = mixer.draft(kind)
        raw = compose.finish(rng, draft, now())
        if kind == "broken":
            raw = hostile.broken(rng, raw)
        yield Sample(draft.sender, draft.recipients, raw, kind, draft.smtputf8)


class _Mixer:
    """Makes drafts, and keeps the campaigns that are under way: three of spam, one of phishing."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._spam = [campaigns.begin(rng, lure, rng.randrange(20, 150)) for lure in rng.sample(lures.CAMPAIGNS, 3)]
        self._phish = [campaigns.begin(rng, rng.choice(lures.PHISHING), rng.randrange(8, 30))]

    def draft(self, kind: str) -> Draft:
        rng = self.rng
        match kind:
            case "campaign":
                return self._next(self._spam, lures.CAMPAIGNS, kind)
            case "phish" if rng.random() < 0.75:
                return self._next(self._phish, lures.PHISHING, kind)
            case "phish" | "spam":
                odd = rng.choice([lure for lure in lures.ODD_ONES if (lure.kind == "PHISH") == (kind == "phish")])
                return campaigns.draft(rng, campaigns.begin(rng, odd, 1), kind)
            case "broken":
                whole = rng.choice((scripts.draft, singles.virus, partners.newsletter, partners.partner))(rng)
                whole.kind = kind
                return whole
            case _:
                return _SINGLES[kind](rng)

    def _next(self, running: list[campaigns.Campaign], lures_of: tuple[lures.Lure, ...], kind: str) -> Draft:
        at = self.rng.randrange(len(running))
        draft = campaigns.draft(self.rng, running[at], kind)
        if not running[at].left:
            running[at] = campaigns.begin(self.rng, self.rng.choice(lures_of), self.rng.randrange(20, 150))
        return draft


_SINGLES: dict[str, Callable[[Random], Draft]] = {
    "script": scripts.draft,
    "newsletter": partners.newsletter,
    "partner": partners.partner,
    "virus": singles.virus,
    "attachment": singles.forbidden,
    "policy": singles.policy,
    "bounce": singles.bounce,
    "hostile": hostile.draft,
}
