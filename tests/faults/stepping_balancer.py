"""`python -m tests.faults.stepping_balancer`: a balancer that ends, or stands still, exactly at a step of its flush.

The product has no such switch. This program puts itself between the balancer and asyncpg, where each numbered step of
`services/balancer/flush.py` is a statement, and looks at a file before or after each of them: `STEP SIGNAL` in it, such
as `3 SIGKILL`, is what the balancer does to itself there, once.
"""

import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg

from services.balancer.app import make_app
from shared.http_server import run_service

STEP_FILE = "BILANS_TEST_STEP_FILE"

STEPS = {
    "1": ("after", r"SET owner_epoch = p\.owner_epoch \+ 1"),
    "begin": ("before", r"^BEGIN"),
    "2-before": ("before", r"UPDATE progress SET next_offset"),
    "2": ("after", r"UPDATE progress SET next_offset"),
    "3-rows": ("after", r"INSERT INTO partial AS p"),
    "3-books": ("after", r"INSERT INTO books"),
    "4": ("after", r"INSERT INTO outbox"),
    "5-before": ("before", r"^COMMIT"),
    "5": ("after", r"^COMMIT"),
    "outbox-sent": ("before", r"DELETE FROM outbox"),
}
"""The steps of a flush: the number that flush.py gives them, and which statement it is after or before. One that is
paused before it begins holds no lock, and its session outlives the pause: its flush must be refused by step 2."""
LATE_STEP = {"3-history": ("after", r"DELETE FROM late_queue")}
"""A step that only a flush has with which late readings are applied."""
_OF_THE_POOL = ("1", "outbox-sent")
_WRAPPED = ("execute", "executemany", "fetch", "fetchrow", "fetchval")


def _interrupt_at(place: str, connection: asyncpg.Connection, query: str) -> None:
    """Does what the file says when this is its step."""
    file = Path(os.environ[STEP_FILE])
    with suppress(FileNotFoundError, ValueError):
        step, how = file.read_text().split()
        when, pattern = (STEPS | LATE_STEP)[step]
        if when == place and re.search(pattern, query) and _is_of_the_flush(connection, step):
            file.unlink()
            os.kill(os.getpid(), signal.Signals[how])


def _is_of_the_flush(connection: asyncpg.Connection, step: str) -> bool:
    """Whether the session is one of the flush: followers have transactions and progress of their own."""
    name: str = connection._params.server_settings.get("application_name", "")
    return name.endswith("flush") or (step in _OF_THE_POOL and name == os.environ["BILANS_INSTANCE"])


def _wrapped(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def call(connection: asyncpg.Connection, query: str, *arguments: Any, **named: Any) -> Any:
        _interrupt_at("before", connection, query)
        result = await method(connection, query, *arguments, **named)
        _interrupt_at("after", connection, query)
        return result

    return call


if __name__ == "__main__":
    for method in _WRAPPED:
        setattr(asyncpg.Connection, method, _wrapped(getattr(asyncpg.Connection, method)))
    sys.exit(run_service("balancer", lambda settings: settings.balancer_port, make_app))
