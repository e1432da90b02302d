"""The demo's endless weeks: registers go on counting, power and content repeat, no instant comes twice."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deploy.demo_week import endless_weeks

BEGIN = datetime(2016, 6, 6, tzinfo=UTC)
WEEK = timedelta(days=7)
MIDDLE = timedelta(days=3)


def week_file(folder: Path) -> Path:
    rows = [
        (meter, register, BEGIN + step * days, value)
        for meter, register, values in (
            ("a", "1.8.0", (100, 140, 150)),
            ("a", "1.7.0", (5, 6, 5)),
            ("b", "2.8.0", (0, 0, 7)),
            ("b", "soc", (9, 1, 8)),
        )
        for step, days, value in zip((0, 1, 1), (MIDDLE, MIDDLE, WEEK), values, strict=True)
    ]
    meters, registers, ts, values = zip(*rows, strict=True)
    table = pa.table(
        {
            "meter": list(meters),
            "register": list(registers),
            "ts": pa.array(ts, pa.timestamp("ms", tz="UTC")),
            "value": pa.array(values, pa.int64()),
        }
    )
    pq.write_table(table, folder / "week.parquet")
    return folder / "week.parquet"


def test_each_week_follows_the_one_before(tmp_path: Path) -> None:
    batches = islice(endless_weeks(week_file(tmp_path)), 3)
    rows: list[dict[str, Any]] = [row for batch in batches for row in batch.to_pylist()]
    found: dict[tuple[str, str], list[tuple[timedelta, int]]] = {}
    for row in rows:
        found.setdefault((row["meter"], row["register"]), []).append((row["ts"] - BEGIN, row["value"]))
    times = [timedelta(0), MIDDLE, WEEK, WEEK + MIDDLE, 2 * WEEK, 2 * WEEK + MIDDLE, 3 * WEEK]
    values = {
        ("a", "1.8.0"): [100, 140, 150, 190, 200, 240, 250],
        ("a", "1.7.0"): [5, 6, 5, 6, 5, 6, 5],
        ("b", "2.8.0"): [0, 0, 7, 7, 14, 14, 21],
        ("b", "soc"): [9, 1, 8, 1, 8, 1, 8],
    }
    assert found == {series: list(zip(times, counted, strict=True)) for series, counted in values.items()}
    assert [row["ts"] for row in rows] == sorted(row["ts"] for row in rows)
