"""Once a second the leading instance ends what time has ended: offers that expired, orders whose period is over."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import asyncpg
from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.api.database_trouble import DATABASE_TROUBLE
from services.api.flexibility.audit import ORDER, append_step
from services.api.flexibility.idempotency import forget_old
from services.api.flexibility.ledger import lock_ledger
from services.api.flexibility.requests import close_offer
from services.api.flexibility.words import OfferStatus, OrderStatus
from services.api.leadership import Leadership
from services.api.live_view import LiveView
from shared.database.flexibility_tables import flexibility_offer, flexibility_order, flexibility_request
from shared.limits import QUARTER_S
from shared.problem import Problem

_ROUND_S = 1.0
_FORGET_EVERY_ROUNDS = 3600

_log = logging.getLogger(__name__)


class FlexibilityRound:
    """Nothing depends on it for being right: an expired offer holds nothing and cannot be ordered, swept or not."""

    def __init__(self, engine: AsyncEngine, view: LiveView, leadership: Leadership) -> None:
        """Does nothing until `run`."""
        self._engine = engine
        self._view = view
        self._leadership = leadership

    async def run(self) -> None:
        """Goes round until cancelled."""
        away, rounds = False, 0
        while True:
            try:
                if self._leadership.leads:
                    await self.sweep()
                    if rounds % _FORGET_EVERY_ROUNDS == 0:
                        async with self._engine.begin() as connection:
                            await forget_old(connection)
                    rounds += 1
                away = False
            except Problem as problem:  # the ledger was busy for long; the next round is soon
                _log.debug("flexibility round: %s", problem.detail)
            except (*DATABASE_TROUBLE, asyncpg.PostgresError) as trouble:
                if not away:
                    _log.warning("Offers cannot be ended: %s", trouble)
                away = True
            await asyncio.sleep(_ROUND_S)

    async def sweep(self) -> None:
        """One round."""
        now_s = self._view.now_s()
        now = None if now_s is None else datetime.fromtimestamp(now_s, UTC)
        async with self._engine.connect() as connection:
            due = await _expired(connection, now)
        if due:
            async with self._engine.begin() as connection:
                await lock_ledger(connection)
                for offer_id, request_id in await _expired(connection, now):
                    await close_offer(connection, request_id, offer_id, OfferStatus.EXPIRED)
        if now is not None:
            async with self._engine.begin() as connection:
                await _deliver(connection, now)


async def _expired(connection: AsyncConnection, now: datetime | None) -> list[tuple[str, str]]:
    """Open offers that can be ordered no more: their time is over, or the first window of their period."""
    offer, request = flexibility_offer, flexibility_request
    over = offer.c.expires_at <= func.clock_timestamp()
    if now is not None:
        over = or_(over, request.c.from_at <= now - timedelta(seconds=QUARTER_S))
    question = (
        select(offer.c.id, offer.c.request_id)
        .join(request, request.c.id == offer.c.request_id)
        .where(and_(offer.c.status == OfferStatus.OPEN, over))
        .order_by(offer.c.id)
    )
    return [(offer_id, request_id) for offer_id, request_id in await connection.execute(question)]


async def _deliver(connection: AsyncConnection, now: datetime) -> None:
    order, offer, request = flexibility_order, flexibility_offer, flexibility_request
    delivered = (
        update(order)
        .where(
            order.c.status.in_((OrderStatus.ACCEPTED, OrderStatus.DISPATCHED)),
            offer.c.id == order.c.offer_id,
            request.c.id == offer.c.request_id,
            request.c.to_at <= now,
        )
        .values(status=OrderStatus.DELIVERED)
        .returning(order.c.id, offer.c.request_id)
    )
    for order_id, request_id in (await connection.execute(delivered)).all():
        await append_step(connection, request_id, ORDER, order_id, OrderStatus.DELIVERED)
