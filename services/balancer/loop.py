"""The balancer's loop: fetch, apply in the worker thread, flush beside it, keep checkpoints.

    bilans.readings ──fetch──▶ Partition.apply (kernel) ──take_flush──▶ FlushWriter ──▶ PostgreSQL ──▶ outbox
                                     │
                                     ├──▶ LiveTelling (bilans.live, bilans.meters), a task of its own
                                     └──▶ checkpoint files

One flush is under way at a time, while the kernel works on what comes next. Only the loop touches a partition's state,
and only from the one worker thread or between its calls, so nothing is locked.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeAlias, TypeVar

import asyncpg
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from services.balancer.backlog import Backlog
from services.balancer.checkpoint import PackedCheckpoint
from services.balancer.checkpoint_keeper import CheckpointKeeper, pack
from services.balancer.flush_content import PartitionFlush
from services.balancer.history_worker import HistoryWorker, ThreadedArchiveReader
from services.balancer.live_publisher import LivePublisher
from services.balancer.live_telling import LiveTelling
from services.balancer.outbox import send_outbox
from services.balancer.ownership import acquire, still_ours
from services.balancer.partition import Partition
from services.balancer.postgres_store import PostgresStore
from services.balancer.topologies import Topologies
from services.balancer.writer import FlushWriter
from shared.archive.files import Archive
from shared.clock import Clock
from shared.database.engine import DATABASE_TROUBLE
from shared.kafka_client import make_consumer, make_producer
from shared.metrics import BALANCER_APPLY_SECONDS, BALANCER_OFFSET, BALANCER_READINGS
from shared.readings_message import ReadingColumns, TopologySwitch, decode_message
from shared.settings import Settings
from shared.topics import READINGS
from shared.topology.index import Topology

_log = logging.getLogger(__name__)

_FETCH_MS = 50
"""How long a fetch waits for readings: the live view and flushes wait no longer."""
_RECORDS_MAX = 64
"""Messages of a fetch: about two million readings at most, and a fraction of a second in the kernel."""
_FLUSH_S = 0.25
"""A flush begins at most so often: rows of a busy window are then written once, not many times."""
_WAITING_ROWS_MAX = 16_000
"""With so many rows changed in a partition (and several times as many in the zones above), or so many conflicts to
tell, a flush comes before the next message: memory stays bounded, and a flush's transaction stays well within its
time-out."""
_RETRY_S = 0.3

Record: TypeAlias = ConsumerRecord  # its keys and values are bytes here
_Result = TypeVar("_Result")
_Given = ParamSpec("_Given")
_Taken: TypeAlias = tuple[PartitionFlush | None, PackedCheckpoint | None]
"""What a partition's tables lack, and its state when they have it."""


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what is assigned. No work is done here: a slow listener would hold up the whole group."""

    def __init__(self, loop: "BalancerLoop") -> None:
        self._loop = loop

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        self._loop.assigned = set()

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        consumer = self._loop.consumer
        for topic_partition in assigned:
            consumer.seek(topic_partition, 0)  # some position: the group commits none that could be asked for
            consumer.pause(topic_partition)
        self._loop.assigned = {topic_partition.partition for topic_partition in assigned}
        self._loop.reassigned = self._loop.joined = True


class BalancerLoop:
    """Owns the partitions that its consumer group gives it."""

    def __init__(self, settings: Settings, clock: Clock, pool: asyncpg.Pool, topologies: Topologies) -> None:
        """`pool` serves short questions; flushes have a connection of their own."""
        self._settings = settings
        self._clock = clock
        self._pool = pool
        self._store = PostgresStore(settings, pool, topologies)
        self.consumer = make_consumer(settings, group="bilans-balancer")
        self._producer = make_producer(settings)
        publisher = LivePublisher(self._producer, clock, event_mode=settings.clock == "event")
        self._telling = LiveTelling(publisher, self._in_worker, self._partitions_owned, lambda: self.behind)
        self._writer = FlushWriter(self._store)
        self._archive = Archive(settings.archive)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="kernel")
        self.assigned: set[int] = set()
        self.reassigned = False
        self.joined = False
        """Whether the group has ever said what is ours."""
        self._partitions: dict[int, Partition] = {}
        self._resting: dict[int, Partition] = {}
        self._backlog = Backlog(_RECORDS_MAX)
        self._fetching: asyncio.Task[dict[TopicPartition, list[Record]]] | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._flushed_at_s = 0.0
        self._checkpoints = CheckpointKeeper(settings.checkpoints)
        self._stopping = asyncio.Event()
        reader = ThreadedArchiveReader(self._archive)
        self._history = HistoryWorker(self._store, reader, self._in_worker, self._partitions_owned)

    @property
    def topology_in_use(self) -> int:
        """The lowest topology that an owned partition follows; 0 when there is none."""
        return min((partition.topology.number for partition in self._partitions.values()), default=0)

    @property
    def ready(self) -> bool:
        """Whether all that is assigned is owned, and nothing waits for a replay."""
        owned = {number for number, partition in self._partitions.items() if not partition.replaying}
        return self.joined and not self.reassigned and self.assigned == owned

    @property
    def behind(self) -> bool:
        """Whether there is much to catch up with: from when more waits in the log than one fetch takes until none does.

        So it is, too, while what is assigned is being taken over.
        """
        return self._backlog.behind or not self.ready

    def _partitions_owned(self) -> list[Partition]:
        return list(self._partitions.values())

    def stop(self) -> None:
        """Ends the loop after its current turn."""
        self._stopping.set()

    async def run(self) -> None:
        """Runs until `stop`; then what is applied is flushed and checkpoints are written."""
        await self._producer.start()
        await self.consumer.start()
        self.consumer.subscribe([READINGS], listener=_Assignment(self))
        history = asyncio.create_task(self._history.run())
        telling = asyncio.create_task(self._telling.run())
        try:
            while not self._stopping.is_set():
                await self._turn()
                for beside in (history, telling):
                    if beside.done():
                        await beside  # it only ends by a fault, which ends the balancer
            await self._end(telling)
            await self._end(history)
            await self._begin_flush(with_checkpoints=True)
            await self._await_flush()
            await self._checkpoints.written()
        finally:
            await self._end(telling)
            await self._end(history)
            await self._let_go_of_fetched()
            await self.consumer.stop()
            await self._producer.stop()
            await self._store.let_go()
            self._worker.shutdown()

    @staticmethod
    async def _end(task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _turn(self) -> None:
        if self.reassigned or self.assigned != set(self._partitions):
            await self._settle_assignment()
        batches = await self._fetched()
        self._fetching = asyncio.create_task(self._fetch())  # the next, while the kernel works on these
        for topic_partition, records in batches.items():
            self._backlog.note_end(topic_partition.partition, self.consumer.highwater(topic_partition))
            partition = self._partitions.get(topic_partition.partition)
            if partition is not None and topic_partition.partition in self.assigned:
                await self._apply(partition, records)
        self._backlog.note_next({number: partition.next_offset for number, partition in self._partitions.items()})
        await self._flush_when_due()

    async def _fetch(self) -> dict[TopicPartition, list[Record]]:
        batches: dict[TopicPartition, list[Record]] = await self.consumer.getmany(
            timeout_ms=_FETCH_MS, max_records=_RECORDS_MAX
        )
        return batches

    async def _fetched(self) -> dict[TopicPartition, list[Record]]:
        """What was fetched, or is fetched now."""
        fetching, self._fetching = self._fetching or asyncio.create_task(self._fetch()), None
        return await fetching

    async def _let_go_of_fetched(self) -> None:
        """Drops what was fetched ahead: every partition is sought anew."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
            self._fetching = None

    async def _in_worker(
        self, function: Callable[_Given, _Result], *arguments: _Given.args, **named: _Given.kwargs
    ) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._worker, partial(function, *arguments, **named))

    # --- ownership ------------------------------------------------------------------------------------------------

    async def _settle_assignment(self) -> None:
        """Makes what is owned what is assigned."""
        self.reassigned = False
        await self._let_go_of_fetched()
        assigned = set(self.assigned)
        self._resting.update(self._partitions)
        self._partitions = {}
        self._backlog.behind = True
        await self._await_flush()
        for number in sorted(assigned):
            try:
                partition = await self._take(number)
            except DATABASE_TROUBLE as error:
                _log.warning("partition %d cannot be taken yet: %s", number, error)
                await asyncio.sleep(_RETRY_S)
                self.reassigned = True
                return
            if self.reassigned:
                self._resting[number] = partition  # a large one took long to restore
                return  # the group moved on meanwhile: begin anew
            topic_partition = TopicPartition(READINGS, number)
            self._partitions[number] = partition
            self.consumer.seek(topic_partition, partition.next_offset)
            self.consumer.resume(topic_partition)
        self._history.note_flush()
        if assigned:
            self._resting = {}  # else the group is being put together anew: what was ours may be ours again

    async def _take(self, number: int) -> Partition:
        resting = self._resting.pop(number, None)
        if resting is not None and await still_ours(self._store, resting):
            return resting
        here = TopicPartition(READINGS, number)
        log_begin = (await self.consumer.beginning_offsets([here]))[here]
        self._backlog.note_end(number, (await self.consumer.end_offsets([here]))[here])
        settings = self._settings
        return await acquire(self._store, number, settings.instance, settings.checkpoints, self._archive, log_begin)

    # --- the log --------------------------------------------------------------------------------------------------

    async def _apply(self, partition: Partition, records: list[Record]) -> None:
        """Applies messages in order; a control record is where the topology switches."""
        began_s = time.monotonic()
        rest = [record for record in records if record.offset >= partition.next_offset]
        while rest:
            number = await self._in_worker(_apply_readings, partition, rest)
            rest = [record for record in rest if record.offset >= partition.next_offset]
            if number is None:
                if rest:
                    await self._begin_flush()
                    if partition.number not in self._partitions:
                        return  # the flush found that it belongs to somebody else
                continue
            topology = await self._topology(number)
            _log.info("partition %d follows topology %s from offset %d", partition.number, number, rest[0].offset)
            await self._in_worker(partition.switch, rest[0].offset, topology)
            rest = rest[1:]
        partition.last_received_at_s = self._clock.now_s()
        BALANCER_APPLY_SECONDS.observe(time.monotonic() - began_s)
        BALANCER_OFFSET.labels(str(partition.number)).set(partition.next_offset)

    async def _topology(self, number: int) -> Topology:
        """Topology `number`, for as long as it takes: nothing after its record can be applied without it."""
        while True:
            try:
                return await self._store.topology(number)
            except DATABASE_TROUBLE as error:
                _log.warning("topology %d cannot be read yet: %s", number, error)
                await asyncio.sleep(_RETRY_S)

    # --- flush ----------------------------------------------------------------------------------------------------

    async def _flush_when_due(self) -> None:
        if self._flushing is not None and self._flushing.done():
            await self._await_flush()
        if self._flushing is None and time.monotonic() - self._flushed_at_s >= _FLUSH_S:
            await self._begin_flush()

    async def _begin_flush(self, *, with_checkpoints: bool | None = None) -> None:
        """Waits for the flush under way, and begins the next beside what the kernel does meanwhile.

        `with_checkpoints`: whether checkpoints are written of what it flushes; None: when they are due.
        """
        await self._await_flush()
        self._flushed_at_s = time.monotonic()
        if with_checkpoints is None:
            with_checkpoints = self._checkpoints.due
        taken = await self._take_flushes(with_checkpoints)
        self._history.note_flush()
        contents = [content for content, _ in taken if content is not None]
        checkpoints = [checkpoint for _, checkpoint in taken if checkpoint is not None]
        if contents or checkpoints:
            self._flushing = asyncio.create_task(self._write(contents, checkpoints))

    async def _take_flushes(self, with_checkpoints: bool) -> list[_Taken]:
        began_s = time.monotonic()
        wall_now_s = None if self._settings.clock == "event" else self._clock.now_s()
        taken = [
            await self._in_worker(_take_flush, partition, wall_now_s, with_checkpoints)
            for partition in list(self._partitions.values())
        ]
        if any(checkpoint is not None for _, checkpoint in taken):
            self._checkpoints.note_packing(time.monotonic() - began_s)
        return taken

    async def _write(self, contents: list[PartitionFlush], checkpoints: list[PackedCheckpoint]) -> None:
        lost = await self._writer.write(contents) if contents else []
        for number in lost:
            self._partitions.pop(number, None)
            self._resting.pop(number, None)
            self.reassigned = True
        for content in contents:
            if content.partition not in lost:
                for outcome, deliveries in content.deliveries.items():
                    if deliveries > 0:  # late readings that are taken leave `pending`; a counter only counts up
                        BALANCER_READINGS.labels(outcome).inc(deliveries)
        if any(content.messages for content in contents):
            await self._send_outbox([content.partition for content in contents if content.partition not in lost])
        # What they hold is in the tables now, so none is ahead of them.
        kept = [checkpoint for checkpoint in checkpoints if checkpoint.partition not in lost]
        if kept:
            await self._checkpoints.write(kept)

    async def _send_outbox(self, partitions: list[int]) -> None:
        """Sends what the flush decided; what cannot be sent now waits for the next time."""
        try:
            async with self._pool.acquire() as connection:
                await send_outbox(connection, self._producer, partitions)
        except (*DATABASE_TROUBLE, KafkaError) as error:
            _log.warning("the outbox waits: %s", error)

    async def _await_flush(self) -> None:
        if self._flushing is not None:
            task, self._flushing = self._flushing, None
            await task


def _apply_readings(partition: Partition, records: list[Record]) -> int | None:
    """Applies messages up to the first new control record, whose topology it returns, or until a flush is due."""
    for record in records:
        if partition.waiting_rows > _WAITING_ROWS_MAX:
            return None
        message = decode_message(record.headers, record.value or b"")
        if isinstance(message, TopologySwitch):
            if message.number <= partition.topology.number:
                partition.pass_over(record.offset + 1)
                continue
            partition.pass_over(record.offset)
            return message.number
        assert isinstance(message, ReadingColumns)
        if not partition.apply(record.offset, message):
            return None
    return None


def _take_flush(partition: Partition, wall_now_s: float | None, with_checkpoint: bool) -> _Taken:
    """What the partition's tables lack, and, where it is wanted and can be, its state when they have it."""
    content = partition.take_flush(wall_now_s)
    return content, pack(partition) if with_checkpoint else None
