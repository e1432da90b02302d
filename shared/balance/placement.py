"""Where the series of a partition count: the topology as flat arrays by slot, and the exchanges of meters."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from shared.balance.changes import POOL_DRAWN, POOL_INJECTED
from shared.balance.memory import Int8Array, Int32Array, Int64Array, Records
from shared.limits import INSTANT_S_MAX
from shared.words import ENERGY_REGISTERS, RENEWABLE_KINDS, MeterKind, Register

if TYPE_CHECKING:
    from shared.topology.index import Topology


RENEWABLE = np.array([kind in RENEWABLE_KINDS for kind in MeterKind], np.int8)
"""1 for each kind whose injection is renewable, by the kind's code."""

REGULAR_RECORD = np.dtype(
    [
        ("energy_wh_max", np.int64),
        ("valid_from_s", np.uint32),
        ("valid_to_s", np.uint32),
        ("zone", np.int32),
        ("column", np.uint8),
        ("pool_column", np.uint8),
        ("special", np.uint8),
    ],
    align=True,
)
"""Where a series of one place counts, in 24 bytes: its zone, the column of the zone's sums and that of the pool's (0:
not of the pool). `special` is 1 where it has not one place, or exchanges, or measures a boundary or no energy: then the
columns of Placement say it."""


class Placement(NamedTuple):
    """Where each slot counts, and how much of it is plausible. S slots, R places, Z zones.

    The places of slot s are first_place[s] … first_place[s + 1] − 1, in the order of time, never overlapping.
    """

    regular: Records
    """[S] a REGULAR_RECORD each: what the kernel asks first, of the columns below."""
    register: Int8Array
    """[S] the register's code; -1 for a slot that the topology does not know."""
    meter: Int32Array
    """[S] the meter's index in the topology; -1 for an unknown slot."""
    first_place: Int32Array
    """[S + 1]"""
    zone: Int32Array
    """[R] the zone's index in the topology."""
    kind: Int8Array
    """[R] the meter kind's code."""
    pool: Int8Array
    """[R] 1 where the meter is of the pool (design section 8)."""
    energy_wh_max: Int64Array
    """[R] the most that a window may hold: floor(max_kw × 250), rule 4."""
    valid_from_s: Int64Array
    """[R] counts in windows that start at or after this."""
    valid_to_s: Int64Array
    """[R] and before this."""
    zone_parent: Int32Array
    """[Z] the parent's index; -1 at the root."""
    zone_id: Int32Array
    """[Z] the zone's permanent number."""
    first_exchange: Int32Array
    """[S + 1] slot s has the exchanges first_exchange[s] … first_exchange[s + 1] − 1, by time (rule 13)."""
    exchange_at_s: Int64Array
    """[X] from here on the values are the new register's."""
    exchange_last_wh: Int64Array
    """[X] where the old register ended: (at, last) stands as a reading."""
    exchange_first_wh: Int64Array
    """[X] where the new one began."""
    exchange_blank: Int8Array
    """[X] 1 where nothing is carried over."""


def _ranges(owner: npt.NDArray[np.integer], owners: int) -> Int32Array:
    """Where each owner's run begins in `owner`, which is sorted: [owners + 1]."""
    begins = np.zeros(owners + 1, np.int32)
    np.cumsum(np.bincount(owner, minlength=owners), out=begins[1:])
    return begins


def place(topology: "Topology", partition: int, slots_min: int = 0) -> Placement:
    """The placement of a partition's slots under `topology`; at least `slots_min` slots."""
    mine = np.flatnonzero(topology.series_partition == partition)
    slot = topology.series_slot[mine].astype(np.int64)
    slots = max(slots_min, int(slot.max()) + 1 if len(slot) else 0)
    register = np.full(slots, -1, np.int8)
    register[slot] = topology.series_register[mine]
    meter = np.full(slots, -1, np.int32)
    meter[slot] = topology.series_meter[mine]

    place_slot, place_row = _places(topology, slot, mine)
    exchange = np.flatnonzero(topology.series_partition[topology.exchange_series] == partition)
    exchange_slot = topology.series_slot[topology.exchange_series[exchange]].astype(np.int64)
    order = np.lexsort((topology.exchange_at_s[exchange], exchange_slot))
    exchange, exchange_slot = exchange[order], exchange_slot[order]
    return with_regular(
        Placement(
            regular=regular_records(0),
            register=register,
            meter=meter,
            first_place=_ranges(place_slot, slots),
            zone=topology.row_zone[place_row].astype(np.int32),
            kind=topology.row_kind[place_row].astype(np.int8),
            pool=topology.row_pool[place_row].astype(np.int8),
            energy_wh_max=topology.row_max_wh[place_row].astype(np.int64),
            valid_from_s=topology.row_valid_from_s[place_row].astype(np.int64),
            valid_to_s=topology.row_valid_to_s[place_row].astype(np.int64),
            zone_parent=topology.zone_parent.astype(np.int32),
            zone_id=topology.zone_id.astype(np.int32),
            first_exchange=_ranges(exchange_slot, slots),
            exchange_at_s=topology.exchange_at_s[exchange].astype(np.int64),
            exchange_last_wh=topology.exchange_last_wh[exchange].astype(np.int64),
            exchange_first_wh=topology.exchange_first_wh[exchange].astype(np.int64),
            exchange_blank=topology.exchange_blank[exchange].astype(np.int8),
        )
    )


def regular_records(slots: int) -> Records:
    """Records of `slots` series that are all special."""
    records = np.zeros(slots, REGULAR_RECORD)
    records["special"] = 1
    return records


def with_regular(placement: Placement) -> Placement:
    """The placement with its records of regular series as its columns say."""
    records = regular_records(len(placement.register))
    first, end = placement.first_place[:-1], placement.first_place[1:]
    energy = (placement.register >= 0) & (placement.register < ENERGY_REGISTERS)
    slots = np.flatnonzero((end - first == 1) & (np.diff(placement.first_exchange) == 0) & energy)
    place = first[slots]
    measures = placement.kind[place] != MeterKind.BOUNDARY.code
    slots, place = slots[measures], place[measures]
    regular = np.zeros(len(slots), REGULAR_RECORD)
    for name in ("energy_wh_max", "zone"):
        regular[name] = getattr(placement, name)[place]
    for name in ("valid_from_s", "valid_to_s"):
        regular[name] = np.clip(getattr(placement, name)[place], 0, INSTANT_S_MAX)
    kind, register = placement.kind[place], placement.register[slots]
    regular["column"] = 2 * kind + register
    of_pool = np.where(RENEWABLE[kind] == 1, POOL_INJECTED, 0)
    of_pool[register == Register.WITHDRAWN.code] = POOL_DRAWN
    regular["pool_column"] = np.where(placement.pool[place] == 1, of_pool, 0)
    records[slots] = regular
    return placement._replace(regular=records)


def _places(
    topology: "Topology", slot: npt.NDArray[np.int64], mine: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each place of the partition's series its slot and its row of the topology, by slot and then time.

    A row gives a place only to the registers that it names: an unnamed one is not expected there either (rule 6).
    """
    first_row = _ranges(topology.row_meter, len(topology.meter))
    meter = topology.series_meter[mine]
    if len(topology.row_meter) == len(topology.meter):  # a row a meter, as nearly always
        place_series, place_row = np.arange(len(mine)), meter.astype(np.int64)
    else:
        rows = (first_row[1:] - first_row[:-1])[meter]
        place_series = np.repeat(np.arange(len(mine)), rows)
        within = np.arange(len(place_series)) - np.repeat(np.cumsum(rows) - rows, rows)
        place_row = first_row[meter][place_series] + within
    named = (topology.row_registers[place_row] >> topology.series_register[mine][place_series]) & 1 == 1
    place_slot, place_row = slot[place_series][named], place_row[named]
    if np.any(place_slot[1:] < place_slot[:-1]):
        # Stable: the rows of a meter, and so a slot's places, are in the order of time already.
        order = np.argsort(place_slot, kind="stable")
        place_slot, place_row = place_slot[order], place_row[order]
    return place_slot, place_row
