"""Topologies by number, read from PostgreSQL once each: they never change."""

import asyncio

import asyncpg

from shared.topology.index import Topology, empty_topology
from shared.topology.store import read_topology

_KEPT = 4


class Topologies:
    """A small store of topologies."""

    def __init__(self) -> None:
        """Knows topology 0, which is empty."""
        self._known: dict[int, Topology] = {0: empty_topology()}
        self._reading = asyncio.Lock()

    async def get(self, connection: asyncpg.Connection, number: int) -> Topology:
        """Topology `number`; raises what asyncpg raises, and BilansError when it was never loaded.

        Partitions and archive often ask for the same one at once: it is read once, since a large one takes seconds and
        gigabytes.
        """
        async with self._reading:
            if number not in self._known:
                self._known[number] = await read_topology(connection, number)
                for old in sorted(self._known)[:-_KEPT]:
                    del self._known[old]
            return self._known[number]

    async def learn_newest(self, pool: asyncpg.Pool) -> Topology:
        """The newest topology of all: it names every series whose readings can be in the log by now.

        Raises what asyncpg raises.
        """
        async with pool.acquire() as connection:
            number: int = await connection.fetchval("SELECT coalesce(max(number), 0) FROM topology")
            return await self.get(connection, number)
