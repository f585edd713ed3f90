"""Customers, people, their rights and their sessions."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, LargeBinary, PrimaryKeyConstraint, Table, Text

from .base import Big, metadata

customer = Table(
    "customer",
    metadata,
    Column("path", Text, primary_key=True),  # "acme/sales"; the root is "all"
    Column("claim_locks_body", Boolean, nullable=False),
)

customer_domain = Table(
    "customer_domain",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("customer", Text, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("id", Big, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("password", Text),  # argon2id
    Column("enabled", Boolean, nullable=False),
    Column("created", Big, nullable=False),
)

role_grant = Table(
    "role_grant",
    metadata,
    Column("account", Big, nullable=False),
    Column("role", Text, nullable=False),
    Column("customer", Text, nullable=False),
    PrimaryKeyConstraint("account", "role", "customer"),
)

#: Classes of data taken from one person by name (model.access.LOCKS).
person_lock = Table(
    "person_lock",
    metadata,
    Column("account", Big, nullable=False),
    Column("name", Text, nullable=False),
    PrimaryKeyConstraint("account", "name"),
)

#: Filters that people keep under a name.
saved_filter = Table(
    "saved_filter",
    metadata,
    Column("customer", Text, nullable=False),  # with whose people it is shared; "": its owner's own
    Column("account", Big, nullable=False),  # its owner; 0: it is shared
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),  # as it was written
    Column("sort", Text, nullable=False),
    Column("by", Big, nullable=False),  # who saved it
    Column("at", Big, nullable=False),
    PrimaryKeyConstraint("customer", "account", "name"),
    Index("saved_filter_account", "account"),
)

#: A signed-in terminal, or a token of a script. Claims are rows under it; its lease keeps them all.
session = Table(
    "session",
    metadata,
    Column("id", Big, primary_key=True),
    Column("account", Big, nullable=False),
    Column("token", LargeBinary, nullable=False, unique=True),  # SHA-256 of the opaque token
    Column("kind", Text, nullable=False),  # terminal, cli, token, wall, system
    Column("scope", Text, nullable=False),  # space-separated rights; "" means all of the account's
    Column("label", Text, nullable=False),
    Column("created", Big, nullable=False),
    Column("seen", Big, nullable=False),
    Column("ends", Big, nullable=False),
    Column("lease", Big, nullable=False),  # until when claims under it live, 0: none
    Column("ended", Big),
    Index("session_account", "account"),
)
