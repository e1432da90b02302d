"""Reads a topic to its end and decodes it, nothing else: how fast the client alone is. A process of its own.

`python -m deploy.bench.raw_reader TOPIC MESSAGES_AT_ONCE`, with the environment of a service. Its last line is JSON:
`readings`, `seconds` (from the assignment of the partitions to the last reading decoded), `cpu_seconds`.
"""

import asyncio
import sys
import time

import orjson
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from shared.kafka_client import make_consumer
from shared.readings_message import ReadingColumns, decode_message
from shared.settings import Settings, read_settings
from shared.topics import READINGS


async def read_raw(settings: Settings, topic: str, messages_at_once: int) -> dict[str, float]:
    """Reads all that stands in `topic` now."""
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(settings.partitions)]
        ends = await consumer.end_offsets(places)
        left = {place: end for place, end in ends.items() if end}
        readings = 0
        began_s, cpu_began_s = time.perf_counter(), time.process_time()
        consumer.assign(list(left))
        await consumer.seek_to_beginning(*left)
        while left:
            for place, records in (await consumer.getmany(timeout_ms=50, max_records=messages_at_once)).items():
                readings += decoded_readings(topic, records)
                if records[-1].offset + 1 >= ends[place]:
                    left.pop(place, None)
        seconds, cpu_seconds = time.perf_counter() - began_s, time.process_time() - cpu_began_s
    finally:
        await consumer.stop()
    return {"readings": readings, "seconds": seconds, "cpu_seconds": cpu_seconds}


def decoded_readings(topic: str, records: list[ConsumerRecord]) -> int:
    """Decodes messages; how many readings they hold."""
    if topic == READINGS:
        contents = [decode_message(record.headers, record.value or b"") for record in records]
        return sum(len(content) for content in contents if isinstance(content, ReadingColumns))
    # One call for all: a call for each message would measure Python's calls.
    joined = b",".join([record.value for record in records]).replace(b"\n", b",")
    return len(orjson.loads(b"[" + joined + b"]"))


if __name__ == "__main__":
    print(orjson.dumps(asyncio.run(read_raw(read_settings(), sys.argv[1], int(sys.argv[2])))).decode())
