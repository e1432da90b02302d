"""Follows `bilans.readings` into the archive, at its own pace: the balance never waits for it."""

import asyncio
import logging
import time
from collections import defaultdict

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from services.balancer.archive import Archive, ArchivedMessage
from services.balancer.topologies import Topologies
from shared.kafka_client import make_consumer
from shared.readings_message import ReadingColumns, decode_message
from shared.settings import Settings
from shared.topics import READINGS

_log = logging.getLogger(__name__)
_READINGS_MAX = 500_000
"""A file is written when so many readings wait …"""
_WAIT_S_MAX = 10.0
"""… or the first of them has waited so long."""
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
            self._consumer.seek(partition, offset)
            self._consumer.resume(partition)


class ArchiveFollower:
    """Writes what it is assigned; several share the partitions through their group."""

    def __init__(self, settings: Settings, topologies: Topologies) -> None:
        """`topologies` gives the meters' names."""
        self._settings = settings
        self._topologies = topologies
        self.archive = Archive(settings.archive)
        self._waiting: dict[int, list[ArchivedMessage]] = defaultdict(list)
        self._next_offset: dict[int, int] = {}
        self._since_s: dict[int, float] = {}

    async def run(self) -> None:
        """Runs until cancelled; what waits then is written first."""
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as error:
                _log.warning("the archive's follower starts again: %s", error)
                await asyncio.sleep(_RETRY_S)

    def drop(self, partitions: list[int]) -> None:
        """Lets go of partitions: whoever owns them next reads their messages again."""
        for partition in partitions:
            self._waiting.pop(partition, None)
            self._since_s.pop(partition, None)

    def read_up_to(self, partition: int) -> int:
        """The offset up to which the partition was read, written or waiting to be."""
        return self._next_offset.get(partition, 0)

    async def _follow(self) -> None:
        consumer = make_consumer(self._settings, group="bilans-archive")
        self._waiting.clear()
        self._since_s.clear()
        await consumer.start()
        try:
            consumer.subscribe([READINGS], listener=_Listener(self, consumer))
            while True:
                batches = await consumer.getmany(timeout_ms=500, max_records=200)
                for topic_partition, records in batches.items():
                    for record in records:
                        self._take(topic_partition.partition, record)
                await self._write_due(_WAIT_S_MAX)
        except asyncio.CancelledError:
            await self._write_due(0.0)
            raise
        finally:
            await consumer.stop()

    def _take(self, partition: int, record: ConsumerRecord) -> None:
        message = decode_message(record.headers, record.value)
        self._next_offset[partition] = record.offset + 1
        if isinstance(message, ReadingColumns) and len(message):
            self._waiting[partition].append(ArchivedMessage(record.offset, message))
            self._since_s.setdefault(partition, time.monotonic())

    async def _write_due(self, wait_s: float) -> None:
        for partition, messages in list(self._waiting.items()):
            readings = sum(len(message.readings) for message in messages)
            waited_s = time.monotonic() - self._since_s.get(partition, time.monotonic())
            if messages and (readings >= _READINGS_MAX or waited_s >= wait_s):
                self._waiting[partition] = []
                self._since_s.pop(partition, None)
                end_offset, topology = self._next_offset[partition], self._topologies.newest
                await asyncio.to_thread(self.archive.write, partition, end_offset, messages, topology)
