"""The envelope of a zone as the API tells it: kW, costs and names, from the columns of all zones."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from services.api.kilowatts import kilowatts
from services.api.signals.envelope_table import DirectionTable, EnvelopeTable
from shared.flexibility.cost_curve import CostSteps, thinned
from shared.flexibility.envelope import DURATIONS_S

_Whole = npt.NDArray[np.int64]
Answer = dict[str, object]

NAMES_MAX = 20
"""So many names are told of assets that are not heard, and of zones that could not clip."""

_COST_DIGITS = 6
_FIGURES = ("", "_expected", "_firm", "_available")


def _nothing_held() -> Answer:
    row: Answer = {}
    for name in ("up", "down"):
        row |= {f"{name}{figure}_kw": 0 for figure in _FIGURES} | {f"{name}_cost_per_kwh": None}
    return {
        "envelope": [{"minutes": duration_s // 60} | row for duration_s in DURATIONS_S],
        "cost_curve": {"up": [], "down": []},
        "assets": {"total": 0, "heard": 0, "silent": []},
        "unclipped_by": [],
    }


NOTHING = _nothing_held()
"""What a zone without assets can hold."""


class EnvelopeTexts:
    """One table as text, zone by zone."""

    def __init__(self, table: EnvelopeTable) -> None:
        """What all zones share is made once."""
        listed = table.assets.listed
        self._tree = listed.tree
        self.table = table
        self.topology = listed.topology
        self.zone_index = listed.zone_index
        self._costs = [_per_kwh(cost) for cost in sorted(set(listed.cost_per_mwh))]
        self._heard = self._tree.sums(table.assets.columns.heard.astype(np.int64))
        self._total = self._tree.sums(np.ones(len(listed.assets), np.int64))
        self._figures = {name: _figures(side) for name, side in self._sides()}
        self._mean_costs = {name: [_known(e.cost_per_kwh) for e in side.envelopes] for name, side in self._sides()}
        self._steps = {name: [_told_steps(steps, self._costs) for steps in side.steps] for name, side in self._sides()}
        self._any_unclipped = bool(table.unclipped.any())
        self._silent = np.flatnonzero(~table.assets.columns.heard)
        self._silent = self._silent[np.argsort(listed.zone[self._silent], kind="stable")]
        self._silent_zone = listed.zone[self._silent]

    def _sides(self) -> Iterable[tuple[str, DirectionTable]]:
        return (("up", self.table.up), ("down", self.table.down))

    def of(self, zone: int) -> Answer:
        """The members of the signals that tell what zone number `zone` can hold."""
        if self._tree.level_of[zone] < 0:
            return NOTHING
        return {
            "envelope": [self._row(zone, number, duration_s) for number, duration_s in enumerate(DURATIONS_S)],
            "cost_curve": {name: self._curve(name, zone) for name in ("up", "down")},
            "assets": {
                "total": int(self._total[zone]),
                "heard": int(self._heard[zone]),
                "silent": self._silent_names(zone),
            },
            "unclipped_by": self._unclipped_by(zone),
        }

    def _row(self, zone: int, number: int, duration_s: int) -> Answer:
        row: Answer = {"minutes": duration_s // 60}
        for name in ("up", "down"):
            for figure, power_w in zip(_FIGURES, self._figures[name][number][zone], strict=True):
                row[f"{name}{figure}_kw"] = kilowatts(power_w)
            row[f"{name}_cost_per_kwh"] = self._mean_costs[name][number][zone]
        return row

    def _curve(self, name: str, zone: int) -> Sequence[Answer]:
        first, steps = self._steps[name][self._tree.level_of[zone]]
        number = self._tree.number_of[zone]
        return thinned(steps[first[number] : first[number + 1]])

    def _silent_names(self, zone: int) -> list[str]:
        if not len(self._silent):
            return []
        first, last = np.searchsorted(self._silent_zone, (zone, self._tree.last_below[zone] + 1))
        assets = self.table.assets.assets
        return sorted(assets[number].asset for number in self._silent[first:last].tolist())[:NAMES_MAX]

    def _unclipped_by(self, zone: int) -> list[str]:
        """Zones that have a limit, but of which it is not known what flows, above it, itself and below."""
        if not self._any_unclipped:
            return []
        topology, unclipped = self.table.assets.topology, self.table.unclipped
        below = zone + np.flatnonzero(unclipped[zone : self._tree.last_below[zone] + 1])
        above = int(topology.zone_parent[zone])
        found = below.tolist()
        while above >= 0:
            if unclipped[above]:
                found.append(above)
            above = int(topology.zone_parent[above])
        return [topology.zone[number] for number in sorted(found)[:NAMES_MAX]]


def _figures(side: DirectionTable) -> list[list[list[int]]]:
    """For each duration, zone by zone: held, expected, firm, available, W."""
    return [
        np.column_stack((envelope.held_w, envelope.expected_w, envelope.firm_w, available_w)).tolist()
        for envelope, available_w in zip(side.envelopes, side.available_w, strict=True)
    ]


def _told_steps(steps: CostSteps, costs: Sequence[float]) -> tuple[list[int], list[Answer]]:
    """Where each zone's steps of a level begin, and all of them."""
    told: list[Answer] = [
        {"kw": kilowatts(power_w), "cost_per_kwh": costs[rank]}
        for rank, power_w in zip(steps.rank.tolist(), steps.up_to_w.tolist(), strict=True)
    ]
    return steps.first.tolist(), told


def _known(cost_per_kwh: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if cost != cost else round(cost, _COST_DIGITS) for cost in cost_per_kwh.tolist()]


def _per_kwh(cost_per_mwh: Decimal) -> float:
    return float(round(cost_per_mwh / 1000, _COST_DIGITS))
