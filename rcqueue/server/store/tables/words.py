"""The index of substrings: which messages have three characters in a row in `message.words`.

SQLite's own full text index with trigrams as its words. It keeps no text and no places of it; triggers change it where
`message` changes, so that it is right in every transaction. (On PostgreSQL pg_trgm's index on `words` takes its place.)
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, column, event, literal_column, table

from .mails import message

#: `rowid` is a message's id.
message_words = table("message_words", column("rowid"))

_GONE = "INSERT INTO message_words(message_words, rowid, words) VALUES ('delete', old.id, old.words)"
_HERE = "INSERT INTO message_words(rowid, words) VALUES (new.id, new.words)"
WORDS_DDL = (
    "CREATE VIRTUAL TABLE message_words USING fts5(words, content='message', content_rowid='id', "
    "tokenize='trigram case_sensitive 1', detail='none')",
    f"CREATE TRIGGER message_words_insert AFTER INSERT ON message BEGIN {_HERE}; END",
    f"CREATE TRIGGER message_words_delete AFTER DELETE ON message BEGIN {_GONE}; END",
    f"CREATE TRIGGER message_words_update AFTER UPDATE OF words ON message BEGIN {_GONE}; {_HERE}; END",
)


@event.listens_for(message, "after_create")
def _create(_table: object, connection: Connection, **_: object) -> None:
    if connection.dialect.name == "sqlite":
        for statement in WORDS_DDL:
            connection.exec_driver_sql(statement)


LEAST = 3  #: characters of what is looked up: of less the index knows nothing
MOST = 16  #: trigrams of what is looked up that are considered


def trigrams(texts: Iterable[str]) -> list[str]:
    """Some of the trigrams in these texts, none of them twice; none if they are too short."""
    found = list(dict.fromkeys(text[i : i + LEAST] for text in texts for i in range(len(text) - LEAST + 1)))
    return found[:: -(-len(found) // MOST)] if found else []


def having(trigrams: Iterable[str]) -> ColumnElement[bool]:
    """Holds, of `message_words`, for messages with all of these trigrams."""
    asked = " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in trigrams)
    return literal_column("message_words").op("MATCH")(asked)
