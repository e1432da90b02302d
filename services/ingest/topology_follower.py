"""Follows the topology: the newest one that stands in the log is the one that names are looked up in."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

import asyncpg

from services.ingest.lookup import SeriesLookup, build_lookup
from shared.database.engine import DATABASE_TROUBLE, connect
from shared.heartbeat import HEARTBEAT_S, beat, farewell
from shared.settings import Settings
from shared.topology.store import newest_logged_number, read_topology

_POLL_S = 0.5
"""`topology load` waits until every ingest has the new topology: half a second is short enough to a person."""

_log = logging.getLogger(__name__)

State = Callable[[], tuple[bool, str]]
"""Whether the service is ready, and else why not."""


class TopologyFollower:
    """Holds the lookup in use and says each second in `service_instance` which topology that is."""

    def __init__(
        self,
        settings: Settings,
        in_thread: Callable[[Callable[[], SeriesLookup]], Awaitable[SeriesLookup]],
        state: State,
    ) -> None:
        """`in_thread` runs the building of a lookup beside the event loop; `state` is told with each heartbeat."""
        self._settings = settings
        self._in_thread = in_thread
        self._state = state
        self._beaten_at_s = -HEARTBEAT_S
        self.lookup: SeriesLookup | None = None
        """The lookup in use, replaced whole; None until a topology is logged."""
        self.connected = False

    async def run(self) -> None:
        """Follows until it is cancelled; while PostgreSQL is away the lookup at hand stays in use."""
        while True:
            try:
                await self._follow()
            except DATABASE_TROUBLE as error:
                _log.warning("PostgreSQL cannot be reached, topology stays as it is: %s", error)
            finally:
                self.connected = False
            await asyncio.sleep(_POLL_S)

    async def _follow(self) -> None:
        connection = await connect(
            self._settings.database_url, application_name="bilans ingest", statement_timeout_s=60
        )
        try:
            self.connected = True
            while True:
                await self._look(connection)
                await self._beat(connection)
                await asyncio.sleep(_POLL_S)
        except asyncio.CancelledError:
            with contextlib.suppress(*DATABASE_TROUBLE):
                async with asyncio.timeout(1):
                    await farewell(connection, "ingest", self._settings.instance)
            raise
        finally:
            connection.terminate()

    async def _look(self, connection: asyncpg.Connection) -> None:
        number = await newest_logged_number(connection)
        if number == (self.lookup.number if self.lookup else 0):
            return
        topology = await read_topology(connection, number)
        self.lookup = await self._in_thread(lambda: build_lookup(topology))
        self._beaten_at_s = -HEARTBEAT_S  # tell at once: a load may be waiting for it
        _log.info("topology %d in use: %d meters", number, len(topology.meter))

    async def _beat(self, connection: asyncpg.Connection) -> None:
        now_s = time.monotonic()
        if now_s - self._beaten_at_s < HEARTBEAT_S:
            return
        self._beaten_at_s = now_s
        ready, detail = self._state()
        topology = self.lookup.number if self.lookup else 0
        await beat(connection, "ingest", self._settings.instance, topology=topology, ready=ready, detail=detail)
