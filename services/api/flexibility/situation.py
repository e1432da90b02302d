"""What can be offered for a request now: the assets, the room of every zone on their paths, and what is promised."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from services.api.flexibility.bodies import Asked
from services.api.flexibility.ledger import Promised, promises_of
from services.api.flexibility.words import Direction
from services.api.flexibility.zone_prospects import ForecastOf, zone_prospects
from services.api.live_view import LiveView
from services.api.signals.asset_view import AssetsNow, AssetView
from services.api.topology_shelf import TopologyShelf
from services.api.topology_terms import TopologyTerms
from shared.flexibility.promises import (
    Int64Array,
    energy_left_ws,
    headroom_left_w,
    power_left_w,
    promised_in_zones_w,
)
from shared.flexibility.selection_problem import COST_PARTS, SelectionProblem


@dataclass(frozen=True, slots=True)
class Situation:
    """A request as a problem of selection, and in words why there may be nothing to select."""

    problem: SelectionProblem
    cost_per_mwh: Sequence[Decimal]
    """[A] of the problem's assets."""
    nothing: str
    """What to tell when nothing can be held."""


class SituationView:
    """Works it out from memory and the ledger."""

    def __init__(self, shelf: TopologyShelf, view: LiveView, assets: AssetView, forecast_of: ForecastOf) -> None:
        """Reads all of them whenever it is asked."""
        self.shelf = shelf
        self.view = view
        self.assets = assets
        self.forecast_of = forecast_of

    def of(self, asked: Asked, promised: Sequence[Promised]) -> Situation:
        """The situation for `asked`, whose zone the newest topology has."""
        terms = self.shelf.newest
        now = self.assets.now()
        root = terms.zone_index[asked.zone]
        up = asked.direction is Direction.UP
        below = np.flatnonzero(terms.below(root))  # the root is the first, each zone's parent stands before it
        inside = np.flatnonzero(np.isin(now.columns.zone, below))
        promises = promises_of(promised, dict(now.listed.index))
        power_w = power_left_w(
            now.columns.up_w if up else now.columns.down_w,
            promises,
            up=up,
            from_s=asked.from_s,
            windows=asked.windows,
        )[inside]
        energy_ws = energy_left_ws(now.columns.up_ws if up else now.columns.down_ws, promises, up=up)[inside]
        path = _path(terms, root)
        room_w = self._room_w(terms, now, promised, asked, [*path[1:], *below.tolist()])
        least_w = room_w[: len(path)].min(axis=1)  # the zones above, then the root itself
        tightest = int(least_w.argmin())
        place = np.full(len(terms.topology.zone), -1, np.int32)
        place[below] = np.arange(len(below))
        parent = terms.topology.zone_parent[below]
        problem = SelectionProblem(
            name=[now.assets[index].asset for index in inside.tolist()],
            power_w=power_w,
            energy_ws=energy_ws,
            cost=np.array([int(now.cost_per_mwh[index] * COST_PARTS) for index in inside.tolist()], np.int64),
            zone=place[now.columns.zone[inside]],
            zone_parent=np.where(np.arange(len(below)) == 0, -1, place[parent]).astype(np.int32),
            headroom_w=room_w[len(path) - 1 :],
            target_w=min(asked.power_w, int(least_w[tightest])),
        )
        tight_zone = terms.topology.zone[[*path[1:], root][tightest]]
        return Situation(
            problem,
            [now.cost_per_mwh[index] for index in inside.tolist()],
            _why_nothing(asked, now, inside, problem, tight_zone),
        )

    def _room_w(
        self, terms: TopologyTerms, now: AssetsNow, promised: Sequence[Promised], asked: Asked, zones: list[int]
    ) -> Int64Array:
        """[Z, W] the room of `zones` in the direction asked for, without what is promised."""
        topology = terms.topology
        up = asked.direction is Direction.UP
        period = {"from_s": asked.from_s, "windows": asked.windows}
        promises = promises_of(promised, dict(now.listed.index))
        taken_w = promised_in_zones_w(promises, now.columns.zone, topology.zone_parent, up=up, **period)
        prospects = zone_prospects(self.view, terms, zones, self.forecast_of, **period)
        flow_w = -prospects.net_w if up else prospects.net_w
        limit_w = (topology.export_limit_w if up else topology.import_limit_w)[zones]
        return headroom_left_w(limit_w, flow_w, prospects.known, taken_w[zones])


def _path(terms: TopologyTerms, zone: int) -> list[int]:
    """`zone` and the zones above it."""
    path = [zone]
    while (parent := int(terms.topology.zone_parent[path[-1]])) >= 0:
        path.append(parent)
    return path


def _why_nothing(asked: Asked, now: AssetsNow, inside: Int64Array, problem: SelectionProblem, tight_zone: str) -> str:
    """Why nothing may be held, the first reason that fits."""
    if len(inside) == 0:
        return f"No asset is in {asked.zone} or below it."
    if not now.columns.heard[inside].any():
        return f"None of the {len(inside)} assets in {asked.zone} is heard, so none can promise anything."
    if problem.target_w <= 0:
        return (
            f"Zone {tight_zone} has no room {asked.direction} in all of the period: its limit, less what is expected to"
            " flow and what is promised already, is 0, or what flows there is not known."
        )
    return (
        f"What the assets in {asked.zone} can hold {asked.direction} all of the period is nothing, or promised already."
    )
