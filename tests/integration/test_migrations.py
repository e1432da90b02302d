"""The migrations make exactly the tables that the code declares, on a real PostgreSQL."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from shared.database.flexibility_tables import flexibility_order
from shared.database.migrate import migrate
from shared.database.tables import metadata


def _differences(database_url: str) -> list[Any]:
    """What Alembic would have to change to get from the database to shared.database.tables."""

    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async def ask() -> list[Any]:
        engine = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://", 1))
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(compare)
        finally:
            await engine.dispose()

    return asyncio.run(ask())


def _execute(database_url: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def test_migrations_make_the_declared_tables(embedded_postgres: str) -> None:
    assert flexibility_order.name in metadata.tables  # the tables of both modules are declared
    assert len(_differences(embedded_postgres)) >= len(metadata.tables)  # an empty database is found to lack them
    migrate(embedded_postgres)
    assert _differences(embedded_postgres) == []


def test_a_difference_in_a_column_is_found(embedded_postgres: str) -> None:
    migrate(embedded_postgres)
    _execute(embedded_postgres, "ALTER TABLE topology ALTER COLUMN digest DROP NOT NULL")
    assert len(_differences(embedded_postgres)) == 1


def test_processes_that_migrate_at_once_do_not_disturb_one_another(embedded_postgres: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for ended in [pool.submit(migrate, embedded_postgres) for _ in range(4)]:
            ended.result()
    migrate(embedded_postgres)
    assert _differences(embedded_postgres) == []
