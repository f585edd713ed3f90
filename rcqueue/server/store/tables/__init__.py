"""The whole schema, as SQLAlchemy Core tables, for SQLite and PostgreSQL.

Times are BIGINT Unix microseconds by the store's clock. Ids are given by us, never by the database. JSON is kept as
canonical text, because jsonb would reorder it. `Alembic` reads the same metadata (migrations.py).
"""

from .acts import act as act
from .acts import act_judged as act_judged
from .acts import act_mail as act_mail
from .around import alert as alert
from .around import next_hop as next_hop
from .around import notice as notice
from .around import notice_link as notice_link
from .around import notice_stop as notice_stop
from .around import policy_setting as policy_setting
from .around import rule_file as rule_file
from .around import sender_rule as sender_rule
from .around import task as task
from .base import STATUSES as STATUSES
from .base import Big as Big
from .base import Bytewise as Bytewise
from .base import metadata as metadata
from .campaigns import campaign as campaign
from .campaigns import campaign_mails as campaign_mails
from .campaigns import campaign_mark as campaign_mark
from .journal import entry as entry
from .journal import flow as flow
from .journal import head as head
from .journal import idempotency as idempotency
from .journal import tally as tally
from .mails import SORT_KEYS as SORT_KEYS
from .mails import attempt as attempt
from .mails import blob as blob
from .mails import claim as claim
from .mails import mail as mail
from .mails import message as message
from .mails import message_detail as message_detail
from .mails import note as note
from .mails import posting as posting
from .mails import seen as seen
from .mails import standing as standing
from .people import account as account
from .people import customer as customer
from .people import customer_domain as customer_domain
from .people import person_lock as person_lock
from .people import role_grant as role_grant
from .people import saved_filter as saved_filter
from .people import session as session
from .words import WORDS_DDL as WORDS_DDL
from .words import having as having
from .words import message_words as message_words
from .words import trigrams as trigrams
