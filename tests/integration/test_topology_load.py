"""A topology folder goes into a real PostgreSQL and a real log: whole or not at all, and the same for good."""

import asyncio
from pathlib import Path

import asyncpg
import numpy as np
import pytest

from shared.errors import BilansError
from shared.settings import Settings
from shared.topology.check import check_folder
from shared.topology.following import count_topology, wait_until_followed
from shared.topology.index import FOREVER_S, NEVER_S, Topology
from shared.topology.load import finish_loading, load_folder
from shared.topology.rows import TopologyErrors
from shared.topology.store import newest_logged_number, read_topology
from shared.topology.write import write_topology
from shared.words import MeterKind
from tests.integration.topology_log import Log, connected, load_and_read, settings_for, write_folder

ZONES = "zone,parent,kind\nC,,cluster\nS,C,station\nT,C,station\n"
METERS = "meter,zone,kind,registers\na,S,consumer,1.8.0\nb,S,pv,2.8.0\nc,T,prosumer,1.8.0|2.8.0\n"


@pytest.fixture
def settings(embedded_kafka: str, embedded_postgres: str) -> Settings:
    return settings_for(embedded_kafka, embedded_postgres)


def _slots(topology: Topology) -> dict[tuple[str, int], tuple[int, int]]:
    """Partition and slot of each (meter, register code)."""
    return {
        (topology.meter[meter], register): (partition, slot)
        for meter, register, partition, slot in zip(
            topology.series_meter.tolist(),
            topology.series_register.tolist(),
            topology.series_partition.tolist(),
            topology.series_slot.tolist(),
            strict=True,
        )
    }


async def test_every_partition_gets_one_control_record_and_the_same_folder_changes_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path, zones=ZONES, meters=METERS)
    async with Log(settings) as log, connected(settings) as connection:
        assert await newest_logged_number(connection) == 0
        assert await load_folder(settings, folder) == 1
        assert await newest_logged_number(connection) == 1
        assert await log.switches() == [[1]] * settings.partitions
        # Other order of rows and columns, other forms of the same numbers: the same content.
        meters = "kind,meter,zone,registers,max_kw\nprosumer,c,T,2.8.0|1.8.0,\npv,b,S,2.8.0,\nconsumer,a,S,1.8.0,\n"
        assert await load_folder(settings, write_folder(tmp_path / "same", zones=ZONES, meters=meters)) == 1
        assert await log.switches() == [[1]] * settings.partitions
        changed = write_folder(tmp_path / "other", zones=ZONES, meters=METERS.replace("prosumer", "storage"))
        assert await load_folder(settings, changed) == 2
        assert await log.switches() == [[1, 2]] * settings.partitions
        # Back to the first content is a change again, and a new number.
        assert await load_folder(settings, folder) == 3


async def test_of_a_wrong_folder_nothing_is_loaded(settings: Settings, tmp_path: Path) -> None:
    folder = write_folder(tmp_path, zones=ZONES, meters=METERS + "d,NONE,pv,2.8.0\n")
    async with Log(settings) as log, connected(settings) as connection:
        with pytest.raises(TopologyErrors, match=r"meters\.csv:5: zone 'NONE' is not in zones\.csv"):
            await load_folder(settings, folder)
        for table in ("topology", "zone_identity", "meter_identity", "series_identity", "topology_meter"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
        assert await log.switches() == [[]] * settings.partitions


async def _store_without_logging(settings: Settings, folder: Path, number: int) -> None:
    """What a load leaves that dies after its transaction and before its control records."""
    content = check_folder(folder)
    async with connected(settings) as connection, connection.transaction():
        await write_topology(connection, number, "digest of a load that died", content, settings.partitions)


async def test_a_load_that_died_before_its_control_records_is_finished(settings: Settings, tmp_path: Path) -> None:
    await _store_without_logging(settings, write_folder(tmp_path, zones=ZONES, meters=METERS), 1)
    async with Log(settings) as log, connected(settings) as connection:
        assert await newest_logged_number(connection) == 0  # nobody follows it yet
        await finish_loading(settings)
        assert await newest_logged_number(connection) == 1
        await finish_loading(settings)
        assert await log.switches() == [[1]] * settings.partitions
        await _store_without_logging(settings, tmp_path, 2)
        other = write_folder(tmp_path / "other", zones=ZONES, meters=METERS.replace("pv", "wind"))
        assert await load_folder(settings, other) == 3
        assert await log.switches() == [[1, 2, 3]] * settings.partitions


async def test_loads_at_once_come_one_after_the_other(settings: Settings, tmp_path: Path) -> None:
    folders = [
        write_folder(tmp_path / kind, zones=ZONES, meters=METERS.replace("prosumer", kind))
        for kind in ("ev", "storage", "heatpump")
    ]
    async with Log(settings) as log:
        numbers = await asyncio.gather(*(load_folder(settings, folder) for folder in folders))
        assert sorted(numbers) == [1, 2, 3]
        assert await log.switches() == [[1, 2, 3]] * settings.partitions


async def test_homes_and_slots_stay_whatever_changes(settings: Settings, tmp_path: Path) -> None:
    first = await load_and_read(settings, write_folder(tmp_path / "1", zones=ZONES, meters=METERS))
    before = _slots(first)
    # S has two series, T has two: of equals the one named first goes to the first partition.
    assert before == {("a", 0): (0, 0), ("b", 1): (0, 1), ("c", 0): (1, 0), ("c", 1): (1, 1)}
    meters = "meter,zone,kind,registers\na,T,consumer,1.8.0|1.7.0\nd,T,pv,2.8.0\nc,T,prosumer,1.8.0\n"
    second = await load_and_read(settings, write_folder(tmp_path / "2", zones=ZONES, meters=meters))
    assert second.meter == ["a", "c", "d"]  # b is gone
    assert _slots(second) == {
        ("a", 0): (0, 0),  # moved to T, at home where it was
        ("a", 2): (0, 2),  # a new register, at the end of its partition
        ("c", 0): (1, 0),  # its 2.8.0 is no series of this topology, and keeps its slot
        ("d", 1): (0, 3),  # of T's known meters one is in partition 0 and one in 1: of equals the lower
    }
    third = await load_and_read(settings, tmp_path / "1")
    assert _slots(third) == before
    assert third.meter_id.tolist() == first.meter_id.tolist()
    assert third.zone_id.tolist() == first.zone_id.tolist()
    async with connected(settings) as connection:
        again = await read_topology(connection, 2)
    assert _slots(again) == _slots(second)  # an old topology reads as it always did


async def test_validity_members_limits_assets_and_exchanges_read_back(settings: Settings, tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path,
        zones="zone,parent,kind,name,import_limit_kw,export_limit_kw,lat,lon\n"
        'C,,cluster,"Żywiec, the ""cluster""",,0,49.685,19.192\nS,C,station,,10.0009,12.5,,\n',
        members="member,name,kind,excluded\nA,Gmina A,gmina,\nP,P,prosumer,TRUE\n",
        meters="meter,zone,member,kind,registers,max_kw,valid_from,valid_to\n"
        "m,S,P,pv,2.8.0,0.0159,2026-05-01T00:00:00+02:00,\n"
        "m,C,A,pv,2.8.0|2.7.0,0.0160,,2026-05-01T00:00:00+02:00\n"
        "n,C,,storage,1.8.0|2.8.0|soc,,1999-12-31T23:59:59Z,2030-01-01T00:00:00Z\n",
        assets="asset,meter,kind,up_kw,down_kw,efficiency,due_at\nE,n,storage,5.1000000000000005,0,0.95,06:00\n",
        exchanges="meter,register,at,last_wh,first_wh\nn,2.8.0,2026-05-03T00:00:00Z,7,5\nn,1.8.0,2026-05-04T00:00:00Z,,\n"
        "n,1.8.0,2026-05-02T00:00:00Z,0,10000000000000\n",
    )
    topology = await load_and_read(settings, folder)
    assert topology.zone_name == ['Żywiec, the "cluster"', "S"]
    assert topology.import_limit_w.tolist() == [-1, 10_000]
    assert topology.export_limit_w.tolist() == [0, 12_500]
    assert topology.zone_lat.tolist()[0] == 49.685
    assert np.isnan(topology.zone_lon[1])
    may = 1777586400
    assert topology.meter == ["m", "n"]  # m is first in C too
    assert topology.row_meter.tolist() == [0, 0, 1]
    assert topology.row_zone.tolist() == [0, 1, 0]
    assert topology.row_valid_from_s.tolist() == [NEVER_S, may, 946684799]
    assert topology.row_valid_to_s.tolist() == [may, FOREVER_S, 1893456000]
    assert topology.row_member == ["A", "P", ""]
    assert topology.row_pool.tolist() == [True, False, False]  # in the pool, excluded, without a member
    assert topology.row_max_wh.tolist() == [4, 3, 50_000_000]  # 0.0160 · 250 = 4; floor(3.975); blank
    assert topology.row_registers.tolist() == [0b01010, 0b00010, 0b10011]
    assert topology.row_kind.tolist() == [MeterKind.PV.code, MeterKind.PV.code, MeterKind.STORAGE.code]
    series = list(zip(topology.series_meter.tolist(), topology.series_register.tolist(), strict=True))
    assert series == [(0, 1), (0, 3), (1, 0), (1, 1), (1, 4)]  # every register of any row
    assert topology.exchange_series.tolist() == [2, 2, 3]
    assert topology.exchange_at_s.tolist() == [1777680000, 1777852800, 1777766400]
    assert topology.exchange_last_wh.tolist() == [0, 0, 7]
    assert topology.exchange_first_wh.tolist() == [10**13, 0, 5]
    assert topology.exchange_blank.tolist() == [False, True, False]
    asset = topology.assets[0]
    assert (str(asset.up_kw), str(asset.down_kw), asset.energy_kwh) == ("5.1000000000000005", "0", None)
    assert (asset.asset, asset.meter, asset.kind, asset.due_at) == ("E", "n", "storage", "06:00")


async def test_a_topology_that_takes_longer_than_short_questions_may_is_read(
    settings: Settings, tmp_path: Path
) -> None:
    number = await load_folder(settings, write_folder(tmp_path, zones=ZONES, meters=METERS))
    impatient = await asyncpg.connect(
        settings.database_url, command_timeout=0.3, server_settings={"statement_timeout": "300"}
    )
    try:
        async with connected(settings) as other, other.transaction():
            await other.execute("LOCK TABLE series_identity IN ACCESS EXCLUSIVE MODE")
            reading = asyncio.create_task(read_topology(impatient, number))
            await asyncio.sleep(0.6)
            assert not reading.done()
        assert (await reading).meter == ["a", "b", "c"]
    finally:
        await impatient.close()


async def test_no_topology_and_an_unknown_one(settings: Settings) -> None:
    async with connected(settings) as connection:
        nothing = await read_topology(connection, 0)
        assert (nothing.number, nothing.meter, len(nothing.series_slot)) == (0, [], 0)
        with pytest.raises(BilansError, match="Topology 7 is not in the database"):
            await read_topology(connection, 7)


async def test_a_load_waits_for_running_services_only(settings: Settings, tmp_path: Path) -> None:
    number = await load_folder(settings, write_folder(tmp_path, zones=ZONES, meters=METERS))
    async with connected(settings) as connection:
        await connection.execute(
            """
            INSERT INTO progress (topic, partition, topology) VALUES ('bilans.readings', 2, 0);
            INSERT INTO service_instance (instance, service, topology, ready, seen_at)
            VALUES ('gone', 'ingest', 0, true, now() - interval '6 s')
            """
        )
        await wait_until_followed(connection, number, 0)  # nothing runs
        await connection.execute(
            """
            INSERT INTO service_instance (instance, service, topology, ready)
            VALUES ('i-1', 'ingest', 0, true), ('i-2', 'ingest', 1, true), ('b-1', 'balancer', 0, true)
            """
        )
        with pytest.raises(BilansError, match=r"not followed by ingest i-1, partition 2\."):
            await wait_until_followed(connection, number, 0)
        await connection.execute("UPDATE service_instance SET topology = 1 WHERE service = 'ingest'")
        waiting = asyncio.create_task(wait_until_followed(connection, number, 20))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        async with connected(settings) as balancer:
            await balancer.execute("UPDATE progress SET topology = 1")
        await waiting
        counts = await count_topology(connection, number)
        assert (counts.zones, counts.meters, counts.series, counts.members) == (3, 3, 4, 0)
