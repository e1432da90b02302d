"""Alembic runs this for every command; the connection is the one that shared.database.migrate gives it."""

from alembic import context

import shared.database.flexibility_tables
from shared.database.tables import metadata

assert shared.database.flexibility_tables.forecast.metadata is metadata  # all tables are declared when it is read

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
