"""Drives the work beside the stream: reads queue and archive, and calls the partition's steps (history_lane.py).

One partition at a time, one chunk of series at a time, so that memory stays bounded. The steps run in the kernel's
thread between messages of the stream; reading the archive does not hold anything up.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from services.balancer.flush_content import NO_BATCH, Recount
from services.balancer.history_lane import LateChunk, RecountChunk
from services.balancer.history_tables import LateBatch
from services.balancer.partition import Partition
from services.balancer.store import Store
from shared.archive.files import Archive
from shared.archive.history import ArchivedReadings, read_history
from shared.balance.memory import Int32Array
from shared.balance.placement import Placement, place
from shared.database.engine import DATABASE_TROUBLE

_log = logging.getLogger(__name__)

_IDLE_S = 0.25
"""How often idle partitions are asked for late readings."""
_BATCH_READINGS = 2_000_000
"""Late readings of a batch: the more, the fewer times a window's row is written while a long history comes in."""
_CHUNK_SERIES = 256
"""Series of a chunk: with a year of quarter-hours each they and their history take some 300 MB."""

HISTORY_TROUBLE = (*DATABASE_TROUBLE, OSError, pa.ArrowException)
"""What late readings and recounts wait for; the stream goes on. A damaged file of the archive is among it."""

InWorker = Callable[..., Awaitable[Any]]
"""Runs a function in the kernel's thread."""


class ArchiveReader(Protocol):
    """What the work beside the stream asks of the archive."""

    async def archived_until(self, partition: int) -> int:
        """The first offset that the archive does not have."""

    async def history(self, partition: int, slots: Int32Array, end_offset: int) -> ArchivedReadings:
        """All readings of `slots` before `end_offset`, in the order of slot and place in the log."""


class ThreadedArchiveReader:
    """Reads the archive's files in a thread."""

    def __init__(self, archive: Archive) -> None:
        """Reads `archive`."""
        self._archive = archive

    async def archived_until(self, partition: int) -> int:
        """Where its files end."""
        return await asyncio.to_thread(self._archive.next_offset, partition)

    async def history(self, partition: int, slots: Int32Array, end_offset: int) -> ArchivedReadings:
        """From its files."""
        return await asyncio.to_thread(read_history, self._archive, partition, slots, end_offset)


class HistoryWorker:
    """Takes late readings and recounts windows of the partitions that a balancer owns."""

    def __init__(
        self, store: Store, archive: ArchiveReader, in_worker: InWorker, owned: Callable[[], Iterable[Partition]]
    ) -> None:
        """`owned` gives the partitions that are owned now."""
        self._store = store
        self._archive = archive
        self._in_worker = in_worker
        self._owned = owned
        self._flush_taken = asyncio.Event()

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            worked = False
            for partition in list(self._owned()):
                try:
                    worked = await self.work(partition) or worked
                except HISTORY_TROUBLE as error:
                    _log.warning("late readings of partition %d wait: %s", partition.number, error)
            await asyncio.sleep(0 if worked else _IDLE_S)

    async def work(self, partition: Partition) -> bool:
        """Does one batch, or what can be done of it now; whether anything was done."""
        if partition.replaying or not self._is_owned(partition):
            return False
        deferred = await self._store.deferred(partition.number, partition.lane.deferred_done)
        if deferred is not None:
            await self._in_worker(partition.take_deferred, deferred)
            await self._flushed(partition)
            return True
        archived_until = await self._archive.archived_until(partition.number)
        await self._in_worker(partition.lane.tail.forget_before, archived_until)
        for recount in partition.lane.recounts[:1]:
            return await self._recount(partition, recount, archived_until)
        return await self._drain(partition, archived_until)

    def _is_owned(self, partition: Partition) -> bool:
        return any(partition is owned for owned in self._owned())

    # --- late readings --------------------------------------------------------------------------------------------

    async def _drain(self, partition: Partition, archived_until: int) -> bool:
        until = partition.lane.progress.late_until
        end_offset = min(archived_until, partition.flushed.offset)
        repeated = None if until == NO_BATCH else until
        span = partition.lane.queue_begin, end_offset
        batch = await self._store.late_batch(partition.number, span, repeated, _BATCH_READINGS)
        if batch is None or batch.until >= end_offset:
            return False
        order = np.argsort(batch.late.slot, kind="stable")
        late = batch.late.take(order)
        slots = np.unique(late.slot)
        for first in range(0, len(slots), _CHUNK_SERIES):
            some = slots[first : first + _CHUNK_SERIES]
            if some[-1] >= partition.lane.progress.late_slot or partition.lane.progress.late_until == NO_BATCH:
                chunk = await self._late_chunk(partition, batch, some, archived_until)
                if not await self._take_late(partition, chunk, int(some[-1])):
                    return first > 0
        await self._in_worker(partition.lane.end_batch)
        await self._flushed(partition)
        return True

    async def _late_chunk(
        self, partition: Partition, batch: LateBatch, slots: Int32Array, archived_until: int
    ) -> LateChunk:
        until = min(archived_until, partition.next_offset)
        archived = await self._history(partition, slots, until)
        order = np.argsort(batch.late.slot, kind="stable")
        mine = order[np.isin(batch.late.slot[order], slots)]
        return LateChunk(batch.late.take(mine), archived, until, batch.begin, batch.until)

    async def _take_late(self, partition: Partition, chunk: LateChunk, last_slot: int) -> bool:
        """Steps until all series of the chunk are done; whether it came to that."""
        while True:
            if not self._is_owned(partition) or not await self._in_worker(partition.take_late, chunk):
                return False
            if partition.lane.progress.late_slot > last_slot:
                return True
            await self._flushed(partition)

    # --- recounts -------------------------------------------------------------------------------------------------

    async def _recount(self, partition: Partition, recount: Recount, archived_until: int) -> bool:
        if recount.log_offset >= min(archived_until, partition.flushed.offset):
            return False
        begin = partition.lane.queue_begin
        queue_begin = await self._store.waiting_from(partition.number, recount.log_offset, begin)
        if queue_begin is None:
            return False
        before, after = await self._placements(partition, recount)
        while recount.slots_to_go:
            slots = recount.slot[recount.slot >= recount.next_slot][:_CHUNK_SERIES]
            archived = await self._history(partition, slots, recount.log_offset)
            while len(slots):
                if not self._is_owned(partition):
                    return False
                chunk = RecountChunk(recount, slots, archived, before, after, queue_begin)
                recount = await self._in_worker(partition.take_recount, chunk)
                slots = slots[slots >= recount.next_slot]
                await self._flushed(partition)
        return True

    async def _placements(self, partition: Partition, recount: Recount) -> tuple[Placement, Placement]:
        before = await self._store.topology(recount.topology_before)
        after = await self._store.topology(recount.topology_after)
        slots = len(partition.memory.holds)
        return place(before, partition.number, slots), place(after, partition.number, slots)

    # --- both -----------------------------------------------------------------------------------------------------

    async def _history(self, partition: Partition, slots: Int32Array, end_offset: int) -> ArchivedReadings:
        return await self._archive.history(partition.number, slots, end_offset)

    async def _flushed(self, partition: Partition) -> None:
        """Waits until what the steps worked out is on its way to the store."""
        while self._is_owned(partition) and partition.lane.flushed != partition.lane.progress:
            self._flush_taken.clear()
            await self._flush_taken.wait()

    def note_flush(self) -> None:
        """Tells that flushes were taken out of the partitions, or that others are owned now."""
        self._flush_taken.set()
