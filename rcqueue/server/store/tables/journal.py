"""The journal, and what is kept beside it so that nothing is done or counted twice."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from .base import Big, metadata

#: One row, locked once a batch: numbers are gapless and in commit order.
head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("journal", Text, nullable=False),  # id of this journal; a restored backup gets another
    Column("seq", Big, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

entry = Table(
    "entry",
    metadata,
    Column("seq", Big, primary_key=True),
    Column("at", Big, nullable=False),
    Column("kind", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("customer", Text),  # path; None: concerns no customer's mail
    Column("message", Big),
    Column("account", Big),  # None: system
    Column("leaf", Text, nullable=False),  # RFC 8785 JSON with the previous hash and the commitment to `personal`
    Column("hash", LargeBinary, nullable=False),  # SHA-256(0x00 + leaf)
    Column("salt", LargeBinary),
    Column("personal", Text),  # erasable: reasons, notes, addresses; the leaf only commits to it
    Index("entry_message", "message", "seq"),
    Index("entry_account", "account", "seq"),
    Index("entry_kind", "kind", "seq"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("account", Big, nullable=False),
    Column("key", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    Column("at", Big, nullable=False),
    PrimaryKeyConstraint("account", "key"),
    Index("idempotency_at", "at"),
)

#: Kept counters, moved in the transaction that moves the mails; never counted.
tally = Table(
    "tally",
    metadata,
    Column("customer", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("n", Big, nullable=False),
    PrimaryKeyConstraint("customer", "status", "verdict"),
)

#: Mails that came into the hold and left it, by the minute: kept as the counters are, and forgotten after a day.
flow = Table(
    "flow",
    metadata,
    Column("minute", Big, nullable=False),  # minutes since 1970
    Column("customer", Text, nullable=False),
    Column("came", Big, nullable=False),
    Column("went", Big, nullable=False),
    PrimaryKeyConstraint("minute", "customer"),
)
