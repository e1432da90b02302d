"""The outbox's relay: messages that a committed flush decided on are sent, and then deleted (at least once)."""

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer

_BATCH = 200


async def send_outbox(connection: asyncpg.Connection, producer: AIOKafkaProducer, partitions: list[int]) -> int:
    """Sends what waits for `partitions`, in the order in which it was decided, and tells how many messages.

    A crash between sending and deleting sends a message again, with the same `id` header and the same bytes.
    """
    sent = 0
    while True:
        rows = await connection.fetch(
            "SELECT id, message_id, topic, topic_partition, headers::text AS headers, value FROM outbox"
            " WHERE partition = ANY($1::smallint[]) ORDER BY id LIMIT $2",
            partitions,
            _BATCH,
        )
        if not rows:
            return sent
        acknowledged = [
            await producer.send(
                row["topic"],
                row["value"],
                partition=row["topic_partition"],
                headers=[
                    ("id", row["message_id"].encode()),
                    *((name, text.encode()) for name, text in orjson.loads(row["headers"]).items()),
                ],
            )
            for row in rows
        ]
        for future in acknowledged:
            await future
        await connection.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", [row["id"] for row in rows])
        sent += len(rows)
