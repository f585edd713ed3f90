"""The schema of a data folder is brought to what this program knows, step by step, by Alembic.

`versions/` has one file a step. A folder that has a queue already is copied before its first step; a queue written by
a newer program is refused and stays as it is. `env.py` is how Alembic asks for a connection.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

import rcqueue

SCRIPTS = Path(__file__).parent


class SchemaMistake(Exception):
    """The queue in the data folder cannot be served by this program; nothing of it was changed."""


@dataclass(frozen=True, slots=True)
class Migrated:
    before: str | None  #: None: there was no queue
    after: str
    copy: Path | None  #: of the database as it was before; None: nothing was changed, or there was nothing


def migrate(engine: Engine, scripts: Path = SCRIPTS) -> Migrated:
    """Brings the database of the write engine to the newest schema, all steps in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    known = ScriptDirectory.from_config(config)
    newest = known.get_current_head()
    assert newest is not None
    file = Path(str(engine.url.database))
    with engine.begin() as connection:
        before = MigrationContext.configure(connection).get_current_revision()
        if before == newest:
            return Migrated(before, newest, None)
        if before is None and inspect(connection).get_table_names():
            raise SchemaMistake(f"{file} is no queue of rcqueue: it has tables but no version of the schema")
        if before is not None and before not in {script.revision for script in known.walk_revisions()}:
            raise SchemaMistake(
                f"{file} has version {before} of the schema, and rcqueue {rcqueue.__version__} knows those up to "
                f"{newest}: it was written by a newer rcqueue. Run that one, or restore the copy that it made"
            )
        copy = _copy(file, before) if before is not None else None
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return Migrated(before, newest, copy)


def _copy(file: Path, version: str) -> Path:
    """A copy beside the database, whole even if the program stops in the middle of it: it gets its name at the end."""
    copy = file.with_name(f"{file.name}.before-{version}")
    unfinished = copy.with_name(copy.name + ".part")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(unfinished)) as target:
        source.backup(target)
    return unfinished.replace(copy)
