"""Slices of the bundled data, small enough for every run of the tests."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
RURAL_WEEK = ROOT / "deploy" / "rural_week"
HOMES = ROOT / "tests" / "data" / "homes"


def between(folder: Path, start: str, end: str) -> pa.Table:
    """The readings of `folder` with start ≤ ts ≤ end (ISO 8601 with an offset): both edges of the windows between."""
    table = pq.read_table(folder / "readings.parquet")
    first, last = (pa.scalar(datetime.fromisoformat(text), table.schema.field("ts").type) for text in (start, end))
    return table.filter(pc.and_(pc.greater_equal(table["ts"], first), pc.less_equal(table["ts"], last)))


def write(table: pa.Table, file: Path) -> Path:
    """Writes a readings file."""
    pq.write_table(table, file)
    return file
