"""The envelopes of all zones now, worked out together: what assets can hold, clipped by the headroom on their paths."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.api.signals.asset_history import DOWN, UP, AssetHistory
from services.api.signals.asset_view import AssetsNow
from services.api.signals.live_table import ZonesNow
from shared.flexibility.cost_curve import CostSteps, cost_steps
from shared.flexibility.envelope import (
    DURATIONS_S,
    Envelope,
    headroom_w,
    held_down_w,
    held_up_w,
    never_more_when_longer,
    shares_by_level,
    zone_envelope,
)

_Whole = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DirectionTable:
    """One direction of all zones."""

    envelopes: Sequence[Envelope]
    """For each of DURATIONS_S."""
    available_w: Sequence[_Whole]
    """[Z] for each of DURATIONS_S: what is not promised to anybody."""
    steps: Sequence[CostSteps]
    """The cost curve for the shortest of DURATIONS_S, level by level of the tree."""


@dataclass(frozen=True, slots=True)
class EnvelopeTable:
    """The envelopes of Z zones."""

    assets: AssetsNow
    up: DirectionTable
    down: DirectionTable
    unclipped: _Mask
    """[Z] zones that have a limit, but of which it is not known what flows: they clip nothing."""


def work_out_envelopes(assets: AssetsNow, zones: ZonesNow, history: AssetHistory) -> EnvelopeTable:
    """The envelopes: up is clipped by the room for export, down by the room for import."""
    known = zones.known & ~zones.stale
    export_room_w = headroom_w(zones.export_limit_w, -zones.net_w, known)
    import_room_w = headroom_w(zones.import_limit_w, zones.net_w, known)
    limited = (zones.export_limit_w >= 0) | (zones.import_limit_w >= 0)
    return EnvelopeTable(
        assets=assets,
        up=_direction(UP, assets, export_room_w, history),
        down=_direction(DOWN, assets, import_room_w, history),
        unclipped=limited & ~known,
    )


def _direction(direction: str, assets: AssetsNow, room_w: _Whole, history: AssetHistory) -> DirectionTable:
    listed, columns, tree = assets.listed, assets.columns, assets.listed.tree
    held_w = held_up_w if direction == UP else held_down_w
    likely = history.available(listed)
    envelopes: list[Envelope] = []
    for duration_s in DURATIONS_S:
        envelope = zone_envelope(tree, held_w(columns, duration_s), room_w, likely, listed.cost_per_kwh)
        envelopes.append(never_more_when_longer(envelopes[-1], envelope) if envelopes else envelope)
    shares = shares_by_level(tree, held_w(columns, DURATIONS_S[0]), room_w)
    steps = [cost_steps(share, listed.cost_rank) for share in shares]
    return DirectionTable(envelopes, _not_promised(direction, envelopes, assets, room_w, history), steps)


def _not_promised(
    direction: str,
    envelopes: Sequence[Envelope],
    assets: AssetsNow,
    room_w: _Whole,
    history: AssetHistory,
) -> list[_Whole]:
    """[Z] of each duration: the envelope of what is not promised, in the room that what is promised leaves."""
    if not history.promised or assets.now_s is None:
        return [envelope.held_w for envelope in envelopes]
    columns, tree = assets.columns, assets.listed.tree
    power_w, energy_ws = (columns.up_w, columns.up_ws) if direction == UP else (columns.down_w, columns.down_ws)
    found = []
    for duration_s in DURATIONS_S:
        promised_w, promised_ws = history.promised_of(assets.listed, direction, assets.now_s, duration_s)
        left_ws = np.maximum(energy_ws - promised_ws, 0)
        left_w = np.minimum(np.maximum(power_w - promised_w, 0), left_ws // duration_s)
        room_left_w = np.maximum(room_w - tree.sums(promised_w), 0)
        total_w = np.zeros(len(room_w), np.int64)
        for share in shares_by_level(tree, left_w, room_left_w):
            total_w[share.level.zone] = share.total_w
        found.append(total_w)
    return found
