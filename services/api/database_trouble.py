"""PostgreSQL being away: which errors say so, and the answer they get."""

import asyncpg
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.requests import Request
from starlette.responses import Response

from shared.problem import busy, problem_response

_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)

DATABASE_TROUBLE: tuple[type[Exception], ...] = (
    DBAPIError,
    PoolTimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.QueryCanceledError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    OSError,  # nobody listens at its address; a time-out is one of them too
)
"""What a question to PostgreSQL raises when the store is the trouble, or may be."""

RETRY_AFTER_S = 2


def install_database_handlers(app: FastAPI) -> None:
    """Answers 503 with `Retry-After` when PostgreSQL is away; a wrong statement stays a fault of ours (500)."""
    for kind in DATABASE_TROUBLE:
        app.add_exception_handler(kind, _answer_trouble)


async def _answer_trouble(request: Request, error: Exception) -> Response:
    if isinstance(error, DBAPIError) and not _is_away(error):
        raise error
    problem = busy("PostgreSQL does not answer; the live view still does.", retry_after_s=RETRY_AFTER_S)
    return problem_response(request.url.path, problem)


def _is_away(error: DBAPIError) -> bool:
    cause = error.orig.__cause__ if error.orig is not None else None
    return error.connection_invalidated or isinstance(error, _AWAY) or isinstance(cause, DATABASE_TROUBLE)
