"""An independent recomputation of the balance (rules 1 to 8) over a readings file and a topology folder.

Written from the design alone, without a line of the product: what it says and what the service says must be equal in
every zone and every window. It is exact and plain, and holds all windows of all zones in memory.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.end_to_end.recompute_series import Int64s, energies
from tests.end_to_end.recompute_topology import (
    ENERGY_REGISTERS,
    QUARTER_S,
    MeterRow,
    PlainTopology,
    read_plain_topology,
)

KINDS = ("consumer", "prosumer", "pv", "wind", "hydro", "biogas", "storage", "ev", "heatpump")
RENEWABLE = ("pv", "wind", "hydro", "biogas", "prosumer")
FLOWS = {"1.8.0": "withdrawn", "2.8.0": "injected"}
COLUMNS = (
    *(f"{kind}_{flow}_wh" for kind in KINDS for flow in FLOWS.values()),
    "pool_drawn_wh",
    "pool_injected_wh",
    "boundary_wh",
    "boundary_known",
    "measured",
    "estimated",
    "excluded",
)
"""What partial rows hold too."""
EXPECTATIONS = ("expected", "boundary_expected")
"""What the topology alone says."""
_AT = {name: place for place, name in enumerate((*COLUMNS, *EXPECTATIONS))}


@dataclass(frozen=True)
class Recomputation:
    """All zones' windows from `first_window` (number: start // 900) on; windows without anything known are zeros."""

    zones: list[str]
    first_window: int
    sums: Int64s
    """Shape (zones, windows, COLUMNS and EXPECTATIONS)."""

    def windows(self, zone: str) -> list[int]:
        """Starts, in seconds, of the windows of `zone` of which something is known."""
        counts = [_AT[name] for name in ("measured", "estimated", "excluded", "boundary_known")]
        some = self.sums[self.zones.index(zone)][:, counts].any(axis=1)
        return [(self.first_window + int(place)) * QUARTER_S for place in np.flatnonzero(some)]

    def partial(self, zone: str, window_start_s: int) -> dict[str, int]:
        """The sums of one window by name, those of COLUMNS and EXPECTATIONS."""
        row = self.sums[self.zones.index(zone), window_start_s // QUARTER_S - self.first_window]
        return {name: int(row[place]) for name, place in _AT.items()}

    def row(self, zone: str, window_start_s: int) -> dict[str, Any]:
        """One quarter's answer as in the API, without revision, status and times."""
        return answer([self.partial(zone, window_start_s)])


def recompute_folder(readings_file: Path, topology_folder: Path) -> Recomputation:
    """Recomputes a Parquet file in the order of the file."""
    return recompute(pq.read_table(readings_file), read_plain_topology(topology_folder))


def recompute(readings: pa.Table, topology: PlainTopology) -> Recomputation:
    """Recomputes `readings` (columns meter, register, ts, value and perhaps version) in the order of arrival."""
    found = {(meter, register): energy for meter, register, energy in energies(readings, topology)}
    zones = list(topology.parents)
    first = min((energy.first for energy in found.values()), default=0)
    count = max((energy.first + len(energy.known) for energy in found.values()), default=0) - first
    result = Recomputation(zones, first, np.zeros((len(zones), count, len(_AT)), dtype=np.int64))
    own = {zone: result.sums[place] for place, zone in enumerate(zones)}
    for row in topology.rows:
        for register in (name for name in row.registers if name in ENERGY_REGISTERS):
            span = _valid_windows(row, first, count)
            own[row.zone][span, _AT["boundary_expected" if row.kind == "boundary" else "expected"]] += 1
            energy = found.get((row.meter, register))
            if energy is not None:
                whole = np.zeros((3, count), dtype=np.int64)
                inside = slice(energy.first - first, energy.first - first + len(energy.known))
                whole[0, inside], whole[1, inside], whole[2, inside] = energy.energy_wh, energy.known, energy.measured
                _add(own[row.zone][span], row, register, whole[:, span])
    _sum_up_the_tree(own, topology)
    return result


def _valid_windows(row: MeterRow, first: int, count: int) -> slice:
    """The windows whose start lies in the row's validity, half open."""
    start = max(-(-row.valid_from_s // QUARTER_S) - first, 0)
    end = min(-(-row.valid_to_s // QUARTER_S) - first, count)
    return slice(start, max(start, end))


def _add(sums: Int64s, row: MeterRow, register: str, series: Int64s) -> None:
    """Adds one series' windows (energy, known, measured) to its own zone's `sums` (rules 4 to 6, 8 and section 8)."""
    energy, known, measured = series[0], series[1].astype(bool), series[2].astype(bool)
    plausible = known & (energy >= 0) & (energy <= row.energy_max_wh)
    counted = np.where(plausible, energy, 0)
    if row.kind == "boundary":
        sums[:, _AT["boundary_wh"]] += counted if register == "1.8.0" else -counted
        sums[:, _AT["boundary_known"]] += plausible
        return
    sums[:, _AT[f"{row.kind}_{FLOWS[register]}_wh"]] += counted
    sums[:, _AT["measured"]] += plausible & measured
    sums[:, _AT["estimated"]] += plausible & ~measured
    sums[:, _AT["excluded"]] += known & ~plausible
    if row.in_pool and register == "1.8.0":
        sums[:, _AT["pool_drawn_wh"]] += counted
    if row.in_pool and register == "2.8.0" and row.kind in RENEWABLE:
        sums[:, _AT["pool_injected_wh"]] += counted


def _sum_up_the_tree(own: dict[str, Int64s], topology: PlainTopology) -> None:
    """Adds each zone to all above it, but for boundary meters: they measure their own zone only (rule 8)."""
    summed = [place for name, place in _AT.items() if not name.startswith("boundary")]
    deepest_first = sorted(own, key=lambda zone: len(topology.path(zone)), reverse=True)
    for zone in deepest_first:
        if parent := topology.parents[zone]:
            own[parent][:, summed] += own[zone][:, summed]


def answer(quarters: list[dict[str, int]]) -> dict[str, Any]:
    """Rules 6 to 8 over the quarters of an answer: one, or those of an hour, a day or a month."""
    rows = [_derive(quarter) for quarter in quarters]
    total: dict[str, Any] = {
        name: None if any(row[name] is None for row in rows) else sum(row[name] for row in rows) for name in rows[0]
    }
    demand = total["withdrawn_wh"] + total["charged_wh"]
    supply = total["injected_wh"] + total["discharged_wh"]
    total["self_sufficiency"] = Fraction(total["local_wh"], demand) if demand else None
    total["self_consumption"] = Fraction(total["local_wh"], supply) if supply else None
    total["by_kind"] = {
        kind: {f"{flow}_wh": sum(quarter[f"{kind}_{flow}_wh"] for quarter in quarters) for flow in FLOWS.values()}
        for kind in KINDS
    }
    return total


def _derive(quarter: dict[str, int]) -> dict[str, int | None]:
    withdrawn = sum(quarter[f"{kind}_withdrawn_wh"] for kind in KINDS if kind != "storage")
    injected = sum(quarter[f"{kind}_injected_wh"] for kind in KINDS if kind != "storage")
    charged, discharged = quarter["storage_withdrawn_wh"], quarter["storage_injected_wh"]
    demand, supply = withdrawn + charged, injected + discharged
    missing = quarter["expected"] - quarter["measured"] - quarter["estimated"] - quarter["excluded"]
    whole_boundary = 0 < quarter["boundary_expected"] == quarter["boundary_known"]
    unaccounted = quarter["boundary_wh"] - (demand - supply) if whole_boundary else None
    return {
        "withdrawn_wh": withdrawn,
        "injected_wh": injected,
        "injected_res_wh": sum(quarter[f"{kind}_injected_wh"] for kind in RENEWABLE),
        "charged_wh": charged,
        "discharged_wh": discharged,
        "pool_drawn_wh": quarter["pool_drawn_wh"],
        "pool_injected_wh": quarter["pool_injected_wh"],
        **{name: quarter[name] for name in ("expected", "measured", "estimated", "excluded")},
        "missing": missing,
        "local_wh": min(demand, supply),
        "import_wh": demand - min(demand, supply),
        "export_wh": supply - min(demand, supply),
        "unaccounted_wh": unaccounted,
        "losses_wh": unaccounted if missing == 0 and quarter["excluded"] == 0 else None,
    }
