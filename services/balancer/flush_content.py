"""What a flush carries and what owning a partition means: plain values between partition, writer and store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.balancer.deferred import WindowChanges
from services.balancer.outgoing import OutgoingMessage
from shared.balance.late import LateReadings
from shared.balance.memory import Int32Array, Int64Array
from shared.limits import QUARTER_S


class LogPlace(NamedTuple):
    """A place in a partition's log: all messages before `offset`, and of that one the readings before `position`.

    Nearly always the position is 0. A message that changes very many rows, such as one that closes long gaps, is
    flushed in parts, so that no transaction outgrows its time-out.
    """

    offset: int
    position: int = 0


NO_BATCH = -1
"""What `late_until` holds while no batch of late readings is under way."""


class HistoryProgress(NamedTuple):
    """How far a partition is with what it does beside the log: late readings and recounts."""

    step: int = 0
    """Counts the steps; a flush moves it only from where it must stand, so that no step is written twice."""
    late_until: int = NO_BATCH
    """The last message of the batch of late readings under way."""
    late_slot: int = 0
    """Of that batch the series before this slot are done."""


NO_HISTORY = HistoryProgress()
"""Where a partition begins."""


@dataclass(frozen=True, slots=True)
class Recount:
    """What a switch of topology leaves to do in the archive's windows (design section 5)."""

    log_offset: int
    """The control record's."""
    topology_before: int
    topology_after: int
    slot: Int32Array
    """[n] the series that count differently, ascending."""
    since_s: Int64Array
    """[n] windows that start before this are to be recounted: the others were in memory at the switch."""
    next_slot: int = 0
    """The series before this slot are done."""

    @property
    def slots_to_go(self) -> int:
        """How many series are to be recounted still, each with one window at least."""
        return int((self.slot >= self.next_slot).sum())


@dataclass(frozen=True, slots=True)
class RememberedSeries:
    """What a series' memory became when late readings came into it."""

    slot: int
    next_offset: int
    """Where the log stood then."""
    content: bytes
    """Packed by `remembered.py`."""


@dataclass(frozen=True, slots=True)
class HistoryFlush:
    """What a flush writes of the work beside the log."""

    before: HistoryProgress
    """Where it must stand."""
    after: HistoryProgress
    """Where it is moved."""
    drained_until: int | None = None
    """The late queue's messages up to this one are done with."""
    remembered: Sequence[RememberedSeries] = field(default_factory=tuple)
    recounts: Sequence[Recount] = field(default_factory=tuple)
    """New ones, and ones that got on; one with nothing left to do is over."""
    deferred_done: int = 0
    """What was put off is in up to this number of the table `deferred_change`."""


@dataclass(frozen=True, slots=True)
class PartitionFlush:
    """What one partition has to say since its last flush."""

    partition: int
    epoch: int
    start: LogPlace
    """Where progress must stand."""
    end: LogPlace
    """Where it is moved."""
    topology: int
    closed_before_s: int | None
    """Windows that ended at or before it were closed by earlier flushes; None: none was."""
    closed_until_s: int | None
    """Windows that end at or before it are closed; never goes back; None before the first reading in event mode."""
    event_now_s: int | None
    zone_id: Int32Array
    window_s: Int64Array
    sums: Int64Array
    """[n, 25] differences, in the order of SUM_COLUMNS."""
    deliveries: dict[str, int]
    """What the books get: outcome → how many."""
    history: HistoryFlush
    deferred: Sequence[WindowChanges] = field(default_factory=tuple)
    """What this flush puts off."""
    late: LateReadings | None = None
    messages: Sequence[OutgoingMessage] = field(default_factory=tuple)

    @property
    def closed(self) -> npt.NDArray[np.bool_]:
        """[n] whether a row's window has ended: its changes are revisions. Before there is a now none has."""
        closed: npt.NDArray[np.bool_] = self.window_s + QUARTER_S <= (self.closed_until_s or 0)
        return closed

    @property
    def moves(self) -> bool:
        """Whether it moves progress at all; one that does not only closes windows, which may be done twice."""
        return self.end != self.start or self.history.after != self.history.before


class NotOwnerError(Exception):
    """A partition's progress row is not ours any more: somebody else owns it."""

    def __init__(self, partition: int) -> None:
        """`partition` is the one that was lost."""
        super().__init__(f"partition {partition} belongs to another balancer")
        self.partition = partition


@dataclass(frozen=True, slots=True)
class Ownership:
    """What `take_over` found."""

    epoch: int
    next_place: LogPlace
    closed_until_s: int | None = None
    history: HistoryProgress = NO_HISTORY
    recounts: Sequence[Recount] = ()
    """Those that are not done, in the order of the log."""
