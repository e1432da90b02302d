"""The JSON topic on real parts: everything sent to it counts, at least once, whatever is killed meanwhile."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from deploy.embedded.kafka import EmbeddedKafka
from services.ingest.json_topic import GROUP
from shared.database.fuse_row import FuseRow, read_fuse, take_fuse_row
from shared.limits import FUSE_LINES
from shared.rejected_message import decode_rejected
from shared.settings import Settings
from shared.topics import READINGS_JSON, REJECTED
from tests.integration.ingest_process import (
    METERS,
    Ingest,
    LogWindow,
    log_ends,
    meter,
    prepare,
    running_ingest,
    settings_of,
    wait_for,
    write_topology,
)

TS_S = 1_777_630_500


def _line(number: int, value: int) -> bytes:
    fields = {"meter": meter(number % METERS), "register": "1.8.0", "ts": "2026-05-01T10:15:00Z", "value": value}
    return json.dumps(fields).encode()


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A Kafka of the test's own: its group has no offsets yet, and it may be killed."""
    broker = EmbeddedKafka(tmp_path / "kafka", tmp_path / "kafka.log")
    broker.prepare()
    broker.start()
    try:
        asyncio.run(broker.wait_ready())
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def settings(kafka: EmbeddedKafka, new_database: Callable[[], str], tmp_path: Path) -> Settings:
    made = settings_of(kafka.bootstrap, new_database())
    prepare(made, write_topology(tmp_path / "topology"))
    return made


def _send(kafka: str, messages: list[tuple[int, bytes | None]]) -> None:
    """Sends (partition, value) in their order."""

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=5)
        await producer.start()
        try:
            sent = [
                await producer.send(READINGS_JSON, value, key=b"any", partition=partition)
                for partition, value in messages
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    asyncio.run(send())


def _committed(kafka: str) -> dict[int, int]:
    """The group's committed offset of each partition; 0 when there is none."""

    async def ask() -> dict[int, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=GROUP, enable_auto_commit=False)
        await consumer.start()
        try:
            return {number: await consumer.committed(TopicPartition(READINGS_JSON, number)) or 0 for number in range(4)}
        finally:
            await consumer.stop()

    return asyncio.run(ask())


def _wait_handled(kafka: str, seconds: float = 90) -> None:
    wait_for(lambda: _committed(kafka) == log_ends(kafka, READINGS_JSON, 4), seconds, lambda: str(_committed(kafka)))


def test_messages_of_one_line_and_of_many(settings: Settings, tmp_path: Path) -> None:
    window = LogWindow(settings.kafka)
    many = b"\n".join([_line(1, 11), b"", b"nonsense", _line(2, 12) + b"\r", b""])
    # Sent before ingest ever ran: it has to begin at the beginning.
    _send(settings.kafka, [(0, _line(0, 10)), (0, many), (0, None), (0, b""), (0, b"x" * 5000), (2, b"\xff")])
    with running_ingest(settings, tmp_path / "log") as ingest:
        ingest.wait_ready()
        _wait_handled(settings.kafka)
        assert sorted(value for *_, value, _ in window.readings()) == [10, 11, 12]
        kept = [decode_rejected(record.headers, record.value or b"") for record in window.rejected()]
        assert sorted((item.position, item.reason.value, item.original) for item in kept) == [
            ("bilans.readings.json/0@1 line 3", "malformed", b"nonsense"),
            ("bilans.readings.json/0@4 line 1", "oversized", b"x" * 5000),
            ("bilans.readings.json/2@0 line 1", "malformed", b"\xff"),
        ]
    # What was committed is not read again by the next process.
    with running_ingest(settings, tmp_path / "log") as ingest:
        ingest.wait_ready()
        _send(settings.kafka, [(0, _line(3, 13))])
        _wait_handled(settings.kafka)
        assert sorted(value for *_, value, _ in window.readings()) == [10, 11, 12, 13]


def test_kill_of_ingest_and_of_kafka_loses_no_line(settings: Settings, kafka: EmbeddedKafka, tmp_path: Path) -> None:
    window = LogWindow(settings.kafka)
    batch = 20_000

    def send(first: int) -> None:
        _send(settings.kafka, [(k % 4, _line(k, k)) for k in range(first, first + batch)])

    with running_ingest(settings, tmp_path / "log") as ingest:
        ingest.wait_ready()
        send(0)
        ingest.process.kill()
        ingest.process.wait()
    with running_ingest(settings, tmp_path / "log") as ingest:
        ingest.wait_ready()
        send(batch)
        assert kafka.child is not None
        kafka.child.kill()
        kafka.child.wait()
        kafka.start()
        asyncio.run(kafka.wait_ready())
        send(2 * batch)
        _wait_handled(settings.kafka, 60)
        ingest.wait_ready()
        values = [value for *_, value, _ in window.readings()]
        assert set(values) == set(range(3 * batch))
        assert window.rejected() == []


def _taken(ingest: Ingest) -> int:
    """Readings that this process has taken from the topic."""
    metrics = httpx.get(ingest.url + "/metrics").text
    found = re.search(r'bilans_ingest_readings_total\{door="topic",outcome="accepted"\} ([0-9.]+)', metrics)
    return int(float(found[1])) if found else 0


def test_members_share_the_topic_and_take_over_from_each_other(settings: Settings, tmp_path: Path) -> None:
    window = LogWindow(settings.kafka)
    batch = 4000

    def send(first: int) -> None:
        _send(settings.kafka, [(k % 4, _line(k, k)) for k in range(first, first + batch)])

    with running_ingest(settings, tmp_path / "first") as first:
        first.wait_ready()
        send(0)
        wait_for(lambda: _taken(first) == batch, 30)
        with running_ingest(replace(settings, instance="second"), tmp_path / "second") as second:
            second.wait_ready()
            for k in range(1, 100):  # until the group has given the second one its share
                send(k * batch)
                if _taken(second):
                    break
            assert _taken(second)
        send(100 * batch)
        _wait_handled(settings.kafka)
        values = [value for *_, value, _ in window.readings()]
        assert set(values) == {*range((k + 1) * batch), *range(100 * batch, 101 * batch)}
        assert window.rejected() == []


def test_a_topic_that_has_lost_what_was_not_read_is_read_from_its_earliest(settings: Settings, tmp_path: Path) -> None:
    window = LogWindow(settings.kafka)
    with running_ingest(settings, tmp_path / "log") as ingest:
        ingest.wait_ready()
        _send(settings.kafka, [(0, _line(0, 10))])
        _wait_handled(settings.kafka)
    _send(settings.kafka, [(0, _line(k, 10 + k)) for k in range(1, 4)])
    asyncio.run(_delete_before(settings.kafka, TopicPartition(READINGS_JSON, 0), 3))
    with running_ingest(settings, tmp_path / "log") as ingest:
        ingest.wait_ready()
        _wait_handled(settings.kafka)
        assert [value for *_, value, _ in window.readings()] == [10, 13]
    assert "read from its earliest message" in (tmp_path / "log").read_text()


async def _delete_before(kafka: str, partition: TopicPartition, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_records({partition: RecordsToDelete(offset)})
    finally:
        await admin.close()


def _fuse(settings: Settings, *, mend: bool = False) -> FuseRow | None:
    async def ask() -> FuseRow | None:
        connection = await asyncpg.connect(settings.database_url)
        try:
            return await (take_fuse_row if mend else read_fuse)(connection, READINGS_JSON)
        finally:
            await connection.close()

    return asyncio.run(ask())


def _wrong(lines: int) -> bytes:
    return b"\n".join([b'{"meter":"nobody","register":"1.8.0","ts":"2026-05-01T10:15:00Z","value":1}'] * lines)


def test_a_topic_of_nothing_but_bad_lines_is_stopped_and_no_line_is_skipped(settings: Settings, tmp_path: Path) -> None:
    window = LogWindow(settings.kafka)
    log = tmp_path / "log"
    with running_ingest(settings, log) as ingest:
        ingest.wait_ready()
        _send(settings.kafka, [(0, _wrong(FUSE_LINES // 10))] * 9)
        _wait_handled(settings.kafka)
        assert ingest.answers("/readyz") == 200  # fewer lines than the window
        _send(settings.kafka, [(0, _line(0, 10)), (0, _wrong(FUSE_LINES // 10))])
        wait_for(lambda: _fuse(settings) is not None, 90)
        assert _committed(settings.kafka) == {0: 11, 1: 0, 2: 0, 3: 0}  # what was handled is
        _send(settings.kafka, [(0, _line(1, 11)), (3, _line(2, 12)), (3, b"nonsense")])
        refused = httpx.get(ingest.url + "/readyz")
        assert refused.status_code == 503
        assert "99,999 of the last 100,000 lines cannot be used (99,999 unknown_meter)" in refused.json()["detail"]
        assert "bilans_ingest_fuse_blown 1.0" in httpx.get(ingest.url + "/metrics").text
        assert ingest.post(_line(3, 13)).json()["accepted"] == 1  # the other door goes on
    assert [line for line in log.read_text().splitlines() if " ERROR " in line and "fuse has blown" in line]
    with running_ingest(settings, log) as ingest:  # a restart is no way round it
        wait_for(lambda: ingest.answers("/healthz") == 200, 60)
        wait_for(lambda: "fuse has blown" in httpx.get(ingest.url + "/readyz").text, 30)
        wait_for(lambda: ingest.post(_line(4, 14)).status_code == 202, 30)
        assert _committed(settings.kafka) == {0: 11, 1: 0, 2: 0, 3: 0}
        row = _fuse(settings, mend=True)
        assert row is not None
        assert "unknown_meter" in row.reason
        _wait_handled(settings.kafka)
        ingest.wait_ready(5)
        assert sorted(value for *_, value, _ in window.readings()) == [10, 11, 12, 13, 14]
        assert log_ends(settings.kafka, REJECTED, 1) == {0: FUSE_LINES + 1}
