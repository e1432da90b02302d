"""What each asset may give and take now, from what the topology says of it and what its meter tells (design section 4).

Up is towards injection, down towards withdrawal: each a change from what the asset does without being asked. Energies
are counted at the meter, in watt-seconds, so that a power for so many seconds is one exact division. What is rounded is
rounded towards less, for an envelope is a promise.

By kind (a power left blank is 0, an energy left blank is no limit):

- storage: its powers as they stand; up (content − reserve), down (energy − content) / efficiency. Where it has a limit
  of energy, or sends its content, it holds nothing until the content is heard.
- ev: up at most what it charges with now, and so much that what is due can still be charged until `due_at` at the power
  of its charger (the greater of up and down), and no longer than it stands there; down what its charger has left, as
  long as there is room. Where its content is not known, `energy − due` is what it can wait with, or take more.
- heatpump, load: up at most what they draw now; no more energy than `energy`. What comes back later (`rebound`) is not
  taken off: it comes after the time that is asked about.
- biogas: up what is given; down at most what it injects now; no more energy than `energy`, its store of gas.
- curtailable: down at most what it injects now; up only what is given.

But for storage, none is asked for more than its meter's `max_kw` allows beside what goes through it now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
import numpy.typing as npt

from shared.limits import KW_MAX, VALUE_MAX
from shared.topology.rows import Asset
from shared.words import AssetKind

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
Int8Array = npt.NDArray[np.int8]
BoolArray = npt.NDArray[np.bool_]

UNLIMITED_WH = 2**40
"""The energy of an asset that has no limit of energy: more than one can take or give in a day."""

UNLIMITED_WS = UNLIMITED_WH * 3600

WHOLE_PPM = 1_000_000
"""An efficiency of 1, in parts per million."""

NEVER_DUE_S = 2**20
"""The seconds until something that is never due: twelve days, longer than anything is asked for."""

POWER_W_MAX = KW_MAX * 1000
"""No power at a meter is counted as more."""

_QUOTIENT_MAX = UNLIMITED_WS // WHOLE_PPM
"""A larger quotient by an efficiency may be taken for no limit: it is beyond what any power takes in a day."""

assert UNLIMITED_WH > POWER_W_MAX * 24
assert NEVER_DUE_S * POWER_W_MAX + UNLIMITED_WS < 2**63
assert VALUE_MAX * 3600 < 2**63

_KINDS = tuple(AssetKind)
_STORAGE, _EV, _HEATPUMP, _BIOGAS, _CURTAILABLE, _LOAD = (
    _KINDS.index(kind)
    for kind in (
        AssetKind.STORAGE,
        AssetKind.EV,
        AssetKind.HEATPUMP,
        AssetKind.BIOGAS,
        AssetKind.CURTAILABLE,
        AssetKind.LOAD,
    )
)


@dataclass(frozen=True, slots=True)
class AssetTerms:
    """What the topology says of A assets, a column each."""

    kind: Int8Array
    """[A] place in AssetKind."""
    up_w: Int64Array
    down_w: Int64Array
    energy_wh: Int64Array
    """[A] UNLIMITED_WH where blank."""
    limited: BoolArray
    """[A] whether it has a limit of energy."""
    efficiency_ppm: Int64Array
    """[A] of the round trip, above 0, parts per million; lost on charging."""
    reserve_wh: Int64Array
    due_wh: Int64Array
    """[A] 0 where nothing is due."""


@dataclass(frozen=True, slots=True)
class MetersNow:
    """What the meters of A assets tell now, a column each."""

    heard: BoolArray
    """[A] whether the meter is heard."""
    withdrawn_w: Int64Array
    injected_w: Int64Array
    content_wh: Int64Array
    content_heard: BoolArray
    """[A] whether the content is heard; else `content_wh` means nothing."""
    content_sent: BoolArray
    """[A] whether the meter has a register of content at all."""
    max_w: Int64Array
    """[A] the most that is plausible at the meter, W (`max_kw`)."""


@dataclass(frozen=True, slots=True)
class Assets:
    """What A assets may give and take now, a column each; all are 0 where an asset is not heard."""

    zone: Int32Array
    """[A] index of the zone that the asset's meter is in."""
    up_w: Int64Array
    """[A] the most it can give, W, not negative."""
    down_w: Int64Array
    """[A] the most it can take, W, not negative."""
    up_ws: Int64Array
    """[A] the energy that it can give in all, watt-seconds at the meter, UNLIMITED_WS without a limit."""
    down_ws: Int64Array
    """[A] the energy that it can take in all."""
    heard: BoolArray
    """[A] whether it can be said what it holds."""

    @property
    def up_wh(self) -> Int64Array:
        """[A] the energy that it can give in all, whole Wh, rounded down."""
        return self.up_ws // 3600

    @property
    def down_wh(self) -> Int64Array:
        """[A] the energy that it can take in all, whole Wh, rounded down."""
        return self.down_ws // 3600


def asset_terms(assets: Sequence[Asset]) -> AssetTerms:
    """The columns of `assets`: limits are rounded down, what must be kept is rounded up."""

    def column(values: Sequence[Decimal | None], blank: int, factor: int, rounding: str = ROUND_FLOOR) -> Int64Array:
        whole = [blank if value is None else int((value * factor).to_integral_value(rounding)) for value in values]
        return np.array(whole, np.int64)

    return AssetTerms(
        kind=np.array([_KINDS.index(asset.kind) for asset in assets], np.int8),
        up_w=column([asset.up_kw for asset in assets], 0, 1000),
        down_w=column([asset.down_kw for asset in assets], 0, 1000),
        energy_wh=column([asset.energy_kwh for asset in assets], UNLIMITED_WH, 1000),
        limited=np.array([asset.energy_kwh is not None for asset in assets], np.bool_),
        efficiency_ppm=column([asset.efficiency for asset in assets], WHOLE_PPM, WHOLE_PPM, ROUND_CEILING),
        reserve_wh=column([asset.reserve_kwh for asset in assets], 0, 1000, ROUND_CEILING),
        due_wh=column([asset.due_kwh for asset in assets], 0, 1000, ROUND_CEILING),
    )


def assets_now(terms: AssetTerms, meters: MetersNow, zone: Int32Array, due_in_s: Int64Array) -> Assets:
    """What the assets may give and take, by their kinds.

    `due_in_s` [A] is how long it is until an EV leaves, NEVER_DUE_S where no time is given.
    """
    is_storage, is_ev = terms.kind == _STORAGE, terms.kind == _EV
    up_w, down_w = _powers(terms, meters)
    up_ws, down_ws = _storage_ws(terms, meters)
    ev_up_ws, ev_down_ws = _ev_ws(terms, meters, due_in_s)
    plain_ws = terms.energy_wh * 3600
    up_ws = np.where(is_storage, up_ws, np.where(is_ev, ev_up_ws, plain_ws))
    down_ws = np.where(is_storage, down_ws, np.where(is_ev, ev_down_ws, plain_ws))
    content_missing = is_storage & (terms.limited | meters.content_sent) & ~meters.content_heard
    heard = meters.heard & ~content_missing
    return Assets(
        zone=zone,
        up_w=np.where(heard, np.maximum(up_w, 0), 0),
        down_w=np.where(heard, np.maximum(down_w, 0), 0),
        up_ws=np.where(heard, np.clip(up_ws, 0, UNLIMITED_WS), 0),
        down_ws=np.where(heard, np.clip(down_ws, 0, UNLIMITED_WS), 0),
        heard=heard,
    )


def _powers(terms: AssetTerms, meters: MetersNow) -> tuple[Int64Array, Int64Array]:
    """[A] The power up and down of each asset by its kind; may be negative where a meter is beyond its limit."""
    kind, drawn_w, injected_w = terms.kind, meters.withdrawn_w, meters.injected_w
    flows_up = (kind == _EV) | (kind == _HEATPUMP) | (kind == _LOAD)
    flows_down = (kind == _BIOGAS) | (kind == _CURTAILABLE)
    up_w = np.where(flows_up, np.minimum(terms.up_w, drawn_w), terms.up_w)
    up_w = np.where(flows_down, np.minimum(up_w, meters.max_w - injected_w), up_w)
    down_w = np.where(flows_down, np.minimum(terms.down_w, injected_w), terms.down_w)
    down_w = np.where(flows_up, np.minimum(down_w, meters.max_w - drawn_w), down_w)
    charger_left_w = np.maximum(terms.up_w, terms.down_w) - drawn_w
    return up_w, np.where(kind == _EV, np.minimum(down_w, charger_left_w), down_w)


def _storage_ws(terms: AssetTerms, meters: MetersNow) -> tuple[Int64Array, Int64Array]:
    """[A] What a storage can give and take: content less reserve, and the room that is left."""
    spare_ws = np.maximum(meters.content_wh - terms.reserve_wh, 0) * 3600
    up_ws = np.where(meters.content_heard, spare_ws, UNLIMITED_WS)
    return up_ws, _room_ws(terms, meters)


def _room_ws(terms: AssetTerms, meters: MetersNow) -> Int64Array:
    """[A] The energy at the meter that fills what is empty; UNLIMITED_WS where nothing limits it."""
    room_wh = np.maximum(terms.energy_wh - meters.content_wh, 0)
    known = terms.limited & meters.content_heard
    return np.where(known, _over_efficiency(room_wh * 3600, terms.efficiency_ppm), UNLIMITED_WS)


def _ev_ws(terms: AssetTerms, meters: MetersNow, due_in_s: Int64Array) -> tuple[Int64Array, Int64Array]:
    """[A] What an EV can wait with, and what it can take beside what it charges anyway."""
    due_ws = np.maximum(terms.due_wh - meters.content_wh, 0) * 3600
    charger_w = np.maximum(terms.up_w, terms.down_w)
    timed = meters.content_heard & (due_in_s < NEVER_DUE_S)
    attainable_ws = charger_w * due_in_s - _over_efficiency(due_ws, terms.efficiency_ppm, ceiling=True)
    wait_wh = np.where(terms.limited, terms.energy_wh - terms.due_wh, UNLIMITED_WH)
    slack_ws = np.where(timed, attainable_ws, wait_wh * 3600)
    room_ws = _room_ws(terms, meters)
    until_it_leaves_ws = np.minimum(meters.withdrawn_w, POWER_W_MAX) * due_in_s
    up_ws = np.minimum(np.minimum(slack_ws, room_ws), until_it_leaves_ws)
    return up_ws, np.where(meters.content_heard, room_ws, wait_wh * 3600)


def _over_efficiency(stored_ws: Int64Array, efficiency_ppm: Int64Array, *, ceiling: bool = False) -> Int64Array:
    """[A] stored / efficiency, exact, rounded down or up, quotient and remainder first; UNLIMITED_WS at most."""
    whole, rest = np.divmod(stored_ws, efficiency_ppm)
    whole = np.minimum(whole, _QUOTIENT_MAX)
    part = (rest * WHOLE_PPM + (efficiency_ppm - 1 if ceiling else 0)) // efficiency_ppm
    return np.minimum(whole * WHOLE_PPM + part, UNLIMITED_WS)
