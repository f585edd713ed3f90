"""The selection of an act on many: read block by block and stored slice by slice, so that no number of mails is too
many. Each block is read on a snapshot of its own, or the store could not take in its log until the last is there; what
changed after the first is left out, so all of it is of one moment. On the way it is gathered whom it reaches, for
whoever is to confirm it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from sqlalchemy import Connection, select

from rcqueue.model.access import Access, Right
from rcqueue.model.act import Reach
from rcqueue.model.folding import domain_of
from rcqueue.model.ids import encode_mail
from rcqueue.model.query import Query
from rcqueue.server.config_values import longest_match
from rcqueue.server.store import tables as t
from rcqueue.server.store.database import Database, head_seq
from rcqueue.server.store.pages import MailRef, matching_mails

BLOCK = 5_000
SLICE = 500  #: mails that one operation stores: colleagues' acts go in between
SAMPLE = 5
MOST_KNOWN = 10_000  #: recipients, and domains, that are told from each other; beyond that their number is "at least"
MOST_NAMED = 20  #: domains outside that are named

#: Finds those of a selection that come after a mail (message, n), ordered by these.
Mails = Callable[[Connection, tuple[int, int]], Iterable[MailRef]]


@dataclass(frozen=True, slots=True)
class Selection:
    """What was stored, as it was at the sequence `as_of`."""

    as_of: int
    count: int
    sample: tuple[str, ...]
    reach: Reach


@dataclass(slots=True)
class _Reached:
    """Whom mails reach, gathered one after the other in a bounded space."""

    recipients: set[str] = field(default_factory=set)
    domains: Counter[str] = field(default_factory=Counter)
    more: bool = False

    def add(self, rcpt: str) -> None:
        folded = rcpt.lower()
        if len(self.recipients) < MOST_KNOWN:
            self.recipients.add(folded)
        elif folded not in self.recipients:
            self.more = True
        domain = domain_of(folded)
        if domain in self.domains or len(self.domains) < MOST_KNOWN:
            self.domains[domain] += 1

    def told(self, ours: dict[str, str]) -> Reach:
        """`ours` are the domains of customers; without any nothing can be called outside."""
        reach = Reach(recipients=len(self.recipients), more=self.more)
        if ours:
            outside = {d: n for d, n in self.domains.most_common() if longest_match(ours, f"x@{d}") is None}
            reach.outside = sum(outside.values())
            reach.domains = dict(list(outside.items())[:MOST_NAMED])
        return reach


async def store_selection(
    database: Database, find: Mails, put: Callable[[tuple[tuple[int, int], ...]], Awaitable[None]], most: int | None
) -> Selection:
    """Stores the mails that `find` finds by `put`, a slice at a time. Stops at the first mail beyond `most`: the act
    will be refused."""
    as_of, ours = await database.read(_moment)
    count, reached = 0, _Reached()
    sample: list[str] = []
    after: tuple[int, int] | None = (0, -1)
    while after is not None:
        block, after = await database.read(_block, find, after)
        of_then = [ref for ref in block if ref.version <= as_of]
        for start in range(0, len(of_then), SLICE):
            refs = of_then[start : start + SLICE]
            if most is not None and count + len(refs) > most:
                return Selection(as_of, most + 1, tuple(sample), reached.told(ours))
            await put(tuple((ref.message, ref.n) for ref in refs))
            for ref in refs:
                reached.add(ref.rcpt)
            sample += [encode_mail(ref.message, ref.n) for ref in refs[: SAMPLE - len(sample)]]
            count += len(refs)
    return Selection(as_of, count, tuple(sample), reached.told(ours))


def reach_of(connection: Connection, recipients: Iterable[str]) -> Reach:
    """Whom mails to these reach; each is one mail's."""
    reached = _Reached()
    for rcpt in recipients:
        reached.add(rcpt)
    return reached.told(_ours(connection))


def _moment(connection: Connection) -> tuple[int, dict[str, str]]:
    """The number of the last entry, and whose each domain is."""
    return head_seq(connection), _ours(connection)


def _ours(connection: Connection) -> dict[str, str]:
    domain = t.customer_domain.c
    return {row.domain: row.customer for row in connection.execute(select(domain.domain, domain.customer))}


def _block(connection: Connection, find: Mails, after: tuple[int, int]) -> tuple[list[MailRef], tuple[int, int] | None]:
    """The next mails, and after which one it goes on, if it does."""
    block = list(islice(find(connection, after), BLOCK))
    return block, block[-1][:2] if len(block) == BLOCK else None


def mails_of_query(
    connection: Connection, after: tuple[int, int], who: Access, query: Query, now_us: int
) -> Iterator[MailRef]:
    """The mails, after that one, which match and may be viewed."""
    return matching_mails(connection, who, query, now_us, after)


def mails_of_targets(
    connection: Connection,
    after: tuple[int, int],
    who: Access,
    statuses: frozenset[str],
    targets: Sequence[tuple[int, int | None]],
) -> Iterator[MailRef]:
    """The mails, after that one, which ids mean: a mail's that mail, a message's those of its mails in these statuses.
    What may not be viewed is left out."""
    wanted: dict[int, set[int | None]] = {}
    for message, n in targets:
        if message >= after[0]:
            wanted.setdefault(message, set()).add(n)
    mail, message_row = t.mail.c, t.message.c
    for message, numbers in sorted(wanted.items()):
        customer = connection.execute(select(message_row.customer).where(message_row.id == message)).scalar()
        if customer is None or Right.VIEW not in who.rights_at(customer):
            continue
        found = select(mail.message, mail.n, mail.version, mail.rcpt, mail.status).where(mail.message == message)
        for row in connection.execute(found.order_by(mail.n)):
            meant = row.n in numbers or (None in numbers and row.status in statuses)
            if meant and (row.message, row.n) > after:
                yield MailRef(row.message, row.n, row.version, row.rcpt)
