"""Reads topologies out of PostgreSQL."""

from collections.abc import Callable
from typing import Any, TypeVar

import asyncpg
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.errors import BilansError
from shared.limits import UNLIMITED_KW
from shared.topology.cells import register_bits
from shared.topology.copy_columns import copy_out
from shared.topology.index import FOREVER_S, NEVER_S, NO_LIMIT_W, Topology, empty_topology
from shared.topology.rows import Asset, Member
from shared.topology.zone_tree import NO_PARENT, preorder
from shared.words import REGISTERS, AssetKind, MeterKind

_Number = TypeVar("_Number", bound=np.generic)

_TEXT = pa.dictionary(pa.int32(), pa.string())


async def newest_logged_number(connection: asyncpg.Connection) -> int:
    """The newest topology whose control record stands in every partition; 0 when there is none."""
    number: int = await connection.fetchval("SELECT COALESCE(max(number), 0) FROM topology WHERE logged_at IS NOT NULL")
    return number


async def read_topology(connection: asyncpg.Connection, number: int) -> Topology:
    """Topology `number`; 0 is the empty one, in force before the first load.

    A topology never changes once loaded, so what is read is the same at any moment. Raises BilansError when there is
    no such number.
    """
    if number == 0:
        return empty_topology()
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM topology WHERE number = $1)", number):
        raise BilansError(f"Topology {number} is not in the database.", "Load it with `bilans topology load`.")
    zones = await _read_zones(connection, number)
    zone_id = zones["zone_id"].to_numpy()
    members = await _read_members(connection, number)
    rows = await _read_rows(connection, number)
    meter_id, first_row, row_meter = np.unique(rows["meter_id"].to_numpy(), return_index=True, return_inverse=True)
    bits = _looked_up(rows["registers"], register_bits, np.int8)
    meter_bits = np.bitwise_or.reduceat(bits, first_row) if len(bits) else bits
    series = await _read_series(connection, number, meter_id, meter_bits)
    exchanges = await _read_exchanges(connection, number, meter_id, series)
    return Topology(
        number=number,
        zone=zones["zone"].to_pylist(),
        zone_id=zone_id,
        zone_parent=_places(zones["parent_id"].to_numpy(), zone_id),
        zone_kind=zones["kind"].to_pylist(),
        zone_name=zones["name"].to_pylist(),
        import_limit_w=zones["import_limit_w"].to_numpy(),
        export_limit_w=zones["export_limit_w"].to_numpy(),
        zone_lat=zones["lat"].to_numpy(),
        zone_lon=zones["lon"].to_numpy(),
        members=members,
        meter=rows["meter"].take(pa.array(first_row)).to_pylist(),
        meter_id=meter_id,
        meter_home=rows["home_partition"].to_numpy()[first_row],
        row_meter=row_meter.astype(np.int32),
        row_zone=_places(rows["zone_id"].to_numpy(), zone_id),
        row_kind=_looked_up(rows["kind"], lambda kind: MeterKind(kind).code, np.int8),
        row_member=rows["member"].to_pylist(),
        row_registers=bits,
        row_max_wh=rows["max_wh"].to_numpy(),
        row_pool=_looked_up(rows["member"], lambda member: bool(member) and not members[member].excluded, np.bool_),
        row_valid_from_s=rows["valid_from_s"].to_numpy(),
        row_valid_to_s=rows["valid_to_s"].to_numpy(),
        **series,
        **exchanges,
        assets=await _read_assets(connection, number),
    )


async def _read_zones(connection: asyncpg.Connection, number: int) -> pa.Table:
    """The zones, each followed at once by those below it, siblings in the order of their numbers."""
    zones = await copy_out(
        connection,
        """
        SELECT zone_id, zone, COALESCE(parent_id, -1), kind, name,
               COALESCE(floor(import_limit_kw * 1000)::bigint, $2), COALESCE(floor(export_limit_kw * 1000)::bigint, $2),
               COALESCE(lat, 'NaN'), COALESCE(lon, 'NaN')
        FROM topology_zone JOIN zone_identity USING (zone_id) WHERE topology = $1 ORDER BY zone_id
        """,
        number,
        NO_LIMIT_W,
        types={
            "zone_id": pa.int32(),
            "zone": pa.string(),
            "parent_id": pa.int32(),
            "kind": pa.string(),
            "name": pa.string(),
            "import_limit_w": pa.int64(),
            "export_limit_w": pa.int64(),
            "lat": pa.float64(),
            "lon": pa.float64(),
        },
    )
    parent = _places(zones["parent_id"].to_numpy(), zones["zone_id"].to_numpy())
    return zones.take(pa.array(preorder(parent.tolist()), pa.int64()))


async def _read_members(connection: asyncpg.Connection, number: int) -> dict[str, Member]:
    members = await copy_out(
        connection,
        "SELECT member, name, kind, excluded FROM topology_member WHERE topology = $1 ORDER BY member",
        number,
        types={"member": pa.string(), "name": pa.string(), "kind": pa.string(), "excluded": pa.bool_()},
    )
    columns = [members[name].to_pylist() for name in members.column_names]
    return {row[0]: Member(*row) for row in zip(*columns, strict=True)}


async def _read_rows(connection: asyncpg.Connection, number: int) -> pa.Table:
    """The rows of meters in the order in which they were stored: by meter, then valid_from."""
    return await copy_out(
        connection,
        """
        SELECT meter_id, meter, home_partition, zone_id, kind, COALESCE(member, ''), registers,
               COALESCE(floor(max_kw * 250)::bigint, $2),
               COALESCE(extract(epoch FROM valid_from)::bigint, $3), COALESCE(extract(epoch FROM valid_to)::bigint, $4)
        FROM topology_meter JOIN meter_identity USING (meter_id) WHERE topology = $1 ORDER BY "row"
        """,
        number,
        UNLIMITED_KW * 250,
        NEVER_S,
        FOREVER_S,
        types={
            "meter_id": pa.int32(),
            "meter": pa.string(),
            "home_partition": pa.int16(),
            "zone_id": pa.int32(),
            "kind": _TEXT,
            "member": _TEXT,
            "registers": _TEXT,
            "max_wh": pa.int64(),
            "valid_from_s": pa.int64(),
            "valid_to_s": pa.int64(),
        },
    )


async def _read_series(
    connection: asyncpg.Connection, number: int, meter_id: npt.NDArray[np.int32], meter_bits: npt.NDArray[np.int8]
) -> dict[str, npt.NDArray[Any]]:
    """The series of `meter_id` whose register's bit is set in `meter_bits`, sorted by meter and register."""
    series = await copy_out(
        connection,
        """
        SELECT meter_id, register, partition, slot FROM series_identity
        WHERE meter_id IN (SELECT meter_id FROM topology_meter WHERE topology = $1)
        """,
        number,
        types={"meter_id": pa.int32(), "register": pa.int8(), "partition": pa.int16(), "slot": pa.int32()},
    )
    meter = _places(series["meter_id"].to_numpy(), meter_id)
    register = series["register"].to_numpy()
    # A register that another topology gave the meter has a slot too, and is no series of this one.
    chosen = np.flatnonzero((meter_bits[meter] >> register) & 1) if len(meter) else np.zeros(0, np.int64)
    order: npt.NDArray[np.int64] = chosen[np.lexsort((register[chosen], meter[chosen]))]
    return {
        "series_meter": meter[order],
        "series_register": register[order],
        "series_partition": series["partition"].to_numpy()[order],
        "series_slot": series["slot"].to_numpy()[order],
    }


async def _read_exchanges(
    connection: asyncpg.Connection,
    number: int,
    meter_id: npt.NDArray[np.int32],
    series: dict[str, npt.NDArray[Any]],
) -> dict[str, npt.NDArray[Any]]:
    """The exchanges, sorted by series and instant."""
    exchanges = await copy_out(
        connection,
        """
        SELECT meter_id, register, extract(epoch FROM at)::bigint, COALESCE(last_wh, 0), COALESCE(first_wh, 0),
               last_wh IS NULL
        FROM topology_exchange WHERE topology = $1 ORDER BY meter_id, register, at
        """,
        number,
        types={
            "meter_id": pa.int32(),
            "register": pa.int8(),
            "at_s": pa.int64(),
            "last_wh": pa.int64(),
            "first_wh": pa.int64(),
            "blank": pa.bool_(),
        },
    )

    def key(meter: npt.NDArray[Any], register: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        keys: npt.NDArray[np.int64] = meter.astype(np.int64) * len(REGISTERS) + register
        return keys

    keys = key(_places(exchanges["meter_id"].to_numpy(), meter_id), exchanges["register"].to_numpy())
    return {
        "exchange_series": _places(keys, key(series["series_meter"], series["series_register"])),
        "exchange_at_s": exchanges["at_s"].to_numpy(),
        "exchange_last_wh": exchanges["last_wh"].to_numpy(),
        "exchange_first_wh": exchanges["first_wh"].to_numpy(),
        "exchange_blank": exchanges["blank"].to_numpy(),
    }


async def _read_assets(connection: asyncpg.Connection, number: int) -> list[Asset]:
    rows = await connection.fetch(
        """
        SELECT asset, meter, kind, up_kw, down_kw, energy_kwh, efficiency, cost_per_mwh, reserve_kwh, due_kwh, due_at,
               rebound
        FROM topology_asset JOIN meter_identity USING (meter_id) WHERE topology = $1 ORDER BY asset
        """,
        number,
    )
    return [Asset(row[0], row[1], AssetKind(row[2]), *row[3:]) for row in rows]


def _places(values: npt.NDArray[Any], among: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """The place of each of `values` in `among`, NO_PARENT (-1) for those not in it."""
    if len(among) == 0:
        return np.full(len(values), NO_PARENT, np.int32)
    order = np.argsort(among, kind="stable")
    at = np.minimum(np.searchsorted(among, values, sorter=order), len(among) - 1)
    place = order[at]
    return np.where(among[place] == values, place, NO_PARENT).astype(np.int32)


def _looked_up(column: pa.ChunkedArray, value_of: Callable[[str], int], dtype: type[_Number]) -> npt.NDArray[_Number]:
    """`value_of` each text of a dictionary-encoded column, asked once for each distinct text."""
    encoded = column.combine_chunks()
    values = np.array([value_of(text) for text in encoded.dictionary.to_pylist()], dtype)
    looked_up: npt.NDArray[_Number] = values[encoded.indices.to_numpy()]
    return looked_up
