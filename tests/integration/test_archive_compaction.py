"""Compaction on real files: a history is the same before, beside and after it, wherever it is stopped."""

import asyncio
import itertools
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from services.balancer.compaction import FILES_MERGED, Compaction
from services.balancer.giving_way import GivingWay
from shared.archive.files import Archive
from shared.archive.history import ArchivedReadings, read_history, read_messages
from shared.archive.merge import count_deliveries, merge
from shared.archive.message import ArchivedMessage
from shared.readings_message import ReadingColumns
from shared.topology.index import empty_topology
from tests.unit.small_topology import no_topology, small_topology

Row = tuple[int, int, int, int, int, int]
"""Slot, instant, value, version, log offset, position."""
MESSAGES = 60


def message(offset: int, rows: list[tuple[int, int, int, int]]) -> ArchivedMessage:
    """A message of readings: slot, instant, value, version."""
    slot, ts_s, value, version = (list(column) for column in zip(*rows, strict=True))
    return ArchivedMessage(
        offset,
        ReadingColumns(
            np.array(slot, np.int32), np.array(ts_s, np.int64), np.array(value, np.int64), np.array(version, np.int32)
        ),
    )


def some_messages(seed: int = 1, count: int = MESSAGES) -> list[ArchivedMessage]:
    """Messages with many doubles, conflicts and corrections among them."""
    random = np.random.default_rng(seed)
    messages = []
    for offset in range(count):
        size = int(random.integers(1, 30))
        drawn = zip(*(random.integers(0, high, size).tolist() for high in (6, 40, 3, 3)), strict=True)
        messages.append(message(offset, list(drawn)))
    return messages


def rows_of(messages: list[ArchivedMessage]) -> list[Row]:
    return [
        (slot, ts_s, value, version, m.offset, position)
        for m in messages
        for position, (slot, ts_s, value, version) in enumerate(
            zip(
                m.readings.slot.tolist(),
                m.readings.ts_s.tolist(),
                m.readings.value.tolist(),
                m.readings.version.tolist(),
                strict=True,
            )
        )
    ]


def firsts(rows: list[Row]) -> list[Row]:
    """Of each slot, instant and version the first in the log, in the order of slot and log."""
    found: dict[tuple[int, int, int], Row] = {}
    for row in sorted(rows, key=lambda row: row[4:]):
        found.setdefault((row[0], row[1], row[3]), row)
    return sorted(found.values(), key=lambda row: (row[0], row[4], row[5]))


def given_back(readings: ArchivedReadings) -> list[Row]:
    columns = (readings.slot, readings.ts_s, readings.value, readings.version, readings.log_offset, readings.position)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def write_singly(archive: Archive, messages: list[ArchivedMessage]) -> None:
    """A file a message: each holds what came since the one before."""
    end_offset = 0
    for one in messages:
        archive.write(0, end_offset, one.offset + 1, [one], small_topology())
        end_offset = one.offset + 1


def compact(archive: Archive) -> None:
    compaction = Compaction(archive, no_topology, dict, GivingWay(lambda: False))
    while compaction.step(0, small_topology()):
        pass


MESSAGE_ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=5
)


@given(
    contents=st.lists(MESSAGE_ROWS, min_size=2, max_size=30),
    ends=st.sets(st.integers(1, 29), max_size=12),
    doubled=st.lists(st.tuples(st.integers(0, 29), st.integers(1, 12)), max_size=3),
    merged=st.lists(st.tuples(st.integers(0, 8), st.integers(2, 6)), max_size=3),
    slots=st.none() | st.lists(st.integers(0, 5), unique=True),
    end_offset=st.integers(0, 35),
)
@settings(max_examples=60, deadline=None)
def test_a_history_is_what_a_plain_filter_finds(
    contents: list[list[tuple[int, int, int, int]]],
    ends: set[int],
    doubled: list[tuple[int, int]],
    merged: list[tuple[int, int]],
    slots: list[int] | None,
    end_offset: int,
) -> None:
    messages = [message(offset, rows) for offset, rows in enumerate(contents)]
    borders = sorted({0, len(messages), *(end for end in ends if end < len(messages))})
    files = [*itertools.pairwise(borders), *((first, first + count) for first, count in doubled)]
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(folder)
        for first, end in files:
            part = messages[first:end]
            if part:
                archive.write(0, first, part[-1].offset + 1, part, small_topology())
        compacted = False
        for first, count in merged:
            pieces = archive.cover(0)[first : first + count]
            if len(pieces) > 1:
                merge(archive, 0, pieces, small_topology())
                compacted = True
        chosen = None if slots is None else np.array(sorted(slots), np.int32)
        found = given_back(read_history(archive, 0, chosen, end_offset))
    wanted = [row for row in rows_of(messages) if row[4] < end_offset and (slots is None or row[0] in slots)]
    assert found == sorted(found, key=lambda row: (row[0], row[4], row[5]))
    assert len(found) == len(set(found))
    assert set(found) <= set(wanted)
    assert firsts(found) == firsts(wanted)
    if not compacted:
        assert len(found) == len(wanted)


def test_many_files_become_one_and_only_doubles_go(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    messages = some_messages()
    write_singly(archive, messages)
    compact(archive)
    assert len(archive.files(0)) < FILES_MERGED
    assert archive.next_offset(0) == MESSAGES
    assert firsts(given_back(read_history(archive, 0, None, MESSAGES))) == firsts(rows_of(messages))
    counted = [count_deliveries(archive, piece) for piece in archive.cover(0)]
    assert None not in counted
    assert sum(count or 0 for count in counted) == len(rows_of(messages))
    table = archive.read(archive.files(0)[0].path)
    order = list(zip(*(table[name].to_pylist() for name in ("slot", "ts", "version")), strict=True))
    assert order == sorted(set(order))


def test_messages_come_back_in_the_order_of_the_log_up_to_where_one_is_missing(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    messages = some_messages()
    write_singly(archive, messages[:40])
    compact(archive)
    archive.write(0, 41, 60, messages[41:], small_topology())
    stretches = list(read_messages(archive, 0, 5, 60))
    found = [m for stretch in stretches for m in stretch.messages]
    assert [m.offset for m in found] == sorted({m.offset for m in found})
    rows = [(slot, ts_s, value, version) for slot, ts_s, value, version, *_ in rows_of(found)]
    before = {(row[0], row[1], row[3]) for row in rows_of(messages[:5])}
    expected = sorted(firsts(rows_of(messages[:40])), key=lambda row: row[4:])
    assert [row for row in rows if (row[0], row[1], row[3]) not in before] == [
        row[:4] for row in expected if (row[0], row[1], row[3]) not in before
    ]
    assert stretches[-1].end_offset == 40


def test_a_large_file_is_read_in_part_for_one_series(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    slot = np.repeat(np.arange(300, dtype=np.int32), 1000)
    ts_s = np.tile(np.arange(1000, dtype=np.int64), 300)
    for half in (0, 1):
        columns = ReadingColumns(slot, ts_s + 1000 * half, ts_s, np.zeros(len(slot), np.int32))
        archive.write(0, half, half + 1, [ArchivedMessage(half, columns)], empty_topology())
    path = merge(archive, 0, archive.cover(0), empty_topology())
    with archive.open(path) as file:
        groups = file.metadata.num_row_groups
    assert groups > 8
    read: list[int] = []
    readings = read_history(_Counting(archive, read), 0, np.array([7, 290], np.int32), 2)
    assert len(readings) == 4000
    assert sum(read) <= 4


class _Counting(Archive):
    """The same archive, which notes how many row groups are read."""

    def __init__(self, archive: Archive, read: list[int]) -> None:
        self.__dict__.update(archive.__dict__)
        self._read = read

    def open(self, path: str) -> pq.ParquetFile:
        file = super().open(path)
        read, counted = file.read_row_groups, self._read

        def read_row_groups(groups: list[int], **named: Any) -> Any:
            counted.append(len(groups))
            return read(groups, **named)

        file.read_row_groups = read_row_groups
        return file


def test_names_that_were_not_known_come_with_compaction_and_known_ones_stay(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    archive.write(0, 0, 1, [message(0, [(0, 1, 1, 0)])], small_topology())
    archive.write(0, 1, 2, [message(1, [(1, 1, 1, 0)])], empty_topology())
    table = archive.read(merge(archive, 0, archive.cover(0), empty_topology()))
    assert table["meter"].to_pylist() == ["load", None]
    archive.write(0, 2, 3, [message(2, [(2, 1, 1, 0)])], empty_topology())
    table = archive.read(merge(archive, 0, archive.cover(0), small_topology()))
    assert table["meter"].to_pylist() == ["load", "sun", "battery"]
    assert table["register"].to_pylist() == ["1.8.0", "2.8.0", "1.8.0"]


class _DeathError(Exception):
    """Where the process died."""


class _MortalFiles(LocalFileSystem):  # type: ignore[misc]
    """Local files under `mortal://`, on which a writer dies before its n-th step: a write, a rename or a delete."""

    protocol = "mortal"
    cachable = False
    steps: Iterator[int] = itertools.count()
    dies_at: int | None = None

    def _step(self) -> None:
        if next(type(self).steps) == type(self).dies_at:
            raise _DeathError

    def open(self, path: str, mode: str = "rb", **named: Any) -> Any:
        file = super().open(path, mode, **named)
        if "w" in mode:
            file.write(b"half of a file")
            self._step()
            file.seek(0)
        return file

    def mv(self, path1: str, path2: str, **named: Any) -> None:
        self._step()
        super().mv(path1, path2, **named)

    def rm_file(self, path: str) -> None:
        self._step()
        super().rm_file(path)


def test_a_crash_at_any_point_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    fsspec.register_implementation("mortal", _MortalFiles, clobber=True)
    messages = some_messages(count=20)
    crashes = 0
    for dies_at in itertools.count():
        archive = Archive(f"mortal://{tmp_path}/{dies_at}")
        _MortalFiles.dies_at = None
        write_singly(archive, messages)
        _MortalFiles.steps, _MortalFiles.dies_at = itertools.count(), dies_at
        try:
            compact(archive)
        except _DeathError:
            crashes += 1
        else:
            break
        found = given_back(read_history(archive, 0, None, 20))
        assert len(found) == len(set(found))
        assert firsts(found) == firsts(rows_of(messages))
        compact(archive)
        assert len(archive.files(0)) < FILES_MERGED
        assert firsts(given_back(read_history(archive, 0, None, 20))) == firsts(rows_of(messages))
    assert crashes >= 2 + 2 * FILES_MERGED  # before the rename, at it, and at each delete


def test_two_at_once_harm_nothing_and_a_reader_does_not_notice(tmp_path: Path) -> None:
    messages = some_messages(count=200)
    expected = firsts(rows_of(messages))
    failures: list[BaseException] = []

    def work() -> None:
        archive = Archive(str(tmp_path))
        compaction = Compaction(archive, no_topology, dict, GivingWay(lambda: False))
        going = True
        while going:
            try:
                going = compaction.step(0, small_topology())
            except FileNotFoundError:
                continue  # the other was quicker
            except BaseException as error:
                failures.append(error)
                return

    write_singly(Archive(str(tmp_path)), messages)
    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    reads = 0
    while any(worker.is_alive() for worker in workers) or reads == 0:
        found = given_back(read_history(Archive(str(tmp_path)), 0, None, 200))
        assert len(found) == len(set(found))
        assert firsts(found) == expected
        reads += 1
    for worker in workers:
        worker.join()
    assert failures == []
    compact(Archive(str(tmp_path)))
    assert firsts(given_back(read_history(Archive(str(tmp_path)), 0, None, 200))) == expected


async def test_it_runs_beside_the_event_loop(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    messages = some_messages(count=100)
    write_singly(archive, messages)
    running = asyncio.create_task(Compaction(archive, no_topology, lambda: {0: 100}, GivingWay(lambda: False)).run())
    turns = 0
    async with asyncio.timeout(60):
        while len(archive.files(0)) >= FILES_MERGED:
            await asyncio.sleep(0)
            turns += 1
            assert not running.done()
    running.cancel()
    assert turns > 5  # the loop went round meanwhile
    assert firsts(given_back(read_history(archive, 0, None, 100))) == firsts(rows_of(messages))


def test_an_archive_may_be_a_url() -> None:
    archive = Archive("memory://bilans-archive-of-a-test")
    messages = some_messages(count=16)
    write_singly(archive, messages)
    compact(archive)
    assert len(archive.files(0)) < FILES_MERGED
    assert firsts(given_back(read_history(archive, 0, None, 16))) == firsts(rows_of(messages))
    assert archive.next_offset(0) == 16
