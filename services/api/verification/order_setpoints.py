"""What orders asked of the assets of a zone, window by window: the set-points that stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import ARRAY, Text, cast, extract, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.partial_sums import Whole, instant_of
from services.api.topology_terms import TopologyTerms
from shared.database.flexibility_tables import flexibility_dispatch, flexibility_order


@dataclass(frozen=True, slots=True)
class OrderPlace:
    """An order's place in the order of buying: what is bought later takes nothing from what was bought before."""

    created_at: datetime
    order_id: str


def assets_in(terms: TopologyTerms, zone_index: int, instant_s: int) -> list[str]:
    """The assets whose meters are in the zone or below it at `instant_s`."""
    topology = terms.topology
    rows = terms.rows_valid_at(instant_s) & terms.below(zone_index)[topology.row_zone]
    meters = {topology.meter[index] for index in topology.row_meter[rows].tolist()}
    return [asset.asset for asset in topology.assets if asset.meter in meters]


async def shifted_windows(
    connection: AsyncConnection, assets: Sequence[str], start_s: int, end_s: int, but_order: str
) -> Whole:
    """The starts in [start_s, end_s) of the windows in which an order other than `but_order` asked one of `assets`."""
    table = flexibility_dispatch
    question = (
        select(extract("epoch", table.c.window_start))
        .where(
            table.c.asset == func.any(cast(list(assets), ARRAY(Text))),
            table.c.order_id != but_order,
            table.c.setpoint_w != 0,
            table.c.window_start >= instant_of(start_s * 1_000_000),
            table.c.window_start < instant_of(end_s * 1_000_000),
        )
        .distinct()
    )
    return np.array([int(start) for start in (await connection.execute(question)).scalars()], np.int64)


async def own_setpoints_w(connection: AsyncConnection, order_id: str) -> dict[int, int]:
    """What stands of an order: each window's start, and the sum of its set-points, W, positive for injection."""
    table = flexibility_dispatch
    question = (
        select(extract("epoch", table.c.window_start), func.sum(table.c.setpoint_w))
        .where(table.c.order_id == order_id)
        .group_by(table.c.window_start)
        .order_by(table.c.window_start)
    )
    return {int(start): int(power_w) for start, power_w in await connection.execute(question)}


async def earlier_setpoints_w(
    connection: AsyncConnection, assets: Sequence[str], start_s: int, end_s: int, place: OrderPlace
) -> dict[int, int]:
    """The same of what was bought of `assets` before, for the windows in [start_s, end_s)."""
    table, order = flexibility_dispatch, flexibility_order
    question = (
        select(extract("epoch", table.c.window_start), func.sum(table.c.setpoint_w))
        .join(order, order.c.id == table.c.order_id)
        .where(
            table.c.asset == func.any(cast(list(assets), ARRAY(Text))),
            table.c.window_start >= instant_of(start_s * 1_000_000),
            table.c.window_start < instant_of(end_s * 1_000_000),
            tuple_(order.c.created_at, order.c.id) < tuple_(place.created_at, place.order_id),
        )
        .group_by(table.c.window_start)
    )
    return {int(start): int(power_w) for start, power_w in await connection.execute(question)}
