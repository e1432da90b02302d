"""The store in PostgreSQL: short questions through a pool, flushes through a connection of their own."""

from collections.abc import Sequence

import asyncpg

from services.balancer import flush as flush_steps
from services.balancer.deferred import DeferredChanges
from services.balancer.flush_content import HistoryProgress, LogPlace, Ownership, PartitionFlush, RememberedSeries
from services.balancer.history_tables import (
    LateBatch,
    read_deferred,
    read_late_batch,
    read_remembered,
    read_waiting_from,
)
from services.balancer.topologies import Topologies
from shared.database.engine import connect
from shared.limits import FLUSH_TIMEOUT_S
from shared.settings import Settings
from shared.topics import READINGS
from shared.topology.index import Topology


class PostgresStore:
    """Implements services.balancer.store.Store."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, topologies: Topologies) -> None:
        """The connection for flushes is made at the first flush."""
        self._settings = settings
        self._pool = pool
        self._topologies = topologies
        self._flushes: asyncpg.Connection | None = None

    async def take_over(self, partition: int, owner: str) -> Ownership:
        """Step 1 of the flush."""
        async with self._pool.acquire() as connection, connection.transaction():
            return await flush_steps.take_over(connection, READINGS, partition, owner)

    async def is_current(self, partition: int, epoch: int, place: LogPlace, history: HistoryProgress) -> bool:
        """Compares the progress row."""
        row = await self._pool.fetchrow(
            "SELECT owner_epoch, next_offset, next_position, history_step, late_until, late_slot FROM progress"
            " WHERE topic = $1 AND partition = $2",
            READINGS,
            partition,
        )
        return row is not None and tuple(row) == (epoch, *place, *history)

    async def flush(self, contents: Sequence[PartitionFlush]) -> None:
        """Steps 2 to 5."""
        await flush_steps.flush(await self._connection(), contents)

    async def was_committed(self, content: PartitionFlush) -> bool:
        """Asks the progress row, behind the lock of a transaction that may still be under way."""
        return await flush_steps.was_committed(await self._connection(), content)

    async def let_go(self) -> None:
        """Ends the connection for flushes at once."""
        if self._flushes is not None:
            self._flushes.terminate()
            self._flushes = None

    async def remembered(self, partition: int, after_step: int) -> list[RememberedSeries]:
        """From `series_memory`."""
        async with self._pool.acquire() as connection:
            return await read_remembered(connection, partition, after_step)

    async def waiting_from(self, partition: int, recount_offset: int, queue_begin: int) -> int | None:
        """From `recount` and `late_queue`, of one moment."""
        async with self._pool.acquire() as connection:
            return await read_waiting_from(connection, partition, recount_offset, queue_begin)

    async def late_batch(
        self, partition: int, span: tuple[int, int], until: int | None, readings_max: int
    ) -> LateBatch | None:
        """From `late_queue`."""
        async with self._pool.acquire() as connection:
            return await read_late_batch(connection, partition, span, until, readings_max)

    async def deferred(self, partition: int, after: int) -> DeferredChanges | None:
        """From `deferred_change`."""
        async with self._pool.acquire() as connection:
            return await read_deferred(connection, partition, after)

    async def topology(self, number: int) -> Topology:
        """Read once and kept."""
        async with self._pool.acquire() as connection:
            return await self._topologies.get(connection, number)

    async def followed_topology(self, partition: int) -> int:
        """From `progress`."""
        number: int = await self._pool.fetchval(
            "SELECT topology FROM progress WHERE topic = $1 AND partition = $2", READINGS, partition
        )
        return number

    async def _connection(self) -> asyncpg.Connection:
        if self._flushes is None or self._flushes.is_closed():
            self._flushes = await connect(
                self._settings.database_url,
                application_name=f"{self._settings.instance} flush",
                statement_timeout_s=FLUSH_TIMEOUT_S,
            )
            await self._flushes.execute(flush_steps.PREPARE_CONNECTION)
        return self._flushes
