"""Writes versions/0001_first.py anew from tables.py: `python -m tests.server.first_version`.

Only until the first release: after that a change of the schema is a new version, and 0001 stays as it is.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import render_python_code
from alembic.migration import MigrationContext
from alembic.operations import ops
from sqlalchemy.dialects import sqlite

from rcqueue.server.store import migrations, tables
from rcqueue.server.store.tables import words

HEAD = '''"""The first schema: journal, people, messages and mails, blobs, claims, attempts, acts, counters."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
'''


def write(file: Path) -> None:
    steps: list[ops.MigrateOperation] = []
    for table in tables.metadata.sorted_tables:
        steps.append(ops.CreateTableOp.from_table(table))
        steps += [ops.CreateIndexOp.from_index(i) for i in sorted(table.indexes, key=lambda i: str(i.name))]
    steps += [ops.ExecuteSQLOp(statement) for statement in words.WORDS_DDL]
    context = MigrationContext.configure(dialect=sqlite.dialect())
    body = render_python_code(ops.UpgradeOps(steps), migration_context=context)
    file.write_text(HEAD + body + "\n")
    subprocess.run([Path(sys.executable).with_name("ruff"), "format", "-q", file], check=True)


if __name__ == "__main__":
    write(migrations.SCRIPTS / "versions" / "0001_first.py")
