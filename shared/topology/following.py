"""Who follows a topology: the running ingests and the partitions, as their tables say."""

import asyncio
import time
from dataclasses import dataclass

import asyncpg

from shared.errors import BilansError
from shared.topics import READINGS

ALIVE_S = 5.0
"""A service whose heartbeat is older is gone."""

_QUESTION_S = 0.1


@dataclass(frozen=True, slots=True)
class TopologyCounts:
    """What a topology holds."""

    zones: int
    members: int
    meters: int
    series: int
    assets: int
    exchanges: int


async def count_topology(connection: asyncpg.Connection, number: int) -> TopologyCounts:
    """How much topology `number` holds; its meters are counted once however many rows they have."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM topology_zone WHERE topology = $1),
               (SELECT count(*) FROM topology_member WHERE topology = $1),
               count(*), COALESCE(sum(series), 0)::bigint,
               (SELECT count(*) FROM topology_asset WHERE topology = $1),
               (SELECT count(*) FROM topology_exchange WHERE topology = $1)
        FROM (SELECT count(DISTINCT register) AS series
              FROM topology_meter, string_to_table(registers, '|') AS register
              WHERE topology = $1 GROUP BY meter_id) AS meters
        """,
        number,
    )
    return TopologyCounts(*row)


async def laggards(connection: asyncpg.Connection, number: int) -> list[str]:
    """The running ingests and, while a balancer runs, the partitions that do not follow topology `number` yet."""
    rows = await connection.fetch(
        """
        WITH alive AS (SELECT * FROM service_instance WHERE seen_at > now() - make_interval(secs => $2))
        SELECT 'ingest ' || instance AS who FROM alive WHERE service = 'ingest' AND topology < $1
        UNION ALL
        SELECT 'partition ' || partition FROM progress
        WHERE topic = $3 AND topology < $1 AND EXISTS (SELECT FROM alive WHERE service = 'balancer')
        ORDER BY who
        """,
        number,
        ALIVE_S,
        READINGS,
    )
    return [row["who"] for row in rows]


async def wait_until_followed(connection: asyncpg.Connection, number: int, timeout_s: float) -> None:
    """Returns once every running ingest and every partition follows topology `number`; at once when nothing runs.

    Raises BilansError when that takes longer than `timeout_s`.
    """
    ends_at = time.monotonic() + timeout_s
    while behind := await laggards(connection, number):
        if time.monotonic() > ends_at:
            raise BilansError(
                f"Topology {number} is loaded, but after {timeout_s:.0f} s not followed by {', '.join(behind)}.",
                "It will be as soon as these have caught up; /v1/status shows how far they are.",
            )
        await asyncio.sleep(_QUESTION_S)
