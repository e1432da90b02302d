"""Topologies that come with the project and one worked out by hand, read back from a real PostgreSQL."""

import csv
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from shared.settings import Settings
from shared.topology.index import FOREVER_S, NEVER_S, Topology
from shared.words import MeterKind, Register
from tests.integration.topology_log import load_and_read, settings_for, write_folder

RURAL_WEEK = Path(__file__).parents[2] / "deploy" / "rural_week"
HOMES = Path(__file__).parents[1] / "data" / "homes"


@pytest.fixture
def settings(embedded_kafka: str, embedded_postgres: str) -> Settings:
    return settings_for(embedded_kafka, embedded_postgres)


async def test_a_small_cluster_worked_out_by_hand(settings: Settings, tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path,
        zones="zone,parent,kind,name,import_limit_kw,export_limit_kw,lat,lon\nC,,cluster,Cluster,,,,\n"
        "S,C,station,Station,10,10,,\n",
        members="member,name,kind,excluded\nA,Gmina A,gmina,\nB,B,company,\n",
        meters="meter,zone,member,kind,registers,max_kw,valid_from,valid_to\nload,S,A,consumer,1.8.0,20,,\n"
        "sun,S,B,pv,2.8.0,20,,\nbat,S,B,storage,1.8.0|2.8.0|soc,10,,\nedge,S,,boundary,1.8.0|2.8.0,100,,\n"
        "quiet,C,A,consumer,1.8.0,20,,\n",
        assets="asset,meter,kind,up_kw,down_kw,energy_kwh,efficiency,cost_per_mwh\nB1,bat,storage,8,6,10,1.0,300\n",
    )
    topology = await load_and_read(settings, folder)
    assert topology.number == 1
    assert (topology.zone, topology.zone_kind, topology.zone_name) == (
        ["C", "S"],
        ["cluster", "station"],
        ["Cluster", "Station"],
    )
    assert topology.zone_parent.tolist() == [-1, 0]
    assert topology.import_limit_w.tolist() == topology.export_limit_w.tolist() == [-1, 10_000]
    # The station has 1 + 1 + 3 + 2 = 7 series and goes first, to partition 0; what sits in C, one series, to the
    # emptiest left. Within a partition by name.
    assert topology.meter == ["bat", "edge", "load", "sun", "quiet"]
    assert topology.meter_home.tolist() == [0, 0, 0, 0, 1]
    assert topology.row_meter.tolist() == [0, 1, 2, 3, 4]
    assert topology.row_zone.tolist() == [1, 1, 1, 1, 0]
    kinds = [MeterKind.STORAGE, MeterKind.BOUNDARY, MeterKind.CONSUMER, MeterKind.PV, MeterKind.CONSUMER]
    assert topology.row_kind.tolist() == [kind.code for kind in kinds]
    assert topology.row_member == ["B", "", "A", "B", "A"]
    assert topology.row_pool.tolist() == [True, False, True, True, True]
    assert topology.row_max_wh.tolist() == [2_500, 25_000, 5_000, 5_000, 5_000]
    assert topology.row_valid_from_s.tolist() == [NEVER_S] * 5
    assert topology.row_valid_to_s.tolist() == [FOREVER_S] * 5
    assert topology.row_registers.tolist() == [0b10011, 0b00011, 0b00001, 0b00010, 0b00001]
    assert topology.series_meter.tolist() == [0, 0, 0, 1, 1, 2, 3, 4]
    assert topology.series_register.tolist() == [0, 1, 4, 0, 1, 0, 1, 0]
    assert topology.series_partition.tolist() == [0, 0, 0, 0, 0, 0, 0, 1]
    assert topology.series_slot.tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
    assert [asset.asset for asset in topology.assets] == ["B1"]
    assert topology.members["A"].name == "Gmina A"
    types = {
        "zone_id": np.int32,
        "zone_parent": np.int32,
        "import_limit_w": np.int64,
        "zone_lat": np.float64,
        "meter_id": np.int32,
        "meter_home": np.int16,
        "row_meter": np.int32,
        "row_zone": np.int32,
        "row_kind": np.int8,
        "row_registers": np.int8,
        "row_max_wh": np.int64,
        "row_pool": np.bool_,
        "row_valid_from_s": np.int64,
        "series_meter": np.int32,
        "series_register": np.int8,
        "series_partition": np.int16,
        "series_slot": np.int32,
        "exchange_series": np.int32,
        "exchange_at_s": np.int64,
        "exchange_blank": np.bool_,
    }
    assert {name: getattr(topology, name).dtype for name in types} == types


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _holds_the_folder(topology: Topology, folder: Path) -> None:
    """Every row of zones.csv and meters.csv is in the topology as it stands there, and nothing else."""
    zones = {row["zone"]: row for row in _rows(folder, "zones.csv")}
    assert sorted(topology.zone) == sorted(zones)
    for index, zone in enumerate(topology.zone):
        above = int(topology.zone_parent[index])
        assert above < index
        assert (topology.zone[above] if above >= 0 else "") == zones[zone]["parent"]
    meters = {row["meter"]: row for row in _rows(folder, "meters.csv")}
    assert sorted(topology.meter) == sorted(meters)
    assert topology.row_meter.tolist() == list(range(len(meters)))
    series = defaultdict(set)
    for meter, register in zip(topology.series_meter.tolist(), topology.series_register.tolist(), strict=True):
        series[topology.meter[meter]].add(list(Register)[register].value)
    for index, name in enumerate(topology.meter):
        row = meters[name]
        assert topology.zone[topology.row_zone[index]] == row["zone"]
        assert topology.row_kind[index] == MeterKind(row["kind"]).code
        assert topology.row_max_wh[index] == int(Decimal(row["max_kw"]) * 250)
        assert topology.row_member[index] == row["member"]
        assert series[name] == set(row["registers"].split("|"))


def _slots_are_dense(topology: Topology) -> None:
    for partition in np.unique(topology.series_partition):
        slots = topology.series_slot[topology.series_partition == partition]
        assert sorted(slots.tolist()) == list(range(len(slots)))
    assert (topology.meter_home[topology.series_meter] == topology.series_partition).all()


async def test_the_fifteen_homes(settings: Settings) -> None:
    topology = await load_and_read(settings, HOMES)
    assert (len(topology.zone), len(topology.meter), len(topology.series_slot)) == (5, 26, 30)
    _holds_the_folder(topology, HOMES)
    _slots_are_dense(topology)


async def test_the_rural_week(settings: Settings) -> None:
    topology = await load_and_read(settings, RURAL_WEEK)
    assert (len(topology.zone), len(topology.meter), len(topology.assets)) == (107, 6_936, 1_117)
    _holds_the_folder(topology, RURAL_WEEK)
    _slots_are_dense(topology)
    # Each station's meters stand together: in one partition, and there one after the other.
    places = defaultdict(list)
    for row, zone in enumerate(topology.row_zone.tolist()):
        places[topology.zone[zone]].append(row)
    for meters in places.values():
        assert meters == list(range(meters[0], meters[-1] + 1))
        assert len(set(topology.meter_home[meters].tolist())) == 1
    # The partitions are as full as one another, to a few series.
    counts = Counter(topology.series_partition.tolist())
    assert len(counts) == settings.partitions
    assert max(counts.values()) - min(counts.values()) <= 20
