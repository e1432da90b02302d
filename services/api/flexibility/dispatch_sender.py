"""Sends the outbox to `bilans.dispatch`, in the order in which it was decided; the leading instance does.

1. Read messages; 2. send them, and wait until all replicas have them; 3. in one transaction delete them, say of their
set-points when they were sent, and of orders without any left to send that they are dispatched. A crash before 3 sends
the same messages again, each with the same `id`: none is lost, and who keeps the ids it has seen takes none twice.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.api.database_trouble import DATABASE_TROUBLE
from services.api.flexibility.audit import ORDER, append_step
from services.api.flexibility.words import OrderStatus
from services.api.leadership import Leadership
from shared.database.flexibility_tables import flexibility_outbox
from shared.kafka_client import make_producer
from shared.settings import Settings

_BATCH = 500
_LOOK_S = 0.5
"""Orders of other instances, and what a crash left, are found within this; an order of this one is sent at once."""
_RETRY_S = 1.0
_STOP_S = 2.0
"""While Kafka is away a producer would wait for it for ten seconds before it ends."""

_log = logging.getLogger(__name__)


class DispatchSender:
    """Sends as long as this instance leads."""

    def __init__(self, settings: Settings, engine: AsyncEngine, leadership: Leadership) -> None:
        """Connects to Kafka when there is something to send for the first time."""
        self._settings = settings
        self._engine = engine
        self._leadership = leadership
        self._posted = asyncio.Event()

    def wake(self) -> None:
        """Tells that a commit left messages."""
        self._posted.set()

    async def run(self) -> None:
        """Sends until cancelled; while Kafka or PostgreSQL is away it tries again."""
        away = False
        while True:
            producer = None
            try:
                await self._wait_for_messages()
                producer = make_producer(self._settings)
                await producer.start()
                while True:
                    await self.send_all(producer)
                    away = False
                    await self._wait_for_messages()
            except (KafkaError, *DATABASE_TROUBLE, asyncpg.PostgresError) as trouble:
                if not away:
                    _log.warning("Set-points wait to be sent: %s", trouble)
                away = True
                await asyncio.sleep(_RETRY_S)
            finally:
                if producer is not None:
                    # What it may still hold stands in the outbox too.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(producer.stop(), _STOP_S)

    async def send_all(self, producer: AIOKafkaProducer) -> int:
        """Sends what stands in the outbox; how many messages."""
        sent = 0
        while True:
            async with self._engine.connect() as connection:
                table = flexibility_outbox
                rows = (await connection.execute(select(table).order_by(table.c.id).limit(_BATCH))).all()
            if not rows:
                return sent
            await _send(producer, rows)
            async with self._engine.begin() as connection:
                await _mark_sent(connection, rows)
            sent += len(rows)

    async def _wait_for_messages(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._posted.wait(), _LOOK_S)
            self._posted.clear()
            if self._leadership.leads:
                async with self._engine.connect() as connection:
                    if (await connection.execute(select(flexibility_outbox.c.id).limit(1))).first() is not None:
                        return


async def _send(producer: AIOKafkaProducer, rows: Sequence[Row[Any]]) -> None:
    acknowledged = [
        await producer.send(row.topic, row.value, key=row.key.encode(), headers=[("id", row.message_id.encode())])
        for row in rows
    ]
    for future in acknowledged:
        await future


async def _mark_sent(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> None:
    messages = [orjson.loads(row.value) for row in rows]
    orders = sorted({message["order"] for message in messages})
    await connection.execute(
        text("DELETE FROM flexibility_outbox WHERE id = ANY(CAST(:ids AS bigint[]))"), {"ids": [row.id for row in rows]}
    )
    # Held by this transaction, so that of two that mark parts of one order the second sees what the first did.
    await connection.execute(
        text("SELECT FROM flexibility_order WHERE id = ANY(CAST(:orders AS text[])) ORDER BY id FOR UPDATE"),
        {"orders": orders},
    )
    await connection.execute(
        text(
            """
            UPDATE flexibility_dispatch AS setpoint SET sent_at = now()
            FROM unnest(CAST(:orders AS text[]), CAST(:assets AS text[]), CAST(:starts AS text[]),
                        CAST(:revisions AS integer[])) AS sent (order_id, asset, start, revision)
            WHERE setpoint.order_id = sent.order_id AND setpoint.asset = sent.asset
                AND setpoint.window_start = sent.start::timestamptz AND setpoint.revision = sent.revision
                AND setpoint.sent_at IS NULL
            """
        ),
        {
            "orders": [message["order"] for message in messages],
            "assets": [message["asset"] for message in messages],
            "starts": [message["window_start"] for message in messages],
            "revisions": [message["revision"] for message in messages],
        },
    )
    dispatched = await connection.execute(
        text(
            """
            UPDATE flexibility_order AS sent SET status = :dispatched FROM flexibility_offer AS offer
            WHERE sent.id = ANY(CAST(:orders AS text[])) AND sent.status = :accepted AND offer.id = sent.offer_id
                AND NOT EXISTS (SELECT FROM flexibility_dispatch WHERE order_id = sent.id AND sent_at IS NULL)
            RETURNING sent.id, offer.request_id
            """
        ),
        {"orders": orders, "dispatched": OrderStatus.DISPATCHED.value, "accepted": OrderStatus.ACCEPTED.value},
    )
    for order_id, request_id in dispatched.all():
        await append_step(connection, request_id, ORDER, order_id, OrderStatus.DISPATCHED)
