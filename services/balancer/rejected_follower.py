"""Follows `bilans.rejected`: each rejected delivery becomes a row, and one more in the books, exactly once.

Those that ingest rejected are counted here, in the transaction that moves the follower's progress; a conflict was
counted by the flush that found it and only gets its row.
"""

import asyncio
import logging
from collections import Counter

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from services.balancer.flush import ENTER_BOOKS, take_over
from shared.database.engine import DATABASE_TROUBLE, connect
from shared.kafka_client import make_consumer
from shared.rejected_message import RejectedDelivery, decode_rejected
from shared.settings import Settings
from shared.topics import REJECTED

_log = logging.getLogger(__name__)
_PARTITION = 0
_RETRY_S = 1.0
_BATCH = 2000

_MOVE = """
UPDATE progress SET next_offset = $4, updated_at = clock_timestamp()
WHERE topic = $5 AND partition = $1 AND owner_epoch = $2 AND next_offset = $3 RETURNING partition
"""
_KEEP = """
INSERT INTO rejected_reading (topic, partition, log_offset, reason, detail, meter, register, ts, position, original)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
"""


class _ReplacedError(Exception):
    """Another follower has taken over."""


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells when the partition is ours, each time anew. It stays paused until the follower knows where to begin."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.event = asyncio.Event()

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Nothing to do: the follower's progress row fences it."""

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        for topic_partition in assigned:
            self._consumer.seek(topic_partition, 0)
            self._consumer.pause(topic_partition)
            self.event.set()


async def follow_rejected(settings: Settings) -> None:
    """Runs until cancelled. One follower works at a time: the group gives the topic's only partition to one."""
    while True:
        try:
            await _follow(settings)
        except (*DATABASE_TROUBLE, KafkaError, _ReplacedError) as error:
            _log.warning("the follower of rejected readings starts again: %s", error)
            await asyncio.sleep(_RETRY_S)


async def _follow(settings: Settings) -> None:
    consumer = make_consumer(settings, group="bilans-rejected")
    await consumer.start()
    try:
        assigned = _Assigned(consumer)
        consumer.subscribe([REJECTED], listener=assigned)
        await assigned.event.wait()
        connection = await connect(settings.database_url, application_name=f"{settings.instance} rejected")
        try:
            while True:
                await _consume(consumer, connection, assigned.event, settings.instance)
                await assigned.event.wait()
        finally:
            await connection.close(timeout=2)
    finally:
        await consumer.stop()


async def _consume(
    consumer: AIOKafkaConsumer, connection: asyncpg.Connection, assigned: asyncio.Event, owner: str
) -> None:
    """Takes the partition over and follows it until the group gives it away, or to us again: it is paused then."""
    assigned.clear()
    topic_partition = TopicPartition(REJECTED, _PARTITION)
    ownership = await take_over(connection, REJECTED, _PARTITION, owner)
    next_offset = ownership.next_place.offset
    consumer.seek(topic_partition, next_offset)
    consumer.resume(topic_partition)
    while topic_partition in consumer.assignment() and not assigned.is_set():
        batches = await consumer.getmany(timeout_ms=500, max_records=_BATCH)
        for records in batches.values():
            fresh = [record for record in records if record.offset >= next_offset]
            if fresh:
                await _keep(connection, fresh, ownership.epoch, next_offset)
                next_offset = fresh[-1].offset + 1


async def _keep(connection: asyncpg.Connection, records: list[ConsumerRecord], epoch: int, next_offset: int) -> None:
    decoded = [(record.offset, decode_rejected(record.headers, record.value or b"")) for record in records]
    counted = Counter(delivery.reason for _, delivery in decoded if delivery.source == "ingest")
    async with connection.transaction():
        if await connection.fetchval(_MOVE, _PARTITION, epoch, next_offset, records[-1].offset + 1, REJECTED) is None:
            raise _ReplacedError("its progress row was moved by another balancer")
        await connection.executemany(_KEEP, [_row(offset, delivery) for offset, delivery in decoded])
        entries = [(f"rejected:{reason}", n) for reason, n in sorted(counted.items())]
        if entries:
            entries.append(("received", counted.total()))
            await connection.executemany(ENTER_BOOKS, [(REJECTED, _PARTITION, name, n) for name, n in entries])


def _row(offset: int, delivery: RejectedDelivery) -> tuple[object, ...]:
    def plain(text: str | None) -> str | None:
        return None if text is None else text.replace("\0", "\ufffd")  # PostgreSQL's text has no NUL

    return (
        REJECTED,
        _PARTITION,
        offset,
        delivery.reason.value,
        plain(delivery.detail),
        plain(delivery.meter),
        plain(delivery.register),
        plain(delivery.ts),
        plain(delivery.position),
        delivery.original,
    )
