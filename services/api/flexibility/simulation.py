"""What-if: what set-points would do to the zones on their paths, and what they would break. Without any effect."""

import asyncio
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.api.flexibility.bodies import (
    Asked,
    RequestBody,
    check_period,
    check_request,
    parse_request,
    quarter,
    watts,
)
from services.api.flexibility.ledger import Promised, read_promised
from services.api.flexibility.request_reading import Answer, money
from services.api.flexibility.requests import NOTHING_HEARD
from services.api.flexibility.setpoint_limits import broken_limits
from services.api.flexibility.simulation_bodies import DispatchBody
from services.api.flexibility.situation import SituationView
from services.api.flexibility.words import Direction
from services.api.flexibility.zone_prospects import zone_prospects
from services.api.kilowatts import kilowatts
from shared.flexibility.promises import Int64Array, summed_up
from shared.flexibility.selection import select as select_assets
from shared.flexibility.selection_problem import cost_of
from shared.flexibility.traffic_light import AMBER_PERCENT, RED_PERCENT, loading_of
from shared.instants import format_instant
from shared.limits import QUARTER_S
from shared.problem import Problem
from shared.words import LightState


@dataclass(frozen=True, slots=True)
class Plan:
    """Set-points of A assets over W windows."""

    asset: list[str]
    from_s: int
    setpoint_w: Int64Array
    """[A, W] positive for injection."""


class FlexibilitySimulation:
    """Answers from memory and the ledger, in a transaction that may only read."""

    def __init__(self, engine: AsyncEngine, situations: SituationView) -> None:
        """Reads both whenever it is asked."""
        self._engine = engine
        self._situations = situations

    async def simulate(self, body: RequestBody | DispatchBody) -> Answer:
        """What a request would be offered and what that would do, or what the given set-points would.

        Raises Problem 422 for what could not be asked, 409 as long as nothing has been heard.
        """
        now_s = self._situations.view.now_s()
        if now_s is None:
            raise Problem(409, NOTHING_HEARD)
        async with self._engine.connect() as connection:
            promised = await _read_only_promised(connection, now_s)
        if isinstance(body, DispatchBody):
            plan, offer = _given(body, now_s), {"offer": None, "reason": None}
        else:
            asked = parse_request(body)
            check_request(asked, self._situations.shelf.newest, now_s)
            plan, offer = await self._offered(asked, promised)
        return {
            "at": format_instant(now_s),
            **offer,
            "dispatch": _rows(plan),
            "zones": self._zones(plan),
            "broken": broken_limits(plan.asset, plan.setpoint_w, plan.from_s, self._situations.assets.now(), promised),
        }

    async def _offered(self, asked: Asked, promised: list[Promised]) -> tuple[Plan, Answer]:
        situation = self._situations.of(asked, promised)
        selection = await asyncio.to_thread(select_assets, situation.problem)
        chosen = np.flatnonzero(selection.power_w.any(axis=1))
        sign = 1 if asked.direction is Direction.UP else -1
        plan = Plan(
            [situation.problem.name[index] for index in chosen.tolist()], asked.from_s, sign * selection.power_w[chosen]
        )
        if selection.held_w == 0:
            return plan, {"offer": None, "reason": situation.nothing}
        kw = kilowatts(selection.held_w)
        offer = {
            "kw": kw,
            "cost": money(cost_of(selection.power_w, situation.problem.cost.tolist())),
            "windows": [{"window_start": format_instant(start), "kw": kw} for start in asked.starts_s],
        }
        return plan, {"offer": offer, "reason": None}

    def _zones(self, plan: Plan) -> list[Answer]:
        """The zones on the paths of the assets, parents before children."""
        terms, now = self._situations.shelf.newest, self._situations.assets.now()
        topology = terms.topology
        indices = [now.index_of(asset) for asset in plan.asset]
        if None in indices:
            name = plan.asset[indices.index(None)]
            raise Problem(422, f"`asset`: the topology in force has no asset {name!r} whose meter is valid now.")
        zone = now.columns.zone[np.array(indices, np.int64)]
        windows = plan.setpoint_w.shape[1]
        touched = np.zeros(len(topology.zone), np.int64)
        touched[zone] = 1
        on_path = np.flatnonzero(summed_up(touched[:, None], topology.zone_parent)[:, 0]).tolist()
        own_w = np.zeros((len(topology.zone), windows), np.int64)
        np.add.at(own_w, zone, plan.setpoint_w)
        change_w = summed_up(own_w, topology.zone_parent)[on_path]
        prospects = zone_prospects(
            self._situations.view, terms, on_path, self._situations.forecast_of, from_s=plan.from_s, windows=windows
        )
        return [
            _zone(
                topology.zone[index],
                (_limit(topology.import_limit_w[index]), _limit(topology.export_limit_w[index])),
                plan.from_s,
                [int(net_w) if known else None for net_w, known in zip(*lines, strict=True)],
                change_w[row].tolist(),
            )
            for row, (index, *lines) in enumerate(zip(on_path, prospects.net_w, prospects.known, strict=True))
        ]


async def _read_only_promised(connection: AsyncConnection, now_s: int) -> list[Promised]:
    await connection.execute(text("SET TRANSACTION READ ONLY"))
    wall = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    return await read_promised(connection, wall, now_s)


def _given(body: DispatchBody, now_s: int) -> Plan:
    """The set-points of the body. Raises Problem 422 when they cannot be."""
    setpoints_w: dict[tuple[str, int], int] = {}
    for row in body.dispatch:
        place = row.asset, quarter("window_start", row.window_start)
        if place in setpoints_w:
            raise Problem(422, f"`dispatch` has two set-points for {row.asset!r} at {row.window_start}.")
        setpoints_w[place] = watts(row.setpoint_kw, "setpoint_kw")
    assets = sorted({asset for asset, _ in setpoints_w})
    from_s = min(start for _, start in setpoints_w)
    windows = (max(start for _, start in setpoints_w) - from_s) // QUARTER_S + 1
    check_period(from_s, from_s + windows * QUARTER_S, now_s, names=("window_start", "window_start"))
    setpoint_w = np.zeros((len(assets), windows), np.int64)
    place_of = {asset: place for place, asset in enumerate(assets)}
    for (asset, start), power_w in setpoints_w.items():
        setpoint_w[place_of[asset], (start - from_s) // QUARTER_S] = power_w
    return Plan(assets, from_s, setpoint_w)


def _rows(plan: Plan) -> list[Answer]:
    window, asset = np.nonzero(plan.setpoint_w.T)
    return [
        {
            "asset": plan.asset[row],
            "window_start": format_instant(plan.from_s + place * QUARTER_S),
            "setpoint_kw": kilowatts(int(plan.setpoint_w[row, place])),
        }
        for place, row in zip(window.tolist(), asset.tolist(), strict=True)
    ]


def _zone(
    zone: str, limits_w: tuple[int | None, int | None], from_s: int, before_w: list[int | None], change_w: list[int]
) -> Answer:
    windows = []
    for place, (net_w, more_w) in enumerate(zip(before_w, change_w, strict=True)):
        after_w = None if net_w is None else net_w - more_w  # net power is positive for import
        windows.append(
            {
                "window_start": format_instant(from_s + place * QUARTER_S),
                "net_kw_before": kilowatts(net_w),
                "net_kw_after": kilowatts(after_w),
                "loading_before": _loading(net_w, limits_w),
                "loading_after": _loading(after_w, limits_w),
                "state_before": _state(net_w, limits_w),
                "state_after": _state(after_w, limits_w),
            }
        )
    return {
        "zone": zone,
        "import_limit_kw": kilowatts(limits_w[0]),
        "export_limit_kw": kilowatts(limits_w[1]),
        "windows": windows,
    }


def _loading(net_w: int | None, limits_w: tuple[int | None, int | None]) -> float | None:
    if net_w is None:
        return None
    loading = loading_of(net_w, *limits_w)
    fractions = [part for part in (loading.import_fraction, loading.export_fraction) if part is not None]
    return max(fractions, default=None)


def _state(net_w: int | None, limits_w: tuple[int | None, int | None]) -> LightState:
    if net_w is None:
        return LightState.STALE
    loading = loading_of(net_w, *limits_w)
    if loading.above(RED_PERCENT):
        return LightState.RED
    return LightState.AMBER if loading.above(AMBER_PERCENT) else LightState.GREEN


def _limit(limit_w: int) -> int | None:
    return None if limit_w < 0 else int(limit_w)
