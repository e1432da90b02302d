"""Follows `bilans.readings` into the archive, at its own pace: the balance never waits for it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord

from services.balancer.giving_way import GivingWay
from shared.archive.files import Archive
from shared.archive.message import ArchivedMessage
from shared.database.engine import DATABASE_TROUBLE
from shared.kafka_client import make_consumer
from shared.readings_message import ReadingColumns, decode_message, readings_at_most
from shared.settings import Settings
from shared.topics import READINGS
from shared.topology.index import Topology

_log = logging.getLogger(__name__)
_READINGS_MAX = 500_000
"""A file is written when so many readings wait …"""
_WAIT_S_MAX = 2.0
"""… or the first of them has waited so long: late readings wait until the archive has them. Compaction makes few files
of the many."""
_RECORDS_MAX = 32
"""Messages of a fetch: a million readings at most, about half a second of writing."""
_RETRY_S = 1.0


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Seeks a partition to where its files end. A new owner reads the names, whatever the old one still writes."""

    def __init__(self, follower: "ArchiveFollower", consumer: AIOKafkaConsumer) -> None:
        self._follower = follower
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        self._follower.drop([partition.partition for partition in revoked])

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        for partition in assigned:
            self._consumer.seek(partition, 0)  # some position, so that none is asked of the group meanwhile
            self._consumer.pause(partition)
        for partition in assigned:
            offset = await asyncio.to_thread(self._follower.archive.next_offset, partition.partition)
            self._follower.begin(partition.partition, offset)
            self._consumer.seek(partition, offset)
            self._consumer.resume(partition)


@dataclass(slots=True)
class _Batch:
    """What the next file of a partition will hold."""

    first_offset: int
    """Where the file before it ended, so that what is missing shows."""
    end_offset: int
    records: list[ConsumerRecord] = field(default_factory=list)
    readings: int = 0
    """How many there are at most."""
    since_s: float = 0.0
    """When its first message came."""


class ArchiveFollower:
    """Writes what it is assigned; several share the partitions through their group."""

    def __init__(
        self, settings: Settings, newest_topology: Callable[[], Awaitable[Topology]], giving_way: GivingWay
    ) -> None:
        """`newest_topology` gives the meters' names; it raises DATABASE_TROUBLE while they cannot be had."""
        self._giving_way = giving_way
        self._settings = settings
        self._newest_topology = newest_topology
        self.archive = Archive(settings.archive)
        self._open: dict[int, _Batch] = {}
        self._ended: list[tuple[int, _Batch]] = []
        """Batches to be written as they are, with their partition."""

    async def run(self) -> None:
        """Runs until cancelled; what waits then is written first."""
        while True:
            try:
                await self._follow()
            except (KafkaError, *DATABASE_TROUBLE) as error:
                _log.warning("the archive's follower starts again: %s", error)
                await asyncio.sleep(_RETRY_S)

    def begin(self, partition: int, offset: int) -> None:
        """Goes on with a partition from where its files end."""
        self.drop([partition])
        self._open[partition] = _Batch(offset, offset)

    def drop(self, partitions: list[int]) -> None:
        """Lets go of partitions: whoever owns them next reads their messages again."""
        for partition in partitions:
            self._open.pop(partition, None)
        self._ended = [ended for ended in self._ended if ended[0] not in partitions]

    def read_up_to(self, partition: int) -> int:
        """The offset up to which the partition was read, written or waiting to be."""
        return self._open[partition].end_offset if partition in self._open else 0

    def written(self) -> dict[int, int]:
        """Up to which offset each partition that is ours is archived, or is about to be."""
        return {partition: batch.first_offset for partition, batch in self._open.items()}

    async def _follow(self) -> None:
        consumer = make_consumer(self._settings, group="bilans-archive")
        self.drop(list(self._open))
        await consumer.start()
        try:
            consumer.subscribe([READINGS], listener=_Listener(self, consumer))
            while True:
                try:
                    batches = await consumer.getmany(timeout_ms=500, max_records=_RECORDS_MAX)
                except OffsetOutOfRangeError as error:
                    await self._pass_over_lost(consumer, list(error.args[0]))
                    continue
                began_s = time.monotonic()
                for topic_partition, records in batches.items():
                    for record in records:
                        self._take(topic_partition.partition, record)
                await self._write_due(_WAIT_S_MAX)
                await self._giving_way.rest(time.monotonic() - began_s)
        except asyncio.CancelledError:
            with suppress(*DATABASE_TROUBLE):  # what cannot be written now is read again
                await self._write_due(0.0)
            raise
        finally:
            await consumer.stop()

    def _take(self, partition: int, record: ConsumerRecord) -> None:
        batch = self._open.get(partition)
        if batch is None or record.offset < batch.end_offset:
            return  # read before the partition went, or before it came back
        if record.offset > batch.end_offset:
            batch = self._begin_after_loss(partition, batch, record.offset)
        if batch.end_offset == batch.first_offset:
            batch.since_s = time.monotonic()
        batch.end_offset = record.offset + 1
        batch.records.append(record)
        batch.readings += readings_at_most(record.value)

    async def _pass_over_lost(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Goes on where the log begins now; raises KafkaError when it is not that its begin was deleted."""
        for topic_partition, log_begin in (await consumer.beginning_offsets(partitions)).items():
            batch = self._open.get(topic_partition.partition)
            if batch is None:
                continue
            if log_begin <= batch.end_offset:
                raise KafkaError(f"{topic_partition} ends before offset {batch.end_offset}, which is archived")
            self._begin_after_loss(topic_partition.partition, batch, log_begin)
            consumer.seek(topic_partition, log_begin)

    def _begin_after_loss(self, partition: int, batch: _Batch, offset: int) -> _Batch:
        """Ends a batch and begins one at `offset`: no file says that it holds what lies between."""
        _log.error(
            "partition %d: the log had lost offsets %d to %d before they were archived",
            partition,
            batch.end_offset,
            offset - 1,
        )
        if batch.end_offset > batch.first_offset:
            self._ended.append((partition, batch))
        begun = self._open[partition] = _Batch(offset, offset)
        return begun

    async def _write_due(self, wait_s: float) -> None:
        """Writes the batches that are full or have waited for `wait_s`."""
        for partition, batch in self._open.items():
            full = batch.readings >= _READINGS_MAX or time.monotonic() - batch.since_s >= wait_s
            if batch.end_offset > batch.first_offset and full:
                self._ended.append((partition, batch))
                self._open[partition] = _Batch(batch.end_offset, batch.end_offset)
        while self._ended:
            # Asked each time: this balancer may own no partition that follows the topology in which a meter is new.
            topology = await self._newest_topology()
            if not self._ended:
                return  # its partition went to somebody else meanwhile
            ended = self._ended[0]
            partition, batch = ended
            await asyncio.to_thread(self._write, partition, batch, topology)
            # It leaves the list once it is written: were the wait for it cancelled and the write to fail, a file of
            # what comes after it would say that the archive has got further, and nobody would fill the hole.
            if self._ended and self._ended[0] is ended:
                self._ended.pop(0)

    def _write(self, partition: int, batch: _Batch, topology: Topology) -> None:
        """Writes a file of the batch; in a thread, where the balance does not wait for it."""
        decoded = ((record.offset, decode_message(record.headers, record.value)) for record in batch.records)
        messages = [
            ArchivedMessage(offset, message)
            for offset, message in decoded
            if isinstance(message, ReadingColumns) and len(message)
        ]
        self.archive.write(partition, batch.first_offset, batch.end_offset, messages, topology)
