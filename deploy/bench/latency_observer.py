"""Notes when the live topic and the tables get what was sent. A process of its own.

`python -m deploy.bench.latency_observer FOLDER`, with the environment of a service. It says `watching` when it does,
and ends with a line on standard input. FOLDER gets `seen.npz`, all times monotonic: of each live record of a station
its number, the instant of its newest reading, and when the record was received; and of each move of a partition's
progress the partition, the offset, and when it was seen (a question each ten milliseconds).
"""

import asyncio
import sys
import time
from pathlib import Path

import asyncpg
import numpy as np
import orjson
from aiokafka import TopicPartition

from shared.database.engine import connect
from shared.kafka_client import make_consumer
from shared.settings import Settings, read_settings
from shared.topics import LIVE, READINGS

_QUESTION_S = 0.01
_STATION = b"STATION-"


class Observer:
    """What was seen so far."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.live: list[tuple[int, int, float]] = []
        self.progress: list[tuple[int, int, float]] = []

    async def watch_live(self, settings: Settings, watching: asyncio.Event) -> None:
        """Reads the live topic from its end on, until it is cancelled."""
        consumer = make_consumer(settings)
        await consumer.start()
        try:
            place = TopicPartition(LIVE, 0)
            consumer.assign([place])
            await consumer.seek_to_end(place)
            await consumer.position(place)
            watching.set()
            while True:
                records = (await consumer.getmany(timeout_ms=100)).get(place, ())
                at_s = time.monotonic()
                for record in records:
                    if record.key.startswith(_STATION) and record.value is not None:
                        station = int(record.key[len(_STATION) :].partition(b"|")[0])
                        newest_s = orjson.loads(record.value)["newest_s"]
                        if newest_s is not None:
                            self.live.append((station, newest_s, at_s))
        finally:
            await consumer.stop()

    async def watch_progress(self, connection: asyncpg.Connection) -> None:
        """Asks for the progress of the log's partitions until it is cancelled."""
        last: dict[int, int] = {}
        while True:
            rows = await connection.fetch(
                "SELECT partition, next_offset FROM progress WHERE topic = $1 ORDER BY 1", READINGS
            )
            at_s = time.monotonic()
            for partition, offset in rows:
                if last.get(partition) != offset:
                    last[partition] = offset
                    self.progress.append((partition, offset, at_s))
            await asyncio.sleep(_QUESTION_S)

    def save(self, folder: Path) -> None:
        """Writes `seen.npz`."""
        live = np.array(self.live or np.zeros((0, 3)))
        progress = np.array(self.progress or np.zeros((0, 3)))
        np.savez(
            folder / "seen.npz",
            live_station=live[:, 0].astype(np.int64),
            live_newest_s=live[:, 1].astype(np.int64),
            live_at_s=live[:, 2],
            progress_partition=progress[:, 0].astype(np.int64),
            progress_offset=progress[:, 1].astype(np.int64),
            progress_at_s=progress[:, 2],
        )


async def observe(settings: Settings, folder: Path) -> None:
    """Watches until a line comes on standard input."""
    observer, watching = Observer(), asyncio.Event()
    connection = await connect(settings.database_url, application_name="bilans bench observer")
    tasks = [
        asyncio.create_task(observer.watch_live(settings, watching)),
        asyncio.create_task(observer.watch_progress(connection)),
    ]
    try:
        await watching.wait()
        print("watching", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for task in tasks:
            if task.done():
                task.result()  # raises what ended it
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await connection.close()
    observer.save(folder)


if __name__ == "__main__":
    asyncio.run(observe(read_settings(), Path(sys.argv[1])))
