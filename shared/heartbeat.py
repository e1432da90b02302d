"""Heartbeats: each running ingest and balancer says once a second that it is there (table `service_instance`)."""

from typing import Any

_UPSERT = """
INSERT INTO service_instance (instance, service, topology, ready, detail, seen_at)
VALUES ($1, $2, $3, $4, $5, clock_timestamp())
ON CONFLICT (instance) DO UPDATE SET service = excluded.service, topology = excluded.topology,
    ready = excluded.ready, detail = excluded.detail, seen_at = excluded.seen_at
"""

HEARTBEAT_S = 1.0
"""Seconds between two heartbeats."""

GONE_AFTER_S = 5.0
"""An instance whose heartbeat is older than this counts as gone."""


async def beat(
    connection_or_pool: Any, service: str, instance: str, *, topology: int, ready: bool, detail: str = ""
) -> None:
    """Writes one heartbeat through an asyncpg connection or pool.

    `topology` is the number in use, `detail` what an operator should know, such as why it is not ready. Raises what
    asyncpg raises: a missed beat shows as an old `seen_at`.
    """
    await connection_or_pool.execute(_UPSERT, f"{service}:{instance}", service, topology, ready, detail)


async def farewell(connection_or_pool: Any, service: str, instance: str) -> None:
    """Takes the instance out: it has ended on purpose."""
    await connection_or_pool.execute("DELETE FROM service_instance WHERE instance = $1", f"{service}:{instance}")
