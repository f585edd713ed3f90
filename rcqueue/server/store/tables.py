"""The whole schema, as SQLAlchemy Core tables, for SQLite and PostgreSQL.

Times are BIGINT Unix microseconds by the store's clock. Ids are given by us, never by the database. JSON is kept as
canonical text, because jsonb would reorder it. `Alembic` reads the same metadata (migrations.py).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

metadata = MetaData()

# BIGINT PRIMARY KEY is no rowid alias in SQLite, INTEGER is.
Big = BigInteger().with_variant(Integer, "sqlite")
# Text that is sorted, or folded by lower(): byte by byte and A-Z only, as on SQLite.
Bytewise = Text().with_variant(Text(collation="C"), "postgresql")

STATUSES = ("onhold", "releasing", "uncertain", "released", "deleted", "expired", "passed", "rejected")

# -- the journal ------------------------------------------------------------------------------------------------------

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

# -- customers and people ---------------------------------------------------------------------------------------------

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

#: A signed-in terminal, or a token of a script. Claims are rows under it; its lease keeps them all.
session = Table(
    "session",
    metadata,
    Column("id", Big, primary_key=True),
    Column("account", Big, nullable=False),
    Column("token", LargeBinary, nullable=False, unique=True),  # SHA-256 of the opaque token
    Column("kind", Text, nullable=False),  # terminal, token, system
    Column("scope", Text, nullable=False),  # space-separated rights; "" means all of the account's
    Column("label", Text, nullable=False),
    Column("created", Big, nullable=False),
    Column("seen", Big, nullable=False),
    Column("ends", Big, nullable=False),
    Column("lease", Big, nullable=False),  # until when claims under it live, 0: none
    Column("ended", Big),
    Index("session_account", "account"),
)

# -- messages and mails -----------------------------------------------------------------------------------------------

blob = Table(
    "blob",
    metadata,
    Column("customer", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("size", Big, nullable=False),
    Column("codec", Text, nullable=False),  # "" as it came, "zlib"
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("customer", "sha256"),
)

#: What a list can be sorted by (model.query.SORTS), as SQL over `message`; `id` comes after it. Text only by its
#: beginning: keys stay short in the index, and in cursors.
SORT_KEYS = {
    "score": "score",
    "size": "size",
    "expiry": "next_expiry",
    "from": "lower(substr(from_email, 1, 64))",
    "subject": "lower(substr(subject, 1, 64))",
    "verdict": "verdict",
}


def _sort_index(name: str, key: str | None, where: str) -> Index:
    condition = text(where)
    counted = where.split()[0]  # in the index too, or SQLite looks it up in the table
    columns = (text(key), "id", counted) if key else ("id", counted)
    return Index(f"message_{name}", *columns, sqlite_where=condition, postgresql_where=condition)


#: What arrived: one transaction for one customer. Lists and sorts touch only this table.
message = Table(
    "message",
    metadata,
    Column("id", Big, primary_key=True),
    Column("queue", Text, nullable=False),
    Column("customer", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("at", Big, nullable=False),
    Column("size", Big, nullable=False),
    Column("sender", Text, nullable=False),
    Column("from_email", Bytewise, nullable=False),
    Column("from_domain", Text, nullable=False),
    Column("subject", Bytewise, nullable=False),
    Column("first_rcpt", Text, nullable=False),
    Column("score", Float),
    Column("verdict", Bytewise, nullable=False),
    Column("rules", Bytewise, nullable=False),  # JSON list of names
    Column("degraded", Text),
    Column("recipients", Integer, nullable=False),
    *(Column(s, Integer, nullable=False) for s in STATUSES),  # mails by status
    Column("requested", Integer, nullable=False, default=0),  # of those on hold: whose recipient asks for a release
    Column("next_expiry", Big),  # earliest among its mails on hold
    Column("version", Big, nullable=False),
    Column("purged", Big),  # when its bytes went
    Column(
        "origin", Text, nullable=False, default="smtp"
    ),  # the way in: "smtp", "import", "milter", "postfix:HOST/QUEUEID" ...
    Column("words", Text, nullable=False),  # what bare words look in (query_sql.words_of); last, for it can be long
    # A message is in one index of each sort: those of the hold, which people work in, or those off hold. A list of
    # any other status walks both.
    *(_sort_index(f"onhold_{name}", key, "onhold > 0") for name, key in SORT_KEYS.items()),
    *(_sort_index(f"offhold_{name}", key, "onhold = 0") for name, key in SORT_KEYS.items()),
    *(_sort_index(f"{status}_time", None, f"{status} > 0") for status in STATUSES),
    _sort_index("degraded", None, "degraded IS NOT NULL"),
    Index("message_blob", "customer", "sha256"),
)

#: What is only wanted when a message is opened.
message_detail = Table(
    "message_detail",
    metadata,
    Column("message", Big, primary_key=True),
    Column("receipt", Text, nullable=False),  # model.mail.Receipt
    Column("headers", Text, nullable=False),  # [[name, value]...] of the allow-list
    Column("withheld", Integer, nullable=False),
    Column("verdict", Text, nullable=False),  # model.mail.VerdictDetail without id
    Column("scans", Text, nullable=False, default="[]"),  # what our scanners said: a JSON list of scan.base.ScanResult
    Column("rescanned", Big),  # when verdict and scans were made anew
    Column("deep", LargeBinary),  # zlib JSON of reading.deep.Deep, once somebody opened the body
)

#: Posting lists (query_sql.terms_of): `term` is "from:gmail.com", "to:a@b.c", "customer:acme" ..., so that a page of
#: any of them is one walk along an index, however many messages there are.
posting = Table(
    "posting",
    metadata,
    Column("term", Text, nullable=False),
    Column("message", Big, nullable=False),
    PrimaryKeyConstraint("term", "message"),
    sqlite_with_rowid=False,
)

#: One recipient of a message.
mail = Table(
    "mail",
    metadata,
    Column("message", Big, nullable=False),
    Column("n", Integer, nullable=False),
    Column("rcpt", Bytewise, nullable=False),
    Column("rcpt_domain", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("expiry", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("release", Text),  # release id, kept over "send again"
    Column("due", Big),  # RELEASING: not before; the end of the recall window, or of a retry's wait
    Column("tries", Integer, nullable=False),
    Column("reply", Text, nullable=False),  # the next hop's last answer
    Column("ended", Big),  # when it became RELEASED, DELETED or EXPIRED: purge counts from here
    Column("way", Text),  # model.act.Way: how it goes out; None: as it came
    Column("requested", Big),  # when its recipient asked for its release; only while it is on hold
    PrimaryKeyConstraint("message", "n"),
    Index("mail_due", "due", sqlite_where=text("status = 'RELEASING'"), postgresql_where=text("status = 'RELEASING'")),
    Index(
        "mail_expiry",
        "expiry",
        "status",
        sqlite_where=text("status = 'ONHOLD'"),
        postgresql_where=text("status = 'ONHOLD'"),
    ),
    Index("mail_ended", "ended", sqlite_where=text("ended IS NOT NULL"), postgresql_where=text("ended IS NOT NULL")),
    Index(
        "mail_requested",
        "requested",
        sqlite_where=text("requested IS NOT NULL"),
        postgresql_where=text("requested IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

claim = Table(
    "claim",
    metadata,
    Column("message", Big, nullable=False),
    Column("n", Integer, nullable=False),
    Column("session", Big, nullable=False),
    Column("account", Big, nullable=False),
    Column("fence", Big, nullable=False),  # the sequence of its grant
    Column("at", Big, nullable=False),
    Column("until", Big),  # an end of its own (CLI and API); None: the session's lease
    PrimaryKeyConstraint("message", "n"),
    Index("claim_session", "session"),
    Index("claim_account", "account", "message"),
    Index("claim_until", "until"),
    sqlite_with_rowid=False,
)

#: Durable before connecting (`started`), and again before the final dot (`dot`).
attempt = Table(
    "attempt",
    metadata,
    Column("message", Big, nullable=False),
    Column("n", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("release", Text, nullable=False),
    Column("next_hop", Text, nullable=False),
    Column("started", Big, nullable=False),
    Column("dot", Big),
    Column("finished", Big),
    Column("code", Integer),
    Column("reply", Text),
    Column("queue_id", Text),  # the next hop's own, as its answer named it
    PrimaryKeyConstraint("message", "n", "number"),
    Index("attempt_open", "started", sqlite_where=text("finished IS NULL"), postgresql_where=text("finished IS NULL")),
)

note = Table(
    "note",
    metadata,
    Column("seq", Big, primary_key=True),
    Column("message", Big, nullable=False),
    Column("account", Big, nullable=False),
    Column("text", Text, nullable=False),
    Index("note_message", "message"),
)

# -- what the server does afterwards, and by what rules ---------------------------------------------------------------

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

# -- what scanners were given, and what is amiss ----------------------------------------------------------------------

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

# -- acts on many -----------------------------------------------------------------------------------------------------

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
    Index("act_state", "state"),
)

act_mail = Table(
    "act_mail",
    metadata,
    Column("act", Text, nullable=False),
    Column("message", Big, nullable=False),
    Column("n", Integer, nullable=False),
    Column("result", Text),  # None: not tried yet
    Column("detail", Text),
    Column("would", Text),  # rescan: what the policy would do with it; None: not weighed yet
    PrimaryKeyConstraint("act", "message", "n"),
    sqlite_with_rowid=False,
)

#: What scanning a message anew came to, until the act is done: marshal.rescan.Judged.
act_judged = Table(
    "act_judged",
    metadata,
    Column("act", Text, nullable=False),
    Column("message", Big, nullable=False),
    Column("judged", Text, nullable=False),
    PrimaryKeyConstraint("act", "message"),
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
