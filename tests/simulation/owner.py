"""A balancer in the simulation: the production code of partition, flush, ownership and late lane, without a process."""

import asyncio
from pathlib import Path

import numpy as np

from services.balancer.checkpoint import Checkpoint, write_checkpoint
from services.balancer.differences import Differences
from services.balancer.history_worker import HISTORY_TROUBLE, HistoryWorker
from services.balancer.ownership import acquire, still_ours
from services.balancer.partition import Partition
from services.balancer.tail import Tail
from services.balancer.writer import FlushWriter
from shared.archive.files import Archive
from shared.balance.held import forget, with_more_room
from shared.balance.memory import held_max
from shared.limits import MEMORY_S
from shared.readings_message import ReadingColumns
from shared.words import ENERGY_REGISTERS
from tests.simulation.gates import Gates
from tests.simulation.model_log import ModelLog
from tests.simulation.model_store import ModelStore

_FORGETS = 0.3
_ROOMY_ROWS = 2**7
"""Owners with room for so many rows, half of them, have room for all readings from the beginning, too."""


def forget_all(partition: Partition) -> None:
    """Lets every series forget what it need not hold, as the kernel does once its room is full."""
    for slot in np.flatnonzero(partition.memory.holds > 0).tolist():
        if partition.placement.register[slot] < ENERGY_REGISTERS:
            forget(partition.memory, slot, MEMORY_S)


def give_room(partition: Partition) -> None:
    """Gives the memory all the room that it may ever need, as in a long life: then it forgets seldom."""
    while partition.memory.capacity < held_max(MEMORY_S):
        partition.memory = with_more_room(partition.memory)


class Owner:
    """Owns the partition until another one takes it over, which it is not told."""

    def __init__(self, name: str, store: ModelStore, log: ModelLog, gates: Gates, folder: Path) -> None:
        """`folder` has the checkpoints, which all owners share."""
        self.name = name
        self._store = store
        self._log = log
        self._gates = gates
        self._folder = folder
        self._writer = FlushWriter(store, gates.sleep)
        self._partition: Partition | None = None
        self._resting: Partition | None = None
        # Often too few for a message, which is then flushed in parts, or for all that the archive lacks.
        self._rows = 2 ** gates.random.choice((3, 5, 7, 16))
        self._flush_rows = gates.random.choice((40, 400, 2**16))
        self._tail_readings_max = gates.random.choice((40, 10**6, 10**6))
        self._flushing: asyncio.Task[None] | None = None
        self._history = HistoryWorker(store, log, gates.in_worker, self.owned)
        self._working: asyncio.Task[None] | None = None

    def owned(self) -> list[Partition]:
        """The partition, unless a flush has found out that it is somebody else's."""
        return [] if self._partition is None else [self._partition]

    @property
    def flushing(self) -> bool:
        """Whether a flush is under way."""
        return self._flushing is not None and not self._flushing.done()

    @property
    def at_rest(self) -> bool:
        """Whether everything is applied, taken and published."""
        partition = self._partition
        return (
            partition is not None
            and partition.next_offset == len(self._log.messages)
            and partition.published
            and not self.flushing
            and not self._store.queue
            and not self._store.recounts
            and not self._store.deferred_changes
        )

    async def start(self) -> None:
        """Takes the partition over, from the newest checkpoint."""
        await self._acquire()
        self._working = asyncio.create_task(self._work())

    def rest(self) -> None:
        """Hears from the group that the partition is not its own for now; a step beside the log may be under way."""
        if self._partition is not None:
            self._partition, self._resting = None, self._partition

    async def come_back(self) -> None:
        """Hears that the partition is its own again, and goes on with its state if that is still right."""
        if self._partition is not None or self.flushing or self._working is None:
            return
        resting, self._resting = self._resting, None
        if resting is not None and await still_ours(self._store, resting):
            self._partition = resting
        else:
            await self._acquire()
        self._history.note_flush()

    async def _acquire(self) -> None:
        archive = Archive(str(self._folder / "no-archive"))  # the log of a simulation begins at its begin
        differences = Differences(self._rows, self._flush_rows)
        self._partition = await acquire(self._store, 0, self.name, self._folder, archive, 0, differences)
        self._partition.lane.tail = Tail(self._partition.next_offset, self._tail_readings_max)
        if self._rows >= _ROOMY_ROWS:
            give_room(self._partition)

    async def crash(self) -> None:
        """Ends at once; what was under way in the store has happened or has not."""
        tasks = [task for task in (self._flushing, self._working) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._partition = self._resting = None

    def apply(self, messages: int) -> None:
        """Applies the next messages of the log."""
        partition = self._partition
        if partition is None:
            return
        begin = partition.next_offset
        for offset, message in enumerate(self._log.messages[begin : begin + messages], begin):
            if isinstance(message, ReadingColumns):
                if not partition.apply(offset, message):
                    return  # a flush has to come first
            elif message > partition.topology.number:
                partition.switch(offset, self._store.topologies[message])
            else:
                partition.pass_over(offset + 1)
        if self._gates.random.random() < _FORGETS:
            forget_all(partition)

    def begin_flush(self, wall_now_s: float) -> None:
        """Begins a flush, if none is under way."""
        if self._partition is None or self.flushing:
            return
        content = self._partition.take_flush(wall_now_s)
        self._history.note_flush()
        if content is not None:

            async def write() -> None:
                if await self._writer.write([content]):
                    self._partition = self._resting = None
                    self._history.note_flush()

            self._flushing = asyncio.create_task(write())

    def checkpoint(self) -> None:
        """Writes one, if everything is published."""
        partition = self._partition
        if partition is None or self.flushing or not partition.published or partition.replaying:
            return
        write_checkpoint(
            self._folder,
            Checkpoint(
                0,
                partition.next_offset,
                partition.topology.number,
                partition.event_now_s,
                partition.lane.flushed.step,
                partition.memory,
            ),
        )

    def check(self) -> None:
        """Raises what a task died of: nothing may."""
        for task in (self._working, self._flushing):
            if task is not None and task.done() and not task.cancelled() and task.exception() is not None:
                raise AssertionError(f"{self.name} died") from task.exception()

    async def _work(self) -> None:
        while True:
            await self._gates.pause()
            for partition in self.owned():
                try:
                    await self._history.work(partition)
                except HISTORY_TROUBLE:
                    continue
