"""Compaction of the archive in the background: many small files of neighbouring offsets become few large ones.

It is size-tiered, so that rewriting stays logarithmic: files of a tier are merged when eight of them stand side by
side, and the result is of a higher tier (unless most of it was doubles, which are then gone). Fewer than eight that a
file of a higher tier has come to stand behind would never be eight: that file takes them in, once in each tier that it
rises through. A file of FINAL_ROWS is not merged again. It works in a thread of its own that gives way to all others, a
partition at a time: archive writing, the balance and the event loop do not wait for it. A merge reads fewer than 2 ·
FINAL_ROWS readings, some 250 MB.
"""

import asyncio
import logging
import os
import threading
import time
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pyarrow as pa

from services.balancer.giving_way import GivingWay
from shared.archive.cover import Piece
from shared.archive.files import Archive
from shared.archive.merge import merge, remove_contained
from shared.database.engine import DATABASE_TROUBLE
from shared.topology.index import Topology

_log = logging.getLogger(__name__)

FILES_MERGED = 8
"""So many neighbouring files of a tier are merged: a partition has at most seven of each tier beside final ones."""
TIER_ROWS = (2_048, 16_384, 131_072, 1_048_576)
"""A file with fewer rows than the k-th of these is of tier k at most; each is eight times the one before."""
FINAL_ROWS = TIER_ROWS[-1]
_LOOK_S = 5.0
_NICE = 10


def choose(pieces: Sequence[Piece], rows: Sequence[int]) -> list[Piece]:
    """The pieces to merge next, with `rows` as the numbers of rows of their files; empty when there is nothing to do.

    Pieces that do not follow on one another are never merged: the result would say that it holds what is missing.
    """
    for tier in range(len(TIER_ROWS)):
        for run in _runs(pieces, rows, TIER_ROWS[tier]):
            group = _group(run, rows, tier)
            if group:
                return [pieces[k] for k in group]
    return [pieces[k] for k in _shut_in(pieces, rows)]


def _shut_in(pieces: Sequence[Piece], rows: Sequence[int]) -> list[int]:
    """The places of the first files that stand before one of a higher tier, and of that one; final files stay alone.

    There are at most seven of each lower tier, so the sum is below 2 · FINAL_ROWS.
    """
    tiers = [bisect_right(TIER_ROWS, count) for count in rows]
    for k in range(1, len(pieces)):
        first = k
        while (
            tiers[k] < len(TIER_ROWS)
            and first > 0
            and pieces[first - 1].end_offset == pieces[first].first_offset
            and tiers[first - 1] < tiers[k]
        ):
            first -= 1
        if first < k:
            return list(range(first, k + 1))
    return []


def _runs(pieces: Sequence[Piece], rows: Sequence[int], rows_max: int) -> list[list[int]]:
    """The places of neighbouring pieces with fewer than `rows_max` rows each."""
    runs: list[list[int]] = [[]]
    for k, piece in enumerate(pieces):
        if runs[-1] and (pieces[k - 1].end_offset != piece.first_offset or rows[k] >= rows_max):
            runs.append([])
        if rows[k] < rows_max:
            runs[-1].append(k)
    return runs


def _group(run: Sequence[int], rows: Sequence[int], tier: int) -> list[int]:
    """The first of a run that are to be merged: enough of the tier's own files, or rows for a final file."""
    least = TIER_ROWS[tier - 1] if tier else 0
    group: list[int] = []
    total = 0
    for k in run:
        group.append(k)
        total += rows[k]
        if total >= FINAL_ROWS:
            break
    enough = sum(rows[k] >= least for k in group) >= FILES_MERGED or total >= FINAL_ROWS
    return group if enough and len(group) > 1 else []


class Compaction:
    """Compacts the partitions that this balancer archives, whenever files have come."""

    def __init__(
        self,
        archive: Archive,
        newest_topology: Callable[[], Awaitable[Topology]],
        written: Callable[[], Mapping[int, int]],
        giving_way: GivingWay,
    ) -> None:
        """`newest_topology` gives the meters' names; `written` up to where each partition of ours is archived."""
        self._archive = archive
        self._newest_topology = newest_topology
        self._written = written
        self._giving_way = giving_way
        self._looked_at: dict[int, int] = {}
        self._rows: dict[int, dict[str, int]] = {}
        """Rows of each partition's files by path."""

    async def run(self) -> None:
        """Runs until cancelled; a merge under way is then finished by its thread, or never seen."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="compaction", initializer=_give_way)
        try:
            while True:
                for partition, end_offset in dict(self._written()).items():
                    if self._looked_at.get(partition) != end_offset and await self._compact(thread, partition):
                        self._looked_at[partition] = end_offset
                await asyncio.sleep(_LOOK_S)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    async def _compact(self, thread: ThreadPoolExecutor, partition: int) -> bool:
        """Merges what there is to merge; whether that went well."""
        loop = asyncio.get_running_loop()
        try:
            topology = await self._newest_topology()
            merged = True
            while merged:
                await self._giving_way.wait()
                began_s = time.monotonic()
                merged = await loop.run_in_executor(thread, self.step, partition, topology)
                await self._giving_way.rest(time.monotonic() - began_s)
        except FileNotFoundError:
            _log.info("partition %d is compacted by somebody else too", partition)
            return False
        except (*DATABASE_TROUBLE, pa.ArrowException) as error:
            _log.warning("partition %d is not compacted now: %s", partition, error)
            return False
        return True

    def step(self, partition: int, topology: Topology) -> bool:
        """Merges once, if there is something to merge; whether there was.

        Raises FileNotFoundError when another compacts the partition too, other OSErrors as the file system has them.
        """
        self._archive.sweep(partition)
        remove_contained(self._archive, partition)
        pieces = self._archive.cover(partition)
        before = self._rows.get(partition, {})
        rows = {piece.file.path: before.get(piece.file.path) for piece in pieces}
        counted = {path: self._archive.row_count(path) if count is None else count for path, count in rows.items()}
        self._rows[partition] = counted
        chosen = choose(pieces, list(counted.values()))
        if chosen:
            merge(self._archive, partition, chosen, topology)
        return bool(chosen)


def _give_way() -> None:
    """Lets all other threads go first, where the system has priorities of threads."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
