"""How well mail that belongs together is found together: pairs of messages, by those that are joined and by the truth.

The truth of the demo is known: its campaigns are lures, each sent from hosts of its own. Two sendings of one lure from
the same hosts are one campaign; of mail that is no campaign, what one sender's domain sends under one subject is.
Of the corpus (RCQUEUE_CORPUS) there is none: what is joined is written down, to be looked at.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.figures import Figure
from rcqueue.demo import campaigns
from rcqueue.demo.mail import Sample, messages
from rcqueue.model.folding import domain_of
from rcqueue.server.marshal.campaigns import Marked, assign
from rcqueue.server.reading.scan import scan
from rcqueue.server.reading.traits import traits
from rcqueue.server.store.rows import Rows

_BOUNCE = re.compile(r"(?:mailer-daemon|postmaster)@|\Z", re.IGNORECASE)  #: who sends without an envelope sender


class Pairs(NamedTuple):
    """Of all pairs of messages: how many are joined, how many of those wrongly, and how many belong together."""

    joined: int
    wrong: int
    true: int

    @property
    def precision(self) -> float:
        return 1 - self.wrong / self.joined if self.joined else 1.0

    @property
    def recall(self) -> float:
        return (self.joined - self.wrong) / self.true if self.true else 1.0


def pairs(found: Iterable[tuple[Hashable, Hashable]]) -> Pairs:
    """Of (campaign, truth) of each message."""
    both = Counter(found)
    by_campaign: Counter[Hashable] = Counter()
    by_truth: Counter[Hashable] = Counter()
    for (campaign, truth), n in both.items():
        by_campaign[campaign] += n
        by_truth[truth] += n
    joined, right, true = (sum(n * (n - 1) // 2 for n in c.values()) for c in (by_campaign, both, by_truth))
    return Pairs(joined, joined - right, true)


def demo(count: int, seed: int = 1) -> Iterator[tuple[Sample, Hashable]]:
    """The demo's mails, each with its truth."""
    told: list[Hashable] = []
    real = campaigns.draft

    def draft(rng: Random, campaign: campaigns.Campaign, kind: str) -> campaigns.Draft:
        made = real(rng, campaign, kind)
        told.append((campaign.lure.name, campaign.hosts if campaign.lure.link else domain_of(made.sender)))
        return made

    campaigns.draft = draft
    try:
        for sample in islice(messages(seed), count):
            subject = scan(sample.raw).subject
            yield sample, told.pop() if told else (domain_of(sample.sender), subject.strip("\ufffd"))
    finally:
        campaigns.draft = real


def assigned(mails: Iterable[tuple[str, tuple[str, ...], bytes]]) -> Iterator[tuple[str, str]]:
    """The two campaigns of each (sender, recipients, raw), as the writer would give them."""
    rows = Rows()
    for number, (sender, recipients, raw) in enumerate(mails, 1):
        marked = Marked(traits(raw, scan(raw), sender, recipients, ""))
        yield assign(rows, marked, number)


def run(*, quick: bool = False) -> list[Figure]:
    """Pairs wrongly joined, in hundredths of those that are joined; and what the marks of a mail cost."""
    mails = list(demo(500 if quick else 6000))
    figures: list[Figure] = []
    began = time.perf_counter()
    found = list(assigned((sample.sender, sample.recipients, sample.raw) for sample, _ in mails))
    spent = (time.perf_counter() - began) / len(mails)
    for kind, of in enumerate(("by all that is known of them", "by envelope, network and subject")):
        told = pairs((names[kind], truth) for names, (_, truth) in zip(found, mails, strict=True))
        rows = len({names[kind] for names in found})
        detail = f"{told.joined:,} joined, {told.true:,} belong together; {len(mails):,} mails, {rows:,} rows"
        figures.append(Figure(f"demo, {of}: wrongly joined", 100 * (1 - told.precision), "%", 0.1, detail))
        figures.append(Figure(f"demo, {of}: found", 100 * told.recall, "%"))
    figures.append(Figure("reading a mail's header and marks, and assigning it", 1e6 * spent, "us"))
    corpus = os.environ.get("RCQUEUE_CORPUS", "")
    if corpus and not quick:
        figures.append(_corpus(Path(corpus)))
    return figures


def _corpus(folder: Path) -> Figure:
    """What is joined of a corpus without a truth goes to standard error, to be judged by eye."""
    raws = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    read = [(found, raw) for raw in raws if (found := scan(raw)).headers]
    mails = (
        ("" if _BOUNCE.match(found.from_email) else found.from_email, ("x@example.org",), raw) for found, raw in read
    )
    joined: dict[str, dict[bytes, str]] = {}
    for (whole, _), (found, raw) in zip(assigned(mails), read, strict=True):
        joined.setdefault(whole, {})[raw] = f"  {found.from_email}  {found.subject[:90]}"
    for name, some in sorted(joined.items(), key=lambda item: -len(item[1])):
        if len(some) > 1:
            print(name, *some.values(), sep="\n", file=sys.stderr)
    told = pairs((name, raw) for name, some in joined.items() for raw in some)
    detail = f"{len(read):,} messages, {len(joined):,} rows"
    return Figure("corpus: pairs joined that are not byte for byte the same", told.joined, "", None, detail)
