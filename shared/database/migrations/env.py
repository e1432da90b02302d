"""Alembic runs this for every command; the connection is the one that shared.database.migrate gives it."""

from alembic import context

from shared.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
