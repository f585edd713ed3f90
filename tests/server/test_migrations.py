"""The schema of a data folder: new, older, newer, and the same by migration as by tables.py."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from rcqueue.server.store import migrations, tables
from rcqueue.server.store.database import Database
from rcqueue.server.store.migrations import SchemaMistake, migrate

NEWER = """
import sqlalchemy as sa
from alembic import op

revision = "0099"
down_revision = "{before}"


def upgrade() -> None:
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    {then}
"""


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "data", synchronous="OFF")
    yield database
    database.close()


@pytest.fixture
def later(tmp_path):
    """The scripts of a program that knows one step more; `then` is what its last line does."""

    def make(then: str = ""):
        folder = tmp_path / "later"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "versions").mkdir(parents=True)
        shutil.copy(migrations.SCRIPTS / "env.py", folder)
        for version in (migrations.SCRIPTS / "versions").glob("*.py"):
            shutil.copy(version, folder / "versions")
        (folder / "versions" / "0099_later.py").write_text(NEWER.format(before="0001", then=then))
        return folder

    return make


def schema(engine) -> dict[str, str]:
    """Every table and index as the database keeps its definition, white space aside."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection", "ignore:autogenerate skipping")
def test_by_migration_and_by_tables_the_schema_is_the_same(database):
    done = migrate(database.write_engine)
    assert (done.before, done.copy) == (None, None)
    with database.write_engine.connect() as connection:
        # Alembic cannot compare indexes on expressions; the text of their definitions is compared below.
        # And it takes the index of words, which has tables of its own, for tables that should not be there.
        ours = lambda _o, name, kind, *_: kind != "index" and not name.startswith("message_words")  # noqa: E731
        no_indexes = {"compare_type": True, "include_object": ours}
        context = MigrationContext.configure(connection, opts=no_indexes)
        assert compare_metadata(context, tables.metadata) == []
    by_tables = create_engine("sqlite://")
    tables.metadata.create_all(by_tables)
    # If this fails, tables.py has changed: see first_version.py.
    assert schema(database.write_engine) == schema(by_tables)


def test_a_second_start_changes_nothing(database):
    migrate(database.write_engine)
    before = schema(database.write_engine)
    done = migrate(database.write_engine)
    assert done.before == done.after
    assert done.copy is None
    assert schema(database.write_engine) == before


def test_an_older_queue_is_copied_then_migrated(database, later):
    migrate(database.write_engine)
    with database.write_engine.begin() as connection:
        connection.execute(text("INSERT INTO customer VALUES ('acme', 0)"))
    done = migrate(database.write_engine, later())
    assert (done.before, done.after) == ("0001", "0099")
    assert "later" in schema(database.write_engine)
    assert done.copy is not None
    assert stat.S_IMODE(done.copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(done.copy)) as copy:
        assert copy.execute("SELECT path FROM customer").fetchall() == [("acme",)]
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert not copy.execute("SELECT * FROM sqlite_master WHERE name = 'later'").fetchall()


def test_a_step_that_fails_leaves_the_queue_as_it_was(database, later):
    migrate(database.write_engine)
    before = schema(database.write_engine)
    with pytest.raises(ZeroDivisionError):
        migrate(database.write_engine, later("1 / 0"))
    assert schema(database.write_engine) == before
    assert migrate(database.write_engine).before == "0001"


def test_a_newer_queue_is_refused_and_stays_as_it_is(database, later):
    migrate(database.write_engine, later())
    before = schema(database.write_engine)
    with pytest.raises(SchemaMistake, match=r"queue\.db has version 0099 .* written by a newer rcqueue"):
        migrate(database.write_engine)
    assert schema(database.write_engine) == before


def test_a_database_of_something_else_is_refused(database):
    with database.write_engine.begin() as connection:
        connection.execute(text("CREATE TABLE invoices (id INTEGER)"))
    with pytest.raises(SchemaMistake, match="is no queue of rcqueue"):
        migrate(database.write_engine)
