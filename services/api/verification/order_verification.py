"""Verifies one order: what its zone did in the windows that have ended, held against the frozen baseline."""

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.topology_terms import TopologyTerms
from services.api.verification.order_setpoints import assets_in, earlier_setpoints_w, own_setpoints_w
from services.api.verification.settled_order import SettledOrder
from services.api.verification.verification_store import append_revisions, mark_settled, newest_revisions
from services.api.verification.verified_window import ActualWindow, VerifiedWindow, may_settle, revised, verify_window
from services.api.verification.zone_net import read_zone_net
from shared.limits import QUARTER_S
from shared.stages import Stage, stage_of


async def verify_order(
    connection: AsyncConnection, order: SettledOrder, terms: TopologyTerms, now_s: int, penalty_percent: int
) -> int:
    """Appends what has changed of the order's windows by `now_s`; gives how many revisions that are.

    Asked twice for the same it appends nothing the second time. Once each window is at D+7 the order is settled.
    """
    setpoints_w = {
        start: power_w
        for start, power_w in (await own_setpoints_w(connection, order.order_id)).items()
        if order.ordered_wh(power_w) > 0
    }
    baseline_wh = await held_against_wh(connection, order, terms)
    told = await newest_revisions(connection, order.order_id)
    found: list[VerifiedWindow] = []
    for actual in await read_actual(connection, order, terms, now_s):
        if actual.start_s not in setpoints_w or actual.start_s not in baseline_wh:
            continue
        before = told.get(actual.start_s)
        stage = stage_of(actual.start_s, now_s)
        if not may_settle(actual, stage, told=before is not None):
            continue
        setpoint_w = setpoints_w[actual.start_s]
        now = verify_window(order, actual, baseline_wh[actual.start_s], setpoint_w, stage, penalty_percent)
        revision = revised(before, now)
        if revision is not None:
            found.append(revision)
    if found:
        await append_revisions(connection, order.order_id, found)
        told |= {row.start_s: row for row in found}
    if (
        order.status == "delivered"
        and setpoints_w
        and all(start in told and told[start].stage == Stage.D7 for start in setpoints_w)
    ):
        await mark_settled(connection, order)
    return len(found)


def zone_index_of(terms: TopologyTerms, order: SettledOrder) -> int | None:
    """The order's zone in the topology in force; None where it has it no more."""
    found = np.flatnonzero(terms.topology.zone_id == order.zone_id)
    return int(found[0]) if len(found) else None


async def held_against_wh(connection: AsyncConnection, order: SettledOrder, terms: TopologyTerms) -> dict[int, int]:
    """The baseline of each window, less what was bought of the zone's assets before this order."""
    zone_index = zone_index_of(terms, order)
    assets = [] if zone_index is None else assets_in(terms, zone_index, order.from_s)
    earlier_w = await earlier_setpoints_w(connection, assets, order.from_s, order.to_s, order.place)
    return order.baseline_wh(earlier_w)


async def read_actual(
    connection: AsyncConnection, order: SettledOrder, terms: TopologyTerms, now_s: int, *, after_s: int = 0
) -> list[ActualWindow]:
    """What the zone did in the order's windows, and in `after_s` after them, of those that have ended by `now_s`.

    Empty when the topology in force has not got the zone any more.
    """
    zone_index = zone_index_of(terms, order)
    end_s = min(order.to_s + after_s, now_s // QUARTER_S * QUARTER_S)
    if zone_index is None or end_s <= order.from_s:
        return []
    zone = terms.zone_terms(terms.topology.zone[zone_index])
    net = await read_zone_net(connection, zone, order.from_s, end_s)
    columns = (net.start_s, net.net_wh, net.known, net.missing)
    return [ActualWindow(*window) for window in zip(*(column.tolist() for column in columns), strict=True)]
