"""Brings a database to the newest form of its tables."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x6D696772  # "migr": any number that no other advisory lock of Bilans has


def migrate(database_url: str) -> None:
    """Makes or changes the tables up to the newest migration; nothing is done when they are there.

    All of it is one transaction under a lock, so that several processes may call it at once and none sees half of it.
    It blocks and runs an event loop of its own: from a coroutine, call it in a thread.
    """
    asyncio.run(_migrate(database_url))


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for the migrations of Bilans, run on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def _migrate(database_url: str) -> None:
    engine = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    command.upgrade(alembic_config(connection), "head")
