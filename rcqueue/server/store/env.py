"""Run by Alembic, imported by nobody: the migration happens on the connection, and in the transaction, of `migrate`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
