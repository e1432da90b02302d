"""The recomputation itself, on a case worked out by hand, and that it would see a single Wh."""

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pyarrow as pa

from tests.end_to_end.compare import Comparison, hold_row
from tests.end_to_end.recompute import Recomputation, recompute
from tests.end_to_end.recompute_topology import read_plain_topology

DAY = "2026-05-04T"


def instant(text: str) -> int:
    return int(datetime.fromisoformat(f"{DAY}{text}Z").replace(tzinfo=UTC).timestamp())


def readings(*rows: tuple[str, str, str, int, int]) -> pa.Table:
    """Rows of meter, register, time of day, value, version."""
    meters, registers, times, values, versions = zip(*rows, strict=True)
    return pa.table(
        {
            "meter": list(meters),
            "register": list(registers),
            "ts": pa.array([instant(text) for text in times], pa.timestamp("s", tz="UTC")),
            "value": pa.array(values, pa.int64()),
            "version": pa.array(versions, pa.int32()),
        }
    )


def topology_folder(folder: Path, meters: str, exchanges: str = "") -> Path:
    (folder / "zones.csv").write_text("zone,parent,kind\nTop,,cluster\nStation,Top,station\n")
    (folder / "members.csv").write_text("member,name,kind,excluded\nin,In,,\nout,Out,,true\n")
    (folder / "meters.csv").write_text(f"meter,zone,member,kind,registers,max_kw,valid_from,valid_to\n{meters}")
    if exchanges:
        (folder / "exchanges.csv").write_text(f"meter,register,at,last_wh,first_wh\n{exchanges}")
    return folder


def energy_of(recomputation: Recomputation, *times: str) -> list[int]:
    return [recomputation.partial("Top", instant(text))["consumer_withdrawn_wh"] for text in times]


METER = "m,Station,in,consumer,1.8.0,20,,\n"


def test_an_edge_between_two_readings_is_floored_and_nothing_is_lost(tmp_path: Path) -> None:
    topology = read_plain_topology(topology_folder(tmp_path, METER))
    found = recompute(
        readings(
            ("m", "1.8.0", "10:00:00", 0, 0), ("m", "1.8.0", "10:10:00", 100, 0), ("m", "1.8.0", "10:45:00", 401, 0)
        ),
        topology,
    )
    # 10:15: 100 + floor(301 × 300/2100) = 143; 10:30: 100 + floor(301 × 1200/2100) = 272
    assert energy_of(found, "10:00:00", "10:15:00", "10:30:00") == [143, 129, 129]
    row = found.row("Top", instant("10:00:00"))
    assert (row["estimated"], row["measured"], row["missing"]) == (1, 0, 0)


def test_versions_duplicates_and_conflicts(tmp_path: Path) -> None:
    topology = read_plain_topology(topology_folder(tmp_path, METER))
    found = recompute(
        readings(
            ("m", "1.8.0", "10:15:00", 70, 1),
            ("m", "1.8.0", "10:00:00", 10, 0),
            ("m", "1.8.0", "10:15:00", 60, 0),  # a lower version changes nothing
            ("m", "1.8.0", "10:00:00", 20, 0),  # a conflict: the first stands
            ("m", "1-0:1.8.0*255", "10:15:00", 90, 2),  # a correction, under the register's long name
        ),
        topology,
    )
    assert energy_of(found, "10:00:00") == [80]


def test_implausible_energy_is_excluded(tmp_path: Path) -> None:
    topology = read_plain_topology(topology_folder(tmp_path, METER))
    found = recompute(
        readings(
            ("m", "1.8.0", "10:00:00", 0, 0),
            ("m", "1.8.0", "10:15:00", 5_000, 0),
            ("m", "1.8.0", "10:30:00", 10_001, 0),
            ("m", "1.8.0", "10:45:00", 10_000, 0),
        ),
        topology,
    )
    assert energy_of(found, "10:00:00", "10:15:00", "10:30:00") == [5_000, 0, 0]
    assert [found.row("Top", instant(t))["excluded"] for t in ("10:00:00", "10:15:00", "10:30:00")] == [0, 1, 1]


def test_a_meter_counts_where_it_is_valid_at_the_windows_start(tmp_path: Path) -> None:
    meters = f"m,Top,in,consumer,1.8.0,20,,{DAY}10:20:00Z\nm,Station,out,pv,1.8.0|2.8.0,20,{DAY}10:20:00Z,\n"
    topology = read_plain_topology(topology_folder(tmp_path, meters))
    found = recompute(readings(("m", "1.8.0", "10:00:00", 0, 0), ("m", "1.8.0", "10:45:00", 90, 0)), topology)
    rows = [found.partial(zone, instant(t)) for zone in ("Top", "Station") for t in ("10:15:00", "10:30:00")]
    assert [row["consumer_withdrawn_wh"] for row in rows] == [30, 0, 0, 0]
    assert [row["pv_withdrawn_wh"] for row in rows] == [0, 30, 0, 30]
    assert [row["expected"] for row in rows] == [1, 2, 0, 2]
    assert [row["pool_drawn_wh"] for row in rows] == [30, 0, 0, 0]


def test_an_exchanged_register_goes_on_and_a_blank_one_breaks(tmp_path: Path) -> None:
    meters = f"{METER}n,Station,in,consumer,1.8.0,20,,\n"
    exchanges = f"m,1.8.0,{DAY}10:20:00Z,500,7\nn,1.8.0,{DAY}10:20:00Z,,\n"
    topology = read_plain_topology(topology_folder(tmp_path, meters, exchanges))
    found = recompute(
        readings(
            ("m", "1.8.0", "10:00:00", 300, 0),
            ("m", "1.8.0", "10:30:00", 27, 0),  # 20 Wh after the exchange: the register goes on at 520
            ("n", "1.8.0", "10:00:00", 0, 0),
            ("n", "1.8.0", "10:15:00", 40, 0),
            ("n", "1.8.0", "10:30:00", 3, 0),
            ("n", "1.8.0", "10:45:00", 9, 0),
        ),
        topology,
    )
    # m at 10:15: 300 + 200 × 15/20 = 450, so 150 and 70
    assert energy_of(found, "10:00:00", "10:15:00", "10:30:00") == [150 + 40, 70, 6]
    assert found.row("Top", instant("10:15:00"))["missing"] == 1


def test_boundary_meters_measure_their_zone(tmp_path: Path) -> None:
    meters = f"{METER}edge,Station,,boundary,1.8.0|2.8.0,100,,\n"
    topology = read_plain_topology(topology_folder(tmp_path, meters))
    found = recompute(
        readings(
            *(
                ("m", "1.8.0", time, value, 0)
                for time, value in (("10:00:00", 0), ("10:15:00", 100), ("10:30:00", 200))
            ),
            *(
                ("edge", "1.8.0", time, value, 0)
                for time, value in (("10:00:00", 0), ("10:15:00", 115), ("10:30:00", 230))
            ),
            *(("edge", "2.8.0", time, value, 0) for time, value in (("10:00:00", 0), ("10:15:00", 5))),
        ),
        topology,
    )
    rows = [found.row("Station", instant(t)) for t in ("10:00:00", "10:15:00")]
    assert [row["unaccounted_wh"] for row in rows] == [10, None]
    assert [row["losses_wh"] for row in rows] == [10, None]
    assert [row["expected"] for row in rows] == [1, 1]
    assert found.row("Top", instant("10:00:00"))["unaccounted_wh"] is None


def test_readings_over_400_days_apart_bracket_nothing(tmp_path: Path) -> None:
    topology = read_plain_topology(topology_folder(tmp_path, METER))
    year = 400 * 86_400
    start = instant("10:00:00")
    ts = pa.array([start, start + year, start + 2 * year + 1], pa.timestamp("s", tz="UTC"))
    table = pa.table({"meter": ["m"] * 3, "register": ["1.8.0"] * 3, "ts": ts, "value": [0, year, 2 * year]})
    found = recompute(table, topology)
    windows = found.windows("Top")
    assert windows[-1] == start + year - 900
    assert len(windows) == year // 900


def test_the_comparison_sees_one_watt_hour(tmp_path: Path) -> None:
    topology = read_plain_topology(topology_folder(tmp_path, METER))
    found = recompute(readings(("m", "1.8.0", "10:00:00", 0, 0), ("m", "1.8.0", "10:15:00", 70, 0)), topology)
    row = found.row("Top", instant("10:00:00"))
    given = row | {"self_sufficiency": 0.0}
    equal, other = Comparison(), Comparison()
    hold_row(equal, "here", row, given)
    hold_row(other, "here", row, given | {"withdrawn_wh": 71})
    assert equal.shown() == ""
    assert "here withdrawn_wh: recomputed 70, the service has 71" in other.shown()
    assert row["self_sufficiency"] == Fraction(0)
