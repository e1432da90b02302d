"""Writes flushes until they are in: the database may go away and come back, a commit's answer may be lost."""

import asyncio
import logging
import time

import asyncpg

from services.balancer.flush import PREPARE_CONNECTION, NotOwnerError, PartitionFlush, flush, was_committed
from shared.database.engine import DATABASE_TROUBLE, connect
from shared.limits import FLUSH_TIMEOUT_S
from shared.metrics import BALANCER_FENCED, BALANCER_FLUSH_ROWS, BALANCER_FLUSH_SECONDS, BALANCER_LAST_COMMIT
from shared.settings import Settings

_log = logging.getLogger(__name__)
_RETRY_S = 0.3


class FlushWriter:
    """The one connection through which a balancer's flushes go."""

    def __init__(self, settings: Settings) -> None:
        """Connects at the first flush."""
        self._settings = settings
        self._connection: asyncpg.Connection | None = None

    async def write(self, contents: list[PartitionFlush]) -> set[int]:
        """Writes all of them, and returns the partitions that turned out to be somebody else's.

        Tries for as long as it takes: the state has moved on, so what a flush holds must not be lost.
        """
        lost: set[int] = set()
        uncertain = False
        began_s = time.monotonic()
        while contents:
            try:
                connection = await self._connected()
                if uncertain:
                    contents = await self._not_yet_in(connection, contents, lost)
                    uncertain = False
                    continue
                await flush(connection, contents)
                break
            except NotOwnerError as error:
                contents = self._without(contents, error.partition, lost)
            except DATABASE_TROUBLE as error:
                _log.warning("a flush did not get through, trying again: %s: %s", type(error).__name__, error)
                await self.close()
                uncertain = True
                await asyncio.sleep(_RETRY_S)
        BALANCER_FLUSH_SECONDS.observe(time.monotonic() - began_s)
        BALANCER_FLUSH_ROWS.inc(sum(len(content.zone_id) for content in contents))
        BALANCER_LAST_COMMIT.set_to_current_time()
        return lost

    async def close(self) -> None:
        """Gives the connection up."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(
                self._settings.database_url,
                application_name=f"{self._settings.instance} flush",
                statement_timeout_s=FLUSH_TIMEOUT_S,
            )
            await self._connection.execute(PREPARE_CONNECTION)
        return self._connection

    async def _not_yet_in(
        self, connection: asyncpg.Connection, contents: list[PartitionFlush], lost: set[int]
    ) -> list[PartitionFlush]:
        """What the flush whose answer was lost did not write: all of it or nothing, but for what others took over."""
        missing = []
        for content in contents:
            try:
                if content.end == content.start or not await was_committed(connection, content):
                    missing.append(content)
            except NotOwnerError:
                self._without([], content.partition, lost)
        return missing

    @staticmethod
    def _without(contents: list[PartitionFlush], partition: int, lost: set[int]) -> list[PartitionFlush]:
        BALANCER_FENCED.inc()
        lost.add(partition)
        _log.warning("partition %d belongs to another balancer: its flush was refused", partition)
        return [content for content in contents if content.partition != partition]
