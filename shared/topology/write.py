"""Writes a checked folder into PostgreSQL as the next topology, and gives new meters their homes and slots."""

import hashlib
import io
from dataclasses import dataclass

import asyncpg
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from shared.topology.copy_columns import copy_in, copy_out
from shared.topology.placement import assign_homes, assign_slots
from shared.topology.rows import FolderContent
from shared.topology.zone_tree import stations
from shared.words import REGISTERS, Register


def content_digest(content: FolderContent) -> str:
    """A digest that is the same for the same content, whatever the order of rows and the form of numbers."""
    digest = hashlib.sha256()
    for table in (content.zones, content.members, content.meters, content.assets, content.exchanges):
        sink = io.BytesIO()
        pa_csv.write_csv(table.sort_by(table.column_names[0]) if table is content.zones else table, sink)
        digest.update(sink.getbuffer())
    return digest.hexdigest()


async def write_topology(
    connection: asyncpg.Connection, number: int, digest: str, content: FolderContent, partitions: int
) -> None:
    """Writes all of topology `number`; the caller holds the load's lock and the transaction.

    Identities that are known stay as they are; new zones, meters and series get theirs.
    """
    await connection.execute("INSERT INTO topology (number, digest) VALUES ($1, $2)", number, digest)
    zone_id = await _zone_ids(connection, content.zones)
    meters = await _meter_ids(connection, content, zone_id, partitions)
    await _write_zones(connection, number, content.zones, zone_id)
    await copy_in(connection, "topology_member", _numbered(number, content.members))
    await _write_rows(connection, number, content, zone_id, meters)
    await _write_assets(connection, number, content, meters)
    await _write_exchanges(connection, number, content, meters)


@dataclass(frozen=True, slots=True)
class _Meters:
    """The meters of a folder: distinct names, sorted, and what identifies them."""

    name: pa.Array
    meter_id: npt.NDArray[np.int32]

    def ids(self, names: pa.ChunkedArray) -> pa.Array:
        """The number of each of `names`, all of which are meters."""
        return pa.array(self.meter_id[_index_in(names, self.name)])


def _index_in(values: pa.Array | pa.ChunkedArray, among: pa.Array) -> npt.NDArray[np.int64]:
    """The place of each of `values` in `among`, -1 where it is not in it."""
    place: npt.NDArray[np.int64] = pc.fill_null(pc.index_in(values, value_set=among), -1).to_numpy().astype(np.int64)
    return place


def _numbered(number: int, columns: pa.Table) -> pa.Table:
    """`columns` behind a column `topology`."""
    return columns.add_column(0, "topology", pa.repeat(pa.scalar(number, pa.int32()), len(columns)))


async def _zone_ids(connection: asyncpg.Connection, zones: pa.Table) -> pa.Array:
    """The number of every zone; new ones get the next, in the order of the tree."""
    known = await copy_out(
        connection, "SELECT zone_id, zone FROM zone_identity", types={"zone_id": pa.int32(), "zone": pa.string()}
    )
    place = _index_in(zones["zone"], known["zone"])
    new = np.flatnonzero(place < 0)
    zone_id = np.empty(len(zones), np.int32)
    zone_id[place >= 0] = known["zone_id"].to_numpy()[place[place >= 0]]
    zone_id[new] = _next(known["zone_id"]) + np.arange(len(new))
    await copy_in(
        connection, "zone_identity", pa.table({"zone_id": zone_id[new], "zone": zones["zone"].take(pa.array(new))})
    )
    return pa.array(zone_id)


def _next(numbers: pa.ChunkedArray) -> int:
    """One more than the greatest, 1 when there is none."""
    return int(pc.max(numbers).as_py() or 0) + 1


async def _meter_ids(
    connection: asyncpg.Connection, content: FolderContent, zone_id: pa.Array, partitions: int
) -> _Meters:
    """The number of every meter; new meters and registers get number, home and slots."""
    known = await copy_out(
        connection,
        "SELECT meter_id, meter, home_partition FROM meter_identity",
        types={"meter_id": pa.int32(), "meter": pa.string(), "home_partition": pa.int16()},
    )
    known_series = await copy_out(
        connection,
        "SELECT partition, slot, meter_id, register FROM series_identity",
        types={"partition": pa.int16(), "slot": pa.int32(), "meter_id": pa.int32(), "register": pa.int8()},
    )
    next_slot = np.zeros(max(partitions, _next(known_series["partition"])), np.int64)
    np.maximum.at(next_slot, known_series["partition"].to_numpy(), known_series["slot"].to_numpy() + 1)

    name, first_row, bits = _distinct_meters(content.meters)
    station = _station_of(content)[first_row]
    place = _index_in(name, known["meter"])
    old = place >= 0
    home = np.full(len(name), -1, np.int16)
    home[old] = known["home_partition"].to_numpy()[place[old]]
    meter_id = np.full(len(name), -1, np.int32)
    meter_id[old] = known["meter_id"].to_numpy()[place[old]]
    registers = np.bitwise_count(bits).astype(np.int64)
    home = assign_homes(station, registers, home, next_slot[:partitions])
    # Neighbours in the network become neighbours in memory: by partition, station, meter.
    new = np.flatnonzero(~old)
    new = new[np.lexsort((new, station[new], home[new]))]
    meter_id[new] = _next(known["meter_id"]) + np.arange(len(new))
    identities = {
        "meter_id": meter_id[new],
        "meter": name.take(pa.array(new)),
        "home_partition": home[new],
    }
    await copy_in(connection, "meter_identity", pa.table(identities))
    series = _new_series(meter_id, home, station, bits, known_series, next_slot)
    await copy_in(connection, "series_identity", series)
    return _Meters(name, meter_id)


def _distinct_meters(meters: pa.Table) -> tuple[pa.Array, npt.NDArray[np.int64], npt.NDArray[np.int8]]:
    """Each meter once, in the order of `meters` (by name): its name, its first row, the registers of all its rows."""
    encoded = meters["meter"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    first_row = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    bits = np.bitwise_or.reduceat(meters["register_bits"].to_numpy(), first_row)
    return encoded.dictionary, first_row, bits


def _station_of(content: FolderContent) -> npt.NDArray[np.int64]:
    """For every row of meters the place of its station among the zones."""
    zones = content.zones
    parent = _index_in(zones["parent"], zones["zone"]).tolist()
    station = np.array(stations(parent, zones["kind"].to_pylist()), np.int64)
    return station[_index_in(content.meters["zone"], zones["zone"])]


def _new_series(
    meter_id: npt.NDArray[np.int32],
    home: npt.NDArray[np.int16],
    station: npt.NDArray[np.int64],
    bits: npt.NDArray[np.int8],
    known: pa.Table,
    next_slot: npt.NDArray[np.int64],
) -> pa.Table:
    """The series that have no slot yet, with their slots in the order station, meter, register."""
    meter, register = np.nonzero((bits[:, None] >> np.arange(len(REGISTERS))) & 1)
    key = meter_id[meter].astype(np.int64) * len(REGISTERS) + register
    known_key = known["meter_id"].to_numpy().astype(np.int64) * len(REGISTERS) + known["register"].to_numpy()
    new = ~np.isin(key, known_key)
    meter, register = meter[new], register[new]
    order = np.lexsort((register, meter, station[meter]))
    meter, register = meter[order], register[order]
    return pa.table(
        {
            "partition": home[meter],
            "slot": assign_slots(home[meter], next_slot),
            "meter_id": meter_id[meter],
            "register": register.astype(np.int16),
        }
    )


async def _write_zones(connection: asyncpg.Connection, number: int, zones: pa.Table, zone_id: pa.Array) -> None:
    parent = pc.index_in(zones["parent"], value_set=zones["zone"])
    columns = {
        "zone_id": zone_id,
        "parent_id": zone_id.take(parent.combine_chunks()),
        **{name: zones[name] for name in ("kind", "name", "import_limit_kw", "export_limit_kw", "lat", "lon")},
    }
    await copy_in(connection, "topology_zone", _numbered(number, pa.table(columns)))


async def _write_rows(
    connection: asyncpg.Connection, number: int, content: FolderContent, zone_id: pa.Array, meters: _Meters
) -> None:
    rows = content.meters
    meter_id = meters.ids(rows["meter"])
    zone = zone_id.take(pa.array(_index_in(rows["zone"], content.zones["zone"])))
    columns = {
        "meter_id": meter_id,
        "zone_id": zone,
        **{name: rows[name] for name in ("member", "kind", "registers", "max_kw")},
        "valid_from": _timestamps(rows["valid_from"]),
        "valid_to": _timestamps(rows["valid_to"]),
    }
    # Stable: rows of a meter stay in the order of valid_from.
    order = np.argsort(meter_id.to_numpy(), kind="stable")
    table = pa.table(columns).take(pa.array(order))
    table = table.add_column(0, "row", pa.array(np.arange(len(table), dtype=np.int32)))
    await copy_in(connection, "topology_meter", _numbered(number, table))


async def _write_assets(connection: asyncpg.Connection, number: int, content: FolderContent, meters: _Meters) -> None:
    assets = content.assets
    columns = {name: assets[name] for name in assets.column_names if name != "meter"}
    columns["meter_id"] = meters.ids(assets["meter"])
    await copy_in(connection, "topology_asset", _numbered(number, pa.table(columns)))


async def _write_exchanges(
    connection: asyncpg.Connection, number: int, content: FolderContent, meters: _Meters
) -> None:
    exchanges = content.exchanges
    columns = {
        "meter_id": meters.ids(exchanges["meter"]),
        "register": pa.array([Register(name).code for name in exchanges["register"].to_pylist()], pa.int16()),
        "at": _timestamps(exchanges["at"]),
        "last_wh": exchanges["last_wh"],
        "first_wh": exchanges["first_wh"],
    }
    await copy_in(connection, "topology_exchange", _numbered(number, pa.table(columns)))


def _timestamps(seconds: pa.ChunkedArray) -> pa.ChunkedArray:
    """Seconds since 1970 as instants."""
    return seconds.cast(pa.timestamp("s", tz="UTC"))
