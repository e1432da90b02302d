"""One partition's state and its step: messages of the log in, what a flush will write out. No I/O happens here.

The state is a pure function of the log's prefix up to `next_offset`; `restore` and replay bring it back.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.balancer.deferred import DeferredChanges
from services.balancer.differences import Differences
from services.balancer.flush_content import LogPlace, Ownership, PartitionFlush, Recount, RememberedSeries
from services.balancer.history_lane import HistoryLane, LateChunk, RecountChunk
from services.balancer.outgoing import OutgoingMessage, changed_windows_messages, conflict_messages, late_messages
from services.balancer.remembered import put_back
from services.balancer.tail import Tail
from shared.balance.changes import Changes
from shared.balance.counting import count_memory
from shared.balance.event_time import EventTime, moved
from shared.balance.held import with_more_room
from shared.balance.kernel import MEMORY_FULL, apply_readings
from shared.balance.late import LateReadings, joined
from shared.balance.memory import COMPLETE_S, Int32Array, SeriesMemory, empty_memory, grown_memory
from shared.balance.placement import Placement, place
from shared.balance.switch import touched_slots
from shared.limits import MEMORY_S, QUARTER_S
from shared.readings_message import ReadingColumns
from shared.topology.index import Topology
from shared.words import ENERGY_REGISTERS, Outcome, RejectReason

_QUIET = int(Outcome.UNCHANGED)
"""Outcomes above this one are kept somewhere: late readings and conflicts."""


class Partition:
    """The state of one partition of `bilans.readings`."""

    def __init__(
        self, number: int, ownership: Ownership, topology: Topology, differences: Differences | None = None
    ) -> None:
        """An empty state at the log's begin. What lies before the ownership's offset is in the tables already."""
        self.number = number
        self.epoch = ownership.epoch
        self.next_offset = 0
        self._position = 0
        self.flushed = ownership.next_place
        """Up to where the tables have it."""
        self._event_time = EventTime()
        self.last_received_at_s: float | None = None
        """Wall time of the last message; the loop notes it for the live view, no rule reads it."""
        self.topology = topology
        self.placement: Placement = place(topology, number)
        self.memory: SeriesMemory = empty_memory(len(self.placement.register))
        self.lane = HistoryLane(ownership.history, list(ownership.recounts))
        self._differences = differences or Differences()
        self._remembered: list[RememberedSeries] = []
        self._outcomes: npt.NDArray[np.int64] = np.zeros(len(Outcome), np.int64)
        self._late: list[LateReadings] = []
        self._conflicts: list[OutgoingMessage] = []
        self._closed_until_s = ownership.closed_until_s

    @property
    def place(self) -> LogPlace:
        """Up to where the log is applied."""
        return LogPlace(self.next_offset, self._position)

    @property
    def event_now_s(self) -> int | None:
        """How far event time was moved; None before the first reading."""
        return self._event_time.now_s

    @property
    def replaying(self) -> bool:
        """Whether what comes next is in the tables already and is not to be published again."""
        return self.place < self.flushed

    @property
    def published(self) -> bool:
        """Whether the tables have all that was applied and done beside."""
        return self.place == self.flushed and self.lane.progress == self.lane.flushed

    @property
    def waiting_rows(self) -> int:
        """How many rows of changes and of conflicts wait for the flush: what the loop bounds."""
        return self._differences.rows + len(self._conflicts)

    def apply(self, offset: int, readings: ReadingColumns) -> bool:
        """Applies a message of readings at `offset` of the log, from where an earlier call stopped.

        Returns False when a flush has to come before the rest of it: the table of changes is full.
        """
        if offset < self.next_offset:
            return True
        begin = self._position if offset == self.next_offset else 0
        self._bring_back(offset)
        self.next_offset, self._position = offset, begin
        while begin < len(readings):
            # A replay ends where the tables end, which may be inside a message: it is split there.
            published = self.flushed.position if offset == self.flushed.offset else 0
            end = published if begin < published else len(readings)
            reached = self._apply_part(offset, readings, begin, end)
            if reached == begin:
                if self._differences.leaves.used[0] and not self.replaying:
                    return False
                self._differences.make_room()  # even one reading needs more room than there is
                continue
            self._position = begin = reached
            if self.place <= self.flushed:  # only a replay comes to this: it has applied something before `flushed`
                self._forget_unpublished()
        self.lane.tail.append(offset, readings)
        self.pass_over(offset + 1)
        return True

    def _apply_part(self, offset: int, readings: ReadingColumns, begin: int, end: int) -> int:
        """Applies readings begin … end − 1 of a message, or as many as there is room for; returns where it stopped."""
        outcome, outcomes = np.zeros(end, np.int8), np.zeros(len(Outcome), np.int64)
        columns = (readings.slot[:end], readings.ts_s[:end], readings.value[:end], readings.version[:end])
        leaves, reached = self._differences.leaves, begin
        while reached < end:
            reached = apply_readings(
                self.memory, self.placement, leaves, *columns, reached, MEMORY_S, outcome, outcomes
            )
            if reached < end and outcome[reached] != MEMORY_FULL:
                break  # the table of changes is full
            if reached < end:
                self.memory = with_more_room(self.memory)
        self._outcomes += outcomes
        self._event_time = EventTime(self._event_time.now_s, self._event_time.readings_to_go - (reached - begin))
        if outcomes[_QUIET + 1 :].any():
            special = begin + np.flatnonzero(outcome[begin:reached] > _QUIET)
            self._keep_special(offset, readings, special, outcome)
        return reached

    def switch(self, offset: int, topology: Topology) -> None:
        """Follows `topology` from the control record at `offset` on: what it touches is taken back and counted anew."""
        if offset < self.next_offset:
            return
        self._bring_back(offset)
        if topology.number > self.topology.number:
            self._follow(offset, topology)
        self.pass_over(offset + 1)

    def pass_over(self, end_offset: int) -> None:
        """Notes that nothing more is to be applied before `end_offset`; a replay lets go of what it worked out."""
        if end_offset <= self.next_offset:
            return
        self.next_offset, self._position = end_offset, 0
        self._bring_back(end_offset)
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
        if self.published and not closing:
            return None
        self._differences.roll_up(self.placement)
        written, deferred = self._differences.summed()
        messages = [*self._conflicts]
        late = joined(self._late) if self._late else None
        if late is not None:
            messages += late_messages(self.topology, self.placement, self.number, late)
        if len(written):
            place = (*self.place, self.lane.progress.step)
            messages += changed_windows_messages(self.topology, self.number, place, written.zone_id, written.window_s)
        content = PartitionFlush(
            partition=self.number,
            epoch=self.epoch,
            start=self.flushed,
            end=self.place,
            topology=self.topology.number,
            closed_before_s=closed_before_s,
            closed_until_s=closed_until_s,
            event_now_s=self.event_now_s,
            zone_id=written.zone_id,
            window_s=written.window_s,
            sums=written.sums,
            deliveries=self._deliveries(),
            history=self.lane.take_flush(),
            deferred=deferred,
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
        self._differences.clear()
        self._outcomes[:] = 0
        self._late, self._conflicts = [], []

    def advance_event_now(self) -> None:
        """Moves event time to where the readings have got (design section 3)."""
        if self._event_time.readings_to_go <= 0:
            self._event_time = moved(self.memory, self._event_time)

    def _keep_special(
        self,
        offset: int,
        readings: ReadingColumns,
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
                    position=late.astype(np.int32),
                    slot=kept.slot,
                    ts_s=kept.ts_s,
                    value=kept.value,
                    version=kept.version,
                )
            )
        conflict = special[outcome[special] == Outcome.CONFLICT]
        if len(conflict):
            self._conflicts += conflict_messages(
                self.topology, self.placement, self.number, offset, conflict, readings.take(conflict)
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

    def _follow(self, offset: int, topology: Topology) -> None:
        self._differences.roll_up(self.placement)  # what came before the switch counts by the old tree
        after = place(topology, self.number, len(self.memory.holds))
        heard = np.flatnonzero(self.memory.holds > 0)
        touched = touched_slots(self.placement, after, heard)
        self._count_all(touched, -1)
        self._differences.roll_up(self.placement)
        if not self.replaying:
            self._leave_recount(offset, topology, np.array(touched, np.int32))
        self.memory = grown_memory(self.memory, len(after.register))
        self.placement, self.topology = after, topology
        self._count_all(touched, 1)
        self._differences.roll_up(self.placement)

    def _leave_recount(self, offset: int, topology: Topology, touched: Int32Array) -> None:
        """Leaves to the archive the windows that are older than memory."""
        older = (self.memory.since_s[touched] != COMPLETE_S) & (self.placement.register[touched] < ENERGY_REGISTERS)
        slots = touched[older]
        if len(slots):
            since_s = self.memory.since_s[slots]
            self.lane.add_recount(Recount(offset, self.topology.number, topology.number, slots, since_s))

    def _count_all(self, slots: Sequence[int], sign: int) -> None:
        for slot in slots:

            def kernel(leaves: Changes, slot: int = slot) -> int:
                return int(count_memory(self.memory, self.placement, leaves, slot, -(2**62), sign))

            self._differences.count(kernel)

    # --- beside the stream (history_lane.py) ----------------------------------------------------------------------

    def take_late(self, chunk: LateChunk) -> bool:
        """Takes late readings of a chunk; whether it could. Call again until `lane.progress.late_slot` is past it."""
        if self._position != 0 or self.replaying:
            return False
        taken = self.lane.take_late(chunk, self.next_offset, self, self.placement, self._differences)
        if taken is None:
            return False
        which, outcome = taken
        self._outcomes += np.bincount(outcome, minlength=len(Outcome))
        self._outcomes[Outcome.PENDING] -= len(which)
        late = chunk.late
        for k in which[outcome == Outcome.CONFLICT].tolist():
            one = slice(k, k + 1)
            readings = ReadingColumns(late.slot[one], late.ts_s[one], late.value[one], late.version[one])
            offset, position = int(late.log_offset[k]), late.position[k : k + 1].astype(np.intp)
            self._conflicts += conflict_messages(self.topology, self.placement, self.number, offset, position, readings)
        return True

    def take_deferred(self, deferred: DeferredChanges) -> None:
        """Adds what a flush before has put off."""
        self.lane.take_deferred(deferred, self._differences)

    def take_recount(self, chunk: RecountChunk) -> Recount:
        """Recounts series of a chunk until a flush is due; how far the recount is then."""
        self._differences.roll_up(self.placement)
        return self.lane.take_recount(chunk, self._differences)

    # --- restoring ------------------------------------------------------------------------------------------------

    def bring_back(self, remembered: Sequence[RememberedSeries]) -> None:
        """Lets a replay put back what late readings made of series, each where the log stood then."""
        self._remembered = sorted(remembered, key=lambda one: one.next_offset)
        self._bring_back(self.next_offset)

    def _bring_back(self, offset: int) -> None:
        while self._remembered and self._remembered[0].next_offset <= offset:
            one = self._remembered.pop(0)
            self.memory = put_back(self.memory, one.slot, one.content)

    def restore(self, next_offset: int, event_now_s: int | None, memory: SeriesMemory, topology: Topology) -> None:
        """Takes the state of a checkpoint, under the topology that it followed."""
        self.next_offset, self.memory = next_offset, memory
        self._event_time = EventTime(event_now_s, 0)
        self.lane.tail = Tail(next_offset)
        self.follow(topology)

    def follow(self, topology: Topology) -> None:
        """Goes on under `topology` without counting anything: what was applied so far is in the tables by it."""
        self.topology = topology
        self.placement = place(topology, self.number, len(self.memory.holds))
        self.memory = grown_memory(self.memory, len(self.placement.register))
