"""Readings files as `bilans replay` reads them: each form says the same, wrong ones say what is wrong."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.replay.reading_file import open_reading_file
from shared.errors import BilansError

LINES = """version,meter,register,ts,note,value
0,m1,1.8.0,2026-05-01T10:15:00Z,x,10
2,"m,2",2.8.0,2026-05-01T12:15:00+02:00,,20
,m1,1.8.0,2026-05-01T10:30:00.900Z,,30
"""


def table() -> pa.Table:
    return pa.table(
        {
            "meter": ["m1", "m,2", "m1"],
            "register": ["1.8.0", "2.8.0", "1.8.0"],
            "ts": pa.array([1777630500000, 1777630500000, 1777631400900], pa.timestamp("ms", tz="UTC")),
            "value": [10, 20, 30],
            "version": pa.array([0, 2, 0], pa.int32()),
        }
    )


def readings(path: Path) -> list[dict[str, Any]]:
    """All readings of `path`, instants floored to seconds since 1970."""
    found: list[dict[str, Any]] = []
    for batch in open_reading_file(path).batches():
        found += [row | {"ts": int(row["ts"].timestamp())} for row in batch.to_pylist()]
    return found


def test_parquet_csv_and_gzip_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(LINES)
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(LINES.encode()))
    pq.write_table(table(), tmp_path / "plain.parquet")
    pq.write_table(table(), tmp_path / "without_dictionary.parquet", use_dictionary=False, store_schema=False)
    large = table().set_column(0, "meter", table()["meter"].cast(pa.large_string()))
    pq.write_table(large, tmp_path / "large.parquet")
    names = ("r.csv", "r.csv.gz", "plain.parquet", "without_dictionary.parquet", "large.parquet")
    found = [readings(tmp_path / name) for name in names]
    assert found[0] == [
        {"meter": "m1", "register": "1.8.0", "ts": 1777630500, "value": 10, "version": 0},
        {"meter": "m,2", "register": "2.8.0", "ts": 1777630500, "value": 20, "version": 2},
        {"meter": "m1", "register": "1.8.0", "ts": 1777631400, "value": 30, "version": 0},
    ]
    assert all(other == found[0] for other in found[1:])


def test_null_cells_stay_null(tmp_path: Path) -> None:
    holes = {"meter": [None, "m"], "register": ["1.8.0", None], "value": [None, 1]}
    pq.write_table(
        pa.table(holes | {"ts": pa.array([None, 5], pa.timestamp("s", tz="UTC"))}), tmp_path / "holes.parquet"
    )
    (batch,) = open_reading_file(tmp_path / "holes.parquet").batches()
    assert [column.null_count for column in batch.columns] == [1, 1, 1, 1]


def test_lines_without_a_readable_instant_or_number_are_kept_as_json(tmp_path: Path) -> None:
    rows = [
        "meter,register,ts,value",
        "m,1.8.0,2026-05-01T10:15:00Z,1",
        "m,1.8.0,yesterday,2",
        "m,1.8.0,2026-05-01T10:15:00,3",
        "m,1.8.0,2026-05-01T10:30:00Z,4.0",
        "m,1.8.0,2026-05-01T10:45:00Z,",
        "m,1.8.0,2026-05-01T11:00:00Z,-5",
    ]
    (tmp_path / "r.csv").write_text("\n".join(rows))
    file = open_reading_file(tmp_path / "r.csv")
    assert [value for batch in file.batches() for value in batch.column("value").to_pylist()] == [1]
    kept = [orjson.loads(line) for line in file.unreadable]
    assert [line["value"] for line in kept] == ["2", "3", "4.0", None, "-5"]
    assert kept[0] == {"meter": "m", "register": "1.8.0", "ts": "yesterday", "value": "2"}


def test_wrong_files_are_told_in_one_line_with_the_way_out(tmp_path: Path) -> None:
    def told(name: str) -> str:
        with pytest.raises(BilansError) as caught:
            list(open_reading_file(tmp_path / name).batches())
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "none.parquet is not a file" in told("none.parquet")
    (tmp_path / "short.csv").write_text("meter,ts,value\na,b,1\n")
    assert "no column register (it has meter, ts, value)" in told("short.csv")
    pq.write_table(table().drop_columns(["ts", "value"]), tmp_path / "short.parquet")
    assert "no column ts and no column value" in told("short.parquet")
    naive = table().set_column(2, "ts", pa.array([1, 2, 3], pa.timestamp("s")))
    pq.write_table(naive, tmp_path / "naive.parquet")
    assert "Column ts of" in told("naive.parquet")
    floats = table().set_column(3, "value", pa.array([1.0, 2.0, 3.0]))
    pq.write_table(floats, tmp_path / "floats.parquet")
    assert "Column value of" in told("floats.parquet")
    whole = (tmp_path / "short.parquet").read_bytes()
    (tmp_path / "torn.parquet").write_bytes(whole[: len(whole) // 2])
    assert "Is the file whole?" in told("torn.parquet")
    (tmp_path / "torn.csv").write_text("meter,register,ts,value\na,b\n")
    assert "Is the file whole?" in told("torn.csv")
    (tmp_path / "empty.csv").write_text("")
    assert "Is the file whole?" in told("empty.csv")
