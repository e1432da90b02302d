"""Waits until ingest has committed all of the JSON topic: then all of it is acknowledged in the log."""

import asyncio
import time

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from services.ingest.json_topic import GROUP
from shared.errors import BilansError
from shared.kafka_client import make_consumer
from shared.settings import Settings
from shared.topics import READINGS_JSON

_QUESTION_S = 0.01
_STANDSTILL_S_MAX = 60.0


async def wait_committed(settings: Settings) -> float:
    """The wall time at which the last offset was seen committed. Raises BilansError when nothing moves for a minute."""
    ends = await _ends(settings)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, client_id="bilans-bench")
    await admin.start()
    try:
        last, moved_s = -1, time.monotonic()
        while True:
            offsets = await admin.list_consumer_group_offsets(GROUP)
            left = sum(end - max(offsets[place].offset if place in offsets else 0, 0) for place, end in ends.items())
            if left <= 0:
                return time.time()
            if left != last:
                last, moved_s = left, time.monotonic()
            if time.monotonic() - moved_s > _STANDSTILL_S_MAX:
                raise BilansError(f"Ingest has committed nothing for {_STANDSTILL_S_MAX:.0f} s.")
            await asyncio.sleep(_QUESTION_S)
    finally:
        await admin.close()


async def _ends(settings: Settings) -> dict[TopicPartition, int]:
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        places = [TopicPartition(READINGS_JSON, number) for number in range(settings.partitions)]
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return ends
    finally:
        await consumer.stop()
