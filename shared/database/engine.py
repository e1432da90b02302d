"""The ways into PostgreSQL: SQLAlchemy for questions, asyncpg straight for what moves many rows."""

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_SERVER_SETTINGS = {
    "timezone": "UTC",
    # A session that hangs must not hold rows: flushes and answers end within seconds or not at all.
    "statement_timeout": "30000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",
}

DATABASE_TROUBLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.ObjectNotInPrerequisiteStateError,
)
"""What passes when the database is there again; anything else is a bug and ends the process.

An InternalClientError is how asyncpg says that its connection broke in the middle of an answer.
"""


def make_engine(database_url: str, *, connections_max: int = 10) -> AsyncEngine:
    """An engine for queries; it tests a connection before it lends it, so a restarted PostgreSQL is found again."""
    return create_async_engine(
        database_url.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={"server_settings": _SERVER_SETTINGS, "command_timeout": 30, "timeout": 5},
    )


async def connect(database_url: str, *, application_name: str, statement_timeout_s: int = 30) -> asyncpg.Connection:
    """One asyncpg connection, for transactions that move many rows."""
    settings = _SERVER_SETTINGS | {
        "application_name": application_name,
        "statement_timeout": str(statement_timeout_s * 1000),
    }
    connection: asyncpg.Connection = await asyncpg.connect(
        database_url, server_settings=settings, timeout=5, command_timeout=statement_timeout_s
    )
    return connection
