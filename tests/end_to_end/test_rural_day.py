"""A day of 6,936 meters through the whole system: every zone and window against the recomputation, also after a restart
and under a topology that changes while it runs. The tests of this file run in their order, on one system."""

import csv
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import orjson
import pyarrow as pa
import pytest

from tests.end_to_end.compare import Comparison, compare_with_api, compare_with_tables, fetch_balance, hold_row
from tests.end_to_end.recompute import Recomputation, answer, recompute
from tests.end_to_end.recompute_topology import QUARTER_S, read_plain_topology
from tests.end_to_end.slices import RURAL_WEEK, between, write
from tests.system import SystemUnderTest, running_bilans

DAY = "2016-06-06T22:00:00Z", "2016-06-07T22:00:00Z"
"""The local day 2016-06-07 in Europe/Warsaw."""
SOME_ZONES = ("CLUSTER", "GPZ-1", "F-ZYWIEC")


@pytest.fixture(scope="module")
def day() -> pa.Table:
    return between(RURAL_WEEK, *DAY)


@pytest.fixture(scope="module")
def recomputation(day: pa.Table) -> Recomputation:
    return recompute(day, read_plain_topology(RURAL_WEEK))


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    with running_bilans(tmp_path_factory.mktemp("rural"), RURAL_WEEK) as running:
        yield running


async def test_every_zone_and_window_is_exact(
    system: SystemUnderTest, day: pa.Table, recomputation: Recomputation, tmp_path: Path
) -> None:
    report = system.replay(write(day, tmp_path / "day.parquet"))
    assert (report["sent"], report["applied"]) == (len(day), len(day))
    assert (report["unchanged"], report["pending"], report["rejected"]) == (0, 0, 0)
    assert 0 < report["p50_ms"] <= report["p99_ms"]
    tables = await compare_with_tables(system.addresses.database_url, recomputation)
    assert tables.shown() == ""
    assert tables.windows == 107 * 96
    answers = await compare_with_api(system.addresses.api, recomputation)
    assert answers.shown() == ""
    assert answers.windows == 107 * 96


async def test_hours_and_the_day_are_sums_of_their_quarters(
    system: SystemUnderTest, recomputation: Recomputation
) -> None:
    starts = recomputation.windows("CLUSTER")
    comparison = Comparison()
    async with httpx.AsyncClient(base_url=system.addresses.api, timeout=60) as client:
        for zone in SOME_ZONES:
            quarters = [recomputation.partial(zone, start_s) for start_s in starts]
            for resolution, size in (("hour", 4), ("day", 96)):
                rows = await fetch_balance(client, zone, starts[0], starts[-1] + QUARTER_S, resolution)
                assert len(rows) == 96 // size
                for number, row in enumerate(rows):
                    expected = answer(quarters[number * size : (number + 1) * size])
                    hold_row(comparison, f"{zone} {resolution} {row['window_start']}", expected, row)
    assert comparison.shown() == ""


async def test_a_second_delivery_changes_nothing(
    system: SystemUnderTest, day: pa.Table, recomputation: Recomputation, tmp_path: Path
) -> None:
    before = system.get("/v1/audit")
    last_hours = write(between(RURAL_WEEK, "2016-06-07T12:00:00Z", DAY[1]), tmp_path / "again.parquet")
    report = system.replay(last_hours, "--order", "file")
    assert (report["applied"], report["unchanged"]) == (0, report["sent"])
    books = system.get("/v1/audit")
    assert books["received"] == before["received"] + report["sent"]
    assert books["difference"] == 0
    assert (await compare_with_tables(system.addresses.database_url, recomputation)).shown() == ""


async def test_all_of_it_is_there_after_a_restart(system: SystemUnderTest, recomputation: Recomputation) -> None:
    before = system.get("/v1/audit")
    system.stop()
    system.start()
    assert system.get("/v1/audit") == before
    assert (await compare_with_tables(system.addresses.database_url, recomputation)).shown() == ""
    assert (await compare_with_api(system.addresses.api, recomputation, SOME_ZONES)).shown() == ""


async def test_a_meter_that_is_added_while_it_runs_counts_from_its_first_reading(
    system: SystemUnderTest, day: pa.Table, tmp_path: Path
) -> None:
    topology = shutil.copytree(RURAL_WEEK, tmp_path / "topology", ignore=shutil.ignore_patterns("*.parquet"))
    with (topology / "meters.csv").open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow(["NEW", "F-ZYWIEC", "", "consumer", "1.8.0", "20", "", ""])
    reading = {"meter": "NEW", "register": "1.8.0", "ts": DAY[0], "value": 1_000}
    refused = system.post_readings(orjson.dumps(reading))
    assert [error["reason"] for error in refused["errors"]] == ["unknown_meter"]
    system.load_topology(topology)
    start = datetime.fromisoformat(DAY[0]).astimezone(UTC)
    later = [
        reading | {"ts": (start + timedelta(minutes=15 * k)).isoformat(), "value": 1_000 + 7 * k} for k in range(9)
    ]
    received = system.get("/v1/audit")["received"]
    assert system.post_readings(b"\n".join(orjson.dumps(line) for line in later))["accepted"] == 9
    assert system.wait_handled(received + 9)["rejected"] == {"unknown_meter": 1}
    schema = pa.schema([day.schema.field(name) for name in ("ts", "value")])
    added = pa.table({"meter": ["NEW"] * 9, "register": ["1.8.0"] * 9})
    for field in schema:
        values = [datetime.fromisoformat(str(line["ts"])) if field.name == "ts" else line["value"] for line in later]
        added = added.append_column(field.name, pa.array(values, field.type))
    plain = day.set_column(0, "meter", day["meter"].cast(pa.string()))
    plain = plain.set_column(1, "register", day["register"].cast(pa.string()))
    expected = recompute(pa.concat_tables([plain, added]), read_plain_topology(topology))
    assert (await compare_with_tables(system.addresses.database_url, expected)).shown() == ""
    assert (await compare_with_api(system.addresses.api, expected, SOME_ZONES)).shown() == ""
