"""A topology of a few meters in partition 0, built by hand."""

from dataclasses import replace

import numpy as np

from shared.topology.index import FOREVER_S, NEVER_S, Topology, empty_topology
from shared.words import MeterKind

TOWN, STATION, OTHER = 0, 1, 2
"""Zone indices: the town above two stations; their permanent numbers are 10, 11, 12."""


def small_topology(number: int = 1, *, load_moves_at_s: int = FOREVER_S, other_below_station: bool = False) -> Topology:
    """Slots: 0 load 1.8.0, 1 sun 2.8.0, 2 and 3 battery 1.8.0 and 2.8.0, 4 its soc, 5 power meter 1.7.0 (of load).

    `load` counts in STATION, and from `load_moves_at_s` on in OTHER.
    """
    kinds = [MeterKind.CONSUMER, MeterKind.CONSUMER, MeterKind.PV, MeterKind.STORAGE]
    return replace(
        empty_topology(),
        number=number,
        zone=["Town", "Station", "Other"],
        zone_id=np.array([10, 11, 12], np.int32),
        zone_parent=np.array([-1, 0, 1 if other_below_station else 0], np.int32),
        zone_kind=["cluster", "station", "station"],
        zone_name=["Town", "Station", "Other"],
        import_limit_w=np.full(3, -1, np.int64),
        export_limit_w=np.full(3, -1, np.int64),
        zone_lat=np.full(3, np.nan),
        zone_lon=np.full(3, np.nan),
        meter=["load", "sun", "battery"],
        meter_id=np.arange(3, dtype=np.int32),
        meter_home=np.zeros(3, np.int16),
        row_meter=np.array([0, 0, 1, 2], np.int32),
        row_zone=np.array([STATION, OTHER, STATION, OTHER], np.int32),
        row_kind=np.array([kind.code for kind in kinds], np.int8),
        row_member=["", "", "", ""],
        row_registers=np.array([0b101, 0b101, 0b10, 0b10011], np.int8),
        row_max_wh=np.full(4, 5000, np.int64),
        row_pool=np.array([True, True, False, False]),
        row_valid_from_s=np.array([NEVER_S, load_moves_at_s, NEVER_S, NEVER_S], np.int64),
        row_valid_to_s=np.array([load_moves_at_s, FOREVER_S, FOREVER_S, FOREVER_S], np.int64),
        series_meter=np.array([0, 0, 1, 2, 2, 2], np.int32),
        series_register=np.array([0, 2, 1, 0, 1, 4], np.int8),
        series_partition=np.zeros(6, np.int16),
        series_slot=np.array([0, 5, 1, 2, 3, 4], np.int32),
    )


async def no_topology() -> Topology:
    """Topology 0, for what asks for the newest one and needs no names."""
    return empty_topology()
