"""Messages and mails: the queue itself."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text, text

from .base import STATUSES, Big, Bytewise, metadata

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
    "to": "lower(substr(first_rcpt, 1, 64))",
    "subject": "lower(substr(subject, 1, 64))",
    "verdict": "verdict",
    "customer": "customer",
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
    Column("customer", Bytewise, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("at", Big, nullable=False),
    Column("size", Big, nullable=False),
    Column("sender", Text, nullable=False),
    Column("from_email", Bytewise, nullable=False),
    Column("from_domain", Text, nullable=False),
    Column("subject", Bytewise, nullable=False),
    Column("first_rcpt", Bytewise, nullable=False),
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
    Column("campaign", Text, nullable=False, default=""),  # by all that is known of it,
    Column("campaign_open", Text, nullable=False, default=""),  # and by envelope, network and subject alone
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
    Column("session", Big, nullable=False),  # 0: none, it was assigned and waits for the person
    Column("account", Big, nullable=False),
    Column("fence", Big, nullable=False),  # the sequence of its grant
    Column("at", Big, nullable=False),
    Column("until", Big),  # an end of its own (CLI and API); None: the session's lease
    Column("given_by", Big),  # the account that assigned it
    Column("note", Text),  # the beginning of what was said with that
    PrimaryKeyConstraint("message", "n"),
    Index("claim_session", "session"),
    Index("claim_account", "account", "message"),
    Index("claim_until", "until"),
    sqlite_with_rowid=False,
)

#: Claims of filters: what is held and matches is claimed for the session.
standing = Table(
    "standing",
    metadata,
    Column("id", Big, primary_key=True),  # the sequence of its entry
    Column("account", Big, nullable=False),
    Column("session", Big, nullable=False),
    Column("query", Text, nullable=False),
    Column("created", Big, nullable=False),
    Column("until", Big),  # as of a claim
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

#: Who looked at a message: no entry of the journal, and purged with its bytes.
seen = Table(
    "seen",
    metadata,
    Column("message", Big, nullable=False),
    Column("account", Big, nullable=False),
    Column("at", Big, nullable=False),  # the last time
    Column("how", Integer, nullable=False),  # the most that they did: model.mail.SeenHow by its place
    PrimaryKeyConstraint("message", "account"),
    Index("seen_account", "account", "message"),
    sqlite_with_rowid=False,
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
