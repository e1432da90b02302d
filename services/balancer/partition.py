"""One partition's state and its step: messages of the log in, what a flush will write out. No I/O happens here.

The state is a pure function of the log's prefix up to `next_offset`; `restore` and replay bring it back.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.balancer.flush import LogPlace, Ownership, PartitionFlush
from services.balancer.outgoing import (
    LateReadings,
    OutgoingMessage,
    changed_windows_message,
    conflict_messages,
    late_message,
)
from shared.balance.changes import Changes, clear, empty_changes
from shared.balance.counting import count_memory, pour, roll_up
from shared.balance.kernel import apply_readings
from shared.balance.live import event_now
from shared.balance.memory import SeriesMemory, empty_memory, grown_memory
from shared.balance.placement import Placement, place
from shared.balance.switch import touched_slots
from shared.limits import MEMORY_S, QUARTER_S
from shared.readings_message import ReadingColumns
from shared.topology.index import Topology
from shared.words import Outcome, RejectReason

_CHANGES_ROWS = 2**16
"""Room for changes before a flush has to come: its transaction, with the zones above several times as many rows, takes
a second or so. One reading that closes a gap of 400 days may need more; the table is doubled for it."""

_QUIET = int(Outcome.UNCHANGED)
"""Outcomes above this one are kept somewhere: late readings and conflicts."""


class Partition:
    """The state of one partition of `bilans.readings`."""

    def __init__(
        self, number: int, ownership: Ownership, topology: Topology, changes_rows: int = _CHANGES_ROWS
    ) -> None:
        """An empty state at the log's begin. What lies before the ownership's offset is in the tables already."""
        self.number = number
        self.epoch = ownership.epoch
        self.next_offset = 0
        self._position = 0
        self.flushed = ownership.next_place
        """Up to where the tables have it."""
        self.event_now_s: int | None = None
        self.last_received_at_s: float | None = None
        """Wall time of the last message; the loop notes it for the live view, no rule reads it."""
        self.topology = topology
        self.placement: Placement = place(topology, number)
        self.memory: SeriesMemory = empty_memory(len(self.placement.register))
        self._leaves: Changes = empty_changes(changes_rows)
        self._total: Changes = empty_changes(changes_rows)
        self._outcomes: npt.NDArray[np.int64] = np.zeros(len(Outcome), np.int64)
        self._late: list[LateReadings] = []
        self._conflicts: list[OutgoingMessage] = []
        self._closed_until_s = ownership.closed_until_s

    @property
    def place(self) -> LogPlace:
        """Up to where the log is applied."""
        return LogPlace(self.next_offset, self._position)

    @property
    def replaying(self) -> bool:
        """Whether what comes next is in the tables already and is not to be published again."""
        return self.place < self.flushed

    @property
    def changed_rows(self) -> int:
        """How many rows of changes wait for the flush: what the loop bounds."""
        return int(self._leaves.used[0] + self._total.used[0])

    def apply(self, offset: int, readings: ReadingColumns) -> bool:
        """Applies a message of readings at `offset` of the log, from where an earlier call stopped.

        Its readings are applied by series, which changes no result: series do not touch one another, and those of one
        keep their order. Neighbours in the network are neighbours in memory and share rows of changes. Returns False
        when a flush has to come before the rest of it: the table of changes is full.
        """
        if offset < self.next_offset:
            return True
        begin = self._position if offset == self.next_offset else 0
        order = readings.series_order()
        readings = readings.take(order)
        self.next_offset, self._position = offset, begin
        while begin < len(readings):
            # A replay ends where the tables end, which may be inside a message: it is split there.
            published = self.flushed.position if offset == self.flushed.offset else 0
            end = published if begin < published else len(readings)
            reached = self._apply_part(offset, readings, order, begin, end)
            if reached == begin:
                if self._leaves.used[0] and not self.replaying:
                    return False
                self._leaves = _doubled(self._leaves)  # even one reading needs more room than there is
            self._position = begin = reached
            if self.place <= self.flushed:
                self._forget_unpublished()
        self.pass_over(offset + 1)
        return True

    def _apply_part(
        self, offset: int, readings: ReadingColumns, order: npt.NDArray[np.intp], begin: int, end: int
    ) -> int:
        """Applies readings begin … end − 1 of a message, or as many as there is room for; returns where it stopped."""
        outcome = np.zeros(end, np.int8)
        reached = apply_readings(
            self.memory,
            self.placement,
            self._leaves,
            readings.slot[:end],
            readings.ts_s[:end],
            readings.value[:end],
            readings.version[:end],
            begin,
            MEMORY_S,
            outcome,
        )
        self._outcomes += np.bincount(outcome[begin:reached], minlength=len(Outcome))
        self._keep_special(offset, readings, order, begin + np.flatnonzero(outcome[begin:reached] > _QUIET), outcome)
        return reached

    def switch(self, offset: int, topology: Topology) -> None:
        """Follows `topology` from the control record at `offset` on: what it touches is taken back and counted anew."""
        if offset < self.next_offset:
            return
        if topology.number > self.topology.number:
            self._follow(topology)
        self.pass_over(offset + 1)

    def pass_over(self, end_offset: int) -> None:
        """Notes that nothing more is to be applied before `end_offset`; a replay lets go of what it worked out."""
        if end_offset > self.next_offset:
            self.next_offset, self._position = end_offset, 0
        if self.place <= self.flushed:
            self._forget_unpublished()

    def take_flush(self, wall_now_s: float | None) -> PartitionFlush | None:
        """What the tables lack, taken out of the state; None when there is nothing to write.

        `wall_now_s` is now, or None in event mode, where the partition's own readings tell.
        """
        if self.replaying:
            return None
        self.advance_event_now()
        closed_before_s = self._closed_until_s
        closed_until_s = self._window_ended(wall_now_s)
        closing = closed_until_s != closed_before_s
        if self.place == self.flushed and not closing:
            return None
        self._roll_up()
        used = int(self._total.used[0])
        rows = np.flatnonzero(self._total.sums[:used].any(axis=1))
        zone_id, window_s = self._total.zone[rows], self._total.window_s[rows]
        messages = [*self._conflicts]
        late = _joined(self._late)
        if late is not None:
            messages.append(late_message(self.topology, self.placement, self.number, late))
        if len(rows):
            messages.append(changed_windows_message(self.topology, self.number, self.place, zone_id, window_s))
        content = PartitionFlush(
            partition=self.number,
            epoch=self.epoch,
            start=self.flushed,
            end=self.place,
            topology=self.topology.number,
            closed_before_s=closed_before_s,
            closed_until_s=closed_until_s,
            event_now_s=self.event_now_s,
            zone_id=zone_id,
            window_s=window_s,
            sums=self._total.sums[rows],
            deliveries=self._deliveries(),
            late=late,
            messages=messages,
        )
        self._closed_until_s = closed_until_s
        self.flushed = self.place
        self._forget_unpublished()
        return content

    def _window_ended(self, wall_now_s: float | None) -> int | None:
        """The end of the last window that has ended by now; it never goes back, also when the clock is set back."""
        now_s = self.event_now_s if wall_now_s is None else int(wall_now_s)
        if now_s is None:
            return self._closed_until_s
        return max(now_s // QUARTER_S * QUARTER_S, self._closed_until_s or 0)

    def _forget_unpublished(self) -> None:
        clear(self._leaves)
        clear(self._total)
        self._outcomes[:] = 0
        self._late, self._conflicts = [], []

    def advance_event_now(self) -> None:
        """Moves event time to where the readings have got (design section 3)."""
        reached_s = event_now(self.memory)
        if reached_s is not None and (self.event_now_s is None or reached_s > self.event_now_s):
            self.event_now_s = reached_s  # it never goes back

    def _keep_special(
        self,
        offset: int,
        readings: ReadingColumns,
        order: npt.NDArray[np.intp],
        special: npt.NDArray[np.intp],
        outcome: npt.NDArray[np.int8],
    ) -> None:
        """Notes the late readings for the queue and the conflicts for the rejected topic, with their places."""
        late = special[outcome[special] == Outcome.PENDING]
        if len(late):
            kept = readings.take(late)
            self._late.append(
                LateReadings(
                    log_offset=np.full(len(late), offset, np.int64),
                    position=order[late].astype(np.int32),
                    slot=kept.slot,
                    ts_s=kept.ts_s,
                    value=kept.value,
                    version=kept.version,
                )
            )
        conflict = special[outcome[special] == Outcome.CONFLICT]
        if len(conflict):
            self._conflicts += conflict_messages(
                self.topology, self.placement, self.number, offset, order[conflict], readings.take(conflict)
            )

    def _deliveries(self) -> dict[str, int]:
        applied, unchanged, pending, conflict = self._outcomes.tolist()
        return {
            "received": applied + unchanged + pending + conflict,
            "applied": applied,
            "unchanged": unchanged,
            "pending": pending,
            f"rejected:{RejectReason.CONFLICT}": conflict,
        }

    def _roll_up(self) -> None:
        while roll_up(self.placement, self._leaves, self._total) == 0:
            self._total = _doubled(self._total)
        clear(self._leaves)

    def _follow(self, topology: Topology) -> None:
        self._roll_up()  # what came before the switch counts by the old tree
        after = place(topology, self.number, len(self.memory.holds))
        heard = np.flatnonzero(self.memory.holds > 0)
        touched = touched_slots(self.placement, after, heard)
        self._count_all(touched, -1)
        self._roll_up()
        self.memory = grown_memory(self.memory, len(after.register))
        self.placement, self.topology = after, topology
        self._count_all(touched, 1)
        self._roll_up()

    def _count_all(self, slots: Sequence[int], sign: int) -> None:
        for slot in slots:
            while count_memory(self.memory, self.placement, self._leaves, slot, -(2**62), sign) == 0:
                self._leaves = _doubled(self._leaves)

    def restore(self, next_offset: int, event_now_s: int | None, memory: SeriesMemory, topology: Topology) -> None:
        """Takes the state of a checkpoint, under the topology that it followed."""
        self.next_offset, self.event_now_s, self.topology = next_offset, event_now_s, topology
        self.placement = place(topology, self.number, len(memory.holds))
        self.memory = grown_memory(memory, len(self.placement.register))


def _doubled(changes: Changes) -> Changes:
    """The same rows in a table of twice the room."""
    larger = empty_changes(2 * len(changes.zone))
    pour(changes, larger)
    return larger


def _joined(late: list[LateReadings]) -> LateReadings | None:
    if not late:
        return None
    return LateReadings(
        log_offset=np.concatenate([one.log_offset for one in late]),
        position=np.concatenate([one.position for one in late]),
        slot=np.concatenate([one.slot for one in late]),
        ts_s=np.concatenate([one.ts_s for one in late]),
        value=np.concatenate([one.value for one in late]),
        version=np.concatenate([one.version for one in late]),
    )
