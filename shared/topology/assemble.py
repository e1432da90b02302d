"""A topology's flat arrays from its tables as they stand in PostgreSQL. Pure.

Nothing is sorted or searched here: rows come in order, and permanent numbers are dense, so that a table by number tells
the place of each. Six million meters take two seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.topology.cells import register_bits
from shared.topology.index import Topology
from shared.topology.rows import Asset, Member
from shared.topology.zone_tree import NO_PARENT, preorder
from shared.words import REGISTERS, MeterKind

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class StoredTopology:
    """What PostgreSQL holds of a topology; null nowhere."""

    number: int
    zones: pa.Table
    """zone_id, zone, parent_id (-1: none), kind, name, import_limit_w, export_limit_w, lat, lon; by zone_id."""
    members: pa.Table
    """member, name, kind, excluded."""
    rows: pa.Table
    """meter_id, zone_id, kind, member, registers (the three dictionary-encoded), max_wh, valid_from_s, valid_to_s; by
    meter_id and then valid_from."""
    meters: pa.Table
    """meter_id, meter, home_partition of every meter that any topology ever had, in any order."""
    series: pa.Table
    """meter_id, register, slot of every series that any topology ever had, in any order."""
    exchanges: pa.Table
    """meter_id, register, at_s, last_wh, first_wh, blank; by meter_id, register and at."""
    assets: list[Asset]


def assemble(stored: StoredTopology) -> Topology:
    """The topology."""
    zones = _preordered(stored.zones)
    zone_id = zones["zone_id"].to_numpy()
    members = _members(stored.members)
    rows = stored.rows
    row_meter_id = rows["meter_id"].to_numpy()
    begins = np.r_[True, row_meter_id[1:] != row_meter_id[:-1]][: len(rows)]
    first_row = np.flatnonzero(begins)
    meter_id = row_meter_id[first_row]
    bits = _looked_up(rows["registers"], register_bits, np.int8)
    names, home = _meters(stored.meters, meter_id)
    series = _series(stored.series, meter_id, np.bitwise_or.reduceat(bits, first_row) if len(bits) else bits, home)
    return Topology(
        number=stored.number,
        zone=zones["zone"].to_pylist(),
        zone_id=zone_id,
        zone_parent=places(zones["parent_id"].to_numpy(), zone_id),
        zone_kind=zones["kind"].to_pylist(),
        zone_name=zones["name"].to_pylist(),
        import_limit_w=zones["import_limit_w"].to_numpy(),
        export_limit_w=zones["export_limit_w"].to_numpy(),
        zone_lat=zones["lat"].to_numpy(),
        zone_lon=zones["lon"].to_numpy(),
        members=members,
        meter=names,
        meter_id=meter_id,
        meter_home=home,
        row_meter=(np.cumsum(begins, dtype=np.int32) - 1).astype(np.int32),
        row_zone=places(rows["zone_id"].to_numpy(), zone_id),
        row_kind=_looked_up(rows["kind"], lambda kind: MeterKind(kind).code, np.int8),
        row_member=_looked_up(rows["member"], str, np.object_).tolist(),
        row_registers=bits,
        row_max_wh=rows["max_wh"].to_numpy(),
        row_pool=_looked_up(rows["member"], lambda member: bool(member) and not members[member].excluded, np.bool_),
        row_valid_from_s=rows["valid_from_s"].to_numpy(),
        row_valid_to_s=rows["valid_to_s"].to_numpy(),
        **series,
        **_exchanges(stored.exchanges, meter_id, series),
        assets=stored.assets,
    )


def _preordered(zones: pa.Table) -> pa.Table:
    """The zones, each followed at once by those below it, siblings in the order of their numbers."""
    parent = places(zones["parent_id"].to_numpy(), zones["zone_id"].to_numpy())
    return zones.take(pa.array(preorder(parent.tolist()), pa.int64()))


def _members(members: pa.Table) -> dict[str, Member]:
    columns = [members[name].to_pylist() for name in members.column_names]
    return {row[0]: Member(*row) for row in zip(*columns, strict=True)}


def _meters(meters: pa.Table, meter_id: npt.NDArray[np.int32]) -> tuple[list[str], npt.NDArray[np.int16]]:
    """The name and home of each of `meter_id`."""
    row = places(meter_id, meters["meter_id"].to_numpy())
    names = meters["meter"].combine_chunks()
    return names.take(pa.array(row)).to_pylist(), meters["home_partition"].to_numpy()[row]


def _series(
    series: pa.Table,
    meter_id: npt.NDArray[np.int32],
    meter_bits: npt.NDArray[np.int8],
    home: npt.NDArray[np.int16],
) -> dict[str, npt.NDArray[Any]]:
    """The series of `meter_id` whose register's bit is set in `meter_bits`, sorted by meter and register.

    A register that another topology gave a meter has a slot too, and is no series of this one.
    """
    meter = places(series["meter_id"].to_numpy(), meter_id)
    known = np.flatnonzero(meter >= 0)
    slot_of = np.full((len(meter_id), len(REGISTERS)), -1, np.int32)
    slot_of[meter[known], series["register"].to_numpy()[known]] = series["slot"].to_numpy()[known]
    registers = (meter_bits[:, None] >> np.arange(len(REGISTERS), dtype=np.int8)) & 1 == 1
    series_meter, series_register = np.nonzero(registers & (slot_of >= 0))
    return {
        "series_meter": series_meter.astype(np.int32),
        "series_register": series_register.astype(np.int8),
        "series_partition": home[series_meter],
        "series_slot": slot_of[series_meter, series_register],
    }


def _exchanges(
    exchanges: pa.Table, meter_id: npt.NDArray[np.int32], series: dict[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """The exchanges, sorted by series and instant."""

    def key(meter: npt.NDArray[Any], register: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        keys: npt.NDArray[np.int64] = meter.astype(np.int64) * len(REGISTERS) + register
        return keys

    exchanged = key(places(exchanges["meter_id"].to_numpy(), meter_id), exchanges["register"].to_numpy())
    keys = key(series["series_meter"], series["series_register"]) if len(exchanged) else exchanged
    return {
        "exchange_series": np.searchsorted(keys, exchanged).astype(np.int32),
        "exchange_at_s": exchanges["at_s"].to_numpy(),
        "exchange_last_wh": exchanges["last_wh"].to_numpy(),
        "exchange_first_wh": exchanges["first_wh"].to_numpy(),
        "exchange_blank": exchanges["blank"].to_numpy(),
    }


def places(numbers: npt.NDArray[np.int32], among: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The place of each of `numbers` in `among`, NO_PARENT (-1) for those not in it. Numbers are dense from 0 on."""
    table = np.full(int(among.max(initial=-1)) + 2, NO_PARENT, np.int32)
    table[among] = np.arange(len(among), dtype=np.int32)
    # The last entry is nobody's: greater numbers find it, and -1 as well.
    found: npt.NDArray[np.int32] = table[np.minimum(numbers, len(table) - 1)]
    return found


def _looked_up(column: pa.ChunkedArray, value_of: Callable[[str], Any], dtype: type[_Number]) -> npt.NDArray[_Number]:
    """`value_of` each text of a dictionary-encoded column, asked once for each distinct text."""
    encoded = column.combine_chunks()
    values = np.array([value_of(text) for text in encoded.dictionary.to_pylist()], dtype)
    looked_up: npt.NDArray[_Number] = values[encoded.indices.to_numpy()]
    return looked_up
