"""The topologies at hand: the newest in memory, refreshed beside the requests; older ones when an answer needs them."""

import asyncio
import logging
from collections import OrderedDict

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.api.database_trouble import DATABASE_TROUBLE
from services.api.topology_terms import TopologyTerms
from shared.topology.index import empty_topology
from shared.topology.store import newest_logged_number, read_topology

_KEPT = 4
"""Topologies kept beside the newest: questions about the past come in runs about the same one."""

_REFRESH_S = 1.0

_log = logging.getLogger(__name__)


class TopologyShelf:
    """Reads topologies from PostgreSQL, each once."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Holds the empty topology until `refresh` or `by_number` is called."""
        self.newest = TopologyTerms(empty_topology())
        self._engine = engine
        self._kept: OrderedDict[int, TopologyTerms] = OrderedDict()
        self._reading = asyncio.Lock()

    @property
    def newest_number(self) -> int:
        """The number of the newest topology at hand; 0 when none has been loaded."""
        return self.newest.topology.number

    async def by_number(self, connection: AsyncConnection, number: int) -> TopologyTerms:
        """The topology `number`, which must have been logged; 0 is the empty one."""
        if self.newest_number == number:
            return self.newest
        async with self._reading:
            terms = self._kept.get(number)
            if terms is None:
                raw = await connection.get_raw_connection()
                terms = TopologyTerms(await read_topology(raw.driver_connection, number))
                self._kept[number] = terms
            self._kept.move_to_end(number)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        if number > self.newest_number:
            self.newest = terms
        return terms

    async def refresh(self) -> None:
        """Takes up the newest logged topology, if it is another."""
        async with self._engine.connect() as connection:
            raw = await connection.get_raw_connection()
            number = await newest_logged_number(raw.driver_connection)
            if number > self.newest_number:
                await self.by_number(connection, number)

    async def keep_fresh(self) -> None:
        """Refreshes once a second until cancelled; while PostgreSQL is away the newest at hand stays in force."""
        away = False
        while True:
            try:
                await self.refresh()
                away = False
            except (*DATABASE_TROUBLE, asyncpg.PostgresError) as trouble:
                if not away:
                    _log.warning("The topology cannot be refreshed from PostgreSQL: %s", trouble)
                away = True
            await asyncio.sleep(_REFRESH_S)
