"""Reads topologies out of PostgreSQL."""

import asyncio

import asyncpg
import pyarrow as pa

from shared.errors import BilansError
from shared.limits import UNLIMITED_KW
from shared.topology.assemble import StoredTopology, assemble
from shared.topology.copy_columns import copy_out
from shared.topology.index import FOREVER_S, NEVER_S, NO_LIMIT_W, Topology, empty_topology
from shared.topology.rows import Asset
from shared.words import AssetKind

_READ_S_MAX = 300
"""Millions of meters take several seconds on a quiet machine, and must not be given up on a busy one: a connection's
own time-out is made for short questions."""
_TEXT = pa.dictionary(pa.int32(), pa.string())


async def newest_logged_number(connection: asyncpg.Connection) -> int:
    """The newest topology whose control record stands in every partition; 0 when there is none."""
    number: int = await connection.fetchval("SELECT COALESCE(max(number), 0) FROM topology WHERE logged_at IS NOT NULL")
    return number


async def read_topology(connection: asyncpg.Connection, number: int) -> Topology:
    """Topology `number`; 0 is the empty one, in force before the first load.

    A topology never changes once loaded, so what is read is the same at any moment. Raises BilansError when there is
    no such number. The event loop goes on meanwhile: arrays are made in a thread.
    """
    if number == 0:
        return empty_topology()
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM topology WHERE number = $1)", number):
        raise BilansError(f"Topology {number} is not in the database.", "Load it with `bilans topology load`.")
    async with connection.transaction():
        await connection.execute(f"SET LOCAL statement_timeout = '{_READ_S_MAX}s'")
        # Between the statements columns are made here.
        await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{_READ_S_MAX}s'")
        stored = await _read(connection, number)
    topology = await asyncio.to_thread(assemble, stored)
    del stored
    pa.default_memory_pool().release_unused()  # hundreds of megabytes that nothing asks for again
    return topology


async def _read(connection: asyncpg.Connection, number: int) -> StoredTopology:
    return StoredTopology(
        number=number,
        zones=await _read_zones(connection, number),
        members=await _read_members(connection, number),
        rows=await _read_rows(connection, number),
        meters=await _read_meters(connection),
        series=await _read_series(connection),
        exchanges=await _read_exchanges(connection, number),
        assets=await _read_assets(connection, number),
    )


async def _read_zones(connection: asyncpg.Connection, number: int) -> pa.Table:
    return await copy_out(
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
        timeout_s=_READ_S_MAX,
    )


async def _read_members(connection: asyncpg.Connection, number: int) -> pa.Table:
    return await copy_out(
        connection,
        "SELECT member, name, kind, excluded FROM topology_member WHERE topology = $1 ORDER BY member",
        number,
        types={"member": pa.string(), "name": pa.string(), "kind": pa.string(), "excluded": pa.bool_()},
        timeout_s=_READ_S_MAX,
    )


async def _read_rows(connection: asyncpg.Connection, number: int) -> pa.Table:
    """The rows of meters in the order in which they were stored: by meter, then valid_from."""
    return await copy_out(
        connection,
        """
        SELECT meter_id, zone_id, kind, COALESCE(member, ''), registers, COALESCE(floor(max_kw * 250)::bigint, $2),
               COALESCE(extract(epoch FROM valid_from)::bigint, $3), COALESCE(extract(epoch FROM valid_to)::bigint, $4)
        FROM topology_meter WHERE topology = $1 ORDER BY "row"
        """,
        number,
        UNLIMITED_KW * 250,
        NEVER_S,
        FOREVER_S,
        types={
            "meter_id": pa.int32(),
            "zone_id": pa.int32(),
            "kind": _TEXT,
            "member": _TEXT,
            "registers": _TEXT,
            "max_wh": pa.int64(),
            "valid_from_s": pa.int64(),
            "valid_to_s": pa.int64(),
        },
        timeout_s=_READ_S_MAX,
    )


async def _read_meters(connection: asyncpg.Connection) -> pa.Table:
    """All meters: joined to the rows by the database they would cost six times as much."""
    return await copy_out(
        connection,
        "SELECT meter_id, meter, home_partition FROM meter_identity",
        types={"meter_id": pa.int32(), "meter": pa.string(), "home_partition": pa.int16()},
        timeout_s=_READ_S_MAX,
    )


async def _read_series(connection: asyncpg.Connection) -> pa.Table:
    """All series; their partition is their meter's."""
    return await copy_out(
        connection,
        "SELECT meter_id, register, slot FROM series_identity",
        types={"meter_id": pa.int32(), "register": pa.int8(), "slot": pa.int32()},
        timeout_s=_READ_S_MAX,
    )


async def _read_exchanges(connection: asyncpg.Connection, number: int) -> pa.Table:
    return await copy_out(
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
        timeout_s=_READ_S_MAX,
    )


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
