"""Orders: an offer is ordered, in whole or in part, once; what has not begun can be taken back."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Row, extract, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.api.flexibility.audit import ORDER, append_step
from services.api.flexibility.bodies import OrderBody, watts
from services.api.flexibility.dispatch_messages import AssetPlace, Setpoint, post_setpoints
from services.api.flexibility.idempotency import Answered, check_key, digest_of, remember, remembered
from services.api.flexibility.ledger import lock_ledger
from services.api.flexibility.order_reading import order_of
from services.api.flexibility.order_steps import OfferFacts, Order, accept_order
from services.api.flexibility.request_reading import Answer, known_id
from services.api.flexibility.situation import SituationView
from services.api.flexibility.words import Direction, OfferStatus, OrderStatus, RequestStatus, ReservationStatus
from services.api.kilowatts import kilowatts
from shared.database.flexibility_tables import (
    flexibility_dispatch,
    flexibility_offer,
    flexibility_order,
    flexibility_request,
    flexibility_reservation,
)
from shared.database.tables import zone_identity
from shared.flexibility.baseline import Forecaster
from shared.instants import format_instant
from shared.limits import QUARTER_S
from shared.problem import Problem, busy

_ROUTE = "POST /v1/flexibility/offers/{id}/order"

ForecasterOf = Callable[[str], Forecaster | None]
"""The forecasts that were issued for a zone, for its baseline."""


class FlexibilityOrders:
    """Takes orders and takes them back."""

    def __init__(
        self,
        engine: AsyncEngine,
        situations: SituationView,
        forecaster_of: ForecasterOf,
        when_posted: Callable[[], None],
    ) -> None:
        """`when_posted` is called after a commit that left messages to be sent."""
        self._engine = engine
        self._situations = situations
        self._forecaster_of = forecaster_of
        self._when_posted = when_posted

    async def order(self, offer_id: str, body: OrderBody, key: str | None) -> Answered:
        """The answer to an order: 201, or the first answer again where this was ordered before.

        Raises Problem 404 for an unknown offer, 409 when it has ended or was ordered otherwise, 422 for too much.
        """
        key = check_key(key, needed=False)
        power_w = watts(body.kw)
        digest = digest_of([offer_id, power_w])
        async with self._engine.begin() as connection:
            wall = await lock_ledger(connection)
            if key is not None and (answered := await remembered(connection, _ROUTE, key, digest)) is not None:
                return answered
            offer = await _read_offer(connection, offer_id)
            answered = await self._again(connection, offer, power_w)
            if answered is None:
                now_s = self._now_s()
                _check_open(offer, power_w, wall, now_s)
                answered = await self._accept(connection, offer, power_w, now_s)
                # Under the offer's own name too: an order is idempotent by its offer, also without a key.
                await remember(connection, _ROUTE, _own_key(offer.id), digest_of(power_w), answered)
            if key is not None:
                await remember(connection, _ROUTE, key, digest, answered)
        self._when_posted()
        return answered

    async def cancel(self, order_id: str) -> Answer:
        """Takes back the set-points of windows that have not begun; an order that is cancelled already stays so.

        Raises Problem 404, and 409 when nothing is left that could be taken back.
        """
        terms = self._situations.shelf.newest
        async with self._engine.begin() as connection:
            await lock_ledger(connection)
            now_s = self._now_s()
            order = await order_of(connection, order_id, terms, now_s)
            if order["status"] != OrderStatus.CANCELLED:
                await self._take_back(connection, order, now_s)
            answer = await order_of(connection, order_id, terms, now_s)
        self._when_posted()
        return answer

    async def read(self, order_id: str) -> Answer:
        """The order in full. Raises Problem 404."""
        async with self._engine.connect() as connection:
            return await order_of(connection, order_id, self._situations.shelf.newest, self._situations.view.now_s())

    def _now_s(self) -> int:
        now_s = self._situations.view.now_s()
        if now_s is None:
            raise busy("No reading has come yet, so it is not known what now is.")
        return now_s

    async def _again(self, connection: AsyncConnection, offer: Row[Any], power_w: int) -> Answered | None:
        """The first answer where the offer was ordered before."""
        if offer.order_id is None:
            return None
        if offer.ordered_w != power_w:
            kw = kilowatts(offer.ordered_w)
            raise Problem(409, f"The offer was ordered with {kw} kW: order {offer.order_id}. An offer is ordered once.")
        answered = await remembered(connection, _ROUTE, _own_key(offer.id), digest_of(power_w))
        if answered is not None:
            return answered
        now_s, terms = self._situations.view.now_s(), self._situations.shelf.newest
        order = await order_of(connection, offer.order_id, terms, now_s)
        return Answered(201, orjson.dumps(order), replayed=True)

    async def _accept(self, connection: AsyncConnection, offer: Row[Any], power_w: int, now_s: int) -> Answered:
        terms = self._situations.shelf.newest
        facts = OfferFacts(
            offer_id=offer.id,
            request_id=offer.request_id,
            zone=offer.zone,
            direction=Direction(offer.direction),
            from_s=int(offer.from_at.timestamp()),
            to_s=int(offer.to_at.timestamp()),
            power_w=offer.power_w,
        )
        held = flexibility_reservation
        names = select(held.c.asset).where(held.c.offer_id == offer.id).distinct()
        places = self._places((await connection.execute(names)).scalars())
        gone = sorted(asset for asset, place in places.items() if place.meter is None)
        if gone or facts.zone not in terms.zone_index:
            what = f"asset {gone[0]}" if gone else f"zone {facts.zone}"
            raise Problem(409, f"The topology has {what} no more; ask again by a new request.")
        order = Order(str(uuid4()), power_w, now_s)
        await accept_order(connection, facts, order, places, terms, self._forecaster_of(facts.zone))
        return Answered(201, orjson.dumps(await order_of(connection, order.order_id, terms, now_s)))

    async def _take_back(self, connection: AsyncConnection, order: Answer, now_s: int) -> None:
        table, request, held = flexibility_dispatch, flexibility_request, flexibility_reservation
        now = datetime.fromtimestamp(now_s, UTC)
        taken_back = (
            update(table)
            .where(table.c.order_id == order["id"], table.c.window_start > now)
            .values(
                setpoint_w=0,
                revision=table.c.revision + 1,
                sent_at=None,
                acknowledged_at=None,
                acknowledgement=None,
                detail=None,
            )
            .returning(table.c.asset, extract("epoch", table.c.window_start), table.c.revision)
        )
        setpoints = [
            Setpoint(asset, int(start), 0, revision) for asset, start, revision in await connection.execute(taken_back)
        ]
        if not setpoints:
            raise Problem(409, "The order's last window has begun: nothing is left that could be taken back.")
        setpoints.sort(key=lambda setpoint: (setpoint.window_start_s, setpoint.asset))
        await post_setpoints(connection, order["id"], setpoints, self._places({one.asset for one in setpoints}))
        await connection.execute(
            update(held)
            .where(held.c.offer_id == order["offer"], held.c.window_start > now)
            .values(status=ReservationStatus.RELEASED)
        )
        one = flexibility_order
        await connection.execute(
            update(one).where(one.c.id == order["id"]).values(status=OrderStatus.CANCELLED, cancelled_at=now)
        )
        await connection.execute(
            update(request).where(request.c.id == order["request"]).values(status=RequestStatus.CANCELLED)
        )
        windows = sorted({setpoint.window_start_s for setpoint in setpoints})
        await append_step(
            connection,
            order["request"],
            ORDER,
            order["id"],
            OrderStatus.CANCELLED,
            windows=len(windows),
            **{"from": format_instant(windows[0]), "now": format_instant(now_s)},
        )

    def _places(self, names: Iterable[str]) -> dict[str, AssetPlace]:
        now = self._situations.assets.now()
        places = {}
        for name in names:
            index = now.index_of(name)
            if index is None:
                places[name] = AssetPlace(None, None)
            else:
                zone = now.topology.zone[int(now.columns.zone[index])]
                places[name] = AssetPlace(now.assets[index].meter, zone)
        return places


async def _read_offer(connection: AsyncConnection, offer_id: str) -> Row[Any]:
    """The offer, its request and its order, if any. Raises Problem 404."""
    offer, request, order = flexibility_offer, flexibility_request, flexibility_order
    question = (
        select(
            offer,
            request.c.direction,
            request.c.from_at,
            request.c.to_at,
            zone_identity.c.zone,
            order.c.id.label("order_id"),
            order.c.power_w.label("ordered_w"),
        )
        .join(request, request.c.id == offer.c.request_id)
        .join(zone_identity, zone_identity.c.zone_id == request.c.zone_id)
        .outerjoin(order, order.c.offer_id == offer.c.id)
        .where(offer.c.id == known_id(offer_id))
    )
    row = (await connection.execute(question)).one_or_none()
    if row is None:
        raise Problem(404, f"There is no offer {offer_id[:64]!r}; a request's answer has its offer's `id`.")
    return row


def _check_open(offer: Row[Any], power_w: int, wall: datetime, now_s: int) -> None:
    """Raises Problem 409 when the offer can be ordered no more, 422 when it is for less."""
    if offer.status == OfferStatus.EXPIRED or (offer.status == OfferStatus.OPEN and offer.expires_at <= wall):
        expired = format_instant(int(offer.expires_at.timestamp()))
        raise Problem(409, f"The offer has expired, at {expired} at the latest; ask again by a new request.")
    if offer.status != OfferStatus.OPEN:
        raise Problem(409, f"The offer is {offer.status}; ask again by a new request.")
    first_end_s = int(offer.from_at.timestamp()) + QUARTER_S
    if now_s >= first_end_s:
        raise Problem(
            409, f"The first window of the period ended at {format_instant(first_end_s)}; ask for later ones."
        )
    if power_w > offer.power_w:
        raise Problem(422, f"`kw`: the offer is for {kilowatts(offer.power_w)} kW.")


def _own_key(offer_id: str) -> str:
    return f"offer {offer_id}"
