"""The rural network in memory: its topology as a first load would place it, and each series' registers over a week."""

from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.balance.memory import Int64Array
from shared.limits import QUARTER_S, UNLIMITED_KW
from shared.topology.check import check_folder
from shared.topology.index import FOREVER_S, NEVER_S, Topology, empty_topology
from shared.topology.placement import assign_homes, assign_slots
from shared.topology.rows import FolderContent
from shared.topology.zone_tree import stations
from shared.words import ENERGY_REGISTERS, REGISTERS, MeterKind

WEEK_QUARTERS = 7 * 96


@dataclass(frozen=True, slots=True)
class Network:
    """The network and its week, which may be repeated: registers then rise on by what they rose in the week."""

    topology: Topology
    begin_s: int
    """The week's first instant, which is an edge; its last one is the first of the week after."""
    week: list[Int64Array]
    """By partition: [slots, WEEK_QUARTERS + 1] each series' values, a quarter of an hour apart."""
    rise: list[Int64Array]
    """By partition: [slots] what a series rises by from one week to the next; 0 where it is no register of energy."""

    def values(self, partition: int, first: int, end: int) -> Int64Array:
        """[slots, end − first] the values in the quarters from number `first` up to and without `end`."""
        week, quarter = np.divmod(np.arange(first, end), WEEK_QUARTERS)
        values: Int64Array = self.week[partition][:, quarter] + self.rise[partition][:, None] * week
        return values


def read_network(folder: Path, partitions: int) -> Network:
    """The network of a folder such as `deploy/rural_week`, every series of which has each quarter's reading."""
    topology = place_network(check_folder(folder), partitions)
    table = pq.read_table(folder / "readings.parquet")
    series = _series_of(table, topology)
    instants_s = table["ts"].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_numpy()
    order = np.lexsort((instants_s, series))
    shape = len(topology.series_slot), WEEK_QUARTERS + 1
    instants_s = instants_s[order].reshape(shape)
    assert (instants_s == instants_s[0, 0] + np.arange(shape[1]) * QUARTER_S).all(), "the week has a gap"
    values = table["value"].to_numpy()[order].reshape(shape)
    energy = topology.series_register < ENERGY_REGISTERS
    rise = np.where(energy, values[:, -1] - values[:, 0], 0)
    week, rises = [], []
    for partition in range(partitions):
        mine = np.flatnonzero(topology.series_partition == partition)
        mine = mine[np.argsort(topology.series_slot[mine])]
        week.append(values[mine])
        rises.append(rise[mine])
    return Network(topology, int(instants_s[0, 0]), week, rises)


def _series_of(table: pa.Table, topology: Topology) -> Int64Array:
    """The series of each row."""
    meter, register = table["meter"].combine_chunks(), table["register"].combine_chunks()
    meter_place = _places(meter.dictionary, topology.meter)[meter.indices.to_numpy()]
    register_code = _places(register.dictionary, [one.value for one in REGISTERS])[register.indices.to_numpy()]
    known = topology.series_meter.astype(np.int64) * len(REGISTERS) + topology.series_register
    series: Int64Array = np.searchsorted(known, meter_place * len(REGISTERS) + register_code)
    return series


def _places(names: pa.Array, among: list[str]) -> Int64Array:
    places: Int64Array = pc.index_in(names, value_set=pa.array(among)).to_numpy().astype(np.int64)
    return places


def place_network(content: FolderContent, partitions: int) -> Topology:
    """The topology that the first load of a folder gives, without a database.

    Each meter has one row, and none was exchanged.
    """
    assert len(content.exchanges) == 0
    zones, rows = content.zones, content.meters
    assert pc.count_distinct(rows["meter"]).as_py() == len(rows)
    zone = zones["zone"].to_pylist()
    parent = pc.fill_null(pc.index_in(zones["parent"], value_set=zones["zone"]), -1).to_numpy().astype(np.int32)
    station = np.array(stations(parent.tolist(), zones["kind"].to_pylist()), np.int64)
    row_zone = pc.index_in(rows["zone"], value_set=zones["zone"]).to_numpy().astype(np.int32)
    bits = rows["register_bits"].to_numpy()
    home = assign_homes(
        station[row_zone],
        np.bitwise_count(bits).astype(np.int64),
        np.full(len(rows), -1, np.int16),
        np.zeros(partitions, np.int64),
    )
    order = np.lexsort((station[row_zone], home))  # neighbours in the network are neighbours in memory
    rows, row_zone, bits, home = rows.take(pa.array(order)), row_zone[order], bits[order], home[order]
    series_meter, series_register = np.nonzero((bits[:, None] >> np.arange(len(REGISTERS))) & 1)
    topology = replace(
        empty_topology(),
        number=1,
        zone=zone,
        zone_id=np.arange(1, len(zone) + 1, dtype=np.int32),
        zone_parent=parent,
        zone_kind=zones["kind"].to_pylist(),
        zone_name=zones["name"].to_pylist(),
        meter=rows["meter"].to_pylist(),
        meter_id=np.arange(1, len(rows) + 1, dtype=np.int32),
        meter_home=home,
        series_meter=series_meter.astype(np.int32),
        series_register=series_register.astype(np.int8),
        series_partition=home[series_meter],
        series_slot=assign_slots(home[series_meter], np.zeros(partitions, np.int64)),
    )
    return _with_rows(topology, rows, row_zone, bits, content.members)


def _with_rows(
    topology: Topology,
    rows: pa.Table,
    row_zone: npt.NDArray[np.int32],
    bits: npt.NDArray[np.int8],
    members: pa.Table,
) -> Topology:
    """The topology with a row for each meter, valid at all times."""
    assert rows["valid_from"].null_count == rows["valid_to"].null_count == len(rows)
    excluded = dict(zip(members["member"].to_pylist(), members["excluded"].to_pylist(), strict=True))
    member = [name or "" for name in rows["member"].to_pylist()]
    max_kw = [Decimal(text or UNLIMITED_KW) for text in rows["max_kw"].to_pylist()]
    return replace(
        topology,
        row_meter=np.arange(len(rows), dtype=np.int32),
        row_zone=row_zone,
        row_kind=np.array([MeterKind(kind).code for kind in rows["kind"].to_pylist()], np.int8),
        row_member=member,
        row_registers=bits,
        row_max_wh=np.array([int(power * 250) for power in max_kw], np.int64),
        row_pool=np.array([bool(name) and not excluded[name] for name in member], np.bool_),
        row_valid_from_s=np.full(len(rows), NEVER_S, np.int64),
        row_valid_to_s=np.full(len(rows), FOREVER_S, np.int64),
    )
