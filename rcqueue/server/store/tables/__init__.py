"""The whole schema, as SQLAlchemy Core tables, for SQLite and PostgreSQL.

Times are BIGINT Unix microseconds by the store's clock. Ids are given by us, never by the database. JSON is kept as
canonical text, because jsonb would reorder it. `Alembic` reads the same metadata (migrations.py).
"""

from .acts import act, act_judged, act_mail
from .around import alert, next_hop, notice, notice_link, notice_stop, policy_setting, rule_file, sender_rule, task
from .base import STATUSES, metadata
from .campaigns import campaign, campaign_mails, campaign_mark
from .journal import entry, flow, head, idempotency, tally
from .mails import SORT_KEYS, attempt, blob, claim, mail, message, message_detail, note, posting, seen, standing
from .people import account, customer, customer_domain, person_lock, role_grant, saved_filter, session
from .words import having, message_words, trigrams

__all__ = [
    "SORT_KEYS",
    "STATUSES",
    "account",
    "act",
    "act_judged",
    "act_mail",
    "alert",
    "attempt",
    "blob",
    "campaign",
    "campaign_mails",
    "campaign_mark",
    "claim",
    "customer",
    "customer_domain",
    "entry",
    "flow",
    "having",
    "head",
    "idempotency",
    "mail",
    "message",
    "message_detail",
    "message_words",
    "metadata",
    "next_hop",
    "note",
    "notice",
    "notice_link",
    "notice_stop",
    "person_lock",
    "policy_setting",
    "posting",
    "role_grant",
    "rule_file",
    "saved_filter",
    "seen",
    "sender_rule",
    "session",
    "standing",
    "tally",
    "task",
    "trigrams",
]
