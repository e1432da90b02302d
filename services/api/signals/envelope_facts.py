"""Numbers by which it is seen that what is told of a zone's envelope has changed, for all zones at once."""

import numpy as np
import numpy.typing as npt

from services.api.signals.envelope_table import DirectionTable, EnvelopeTable
from shared.flexibility.merit_tree import MeritTree

_Whole = npt.NDArray[np.int64]


def envelope_facts(table: EnvelopeTable) -> _Whole:
    """[Z, facts] what is told of each zone. Curves and names stand in it as sums of hashes: equal sums are equal."""
    tree, heard = table.assets.listed.tree, table.assets.columns.heard
    silent = np.where(heard, 0, _hashed(np.arange(len(heard))))
    columns = [tree.sums(silent), _on_paths(tree, np.where(table.unclipped, _hashed(np.arange(len(tree.level_of))), 0))]
    for side in (table.up, table.down):
        for envelope, available_w in zip(side.envelopes, side.available_w, strict=True):
            costs = np.nan_to_num(envelope.cost_per_kwh, nan=np.inf).view(np.int64)
            columns += [envelope.held_w, envelope.expected_w, envelope.firm_w, available_w, costs]
        columns.append(_curves(side, len(tree.level_of)))
    return np.column_stack(columns)


def _curves(side: DirectionTable, zones: int) -> _Whole:
    """[Z] The steps of each zone's cost curve."""
    sums = np.zeros(zones, np.int64)
    for steps in side.steps:
        zone = np.repeat(steps.zone, np.diff(steps.first))
        np.add.at(sums, zone, _hashed(_hashed(steps.rank) + steps.up_to_w))
    return sums


def _on_paths(tree: MeritTree, own: _Whole) -> _Whole:
    """[Z] The sum of `own` over the zones above each, itself, and all below it."""
    running = np.append(0, np.cumsum(own))
    below = running[tree.last_below + 1] - running[:-1]
    above = np.zeros(len(own), np.int64)
    for zones in tree.depths[1:]:
        parents = tree.zone_parent[zones]
        above[zones] = above[parents] + own[parents]
    around: _Whole = below + above
    return around


def _hashed(numbers: _Whole) -> _Whole:
    """Numbers spread over 64 bits (the finaliser of splitmix64)."""
    mixed = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashed: _Whole = (mixed ^ (mixed >> np.uint64(31))).view(np.int64)
    return hashed
