"""What stands in `bilans.readings`."""

from collections.abc import AsyncIterator

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from shared.kafka_client import make_consumer
from shared.readings_message import ReadingColumns, decode_message
from shared.settings import Settings
from shared.topics import READINGS


async def readings_from(
    settings: Settings, offsets: dict[int, int]
) -> AsyncIterator[tuple[ConsumerRecord, ReadingColumns]]:
    """The messages of readings of each partition from its offset on, as far as the log goes now."""
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        places = {TopicPartition(READINGS, partition): offset for partition, offset in offsets.items()}
        ends = await consumer.end_offsets(list(places))
        left = {place for place, offset in places.items() if offset < ends[place]}
        consumer.assign(list(left))
        for place in left:
            consumer.seek(place, places[place])
        while left:
            for place, records in (await consumer.getmany(timeout_ms=100)).items():
                for record in records:
                    content = decode_message(record.headers, record.value or b"")
                    if isinstance(content, ReadingColumns) and record.offset < ends[place]:
                        yield record, content
                if records[-1].offset + 1 >= ends[place]:
                    left.discard(place)
    finally:
        await consumer.stop()


async def log_ends(settings: Settings) -> dict[int, int]:
    """The end of each partition's log."""
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        places = [TopicPartition(READINGS, partition) for partition in range(settings.partitions)]
        return {place.partition: end for place, end in (await consumer.end_offsets(places)).items()}
    finally:
        await consumer.stop()
