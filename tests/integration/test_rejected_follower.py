"""The follower of rejected readings goes on whatever its group does."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.balancer.rejected_follower import follow_rejected
from shared.database.migrate import migrate
from shared.kafka_client import make_consumer, make_producer
from shared.rejected_message import RejectedDelivery, encode_rejected, rejected_headers
from shared.settings import Settings, read_settings
from shared.topics import READINGS_JSON, REJECTED, ensure_topics
from shared.words import RejectReason

METER = f"meter {uuid.uuid4()}"


@pytest.fixture
async def settings(embedded_kafka: str, embedded_postgres: str) -> AsyncIterator[Settings]:
    made = read_settings({"BILANS_KAFKA": embedded_kafka, "BILANS_DATABASE_URL": embedded_postgres})
    await asyncio.to_thread(migrate, embedded_postgres)
    await ensure_topics(made)
    yield made


async def test_it_goes_on_when_the_group_gives_it_the_same_partition_again(settings: Settings) -> None:
    following = asyncio.create_task(follow_rejected(settings))
    producer = make_producer(settings)
    await producer.start()
    other = make_consumer(settings, READINGS_JSON, group="bilans-rejected", offset_reset="earliest")
    try:
        await _reject(producer, 1)
        await _wait_kept(settings, 1)
        await _join_and_leave(other)
        await _reject(producer, 2)
        await _wait_kept(settings, 2)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await producer.stop()


async def _join_and_leave(other: AIOKafkaConsumer) -> None:
    """Another member comes that wants another topic, and goes: the group is put together anew, twice."""
    await other.start()
    try:
        until = time.monotonic() + 30
        while not other.assignment():
            assert time.monotonic() < until, "the group was not put together anew"
            await other.getmany(timeout_ms=100)
    finally:
        await other.stop()


async def _reject(producer: AIOKafkaProducer, number: int) -> None:
    delivery = RejectedDelivery(
        RejectReason.BAD_VALUE, "ingest", "", METER, None, None, f"http:index {number}", b"original"
    )
    headers = list(rejected_headers(delivery))
    await producer.send_and_wait(REJECTED, encode_rejected(delivery), partition=0, headers=headers)


async def _wait_kept(settings: Settings, count: int) -> None:
    connection = await asyncpg.connect(settings.database_url)
    try:
        until = time.monotonic() + 30
        while await connection.fetchval("SELECT count(*) FROM rejected_reading WHERE meter = $1", METER) < count:
            assert time.monotonic() < until, "the follower stands still"
            await asyncio.sleep(0.1)
    finally:
        await connection.close()
