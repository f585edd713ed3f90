"""Acts on many."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, Table, Text, text

from .base import Big, metadata

_KEPT = text("purged IS NULL")

act = Table(
    "act",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Big, nullable=False),
    Column("session", Big, nullable=False),
    Column("request", Text, nullable=False),  # model.act.ActRequest
    Column("as_of", Big, nullable=False),
    Column("count", Big, nullable=False),
    Column("sample", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created", Big, nullable=False),
    Column("finished", Big),
    Column("weighed", Big),  # rescan: when all of it was; confirmed within ten minutes from then
    Column("passing", Big),  # rescan: how many of it would pass
    Column("reach", Text, nullable=False, default="{}"),  # model.act.Reach: whom it reaches
    Column("results", Text, nullable=False, default="{}"),  # how many mails by result: JSON
    Column("reached", Big, nullable=False, default=0),  # the last mail that was tried, in the order of act_mail
    Column("reached_n", Integer, nullable=False, default=-1),
    Column("person", Text),  # assign: the name of whom it is for
    Column("undoes", Text),  # the act that this one takes back
    Column("purged", Big),  # when it was made so that nobody is told any more what became of each mail
    Index("act_state", "state"),
    Index("act_kept", "finished", sqlite_where=_KEPT, postgresql_where=_KEPT),
)

_LEFT = text("result IS NOT NULL AND result <> 'done'")

act_mail = Table(
    "act_mail",
    metadata,
    Column("act", Text, nullable=False),
    Column("message", Big, nullable=False),
    Column("n", Integer, nullable=False),
    Column("result", Text),  # None: not tried yet
    Column("detail", Text),
    Column("would", Text),  # rescan: what the policy would do with it; None: not weighed yet
    Column("version", Big),  # of the mail, when the act had done it
    PrimaryKeyConstraint("act", "message", "n"),
    # What was not done is few, and is looked for among all that was.
    Index("act_mail_left", "act", "message", "n", sqlite_where=_LEFT, postgresql_where=_LEFT),
    sqlite_with_rowid=False,
)

#: What scanning a message anew came to, until the act is over: marshal.rescan.Judged.
act_judged = Table(
    "act_judged",
    metadata,
    Column("act", Text, nullable=False),
    Column("message", Big, nullable=False),
    Column("judged", Text, nullable=False),
    PrimaryKeyConstraint("act", "message"),
)
