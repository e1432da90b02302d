"""The archive's follower on a real Kafka: every reading once, whatever the follower is stopped at."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from services.balancer.archive_follower import ArchiveFollower
from services.balancer.giving_way import GivingWay
from shared.archive.files import Archive
from shared.archive.history import read_messages
from shared.archive.message import ArchivedMessage
from shared.kafka_client import make_producer
from shared.readings_message import (
    READINGS_HEADERS,
    TOPOLOGY_HEADERS,
    ReadingColumns,
    encode_readings,
    encode_topology_switch,
)
from shared.settings import Settings, read_settings
from shared.topics import READINGS, ensure_topics
from tests.unit.small_topology import no_topology, small_topology


def columns(first: int, count: int) -> ReadingColumns:
    """Readings whose values count on from `first`."""
    value = np.arange(first, first + count, dtype=np.int64)
    return ReadingColumns((value % 6).astype(np.int32), value * 60 + 1_772_323_200, value, np.zeros(count, np.int32))


def archived(archive: Archive) -> list[tuple[int, int, int]]:
    """Every reading in the archive: offset, position, value; files that overlap give a reading twice."""
    found = []
    for _, _, path in archive.files(0):
        table = archive.read(path)
        found += list(zip(*(table[name].to_pylist() for name in ("log_offset", "position", "value")), strict=True))
    return found


def test_a_file_says_meters_and_registers_by_name(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    path = archive.write(0, 7, 9, [ArchivedMessage(7, columns(0, 6))], small_topology())
    assert path.endswith("readings/partition-000/00000000000000000007-00000000000000000009.parquet")
    table = archive.read(path)
    assert table["meter"].to_pylist() == ["load", "sun", "battery", "battery", "battery", "load"]
    assert table["register"].to_pylist() == ["1.8.0", "2.8.0", "1.8.0", "2.8.0", "soc", "1.7.0"]
    assert archive.next_offset(0) == 9


@pytest.fixture
async def settings(embedded_kafka: str, tmp_path: Path) -> Settings:
    """Settings with an archive of the test's own."""
    made = read_settings(
        {
            "BILANS_KAFKA": embedded_kafka,
            "BILANS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",  # the follower needs no database
            "BILANS_DATA_DIR": str(tmp_path),
            "BILANS_INSTANCE": f"archive-{uuid.uuid4().hex[:8]}",
        }
    )
    await ensure_topics(made)
    return made


async def test_every_reading_is_archived_once_across_restarts(settings: Settings) -> None:
    async with producer_of(settings) as producer:
        sent: dict[int, list[int]] = {}
        archive = Archive(settings.archive)
        for turn in range(3):
            for batch in range(5):
                readings = columns(1000 * (5 * turn + batch), 200)
                record = await producer.send_and_wait(
                    READINGS, encode_readings(readings), partition=0, headers=list(READINGS_HEADERS)
                )
                sent[record.offset] = readings.value.tolist()
            await follow_until(settings, archive, max(sent) + 1)
        expected = [(offset, k, value) for offset, values in sent.items() for k, value in enumerate(values)]
        mine = [row for row in archived(archive) if row[0] in sent]
        assert sorted(mine) == sorted(expected)


async def test_a_control_record_moves_the_archive_on(settings: Settings) -> None:
    """Whoever waits until the archive has got as far as the balance would else wait for ever."""
    archive = Archive(settings.archive)
    async with producer_of(settings) as producer:
        await producer.send_and_wait(
            READINGS, encode_readings(columns(0, 3)), partition=1, headers=list(READINGS_HEADERS)
        )
        record = await producer.send_and_wait(
            READINGS, encode_topology_switch(1), partition=1, headers=list(TOPOLOGY_HEADERS)
        )
        await follow_until(settings, archive, record.offset + 1, partition=1)
        switch = await producer.send_and_wait(
            READINGS, encode_topology_switch(2), partition=1, headers=list(TOPOLOGY_HEADERS)
        )
        await follow_until(settings, archive, switch.offset + 1, partition=1)
    pieces = archive.cover(1)
    assert [piece.first_offset for piece in pieces] == [0, record.offset + 1]
    assert [archive.row_count(piece.file.path) for piece in pieces][-1] == 0


async def test_what_the_log_lost_before_it_was_archived_shows_as_missing(settings: Settings) -> None:
    archive = Archive(settings.archive)
    async with producer_of(settings) as producer:
        for first in (0, 100, 200):
            record = await producer.send_and_wait(
                READINGS, encode_readings(columns(first, 3)), partition=2, headers=list(READINGS_HEADERS)
            )
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(READINGS, 2): RecordsToDelete(before_offset=record.offset)})
    finally:
        await admin.close()
    await follow_until(settings, archive, record.offset + 1, partition=2)
    assert [(piece.first_offset, piece.end_offset) for piece in archive.cover(2)] == [
        (record.offset, record.offset + 1)
    ]
    assert list(read_messages(archive, 2, 0, record.offset + 1)) == []


@asynccontextmanager
async def producer_of(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer, stopped at the end."""
    producer = make_producer(settings)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def follow_until(settings: Settings, archive: Archive, end_offset: int, partition: int = 0) -> None:
    """Runs a follower until it has read a partition to `end_offset`, then cancels it: it writes what waits."""
    follower = ArchiveFollower(settings, no_topology, GivingWay(lambda: False))
    task = asyncio.create_task(follower.run())
    async with asyncio.timeout(60):
        while follower.read_up_to(partition) < end_offset:
            assert not task.done()
            await asyncio.sleep(0.05)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert archive.next_offset(partition) == end_offset
