"""The baseline of an order is worked out and frozen in the order's own transaction: nobody can change it later."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.topology_terms import TopologyTerms
from services.api.verification.baseline_content import NO_METHOD, Content, baseline_content, digest_of
from services.api.verification.order_setpoints import assets_in, shifted_windows
from services.api.verification.zone_net import ZoneNet, read_zone_net
from shared.database.flexibility_tables import flexibility_baseline
from shared.flexibility.baseline import Forecaster
from shared.flexibility.baseline_choice import HISTORY_DAYS, Choice, choose_baseline
from shared.flexibility.baseline_days import History
from shared.limits import QUARTER_S

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What of an order its baseline depends on."""

    order_id: str
    zone: str
    from_s: int
    """Its period, seconds since 1970, both on quarters."""
    to_s: int
    ordered_s: int
    """The service's now at the order: nothing that ended later is looked at."""


async def freeze_baseline(
    connection: AsyncConnection, order: OrderFacts, terms: TopologyTerms, forecaster: Forecaster | None = None
) -> Content:
    """Works out the order's baseline and stores it in the transaction of `connection`; gives its content.

    The order's row must be there already. A second call changes nothing and gives what is frozen.
    """
    table = flexibility_baseline
    frozen = select(table.c.content).where(table.c.order_id == order.order_id)
    found: Content | None = (await connection.execute(frozen)).scalar_one_or_none()
    if found is not None:
        return found
    choice, estimated = await _choose(connection, order, terms, forecaster)
    content = baseline_content(choice, order.zone, order.from_s, order.to_s, order.ordered_s, estimated=estimated)
    measured = None if choice.method is None else choice.measured[choice.method]
    row = {
        "order_id": order.order_id,
        "method": choice.method or NO_METHOD,
        "reason": choice.reason,
        "rrmse": None if measured is None else _decimal(measured.rrmse),
        "bias": None if measured is None else _decimal(measured.bias),
        "content": content,
        "digest": digest_of(content),
    }
    await connection.execute(insert(table).values(row).on_conflict_do_nothing())
    stored: Content = (await connection.execute(frozen)).scalar_one()
    return stored


async def _choose(
    connection: AsyncConnection, order: OrderFacts, terms: TopologyTerms, forecaster: Forecaster | None
) -> tuple[Choice, bool]:
    """The choice, and whether windows with interpolated series had to serve: a zone may have no others."""
    start_s = (order.from_s // _DAY_S - HISTORY_DAYS) * _DAY_S
    end_s = max(min(order.ordered_s, order.from_s), start_s) // QUARTER_S * QUARTER_S
    net = await read_zone_net(connection, terms.zone_terms(order.zone), start_s, end_s)
    assets = assets_in(terms, terms.zone_index[order.zone], order.from_s)
    shifted_s = await shifted_windows(connection, assets, start_s, end_s, order.order_id)
    return await asyncio.to_thread(_choose_from, net, shifted_s, order, forecaster)


def _choose_from(
    net: ZoneNet, shifted_s: np.ndarray, order: OrderFacts, forecaster: Forecaster | None
) -> tuple[Choice, bool]:
    own = (net.missing == 0) & (net.known > 0) & ~np.isin(net.start_s, shifted_s)
    first_s = int(net.start_s[0]) if len(net.start_s) else 0

    def choose(usable: np.ndarray) -> Choice:
        return choose_baseline(
            History(first_s, net.net_wh, usable), order.from_s, order.to_s, order.ordered_s, forecaster
        )

    measured_only = choose(own & (net.estimated == 0))
    if measured_only.is_measured or not (own & (net.estimated > 0)).any():
        return measured_only, False
    with_estimated = choose(own)
    if with_estimated.is_measured or measured_only.method is None:
        return with_estimated, True
    return measured_only, False


def _decimal(part: float | None) -> Decimal | None:
    return None if part is None else Decimal(str(part))
