"""A small cluster in a real database, with partial rows written by hand."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from shared.database.engine import connect
from shared.database.tables import SUM_COLUMNS
from shared.topology.check import check_folder
from shared.topology.rows import FolderContent
from shared.topology.write import write_topology

ZONES = """zone,parent,kind,name,import_limit_kw,export_limit_kw,lat,lon
C,,cluster,Cluster,,,,
S,C,station,Station,10,12.5,49.685,19.192
K,S,circuit,Circuit,,,,
"""
METERS = """meter,zone,member,kind,registers,max_kw,valid_from,valid_to
load,S,A,consumer,1.8.0,20,,
sun,S,B,pv,2.8.0,20,,
bat,S,B,storage,1.8.0|2.8.0|soc,10,,
edge,S,,boundary,1.8.0|2.8.0,100,,
quiet,C,A,consumer,1.8.0,20,,
young,K,A,ev,1.8.0,20,2026-06-01T00:00:00Z,
"""
PARTITIONS = 4
LOGGED_AT = datetime(2026, 1, 1, tzinfo=UTC)


async def load_cluster(
    database_url: str, folder: Path, *, number: int, logged_at: datetime, meters: str = METERS, assets: str = ""
) -> None:
    """Writes the cluster as topology `number`, in force from `logged_at`."""
    content = await asyncio.to_thread(_checked, folder, meters, assets)
    connection = await connect(database_url, application_name="test")
    try:
        async with connection.transaction():
            await write_topology(connection, number, f"digest {number}", content, PARTITIONS)
            await connection.execute("UPDATE topology SET logged_at = $2 WHERE number = $1", number, logged_at)
    finally:
        await connection.close()


def _checked(folder: Path, meters: str, assets: str) -> FolderContent:
    folder.mkdir(exist_ok=True)
    (folder / "zones.csv").write_text(ZONES)
    (folder / "meters.csv").write_text(meters)
    if assets:
        (folder / "assets.csv").write_text(assets)
    return check_folder(folder)


def instant(text: str) -> datetime:
    """`text` without an offset is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def write_partial(
    connection: asyncpg.Connection,
    zone: str,
    start: str,
    *,
    partition: int = 0,
    revision: int = 1,
    known_at: str = "2026-05-04T12:00:00",
    **sums: int,
) -> None:
    """Writes a partial row as a flush would: the newest state, and from revision 1 on the revision."""
    assert set(sums) <= set(SUM_COLUMNS)
    columns = ("partition", "zone_id", "window_start", "revision", "known_at", "log_offset", "topology", *SUM_COLUMNS)
    zone_id = await connection.fetchval("SELECT zone_id FROM zone_identity WHERE zone = $1", zone)
    values = (
        partition,
        zone_id,
        instant(start),
        revision,
        instant(known_at),
        0,
        1,
        *(sums.get(name, 0) for name in SUM_COLUMNS),
    )
    names = ", ".join(columns)
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    await connection.execute(
        "DELETE FROM partial WHERE zone_id = $1 AND window_start = $2 AND partition = $3",
        zone_id,
        instant(start),
        partition,
    )
    await connection.execute(f"INSERT INTO partial ({names}) VALUES ({places})", *values)
    if revision:
        await connection.execute(f"INSERT INTO partial_revision ({names}) VALUES ({places})", *values)
