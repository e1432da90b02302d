"""The history of a forecast from files: a topology's folder and a readings file, counted by Bilans' own kernels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deploy.bench.recompute_network import place_network
from deploy.replay.reading_file import open_reading_file
from deploy.verify.count import Counting
from deploy.verify.totals import Totals, window_of, zone_of
from shared.balance.changes import ESTIMATED, MEASURED
from shared.balance.memory import Int32Array, Int64Array
from shared.balance.placement import place
from shared.balance.whole_series import SeriesRuns
from shared.errors import BilansError
from shared.forecast.history import DAY_QUARTERS, DAY_S, History, is_known
from shared.limits import QUARTER_S
from shared.topology.check import check_folder
from shared.topology.index import Topology
from shared.words import ENERGY_REGISTERS, REGISTERS, SUMMED_KINDS, MeterKind


def read_history(topology_folder: Path, readings: Path) -> tuple[list[str], History]:
    """The zones of the folder, and their history from the readings.

    Raises BilansError where the folder or the file cannot be used.
    """
    content = check_folder(topology_folder)
    meters = content.meters
    always = meters["valid_from"].null_count == meters["valid_to"].null_count == len(meters)
    if not always or len(content.exchanges):
        raise BilansError(
            f"{topology_folder} has meters that count for a time only, or were exchanged.",
            "Load it into a running system, replay the readings, and evaluate with --data-dir.",
        )
    topology = place_network(content, partitions=1)
    counting = Counting(place(topology, 0))
    counting.add(_read_series(topology, readings))
    return topology.zone, _history(topology, counting.totals(), readings)


def _read_series(topology: Topology, file: Path) -> SeriesRuns:
    """The readings of all series that the topology has, each in the order of time, then of the file."""
    table = pa.Table.from_batches(open_reading_file(file).batches()).unify_dictionaries().combine_chunks()
    meter, register = (
        _places(table[name].chunk(0), names)
        for name, names in (("meter", topology.meter), ("register", [one.value for one in REGISTERS]))
    )
    key = meter * len(REGISTERS) + register
    known = topology.series_meter.astype(np.int64) * len(REGISTERS) + topology.series_register
    series = np.minimum(np.searchsorted(known, key), len(known) - 1)
    ts_s = table["ts"].cast(pa.timestamp("s", tz="UTC"), safe=False).cast(pa.int64()).to_numpy()
    value, version = table["value"].to_numpy(), _versions(table)
    slot = topology.series_slot.astype(np.int64)[series]
    there = np.flatnonzero((meter >= 0) & (register >= 0) & (known[series] == key))
    order = there[np.lexsort((ts_s[there], slot[there]))]
    ends = np.searchsorted(slot[order], np.arange(len(known) + 1))
    runs = np.arange(len(known) + 1)
    return SeriesRuns(runs[:-1].astype(np.int32), runs, ends[:-1], ends[1:], ts_s[order], value[order], version[order])


def _places(column: pa.DictionaryArray, names: list[str]) -> Int64Array:
    """The place of each value among the names; −1 where it is none of them."""
    places = pc.fill_null(pc.index_in(column.dictionary, value_set=pa.array(names, pa.string())), -1)
    found: Int64Array = places.to_numpy().astype(np.int64)[column.indices.to_numpy()]
    return found


def _versions(table: pa.Table) -> Int32Array:
    if "version" not in table.column_names:
        return np.zeros(len(table), np.int32)
    versions: Int32Array = pc.fill_null(table["version"], 0).to_numpy().astype(np.int32)
    return versions


def _history(topology: Topology, totals: Totals, readings: Path) -> History:
    if len(totals.key) == 0:
        raise BilansError(f"{readings} has no energy of any meter of the topology.", "Are the two of one network?")
    window_s = window_of(totals.key)
    first_s = int(window_s.min()) // DAY_S * DAY_S
    days = int(window_s.max() - first_s) // DAY_S + 1
    zone = np.searchsorted(topology.zone_id, zone_of(totals.key))
    quarter = (window_s - first_s) // QUARTER_S

    def spread(values: Int64Array) -> Int64Array:
        spread = np.zeros((len(topology.zone), days * DAY_QUARTERS), np.int64)
        spread[zone, quarter] = values
        return spread

    flows = totals.sums[:, : 2 * len(SUMMED_KINDS)]
    counted = spread(totals.sums[:, MEASURED] + totals.sums[:, ESTIMATED])
    known = is_known(counted, _expected(topology)[:, None])
    return History(first_s, spread(flows[:, 0::2].sum(axis=1)), spread(flows[:, 1::2].sum(axis=1)), known)


def _expected(topology: Topology) -> Int64Array:
    """[Z] how many series of energy there are in each zone or below, boundary meters apart (design rule 6)."""
    registers = np.bitwise_count(topology.row_registers & ((1 << ENERGY_REGISTERS) - 1)).astype(np.int64)
    registers[topology.row_kind == MeterKind.BOUNDARY.code] = 0
    expected = np.bincount(topology.row_zone, registers, len(topology.zone)).astype(np.int64)
    for zone in range(len(expected) - 1, -1, -1):  # parents stand before children
        if topology.zone_parent[zone] >= 0:
            expected[topology.zone_parent[zone]] += expected[zone]
    return expected
