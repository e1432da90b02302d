"""Writes flushes until they are in: the store may go away and come back, a commit's answer may be lost."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from services.balancer.flush_content import NotOwnerError, PartitionFlush
from services.balancer.store import Store
from shared.database.engine import DATABASE_TROUBLE
from shared.metrics import BALANCER_FENCED, BALANCER_FLUSH_ROWS, BALANCER_FLUSH_SECONDS, BALANCER_LAST_COMMIT

_log = logging.getLogger(__name__)
_RETRY_S = 0.3


class FlushWriter:
    """Writes one flush after the other."""

    def __init__(self, store: Store, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """`sleep` waits before a flush is tried again."""
        self._store = store
        self._sleep = sleep

    async def write(self, contents: list[PartitionFlush]) -> set[int]:
        """Writes all of them, and returns the partitions that turned out to be somebody else's.

        Tries for as long as it takes: the state has moved on, so what a flush holds must not be lost. What did not get
        through together is tried one by one: all of it may be too much for the time that a transaction has.
        """
        lost: set[int] = set()
        uncertain = one_by_one = False
        rows = 0
        began_s = time.monotonic()
        while contents:
            try:
                if uncertain:
                    contents = await self._not_yet_in(contents, lost)
                    uncertain = False
                    continue
                together = contents[:1] if one_by_one else contents
                await self._store.flush(together)
                rows += sum(len(content.zone_id) for content in together)
                contents = contents[len(together) :]
            except NotOwnerError as error:
                contents = self._without(contents, error.partition, lost)
            except DATABASE_TROUBLE as error:
                _log.warning("a flush did not get through, trying again: %s: %s", type(error).__name__, error)
                await self._store.let_go()
                uncertain = one_by_one = True
                await self._sleep(_RETRY_S)
        BALANCER_FLUSH_SECONDS.observe(time.monotonic() - began_s)
        BALANCER_FLUSH_ROWS.inc(rows)
        BALANCER_LAST_COMMIT.set_to_current_time()
        return lost

    async def _not_yet_in(self, contents: list[PartitionFlush], lost: set[int]) -> list[PartitionFlush]:
        """What the flush whose answer was lost did not write: all of it or nothing, but for what others took over."""
        missing = []
        for content in contents:
            try:
                if not content.moves or not await self._store.was_committed(content):
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
