"""The assets of a topology that count at an instant: columns that only a new topology, or a meter's term, changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from services.api.newest_readings import SoughtSeries
from services.api.topology_terms import TopologyTerms
from shared.flexibility.assets import AssetTerms, asset_terms
from shared.flexibility.due import DueTimes
from shared.flexibility.merit_tree import MeritTree, merit_tree
from shared.topology.index import Topology
from shared.topology.rows import Asset
from shared.words import REGISTERS

_NONE = -1


@dataclass(frozen=True, slots=True)
class AssetList:
    """A assets whose meter is valid at the instant, by name."""

    topology: Topology
    zone_index: Mapping[str, int]
    assets: Sequence[Asset]
    index: Mapping[str, int]
    """The place of each asset by its name."""
    zone: npt.NDArray[np.int32]
    """[A] zone index."""
    cost_per_mwh: Sequence[Decimal]
    """[A] 0 where blank."""
    merit: npt.NDArray[np.int64]
    """[A] the assets from the cheapest on; of the same cost, by name."""
    cost_rank: npt.NDArray[np.int64]
    """[A] the place of its cost among the distinct costs, from the cheapest on."""
    cost_per_kwh: npt.NDArray[np.float64]
    """[A] the same cost for a kWh, for means."""
    max_w: npt.NDArray[np.int64]
    """[A] the most that is plausible at its meter."""
    terms: AssetTerms
    due: DueTimes
    tree: MeritTree
    """The assets by the zones' tree, in merit order."""
    sought: SoughtSeries
    """The series of the assets' meters."""
    series: npt.NDArray[np.int64]
    """[A, registers] the place of each register's series in `sought`, −1 where the meter has none."""


def list_assets(terms: TopologyTerms, instant_s: int) -> AssetList:
    """The assets that count at `instant_s`."""
    topology = terms.topology
    wanted = {asset.meter for asset in topology.assets}
    meter_index = {name: index for index, name in enumerate(topology.meter) if name in wanted}
    row_of_meter = np.full(len(topology.meter), _NONE, np.int64)
    rows = np.flatnonzero(terms.rows_valid_at(instant_s))
    row_of_meter[topology.row_meter[rows]] = rows
    assets = [asset for asset in topology.assets if row_of_meter[meter_index[asset.meter]] != _NONE]
    meter = np.array([meter_index[asset.meter] for asset in assets], np.int64)
    row = row_of_meter[meter]
    costs = [Decimal(0) if asset.cost_per_mwh is None else asset.cost_per_mwh for asset in assets]
    place = {cost: rank for rank, cost in enumerate(sorted(set(costs)))}
    merit = sorted(range(len(assets)), key=lambda k: (costs[k], assets[k].asset))
    sought, series = _series(topology, meter)
    return AssetList(
        topology=topology,
        zone_index=terms.zone_index,
        assets=assets,
        index={asset.asset: number for number, asset in enumerate(assets)},
        zone=topology.row_zone[row],
        cost_per_mwh=costs,
        merit=np.array(merit, np.int64),
        cost_rank=np.array([place[cost] for cost in costs], np.int64),
        cost_per_kwh=np.array([float(cost / 1000) for cost in costs], np.float64),
        max_w=topology.row_max_wh[row] * 4,
        terms=asset_terms(assets),
        due=DueTimes([asset.due_at for asset in assets]),
        tree=merit_tree(topology.zone_parent, topology.row_zone[row], np.array(merit, np.int64)),
        sought=sought,
        series=series,
    )


def _series(topology: Topology, meter: npt.NDArray[np.int64]) -> tuple[SoughtSeries, npt.NDArray[np.int64]]:
    """The series of `meter` [A], and the place of each register's among them [A, registers]."""
    registers = len(REGISTERS)
    keys = topology.series_meter.astype(np.int64) * registers + topology.series_register  # ascending
    asked = meter[:, None] * registers + np.arange(registers)
    at = np.searchsorted(keys, asked)
    found = np.append(keys, -1)[at] == asked  # beyond the end stands what is never asked for
    chosen = at[found]
    places = np.full(asked.shape, _NONE, np.int64)
    places[found] = np.arange(len(chosen))
    return SoughtSeries(topology.series_partition[chosen], topology.series_slot[chosen]), places
