"""What a repeated week must come to in every zone and window: worked out with numpy from the week's energies.

No kernel of Bilans takes part. The registers rise on from week to week, so each week has the energies of the first.
"""

import numpy as np

from deploy.bench.recompute_network import WEEK_QUARTERS, Network
from deploy.verify.totals import Totals, window_of, zone_of
from shared.balance.changes import (
    BOUNDARY,
    BOUNDARY_KNOWN,
    EXCLUDED,
    MEASURED,
    POOL_DRAWN,
    POOL_INJECTED,
    SUMS,
)
from shared.balance.memory import Int64Array
from shared.limits import QUARTER_S
from shared.words import ENERGY_REGISTERS, METER_KINDS, RENEWABLE_KINDS, MeterKind, Register

_WITHDRAWN = Register.WITHDRAWN.code


def week_totals(network: Network, partition: int) -> Int64Array:
    """[zones, WEEK_QUARTERS, SUMS] what the partition's series come to in each zone (by its index) and quarter."""
    topology = network.topology
    sums = np.zeros((len(topology.zone), WEEK_QUARTERS, SUMS), np.int64)
    mine = topology.series_partition == partition
    for series in np.flatnonzero(mine & (topology.series_register < ENERGY_REGISTERS)).tolist():
        values = network.week[partition][topology.series_slot[series]]
        row = int(topology.series_meter[series])  # each meter has one row
        kind, register = METER_KINDS[topology.row_kind[row]], int(topology.series_register[series])
        pool = _pool_column(kind, register) if topology.row_pool[row] else None
        _add(sums[topology.row_zone[row]], np.diff(values), int(topology.row_max_wh[row]), kind, register, pool)
    for zone in range(len(topology.zone) - 1, -1, -1):  # zones stand before those below them
        parent = int(topology.zone_parent[zone])
        if parent >= 0:
            above = sums[zone].copy()
            above[:, [BOUNDARY, BOUNDARY_KNOWN]] = 0
            sums[parent] += above
    return sums


def _pool_column(kind: MeterKind, register: int) -> int | None:
    """Where the energy of a meter of the pool is summed too."""
    if register == _WITHDRAWN:
        return POOL_DRAWN
    return POOL_INJECTED if kind in RENEWABLE_KINDS else None


def _add(
    sums: Int64Array, energy_wh: Int64Array, energy_wh_max: int, kind: MeterKind, register: int, pool: int | None
) -> None:
    """Adds the energies of one series in the quarters of a week to the sums of its zone (rules 3 to 6 and 8)."""
    plausible = (energy_wh >= 0) & (energy_wh <= energy_wh_max)
    good_wh = np.where(plausible, energy_wh, 0)
    if kind is MeterKind.BOUNDARY:
        sums[:, BOUNDARY] += good_wh if register == _WITHDRAWN else -good_wh
        sums[:, BOUNDARY_KNOWN] += plausible
        return
    sums[:, 2 * kind.code + register] += good_wh
    if pool is not None:
        sums[:, pool] += good_wh
    sums[:, MEASURED] += plausible
    sums[:, EXCLUDED] += ~plausible


def difference_wh(found: Totals, network: Network, partition: int, weeks: int) -> int:
    """How far `found` is from what the partition must come to in so many weeks, over all figures of all rows."""
    expected = week_totals(network, partition)
    zone_id, window = zone_of(found.key), (window_of(found.key) - network.begin_s) // QUARTER_S
    inside = (window >= 0) & (window < weeks * WEEK_QUARTERS) & np.isin(zone_id, network.topology.zone_id)
    difference = int(np.abs(found.sums[~inside]).sum())
    for zone, number in enumerate(network.topology.zone_id.tolist()):
        rows = np.flatnonzero(inside & (zone_id == number))
        sums = np.zeros((weeks * WEEK_QUARTERS, SUMS), np.int64)
        sums[window[rows]] = found.sums[rows]
        difference += int(np.abs(sums.reshape(weeks, WEEK_QUARTERS, SUMS) - expected[zone]).sum())
    return difference
