"""The instance that leads verifies, every two seconds, the orders whose windows have ended or may still change."""

import asyncio
import logging

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from services.api.database_trouble import DATABASE_TROUBLE
from services.api.leadership import Leadership
from services.api.live_view import LiveView
from services.api.topology_shelf import TopologyShelf
from services.api.topology_terms import TopologyTerms
from services.api.verification.order_verification import verify_order
from services.api.verification.settled_order import SettledOrder
from services.api.verification.verification_store import read_event_now_s, read_marks, read_orders_to_verify
from shared.limits import QUARTER_S
from shared.stages import stage_of

_ROUND_S = 2.0
_SETTLED_EVERY_ROUNDS = 60
"""Orders that are settled are looked at every two minutes: until their month is closed a reading may still change."""

_DAY_S = 86_400
_SETTLING_S = 8 * _DAY_S
"""An order is settled on D+7; before that its stages and late readings are told at once."""
_MONTH_S = 45 * _DAY_S
"""Older orders stand as they are: their month is closed."""

_log = logging.getLogger(__name__)


class VerificationRound:
    """Keeps the figures of all orders as new as the balance."""

    def __init__(
        self, engine: AsyncEngine, shelf: TopologyShelf, view: LiveView, leadership: Leadership, penalty_percent: int
    ) -> None:
        """Does nothing until `run`. `penalty_percent` is what a missing Wh costs, in percent of its price."""
        self._engine = engine
        self._shelf = shelf
        self._view = view
        self._leadership = leadership
        self._penalty_percent = penalty_percent
        self._rounds = 0
        self._verified: dict[str, object] = {}
        """What each order was verified by: as long as that stands, there is nothing to do."""

    async def run(self) -> None:
        """Goes round until cancelled; while PostgreSQL is away nothing is verified, and nothing is lost by that."""
        away = False
        while True:
            try:
                if self._leadership.leads:
                    await self.verify()
                away = False
            except (*DATABASE_TROUBLE, asyncpg.PostgresError) as trouble:
                if not away:
                    _log.warning("Orders cannot be verified: %s", trouble)
                away = True
            await asyncio.sleep(_ROUND_S)

    async def verify(self) -> int:
        """One round, each order in a transaction of its own; gives how many revisions were appended."""
        now_s = self._view.now_s()
        if now_s is None:
            return 0
        looks_back_s = _MONTH_S if self._rounds % _SETTLED_EVERY_ROUNDS == 0 else _SETTLING_S
        self._rounds += 1
        terms = self._shelf.newest
        async with self._engine.connect() as connection:
            if self._view.event_mode:  # a fast replay's live view runs ahead of the rows
                now_s = min(now_s, await read_event_now_s(connection))
            orders = await read_orders_to_verify(connection, now_s, now_s - looks_back_s)
            read = await read_marks(connection, orders, now_s // QUARTER_S * QUARTER_S)
        marks: dict[str, object] = {
            order.order_id: (read.get(order.order_id), _stands(order, terms, now_s)) for order in orders
        }
        appended = 0
        for order in orders:
            if self._verified.get(order.order_id) != marks[order.order_id]:
                async with self._engine.begin() as connection:
                    appended += await verify_order(connection, order, terms, now_s, self._penalty_percent)
        self._verified = marks
        return appended


def _stands(order: SettledOrder, terms: TopologyTerms, now_s: int) -> object:
    """What changes with now, with the topology and with the order's own state. A period has two local days at most."""
    ended_s = min(now_s // QUARTER_S * QUARTER_S, order.to_s)
    stages = stage_of(order.from_s, now_s), stage_of(order.to_s - QUARTER_S, now_s)
    return ended_s, stages, terms.topology.number, order.status
