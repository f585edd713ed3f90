"""Campaigns: messages that belong together."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from .base import STATUSES, Big, metadata

#: The founder of a campaign by all that is known of messages, to compare others with; kept as long as it has marks.
campaign = Table(
    "campaign",
    metadata,
    Column("id", Text, primary_key=True),
    Column("founder", Big, nullable=False),  # the message
    Column("sketch", LargeBinary, nullable=False),  # reading.traits.Traits
    Column("links", Boolean, nullable=False),  # it has links
    Column("files", Boolean, nullable=False),  # something is attached
    Column("listed", Boolean, nullable=False),  # a mailing list's
    Index("campaign_founder", "founder"),
)

#: What marks of messages lead to: the newest founders that have one.
campaign_mark = Table(
    "campaign_mark",
    metadata,
    Column("mark", LargeBinary, nullable=False),
    Column("founder", Big, nullable=False),
    Column("campaign", Text, nullable=False),
    PrimaryKeyConstraint("mark", "founder"),
    Index("campaign_mark_founder", "founder"),
    sqlite_with_rowid=False,
)

#: A campaign at one customer: kept counters of its mails by status, its first and its last message.
campaign_mails = Table(
    "campaign_mails",
    metadata,
    Column("campaign", Text, nullable=False),
    Column("customer", Text, nullable=False),
    Column("first", Big, nullable=False),
    Column("last", Big, nullable=False),
    *(Column(s, Integer, nullable=False) for s in STATUSES),
    PrimaryKeyConstraint("campaign", "customer"),
    Index("campaign_mails_last", "last", "campaign"),
)
