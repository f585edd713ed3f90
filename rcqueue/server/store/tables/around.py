"""What the server does beside the queue, by what rules, and what is amiss."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from .base import Big, metadata

#: What an entry asks the server to do beside the queue, such as teaching a scanner: written in its transaction, and
#: gone in that of the entry that says what came of it.
task = Table(
    "task",
    metadata,
    Column("id", Big, primary_key=True),  # 1000 x the sequence of the entry that asked, and 0 to 999
    Column("kind", Text, nullable=False),  # "learn", "notice" ...
    Column("message", Big),
    Column("n", Integer),
    Column("payload", Text, nullable=False),  # JSON
    Column("due", Big, nullable=False),
    Column("tries", Integer, nullable=False),
    Index("task_due", "due"),
)

#: Senders that people let through or stop, until an end.
sender_rule = Table(
    "sender_rule",
    metadata,
    Column("id", Big, primary_key=True),  # the sequence of its entry
    Column("kind", Text, nullable=False),  # allow, block
    Column("pattern", Text, nullable=False),  # "a@b.example", or "b.example" for a domain and those below it
    Column("customer", Text, nullable=False),  # for whose mail
    Column("recipient", Text, nullable=False),  # "" for all of the customer's
    Column("account", Big, nullable=False),
    Column("created", Big, nullable=False),
    Column("ends", Big, nullable=False),
    Column("ended", Big),  # taken back before its end
    Index("sender_rule_pattern", "pattern"),
)

#: What people changed of the policy, over its file: thresholds, and points of single rules.
policy_setting = Table(
    "policy_setting",
    metadata,
    Column("scope", Text, nullable=False),  # "default", or a domain of the policy
    Column("key", Text, nullable=False),  # "score.spamassassin.hold", "points.spamassassin.URIBL_BLACK"
    Column("value", Float, nullable=False),
    Column("seq", Big, nullable=False),  # of the entry that set it
    PrimaryKeyConstraint("scope", "key"),
)

#: Notices to recipients: a recipient's of a day is made once. Addresses here are folded (fields.fold_ascii).
notice = Table(
    "notice",
    metadata,
    Column("recipient", Text, nullable=False),
    Column("day", Text, nullable=False),  # 2026-11-24
    Column("customer", Text, nullable=False),
    Column("at", Big, nullable=False),
    Column("mails", Integer, nullable=False),  # that it lists
    Column("outcome", Text),  # sent, refused, uncertain, dropped; None: it waits to be sent
    PrimaryKeyConstraint("recipient", "day"),
    Index("notice_day", "day"),
)

#: One-time links of notices. A link requests the release of a mail, and never makes one; or it stops the notices.
notice_link = Table(
    "notice_link",
    metadata,
    Column("token", LargeBinary, primary_key=True),  # SHA-256 of what the link holds
    Column("recipient", Text, nullable=False),
    Column("message", Big),  # None: it stops the recipient's notices
    Column("n", Integer),
    Column("ends", Big, nullable=False),
    Column("used", Big),
    Index("notice_link_ends", "ends"),
)

#: Recipients who stopped their notices.
notice_stop = Table(
    "notice_stop",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("at", Big, nullable=False),
)


#: Rule files and signatures as they were pushed to a scanner, and what was taken back: an attempt each. The file that
#: should stand in the scanner's folder is the newest push in state "installed"; without one there is none.
rule_file = Table(
    "rule_file",
    metadata,
    Column("seq", Big, primary_key=True),  # of the entry that began it
    Column("kind", Text, nullable=False),  # push, rollback
    Column("scanner", Text, nullable=False),  # by its name in the configuration
    Column("name", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("size", Big, nullable=False),
    Column("content", LargeBinary),  # of a push
    Column("undoes", Big),  # of a rollback: the push that it takes back
    Column("account", Big, nullable=False),
    Column("at", Big, nullable=False),
    Column("state", Text, nullable=False),  # model.rules.Outcome
    Column("said", Text, nullable=False),  # why not, in the scanner's words
    Index("rule_file_name", "scanner", "name", "seq"),
)

#: Alerts that stand.
alert = Table(
    "alert",
    metadata,
    Column("name", Text, primary_key=True),  # "scanner.clamav", "disk" ...
    Column("at", Big, nullable=False),
    Column("text", Text, nullable=False),
)

#: What people set for a next hop; without a row it takes as much as it can.
next_hop = Table(
    "next_hop",
    metadata,
    Column("at", Text, primary_key=True),  # HOST:PORT, as the configuration writes it
    Column("paused", Big),  # since when nothing goes to it; None: it runs
    Column("rate", Integer),  # mails a minute at most; None: no limit
)
