"""What the tables have in common."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData, Text

metadata = MetaData()

# BIGINT PRIMARY KEY is no rowid alias in SQLite, INTEGER is.
Big = BigInteger().with_variant(Integer, "sqlite")
# Text that is sorted, or folded by lower(): byte by byte and A-Z only, as on SQLite.
Bytewise = Text().with_variant(Text(collation="C"), "postgresql")

STATUSES = ("onhold", "releasing", "uncertain", "released", "deleted", "expired", "passed", "rejected")
