"""Reads all restatements out of `bilans.balance` and holds them against each other and the tables."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pyarrow as pa
from aiokafka import TopicPartition

from shared.database.tables import SUM_COLUMNS
from shared.kafka_client import make_consumer
from shared.settings import Settings
from shared.topics import BALANCE, CHANGES, RESTATEMENT

Window = tuple[str, datetime]


async def read_restatements(settings: Settings) -> dict[Window, list[dict[str, Any]]]:
    """By zone and window, in the order in which they became known; doubles, known by their `id`, once."""
    consumer = make_consumer(settings)
    await consumer.start()
    messages: dict[bytes, bytes] = {}
    try:
        places = [TopicPartition(BALANCE, number) for number in range(settings.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    headers = dict(record.headers)
                    assert headers["kind"] in (CHANGES.encode(), RESTATEMENT.encode())
                    if headers["kind"] == RESTATEMENT.encode():
                        messages[headers["id"]] = record.value
    finally:
        await consumer.stop()
    found: dict[Window, list[dict[str, Any]]] = {}
    for value in messages.values():
        with pa.ipc.open_stream(value) as reader:
            for row in reader.read_all().to_pylist():
                found.setdefault((row["zone"], row["window_start"]), []).append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row["known_at"])
    return found


def hold_restatements(restated: dict[Window, list[dict[str, Any]]], now: dict[tuple[str, int], dict[str, int]]) -> None:
    """Each begins where the one before ended, and the last ends at the totals `now` (by zone and window in seconds)."""
    for (zone, window_start), rows in restated.items():
        for earlier, later in pairwise(rows):
            assert _sums(later, "before") == _sums(earlier, "after"), (zone, window_start)
            assert later["revision"] > earlier["revision"]
        assert _sums(rows[-1], "after") == now[zone, int(window_start.timestamp())], (zone, window_start)


def _sums(row: dict[str, Any], when: str) -> dict[str, int]:
    return {name: row[f"{when}_{name}"] for name in SUM_COLUMNS}
