"""Slices of series out of the archive: the readings that `read_history` gives, whatever the files and row groups."""

import uuid

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.verify.recompute import Extent
from shared.archive import series_reader
from shared.archive.files import Archive
from shared.archive.history import ArchivedReadings, read_history
from shared.archive.merge import merge
from shared.archive.series_reader import SeriesReader
from shared.balance.history import standing
from shared.balance.memory import Int32Array, Int64Array
from shared.balance.whole_series import SeriesRuns
from tests.unit.small_topology import small_topology
from tests.unit.test_verify_recompute import DAY, Reading, message

SLOTS = 6
READINGS = st.tuples(
    st.integers(0, SLOTS - 1), st.integers(0, 20).map(lambda k: DAY + 900 * k), st.integers(0, 3), st.integers(0, 2)
)
Columns = tuple[Int64Array, Int64Array, Int32Array]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of three rows, two files kept open, 20 rows kept: what large archives meet is met by small ones."""
    defaults = Archive.write_table.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "row_group_rows", 3)
    monkeypatch.setattr(series_reader, "_OPEN_FILES_MAX", 2)
    monkeypatch.setattr(series_reader, "_KEPT_ROWS_MAX", 20)


def written(contents: list[list[Reading]], merges: list[tuple[int, int]]) -> Archive:
    """An archive with a file for each message, some of which are merged."""
    archive = Archive(f"memory://series-{uuid.uuid4()}")
    for offset, readings in enumerate(contents):
        archive.write(0, offset, offset + 1, [message(offset, readings)], small_topology())
    for first, count in merges:
        pieces = archive.cover(0)[first : first + count]
        if len(pieces) > 1:
            merge(archive, 0, pieces, small_topology())
    return archive


def series_of(runs: SeriesRuns, k: int) -> Columns:
    """A series' readings as they come."""
    parts = [slice(runs.begin[run], runs.end[run]) for run in range(runs.first_run[k], runs.first_run[k + 1])]
    places = np.concatenate([np.zeros(0, np.int64), *(np.arange(part.start, part.stop) for part in parts)])
    return runs.ts_s[places], runs.value[places], runs.version[places]


def rows(columns: Columns) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(
    contents=st.lists(st.lists(READINGS, min_size=1, max_size=10), min_size=1, max_size=8),
    merges=st.lists(st.tuples(st.integers(0, 3), st.integers(2, 8)), max_size=2),
    ahead=st.integers(0, 2),
    part=st.integers(0, 5),
    waiting=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 9)), max_size=3),
    slices=st.integers(1, SLOTS),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_slices_have_what_the_histories_have(
    contents: list[list[Reading]],
    merges: list[tuple[int, int]],
    ahead: int,
    part: int,
    waiting: set[tuple[int, int]],
    slices: int,
) -> None:
    archive = written(contents, merges)
    offsets, positions = np.array([*waiting, (99, 0)]).T
    extent = Extent(0, max(0, len(contents) - ahead), part, offsets, positions.astype(np.int32))
    history = read_history(archive, 0, None, extent.end_offset)
    history = history.take(extent.taken(history.log_offset, history.position))
    with SeriesReader(archive, 0, extent.end_offset, extent, 2) as reader:
        before: SeriesRuns | None = None
        for slots in np.array_split(np.arange(SLOTS, dtype=np.int32), slices):
            runs = reader.read(slots)
            assert runs.slot.tolist() == slots.tolist()
            check(before, history)  # a slice stands until the one after the next is read
            before = runs
        check(before, history)


def check(runs: SeriesRuns | None, history: ArchivedReadings) -> None:
    """Holds a slice to the histories."""
    for k, slot in enumerate(runs.slot.tolist() if runs is not None else []):
        assert runs is not None
        mine = history.take(history.slot == slot)
        found = series_of(runs, k)
        assert sorted(rows(found)) == sorted(rows((mine.ts_s, mine.value, mine.version)))
        assert rows(standing(*found)) == rows(standing(mine.ts_s, mine.value, mine.version))


def test_a_file_that_is_merged_between_slices_is_read_where_it_went() -> None:
    contents = [[(slot, DAY + 900 * offset, offset, 0) for slot in range(SLOTS)] for offset in range(6)]
    archive = written(contents, [])
    extent = Extent(0, 6, 0, np.zeros(0, np.int64), np.zeros(0, np.int32))
    with SeriesReader(archive, 0, 6, extent, 2) as reader:
        for slot in range(SLOTS):
            found = series_of(reader.read(np.array([slot], np.int32)), 0)
            assert rows(found) == [(DAY + 900 * offset, offset, 0) for offset in range(6)]
            if slot in (1, 3):
                merge(archive, 0, archive.cover(0)[:3], small_topology())


def test_slots_without_a_file_have_no_readings() -> None:
    extent = Extent(0, 0, 0, np.zeros(0, np.int64), np.zeros(0, np.int32))
    with SeriesReader(Archive(f"memory://series-{uuid.uuid4()}"), 0, 0, extent, 2) as reader:
        runs = reader.read(np.arange(3, dtype=np.int32))
    assert [len(series_of(runs, k)[0]) for k in range(3)] == [0, 0, 0]
