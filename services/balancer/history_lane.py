"""The work beside the stream: late readings, and windows older than memory after a change of topology (rules 11, 13).

A step takes some series with their history from the archive, works out what changes, and adds the difference to the
partition's next flush. It is fenced by `HistoryProgress.step`, as the stream is by its place in the log. No I/O happens
here: `history_worker.py` reads the archive and calls the steps.

A step of late readings is right for the place in the log where the partition stands at that moment: the history is all
that the archive has, and of what it may not have yet the tail.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from services.balancer.deferred import DeferredChanges
from services.balancer.differences import Differences
from services.balancer.flush_content import NO_BATCH, HistoryFlush, HistoryProgress, Recount, RememberedSeries
from services.balancer.remembered import packed_series
from services.balancer.tail import LoggedReadings, Tail, logged_in
from shared.archive.history import ArchivedReadings
from shared.balance.changes import Changes
from shared.balance.held import with_more_room
from shared.balance.history import (
    History,
    count_ranges,
    narrow_placement,
    remember_late,
    standing,
    touched_ranges,
    whole_memory,
    with_late,
)
from shared.balance.late import LateReadings, late_flags
from shared.balance.memory import Int8Array, Int32Array, Int64Array, SeriesMemory
from shared.balance.placement import Placement
from shared.limits import MEMORY_S, QUARTER_S
from shared.words import Outcome

_ROWS_MAX = 50_000
"""A step ends when so many rows and conflicts wait for the flush, so that its transaction stays well within its
time-out."""
_LONG_AGO_S = -(2**40)


@dataclass(frozen=True, slots=True)
class LateChunk:
    """Late readings of some series of a batch, and these series' history."""

    late: LateReadings
    """In the order of (slot, place in the log)."""
    archived: ArchivedReadings
    """All of these series that the archive has before `archived_until`."""
    archived_until: int
    queue_begin: int
    """The first message of the late queue: what was late from here on is not taken yet."""
    until: int
    """The batch's last message."""


@dataclass(frozen=True, slots=True)
class RecountChunk:
    """Some series of a recount, ascending, and their history up to the switch."""

    recount: Recount
    slots: Int32Array
    archived: ArchivedReadings
    """All of these series that the archive has before the control record."""
    before: Placement
    after: Placement
    queue_begin: int


class HasMemory(Protocol):
    """Who owns the memory of the partition's series: it may be made larger."""

    memory: SeriesMemory


class HistoryLane:
    """How far a partition is with its work beside the stream, and what of that the tables lack."""

    def __init__(self, progress: HistoryProgress, recounts: list[Recount]) -> None:
        """Takes what the tables say."""
        self.progress = self.flushed = progress
        self.recounts = recounts
        """What is to be recounted still, in the order of the log; no late reading is taken before it is done."""
        self.tail = Tail(0)
        self.queue_begin = 0
        """Messages of the late queue before this one are done with, though the store may not know it yet."""
        self.deferred_done = 0
        """What was put off is added up to this number."""
        self._drained_until: int | None = None
        self._remembered: dict[int, RememberedSeries] = {}
        self._recounts_changed: dict[int, Recount] = {}

    def take_flush(self) -> HistoryFlush:
        """What the tables lack."""
        content = HistoryFlush(
            before=self.flushed,
            after=self.progress,
            drained_until=self._drained_until,
            remembered=list(self._remembered.values()),
            recounts=list(self._recounts_changed.values()),
            deferred_done=self.deferred_done,
        )
        self.flushed = self.progress
        self.forget_unpublished()
        return content

    def forget_unpublished(self) -> None:
        """Lets go of what waits for the flush."""
        self._drained_until = None
        self._remembered = {}
        self._recounts_changed = {}

    def add_recount(self, recount: Recount) -> None:
        """Notes what a switch of topology leaves to do."""
        self.recounts.append(recount)
        self._recounts_changed[recount.log_offset] = recount

    def take_deferred(self, deferred: DeferredChanges, differences: Differences) -> None:
        """Adds what a flush before has put off."""
        differences.add(deferred.changes)
        self.deferred_done = deferred.number
        self.progress = self.progress._replace(step=self.progress.step + 1)

    def take_late(
        self, chunk: LateChunk, next_offset: int, owner: HasMemory, placement: Placement, differences: Differences
    ) -> tuple[npt.NDArray[np.intp], Int8Array] | None:
        """Takes late readings of the chunk's series, from where an earlier call stopped, until a flush is due.

        Returns which of the chunk's readings were taken and their outcomes; None when the archive has not got far
        enough, or a recount must come first.
        """
        if self.recounts or self.tail.begin > chunk.archived_until:
            return None
        begin = int(np.searchsorted(chunk.late.slot, self.progress.late_slot))
        slots = np.unique(chunk.late.slot[begin:])
        logged = self.tail.after(chunk.archived, chunk.archived_until, slots)
        waits = late_flags(logged.slot, logged.ts_s) & (logged.log_offset >= chunk.queue_begin)
        logged = logged.keep(~waits)
        outcomes, late_slot, conflicts = [], self.progress.late_slot, 0
        for slot, known, late in _by_slot(slots, logged.slot, chunk.late.slot):
            if differences.rows + conflicts > _ROWS_MAX:
                break
            changed, outcome = _take_series(slot, logged, known, chunk.late, late, placement, differences)
            outcomes.append(outcome)
            conflicts += int((outcome == Outcome.CONFLICT).sum())
            late_slot = slot + 1
            if len(changed.ts_s):
                remember(owner, slot, changed)
                self._remembered[slot] = RememberedSeries(slot, next_offset, packed_series(owner.memory, slot))
        taken = np.concatenate([np.zeros(0, np.int8), *outcomes])
        self.progress = HistoryProgress(self.progress.step + 1, chunk.until, late_slot)
        return np.arange(begin, begin + len(taken)), taken

    def end_batch(self) -> None:
        """All of the batch is taken: its messages leave the queue."""
        self._drained_until = self.progress.late_until
        self.queue_begin = self.progress.late_until + 1
        self.progress = HistoryProgress(self.progress.step + 1)

    def take_recount(self, chunk: RecountChunk, differences: Differences) -> Recount:
        """Recounts the windows of the chunk's series that were older than memory at the switch.

        Ends when a flush is due; returns how far the recount is then.
        """
        logged = logged_in(chunk.archived)
        waits = late_flags(logged.slot, logged.ts_s) & (logged.log_offset >= self._waiting_from(logged.slot, chunk))
        logged = logged.keep(~waits)
        since = dict(zip(chunk.recount.slot.tolist(), chunk.recount.since_s.tolist(), strict=True))
        next_slot = chunk.recount.next_slot
        for slot, known, _ in _by_slot(chunk.slots, logged.slot, chunk.slots):
            if differences.rows > _ROWS_MAX:
                break
            history = standing(logged.ts_s[known], logged.value[known], logged.version[known])
            for placement, sign in ((chunk.before, -1), (chunk.after, 1)):
                _count_before(history, narrow_placement(placement, slot), since[slot], differences, sign)
                differences.roll_up(placement)
            next_slot = slot + 1
        recount = replace(chunk.recount, next_slot=next_slot)
        self._move_recount(recount)
        return recount

    def _waiting_from(self, slot: Int32Array, chunk: RecountChunk) -> Int64Array:
        """Of each reading the message from which on what was late is not taken yet."""
        if self.progress.late_until == NO_BATCH:
            return np.full(len(slot), chunk.queue_begin, np.int64)
        return np.where(slot < self.progress.late_slot, self.progress.late_until + 1, chunk.queue_begin)

    def _move_recount(self, recount: Recount) -> None:
        others = [other for other in self.recounts if other.log_offset != recount.log_offset]
        self.recounts = [*others, recount] if recount.slots_to_go else others
        self.recounts.sort(key=lambda one: one.log_offset)
        self._recounts_changed[recount.log_offset] = recount
        self.progress = self.progress._replace(step=self.progress.step + 1)


def remember(owner: HasMemory, slot: int, readings: History, memory_s: int = MEMORY_S) -> None:
    """Lets the owner's memory hold readings of a series, and makes it larger where it has to be."""
    done = remember_late(owner.memory, slot, memory_s, *readings, 0)
    while done < len(readings.ts_s):
        owner.memory = with_more_room(owner.memory, memory_s)
        done = remember_late(owner.memory, slot, memory_s, *readings, done)


def _by_slot(slots: Int32Array, *columns: Int32Array) -> Iterator[tuple[int, slice, slice]]:
    """Each slot with where it stands in two columns that are in the order of slots."""
    first, second = (
        (np.searchsorted(column, slots, "left"), np.searchsorted(column, slots, "right")) for column in columns
    )
    for k, slot in enumerate(slots.tolist()):
        yield slot, slice(first[0][k], first[1][k]), slice(second[0][k], second[1][k])


def _take_series(
    slot: int,
    logged: LoggedReadings,
    known: slice,
    late: LateReadings,
    mine: slice,
    placement: Placement,
    differences: Differences,
) -> tuple[History, Int8Array]:
    """Takes one series' late readings; the readings that are new or stand instead of others, and the outcomes."""
    history = standing(logged.ts_s[known], logged.value[known], logged.version[known])
    result = with_late(history, History(late.ts_s[mine], late.value[mine], late.version[mine]))
    if len(result.changed):
        narrow = narrow_placement(placement, slot)
        ranges = touched_ranges(result.history, narrow, result.changed)
        for whole, sign in ((whole_memory(history), -1), (whole_memory(result.history), 1)):
            _count(whole, narrow, ranges, differences, sign)
    new = result.history
    return History(new.ts_s[result.changed], new.value[result.changed], new.version[result.changed]), result.outcome


def _count(
    memory: SeriesMemory, narrow: Placement, ranges: tuple[Int64Array, Int64Array], differences: Differences, sign: int
) -> None:
    def kernel(leaves: Changes) -> int:
        return int(count_ranges(memory, narrow, leaves, *ranges, sign))

    differences.count(kernel)


def _count_before(history: History, narrow: Placement, since_s: int, differences: Differences, sign: int) -> None:
    """Counts a series' windows that start before `since_s`."""
    last_s = (since_s - 1) // QUARTER_S * QUARTER_S
    _count(whole_memory(history), narrow, (np.array([_LONG_AGO_S]), np.array([last_s])), differences, sign)
