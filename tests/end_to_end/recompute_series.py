"""Rules 1 to 5 and 13 for one series after another, from the design alone: readings in, energy of each window out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tests.end_to_end.recompute_topology import ENERGY_REGISTERS, QUARTER_S, ExchangeRecord, PlainTopology

BRACKET_S_MAX = 400 * 86_400
VALUE_MAX = 10**13
Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_OBIS = re.compile(r"(?:\d+-\d+:)?([^*]*)(?:\*\d+)?")


@dataclass(frozen=True)
class SeriesEnergy:
    """A series' energy in consecutive windows, from `first` on (window number = start // 900)."""

    first: int
    energy_wh: Int64s
    known: Flags
    measured: Flags
    """Both edges exact or from brackets of at most a quarter of an hour (rule 5)."""


def energies(readings: pa.Table, topology: PlainTopology) -> Iterator[tuple[str, str, SeriesEnergy]]:
    """The energy of every (meter, register) that `readings` tell of; they stand in the order in which they arrived."""
    series, names = _series_numbers(readings, topology)
    instants = readings["ts"].cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_numpy() // 10**9
    values = readings["value"].to_numpy()
    versions = (
        readings["version"].to_numpy() if "version" in readings.column_names else np.zeros(len(values), dtype=np.int64)
    )
    taken = (series >= 0) & (instants >= 946_684_800) & (values >= 0) & (values <= VALUE_MAX)
    series, instants, values, versions = (column[taken] for column in (series, instants, values, versions))
    # Rule 1: of one instant the highest version stands, of that version the one that came first (lexsort is stable).
    order = np.lexsort((-versions.astype(np.int64), instants, series))
    series, instants, values = series[order], instants[order], values[order]
    stands = np.ones(len(series), dtype=bool)
    stands[1:] = (series[1:] != series[:-1]) | (instants[1:] != instants[:-1])
    series, instants, values = series[stands], instants[stands], values[stands]
    bounds = np.searchsorted(series, np.arange(len(names) + 1))
    for number, (meter, register) in enumerate(names):
        span = slice(bounds[number], bounds[number + 1])
        records = topology.exchanges.get((meter, register), [])
        energy = series_energy(instants[span], values[span], records)
        if energy is not None:
            yield meter, register, energy


def series_energy(instants: Int64s, values: Int64s, records: list[ExchangeRecord]) -> SeriesEnergy | None:
    """One series: its readings by instant, one value an instant. None when no window can be known."""
    instants, values = _carry_over_exchanges(instants, values, records)
    breaks = [record.at_s for record in records if record.last_wh is None]
    if len(instants) < 2:
        return None
    first_edge, last_edge = -(-int(instants[0]) // QUARTER_S), int(instants[-1]) // QUARTER_S
    if last_edge <= first_edge:
        return None
    edges = np.arange(first_edge, last_edge + 1, dtype=np.int64) * QUARTER_S
    register_wh, width_s, edge_known = _edges(edges, instants, values, breaks)
    known = edge_known[1:] & edge_known[:-1]
    for at in breaks:  # rule 13: unknown in each window with start < at ≤ end
        known &= ~((edges[:-1] < at) & (at <= edges[1:]))
    measured = (width_s[1:] <= QUARTER_S) & (width_s[:-1] <= QUARTER_S)
    return SeriesEnergy(first_edge, np.where(known, np.diff(register_wh), 0), known, known & measured)


def _edges(edges: Int64s, instants: Int64s, values: Int64s, breaks: list[int]) -> tuple[Int64s, Int64s, Flags]:
    """Rule 2: the register at each edge, the width of its bracket (0: a reading at the edge), whether it is known."""
    before = np.searchsorted(instants, edges, side="right") - 1
    exact = instants[before] == edges
    after = np.where(exact, before, np.minimum(before + 1, len(instants) - 1))
    t0, t1, v0, v1 = instants[before], instants[after], values[before], values[after]
    width = t1 - t0
    quotient, remainder = np.divmod(v1 - v0, np.maximum(width, 1))
    register = v0 + quotient * (edges - t0) + remainder * (edges - t0) // np.maximum(width, 1)
    known = exact | (width <= BRACKET_S_MAX)
    for at in breaks:
        known &= exact | ~((t0 < at) & (at <= t1))
    return np.where(exact, v0, register), width, known


def _carry_over_exchanges(instants: Int64s, values: Int64s, records: list[ExchangeRecord]) -> tuple[Int64s, Int64s]:
    """Rule 13: values from `at` on go on from the old register's last; (at, last_wh) stands where nothing was read."""
    carried = values.copy()
    offset = 0
    added: list[tuple[int, int]] = []
    for record in records:
        if record.last_wh is None or record.first_wh is None:
            continue
        if record.at_s not in instants:
            added.append((record.at_s, record.last_wh + offset))
        step = record.last_wh - record.first_wh
        carried[instants >= record.at_s] += step
        offset += step
    if added:
        instants = np.concatenate((instants, np.array([at for at, _ in added], dtype=np.int64)))
        carried = np.concatenate((carried, np.array([value for _, value in added], dtype=np.int64)))
        order = np.argsort(instants, kind="stable")
        instants, carried = instants[order], carried[order]
    return instants, carried


def _series_numbers(readings: pa.Table, topology: PlainTopology) -> tuple[Int64s, list[tuple[str, str]]]:
    """Each reading's series number, -1 where it has none or is no energy register, and the series by number."""
    names = sorted(series for series in topology.series() if series[1] in ENERGY_REGISTERS)
    number_of = {name: number for number, name in enumerate(names)}
    meters, meter_codes = _codes(readings["meter"])
    registers, register_codes = _codes(readings["register"])
    table = np.full((len(meters), len(registers)), -1, dtype=np.int64)
    for i, meter in enumerate(meters):
        for j, register in enumerate(registers):
            match = _OBIS.fullmatch(register or "")
            table[i, j] = number_of.get((meter, match.group(1) if match else ""), -1)
    return table[meter_codes, register_codes], names


def _codes(column: pa.ChunkedArray) -> tuple[list[Any], npt.NDArray[np.int32]]:
    encoded = column.cast(pa.string()).dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.concat_arrays(encoded.chunks)
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
