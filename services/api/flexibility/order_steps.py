"""What an order is made of: the numbered steps of its one transaction. A crash before the last leaves nothing of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
from sqlalchemy import extract, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.flexibility.audit import ORDER, append_step
from services.api.flexibility.dispatch_messages import AssetPlace, Setpoint, post_setpoints
from services.api.flexibility.ledger import release
from services.api.flexibility.request_reading import money
from services.api.flexibility.words import Direction, OfferStatus, OrderStatus, RequestStatus, ReservationStatus
from services.api.kilowatts import kilowatts
from services.api.topology_terms import TopologyTerms
from services.api.verification.baseline_freezing import OrderFacts, freeze_baseline
from shared.database.flexibility_tables import (
    flexibility_offer,
    flexibility_order,
    flexibility_request,
    flexibility_reservation,
)
from shared.flexibility.assets import UNLIMITED_WS
from shared.flexibility.baseline import Forecaster
from shared.flexibility.envelope import NO_LIMIT_W
from shared.flexibility.selection_greedy import select_in_merit_order
from shared.flexibility.selection_problem import COST_PARTS, Int64Array, SelectionProblem, cost_of


@dataclass(frozen=True, slots=True)
class OfferFacts:
    """The open offer that is ordered, and what was asked."""

    offer_id: str
    request_id: str
    zone: str
    direction: Direction
    from_s: int
    to_s: int
    power_w: int


@dataclass(frozen=True, slots=True)
class Order:
    """How much of the offer is ordered, and when."""

    order_id: str
    power_w: int
    ordered_s: int
    """The service's now."""


async def accept_order(
    connection: AsyncConnection,
    offer: OfferFacts,
    order: Order,
    places: dict[str, AssetPlace],
    terms: TopologyTerms,
    forecaster: Forecaster | None,
) -> None:
    """Makes the order. The ledger must be locked, and the offer open and not expired."""
    # 1. Of what the offer holds, the cheapest part that makes up what is ordered.
    held = await _read_held(connection, offer.offer_id)
    chosen_w = _choose(held, order.power_w)
    cost = cost_of(chosen_w, held.cost)
    # 2. The order; the states of offer and request.
    await _insert_order(connection, offer, order, cost)
    # 3. What is ordered stays promised, the rest is free again.
    rows = _rows(held, chosen_w)
    await _keep_ordered(connection, offer.offer_id, rows)
    await release(connection, offer.offer_id)
    # 4. The set-points, and their messages.
    sign = 1 if offer.direction is Direction.UP else -1
    setpoints = [Setpoint(asset, start, sign * power_w) for asset, start, power_w in rows]
    await _insert_setpoints(connection, order.order_id, setpoints)
    await post_setpoints(connection, order.order_id, setpoints, places)
    # 5. The baseline against which it will be measured: frozen before anything of it can be delivered.
    facts = OrderFacts(order.order_id, offer.zone, offer.from_s, offer.to_s, order.ordered_s)
    await freeze_baseline(connection, facts, terms, forecaster)
    # 6. The audit.
    await append_step(
        connection,
        offer.request_id,
        ORDER,
        order.order_id,
        OrderStatus.ACCEPTED,
        kw=kilowatts(order.power_w),
        of_kw=kilowatts(offer.power_w),
        cost=money(cost),
        setpoints=len(setpoints),
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """What an offer holds, A assets and W windows."""

    asset: Sequence[str]
    start_s: Sequence[int]
    cost: list[int]
    """[A] of a MWh, in millionths."""
    power_w: Int64Array
    """[A, W]"""


async def _read_held(connection: AsyncConnection, offer_id: str) -> _Held:
    row = flexibility_reservation
    question = select(row.c.asset, extract("epoch", row.c.window_start), row.c.power_w, row.c.cost_per_mwh).where(
        row.c.offer_id == offer_id, row.c.status == ReservationStatus.HELD
    )
    rows: Sequence[Any] = (await connection.execute(question)).all()
    cost = {asset: int(cost_per_mwh * COST_PARTS) for asset, _, _, cost_per_mwh in rows}
    assets, starts = sorted(cost), sorted({int(start) for _, start, _, _ in rows})
    place = {asset: index for index, asset in enumerate(assets)}
    window = {start: index for index, start in enumerate(starts)}
    power_w = np.zeros((len(assets), len(starts)), np.int64)
    for asset, start, held_w, _ in rows:
        power_w[place[asset], window[int(start)]] = held_w
    return _Held(assets, starts, [cost[asset] for asset in assets], power_w)


def _choose(held: _Held, power_w: int) -> Int64Array:
    """[A, W] the cheapest part of what is held. Any part of it keeps energy and network limits: merit order is best."""
    assets, windows = held.power_w.shape
    problem = SelectionProblem(
        name=held.asset,
        power_w=held.power_w,
        energy_ws=np.full(assets, UNLIMITED_WS, np.int64),
        cost=np.array(held.cost, np.int64),
        zone=np.zeros(assets, np.int32),
        zone_parent=np.full(1, -1, np.int32),
        headroom_w=np.full((1, windows), NO_LIMIT_W, np.int64),
        target_w=power_w,
    )
    selection = select_in_merit_order(problem)
    assert selection.held_w == power_w, f"the offer holds {selection.held_w} W of the {power_w} W ordered"
    return selection.power_w


def _rows(held: _Held, chosen_w: Int64Array) -> list[tuple[str, int, int]]:
    """Asset, window start and power of each part chosen, in the order of time."""
    window, asset = np.nonzero(chosen_w.T)
    return [
        (held.asset[place], held.start_s[index], int(chosen_w[place, index]))
        for index, place in zip(window.tolist(), asset.tolist(), strict=True)
    ]


async def _insert_order(connection: AsyncConnection, offer: OfferFacts, order: Order, cost: Decimal) -> None:
    await connection.execute(
        flexibility_order.insert().values(
            id=order.order_id,
            offer_id=offer.offer_id,
            power_w=order.power_w,
            cost=cost,
            status=OrderStatus.ACCEPTED,
            ordered_at=datetime.fromtimestamp(order.ordered_s, UTC),
        )
    )
    one, request = flexibility_offer, flexibility_request
    await connection.execute(update(one).where(one.c.id == offer.offer_id).values(status=OfferStatus.ORDERED))
    await connection.execute(
        update(request).where(request.c.id == offer.request_id).values(status=RequestStatus.ORDERED)
    )


async def _keep_ordered(connection: AsyncConnection, offer_id: str, rows: Sequence[tuple[str, int, int]]) -> None:
    await connection.execute(
        text(
            """
            UPDATE flexibility_reservation AS kept SET power_w = given.power, status = :status
            FROM unnest(CAST(:assets AS text[]), CAST(:starts AS bigint[]), CAST(:powers AS bigint[]))
                 AS given (asset, start, power)
            WHERE kept.offer_id = :offer AND kept.asset = given.asset AND kept.window_start = to_timestamp(given.start)
            """
        ),
        {
            "offer": offer_id,
            "status": ReservationStatus.ORDERED.value,
            "assets": [asset for asset, _, _ in rows],
            "starts": [start for _, start, _ in rows],
            "powers": [power_w for _, _, power_w in rows],
        },
    )


async def _insert_setpoints(connection: AsyncConnection, order_id: str, setpoints: Sequence[Setpoint]) -> None:
    await connection.execute(
        text(
            """
            INSERT INTO flexibility_dispatch (order_id, asset, window_start, setpoint_w)
            SELECT :order, asset, to_timestamp(start), setpoint
            FROM unnest(CAST(:assets AS text[]), CAST(:starts AS bigint[]), CAST(:setpoints AS bigint[]))
                 AS given (asset, start, setpoint)
            """
        ),
        {
            "order": order_id,
            "assets": [setpoint.asset for setpoint in setpoints],
            "starts": [setpoint.window_start_s for setpoint in setpoints],
            "setpoints": [setpoint.setpoint_w for setpoint in setpoints],
        },
    )
