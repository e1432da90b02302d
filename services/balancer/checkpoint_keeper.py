"""When checkpoints are taken, and their writing: with a flush, so none is ahead of the tables; beside the kernel."""

import asyncio
import logging
import time
from pathlib import Path

from services.balancer.checkpoint import Checkpoint, PackedCheckpoint, packed_checkpoint, write_packed
from services.balancer.partition import Partition

_EVERY_S = 20.0
_SHARE = 20
"""Checkpoints take a twentieth of the time at most, however large the state is."""

_log = logging.getLogger(__name__)


class CheckpointKeeper:
    """Writes what flushes pack; one writing at a time."""

    def __init__(self, folder: Path) -> None:
        """Checkpoints go to `folder`."""
        self._folder = folder
        self._taken_at_s = time.monotonic()
        self._cost_s = 0.0
        self._writing: asyncio.Task[None] | None = None

    @property
    def due(self) -> bool:
        """Whether checkpoints go with the next flush: not while the last ones are being written."""
        if self._writing is not None and not self._writing.done():
            return False
        return time.monotonic() - self._taken_at_s >= max(_EVERY_S, _SHARE * self._cost_s)

    def note_packing(self, cost_s: float) -> None:
        """Notes that checkpoints were packed just now, and what that took."""
        self._taken_at_s = time.monotonic()
        self._cost_s = cost_s

    async def write(self, checkpoints: list[PackedCheckpoint]) -> None:
        """Begins to write checkpoints whose content is in the tables, once the last ones are written."""
        await self.written()
        self._writing = asyncio.create_task(asyncio.to_thread(self._write, checkpoints))

    async def written(self) -> None:
        """Waits until what is being written is written."""
        if self._writing is not None:
            task, self._writing = self._writing, None
            await task

    def _write(self, checkpoints: list[PackedCheckpoint]) -> None:
        """In a thread of its own, beside the kernel."""
        began_s = time.monotonic()
        for checkpoint in checkpoints:
            try:
                write_packed(self._folder, checkpoint)
            except OSError as error:  # a full disk costs time at the next start, and no more than that
                _log.warning("no checkpoint of partition %d: %s", checkpoint.partition, error)
        self._cost_s += time.monotonic() - began_s


def pack(partition: Partition) -> PackedCheckpoint | None:
    """The partition's state as it is when what was taken of it just now is in the tables.

    None where there is no state to go on from: inside a message, and while a replay is under way.
    """
    if not partition.published or partition.place.position:
        return None
    state = Checkpoint(
        partition.number,
        partition.next_offset,
        partition.topology.number,
        partition.event_now_s,
        partition.lane.flushed.step,
        partition.memory,
    )
    return packed_checkpoint(state)
