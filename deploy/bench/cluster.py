"""A synthetic cluster: stations under feeders under one cluster, its names and numbers by arithmetic."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.words import Register

STATION_METERS = 200
FEEDER_STATIONS = 20
PROSUMER_EVERY = 4
"""Of so many meters the last one is a prosumer with both energy registers; the others are consumers. With 1 all are
prosumers."""

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cluster:
    """So many `meters`, and the series (a register of a meter) that they have, by meter and then register."""

    meters: int
    station_meters: int = STATION_METERS
    prosumer_every: int = PROSUMER_EVERY

    def is_prosumer(self, meter: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Whether each meter (by number) is a prosumer."""
        prosumer: npt.NDArray[np.bool_] = meter % self.prosumer_every == self.prosumer_every - 1
        return prosumer

    @cached_property
    def series_meter(self) -> Int64Array:
        """The meter of each series."""
        meter = np.arange(self.meters, dtype=np.int64)
        return np.repeat(meter, 1 + self.is_prosumer(meter).astype(np.int64))

    def series_of(self, meter: Int64Array, register: npt.NDArray[np.integer]) -> Int64Array:
        """The series of a meter's register, 0 or 1: before it stand the meters before, prosumers among them twice."""
        series: Int64Array = meter + meter // self.prosumer_every + register
        return series

    @cached_property
    def series_injected(self) -> npt.NDArray[np.bool_]:
        """Whether a series is 2.8.0, else it is 1.8.0: the second of a meter's is."""
        meter = self.series_meter
        injected: npt.NDArray[np.bool_] = np.r_[False, meter[1:] == meter[:-1]]
        return injected

    @property
    def series(self) -> int:
        """How many series."""
        return self.meters + self.meters // self.prosumer_every

    @property
    def stations(self) -> int:
        """How many stations."""
        return -(-self.meters // self.station_meters)

    @property
    def feeders(self) -> int:
        """How many feeders."""
        return -(-self.stations // FEEDER_STATIONS)

    @cached_property
    def zone(self) -> list[str]:
        """Names of the zones: stations, feeders, the cluster."""
        return [*self.station, *(f"FEEDER-{k}" for k in range(self.feeders)), "CLUSTER"]

    @cached_property
    def station(self) -> list[str]:
        """Names of the stations."""
        return [f"STATION-{k}" for k in range(self.stations)]

    @cached_property
    def meter(self) -> pa.Array:
        """Names of the meters, 18 digits that start with 5903, in the order of their numbers."""
        return pc.binary_join_element_wise(
            "590322", pc.utf8_lpad(pa.array(np.arange(self.meters)).cast(pa.string()), 12, "0"), ""
        )

    @cached_property
    def register(self) -> list[str]:
        """The register of each value of `series_injected`."""
        return [Register.WITHDRAWN.value, Register.INJECTED.value]

    def write(self, folder: Path, more_zones: str = "", more_meters: str = "") -> Path:
        """Writes the cluster as a topology folder, with lines added to zones.csv and meters.csv; returns `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        feeders = "".join(f"FEEDER-{k},CLUSTER,feeder\n" for k in range(self.feeders))
        stations = "".join(f"STATION-{k},FEEDER-{k // FEEDER_STATIONS},station\n" for k in range(self.stations))
        zones = f"zone,parent,kind\nCLUSTER,,cluster\n{feeders}{stations}{more_zones}"
        (folder / "zones.csv").write_text(zones)
        number = np.arange(self.meters)
        kinds = pa.array(["consumer,1.8.0", "prosumer,1.8.0|2.8.0"]).take(
            pa.array(self.is_prosumer(number).astype(np.int8))
        )
        station = pa.array(self.station).take(pa.array(number // self.station_meters))
        lines = pc.binary_join_element_wise(self.meter, station, kinds, ",")
        with (folder / "meters.csv").open("w") as file:
            file.write("meter,zone,kind,registers\n")
            file.writelines(f"{line}\n" for line in lines.to_pylist())
            file.write(more_meters)
        return folder
