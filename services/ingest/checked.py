"""Deliveries after the columnar check: what is surely good stands in columns, what is not waits for `judge`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.ingest.grouping import count_by_partition, scatter_by_partition
from services.ingest.lookup import NO_PARTITION, SeriesLookup
from services.ingest.name_table import NOT_FOUND
from services.ingest.reading_rules import Rejection, judge
from shared.readings_message import ReadingColumns
from shared.words import REGISTERS


class UnreadableBodyError(ValueError):
    """A body that cannot be read at all: nothing of it counts (design rule 10)."""


class TooLargeBodyError(ValueError):
    """A body that holds more than one body may: nothing of it counts."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rejected delivery of a body."""

    index: int
    """Its place among the deliveries, from 0."""
    original: bytes
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Checked:
    """The deliveries of one body, a column each, all of the same length."""

    good: npt.NDArray[np.bool_]
    """Where the other columns hold a good reading."""
    partition: npt.NDArray[np.int16]
    slot: npt.NDArray[np.int32]
    ts_s: npt.NDArray[np.int64]
    value: npt.NDArray[np.int64]
    version: npt.NDArray[np.int32]
    original: Callable[[int], bytes]
    """A delivery's own bytes, or its canonical JSON."""
    unpacked_bytes: int = 0
    """What `original` holds in memory beside the body itself."""

    def __len__(self) -> int:
        """How many deliveries."""
        return len(self.good)

    @property
    def held_bytes(self) -> int:
        """What these deliveries take in memory beside the body."""
        columns = (self.good, self.partition, self.slot, self.ts_s, self.value, self.version)
        return self.unpacked_bytes + sum(column.nbytes for column in columns)

    def doubtful(self) -> npt.NDArray[np.int64]:
        """The deliveries that `judge_some` has to look at."""
        return np.flatnonzero(~self.good)

    def judge_some(self, indices: npt.NDArray[np.int64], lookup: SeriesLookup, latest_s: int) -> list[Rejected]:
        """Judges these deliveries one by one; the good ones go into the columns, the rejected ones are returned."""
        rejected = []
        for index in indices.tolist():
            original = self.original(index)
            verdict = judge(original, lookup, latest_s)
            if isinstance(verdict, Rejection):
                rejected.append(Rejected(index, original, verdict))
            else:
                self.good[index] = True
                self.partition[index], self.slot[index] = verdict.partition, verdict.slot
                self.ts_s[index], self.value[index], self.version[index] = verdict[2:]
        return rejected

    def by_partition(self, readings_max: int) -> Iterator[tuple[int, ReadingColumns]]:
        """The good readings, at most `readings_max` at a time, each time of one partition, in the order they came."""
        if not self.good.any():
            return
        counts = np.zeros(int(self.partition.max()) + 1, np.int64)
        count_by_partition(self.partition, self.good, counts)
        ends = np.cumsum(counts)
        grouped = self._grouped(ends - counts)
        for number in np.flatnonzero(counts).tolist():
            end = int(ends[number])
            for start in range(end - int(counts[number]), end, readings_max):
                yield number, _part(grouped, slice(start, min(start + readings_max, end)))

    def _grouped(self, places: npt.NDArray[np.int64]) -> ReadingColumns:
        """The good readings, those of a partition from its place on."""
        count = np.count_nonzero(self.good)
        grouped = ReadingColumns(
            np.empty(count, np.int32), np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int32)
        )
        scatter_by_partition(
            self.partition,
            self.good,
            places,
            *(self.slot, self.ts_s, self.value, self.version),
            *(grouped.slot, grouped.ts_s, grouped.value, grouped.version),
        )
        return grouped


def _part(readings: ReadingColumns, rows: slice) -> ReadingColumns:
    return ReadingColumns(readings.slot[rows], readings.ts_s[rows], readings.value[rows], readings.version[rows])


def place_columns(
    lookup: SeriesLookup, meter_index: npt.NDArray[np.int32], register_index: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Partition (NO_PARTITION where there is no such series) and slot of whole columns of meters and registers.

    These are indices in the lookup's name tables, or NOT_FOUND.
    """
    known = (meter_index != NOT_FOUND) & (register_index != NOT_FOUND)
    series = meter_index.astype(np.int64) * len(REGISTERS) + lookup.register_code[register_index]
    if known.all():
        return lookup.partition[series], lookup.slot[series]
    series[~known] = 0
    return np.where(known, lookup.partition[series], np.int16(NO_PARTITION)), lookup.slot[series]
