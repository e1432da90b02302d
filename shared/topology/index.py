"""A topology as flat arrays: what ingest resolves with, what the balancer sums by, what the API answers from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.topology.rows import Asset, Member

NEVER_S = -(2**62)
"""What a blank `valid_from` means: before every instant."""

FOREVER_S = 2**62
"""What a blank `valid_to` means: after every instant."""

NO_LIMIT_W = -1
"""A zone's limit where the folder gives none."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Topology `number`, immutable. Z zones, M meters, R rows of meters, S series, X exchanges."""

    number: int

    zone: list[str]
    """Each zone's name: a zone is followed at once by the zones below it, so parents stand before children."""
    zone_id: npt.NDArray[np.int32]
    """[Z] the number that partial rows carry; permanent."""
    zone_parent: npt.NDArray[np.int32]
    """[Z] the parent's zone index, -1 at the root."""
    zone_kind: list[str]
    zone_name: list[str]
    import_limit_w: npt.NDArray[np.int64]
    """[Z] W, NO_LIMIT_W where none."""
    export_limit_w: npt.NDArray[np.int64]
    zone_lat: npt.NDArray[np.float64]
    """[Z] degrees, nan where none."""
    zone_lon: npt.NDArray[np.float64]

    members: dict[str, Member]

    meter: list[str]
    """Each meter's name, in the order of `meter_id`: meters of a partition and of a station stand together."""
    meter_id: npt.NDArray[np.int32]
    """[M] permanent, ascending."""
    meter_home: npt.NDArray[np.int16]
    """[M] the home partition; permanent."""

    row_meter: npt.NDArray[np.int32]
    """[R] meter index; rows are sorted by it and by `row_valid_from_s`, those of a meter do not overlap."""
    row_zone: npt.NDArray[np.int32]
    """[R] zone index."""
    row_kind: npt.NDArray[np.int8]
    """[R] MeterKind.code."""
    row_member: list[str]
    """[R] the member, empty where none."""
    row_registers: npt.NDArray[np.int8]
    """[R] bit k: the row has the register of code k."""
    row_max_wh: npt.NDArray[np.int64]
    """[R] floor(max_kw · 250), the most that is plausible in a window (design rule 4); blank: 200,000 kW."""
    row_pool: npt.NDArray[np.bool_]
    """[R] has a member, and one that is not excluded (design section 8)."""
    row_valid_from_s: npt.NDArray[np.int64]
    """[R] seconds since 1970, NEVER_S where blank; included."""
    row_valid_to_s: npt.NDArray[np.int64]
    """[R] seconds since 1970, FOREVER_S where blank; not included."""

    series_meter: npt.NDArray[np.int32]
    """[S] meter index; every register of any row of the meter is a series, sorted by meter and register."""
    series_register: npt.NDArray[np.int8]
    """[S] Register.code."""
    series_partition: npt.NDArray[np.int16]
    """[S] the meter's home partition."""
    series_slot: npt.NDArray[np.int32]
    """[S] the place in its partition, dense from 0; permanent."""

    exchange_series: npt.NDArray[np.int32]
    """[X] series index; exchanges are sorted by it and by `exchange_at_s`."""
    exchange_at_s: npt.NDArray[np.int64]
    exchange_last_wh: npt.NDArray[np.int64]
    """[X] 0 where blank."""
    exchange_first_wh: npt.NDArray[np.int64]
    exchange_blank: npt.NDArray[np.bool_]
    """[X] nothing is carried over (design rule 13)."""

    assets: list[Asset]


def empty_topology() -> Topology:
    """Topology 0, in force before the first load: nothing is known."""
    return Topology(
        number=0,
        zone=[],
        zone_id=np.zeros(0, np.int32),
        zone_parent=np.zeros(0, np.int32),
        zone_kind=[],
        zone_name=[],
        import_limit_w=np.zeros(0, np.int64),
        export_limit_w=np.zeros(0, np.int64),
        zone_lat=np.zeros(0, np.float64),
        zone_lon=np.zeros(0, np.float64),
        members={},
        meter=[],
        meter_id=np.zeros(0, np.int32),
        meter_home=np.zeros(0, np.int16),
        row_meter=np.zeros(0, np.int32),
        row_zone=np.zeros(0, np.int32),
        row_kind=np.zeros(0, np.int8),
        row_member=[],
        row_registers=np.zeros(0, np.int8),
        row_max_wh=np.zeros(0, np.int64),
        row_pool=np.zeros(0, np.bool_),
        row_valid_from_s=np.zeros(0, np.int64),
        row_valid_to_s=np.zeros(0, np.int64),
        series_meter=np.zeros(0, np.int32),
        series_register=np.zeros(0, np.int8),
        series_partition=np.zeros(0, np.int16),
        series_slot=np.zeros(0, np.int32),
        exchange_series=np.zeros(0, np.int32),
        exchange_at_s=np.zeros(0, np.int64),
        exchange_last_wh=np.zeros(0, np.int64),
        exchange_first_wh=np.zeros(0, np.int64),
        exchange_blank=np.zeros(0, np.bool_),
        assets=[],
    )
