"""Waits until deliveries are in the tables: their books are entered in the transaction that writes their rows."""

import asyncio
import time
from collections.abc import Callable

import asyncpg

from deploy.bench.log_content import log_ends
from shared.errors import BilansError
from shared.settings import Settings
from shared.topics import READINGS

_QUESTION_S = 0.01
"""The question costs PostgreSQL a tenth of a millisecond, and the answer is exact to this."""
_STANDSTILL_S_MAX = 60.0
"""A balancer that is taken over or compiles its kernels is back within less."""


async def received(connection: asyncpg.Connection) -> int:
    """Deliveries whose effect is committed."""
    count: int = await connection.fetchval(
        "SELECT COALESCE(sum(deliveries), 0)::bigint FROM books WHERE topic = $1 AND outcome = 'received'", READINGS
    )
    return count


async def outcomes(connection: asyncpg.Connection) -> dict[str, int]:
    """The books of the log: deliveries by what became of them."""
    rows = await connection.fetch(
        "SELECT outcome, sum(deliveries)::bigint FROM books WHERE topic = $1 GROUP BY 1", READINGS
    )
    return {outcome: int(count) for outcome, count in rows}


async def messages_left(connection: asyncpg.Connection, settings: Settings) -> int:
    """Messages of the log whose effect is not committed."""
    ends = await log_ends(settings)
    rows = await connection.fetch("SELECT partition, next_offset FROM progress WHERE topic = $1", READINGS)
    handled = {row["partition"]: row["next_offset"] for row in rows}
    return sum(end - handled.get(partition, 0) for partition, end in ends.items())


async def wait_received(
    connection: asyncpg.Connection, deliveries: int, show: Callable[[int], None] = lambda done: None
) -> float:
    """Returns the wall time at which so many deliveries were seen committed; `show` is told how many are.

    Raises BilansError when nothing moves for a minute.
    """
    last, moved_s = -1, time.monotonic()
    while (count := await received(connection)) < deliveries:
        if count != last:
            last, moved_s = count, time.monotonic()
            show(count)
        if time.monotonic() - moved_s > _STANDSTILL_S_MAX:
            raise BilansError(f"Nothing was committed for {_STANDSTILL_S_MAX:.0f} s: {count:,} of {deliveries:,}.")
        await asyncio.sleep(_QUESTION_S)
    return time.time()
