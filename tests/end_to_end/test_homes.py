"""Fifteen real homes with hourly registers: every window is estimated and exact, however badly the readings arrive.

The tests of this file run in their order, on one system.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.end_to_end.compare import compare_with_api, compare_with_tables
from tests.end_to_end.recompute import recompute
from tests.end_to_end.recompute_topology import read_plain_topology
from tests.end_to_end.slices import HOMES, between, write
from tests.system import SystemUnderTest, running_bilans

SUMMER = "2016-08-01T00:00:00Z", "2016-10-01T00:00:00Z"
AUTUMN = "2016-10-01T01:00:00Z", "2016-12-01T00:00:00Z"
LATE = "2016-12-01T01:00:00Z", "2017-02-28T00:00:00Z"
NEWEST = "2017-02-28T01:00:00Z", "2017-04-01T00:00:00Z"
SHUFFLE_S = 40 * 3600
"""Readings come up to so much out of order: less than the 48 hours within which nothing waits in the late queue."""
REQUEST_READINGS = 7_000

TAKES_THE_WRONG_VALUE, COMES_TWICE, HAS_A_CONFLICT = 0.05, 0.10, 0.02


@dataclass
class Delivery:
    """One delivery: the series' reading, and when it is sent."""

    sent_at: float
    reading: dict[str, Any]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    with running_bilans(tmp_path_factory.mktemp("homes"), HOMES) as running:
        yield running


def bad_delivery(clean: pa.Table, seed: int) -> tuple[list[dict[str, Any]], int]:
    """The readings of `clean` shuffled, doubled and corrected, and how many conflicts are among them.

    A corrected one comes with a wrong value and version 0, and with the true value and version 3 before or after it.
    A conflict is the same version with another value, after the true one.
    """
    chance = random.Random(seed)
    deliveries: list[Delivery] = []
    conflicts = 0
    columns = clean.select(["meter", "register", "value"]).to_pydict()
    texts = pc.strftime(clean["ts"].cast(pa.timestamp("s", tz="UTC")), "%Y-%m-%dT%H:%M:%SZ").to_pylist()
    seconds = clean["ts"].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_pylist()
    for meter, register, value, text, at in zip(*columns.values(), texts, seconds, strict=True):
        reading = {"meter": meter, "register": register, "ts": text, "value": value}
        sent_at = at + chance.uniform(0, SHUFFLE_S)
        kind = chance.random()
        if kind < TAKES_THE_WRONG_VALUE:
            wrong = reading | {"value": value + chance.randint(1, 10**6)}
            deliveries.append(Delivery(at + chance.uniform(0, SHUFFLE_S), wrong))
            reading["version"] = 3
        elif kind < TAKES_THE_WRONG_VALUE + COMES_TWICE:
            deliveries.append(Delivery(at + chance.uniform(0, SHUFFLE_S), dict(reading)))
        elif kind < TAKES_THE_WRONG_VALUE + COMES_TWICE + HAS_A_CONFLICT:
            deliveries.append(Delivery(sent_at + 60, reading | {"value": value + 1}))
            conflicts += 1
        deliveries.append(Delivery(sent_at, reading))
    deliveries.sort(key=lambda delivery: delivery.sent_at)
    return [delivery.reading for delivery in deliveries], conflicts


async def test_hourly_readings_in_order(system: SystemUnderTest, tmp_path: Path) -> None:
    clean = between(HOMES, *SUMMER)
    report = system.replay(write(clean, tmp_path / "homes.parquet"))
    assert (report["applied"], report["rejected"]) == (len(clean), 0)
    recomputation = recompute(clean, read_plain_topology(HOMES))
    tables = await compare_with_tables(system.addresses.database_url, recomputation)
    assert tables.shown() == ""
    answers = await compare_with_api(system.addresses.api, recomputation, ["CLUSTER", "LV-A1"])
    assert answers.shown() == ""
    assert tables.windows > 5 * 60 * 96
    assert all(
        recomputation.partial("CLUSTER", start_s)["measured"] == 0 for start_s in recomputation.windows("CLUSTER")
    )


async def test_shuffled_doubled_and_corrected_readings_give_the_same(system: SystemUnderTest) -> None:
    before = system.get("/v1/audit")["received"]
    deliveries, conflicts = bad_delivery(between(HOMES, *AUTUMN), seed=7)
    for start in range(0, len(deliveries), REQUEST_READINGS):
        part = deliveries[start : start + REQUEST_READINGS]
        assert system.post_readings(b"\n".join(orjson.dumps(reading) for reading in part))["rejected"] == 0
    books = system.wait_handled(before + len(deliveries))
    assert books["received"] == before + len(deliveries)
    assert books["rejected"] == {"conflict": conflicts}
    assert books["pending"] == 0
    assert books["difference"] == 0
    clean = recompute(between(HOMES, SUMMER[0], AUTUMN[1]), read_plain_topology(HOMES))
    assert (await compare_with_tables(system.addresses.database_url, clean)).shown() == ""


async def test_months_that_come_late_and_a_correction_of_last_year(system: SystemUnderTest, tmp_path: Path) -> None:
    """Rule 11: what is older than the 48 hours in memory waits, and is applied with what the archive knows."""
    system.replay(write(between(HOMES, *NEWEST), tmp_path / "newest.parquet"))
    late = between(HOMES, *LATE)
    report = system.replay(write(late, tmp_path / "late.parquet"))
    assert report["applied"] + report["unchanged"] == len(late)
    assert report["pending"] == 0
    whole = between(HOMES, SUMMER[0], NEWEST[1])
    correction = {"meter": whole["meter"][0].as_py(), "register": "1.8.0", "ts": "2016-08-15T12:00:00Z"}
    corrected = with_correction(whole, correction, 12_345, version=1)
    line = orjson.dumps(correction | {"value": 12_345, "version": 1})
    before = system.get("/v1/audit")
    assert system.post_readings(line)["accepted"] == 1
    books = system.wait_in_balance(before["received"] + 1)
    assert (books["applied"], books["pending"], books["difference"]) == (before["applied"] + 1, 0, 0)
    recomputation = recompute(corrected, read_plain_topology(HOMES))
    assert (await compare_with_tables(system.addresses.database_url, recomputation)).shown() == ""
    assert (await compare_with_api(system.addresses.api, recomputation, ["CLUSTER"])).shown() == ""


def with_correction(readings: pa.Table, correction: dict[str, str], value: int, version: int) -> pa.Table:
    """`readings` and one more, a higher version of one that is among them."""
    at = pa.scalar(datetime.fromisoformat(correction["ts"])).cast(readings.schema.field("ts").type)
    row = {"meter": [correction["meter"]], "register": [correction["register"]], "ts": [at], "value": [value]}
    versions = readings.append_column("version", pa.array([0] * len(readings), pa.int32()))
    columns = {name: pa.array(row[name]).cast(versions.schema.field(name).type) for name in row}
    return pa.concat_tables([versions, pa.table(columns | {"version": pa.array([version], pa.int32())})])
