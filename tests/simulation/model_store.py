"""An exact model of the store: what PostgreSQL's tables hold, whole transactions, and the faults of a seed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.balancer.deferred import DeferredChanges, WindowChanges
from services.balancer.flush_content import (
    NO_HISTORY,
    HistoryProgress,
    LogPlace,
    NotOwnerError,
    Ownership,
    PartitionFlush,
    Recount,
    RememberedSeries,
)
from services.balancer.history_tables import NOTHING_WAITS, LateBatch
from shared.balance.late import LateReadings, joined
from shared.topology.index import Topology
from tests.simulation.gates import Gates

Sums = tuple[int, ...]


@dataclass
class Faults:
    """How often, of a hundred, something goes wrong."""

    aborted: int = 0
    """A transaction that is rolled back."""
    answer_lost: int = 0
    """A commit whose answer does not come."""
    unreachable: int = 0
    """A question without an answer."""


@dataclass
class Row:
    """A partition's row of progress."""

    epoch: int = 0
    place: LogPlace = field(default_factory=lambda: LogPlace(0))
    history: HistoryProgress = NO_HISTORY
    closed_until_s: int | None = None
    topology: int = 0


@dataclass
class ModelStore:
    """Implements services.balancer.store.Store for one partition and any number of owners."""

    gates: Gates
    topologies: dict[int, Topology]
    faults: Faults = field(default_factory=Faults)
    row: Row = field(default_factory=Row)
    totals: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    """(zone number, window start) → sums."""
    revisions: dict[tuple[int, int], int] = field(default_factory=dict)
    books: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    queue: dict[tuple[int, int], LateReadings] = field(default_factory=dict)
    """(log offset, position) → late readings."""
    recounts: dict[int, Recount] = field(default_factory=dict)
    series: dict[int, tuple[int, RememberedSeries]] = field(default_factory=dict)
    deferred_changes: dict[int, WindowChanges] = field(default_factory=dict)
    deferred_numbers: int = 0
    commits: int = 0
    fenced: int = 0

    async def take_over(self, partition: int, owner: str) -> Ownership:
        """Raises the epoch."""
        row = self.row
        row.epoch += 1
        recounts = [self.recounts[offset] for offset in sorted(self.recounts)]
        return Ownership(row.epoch, row.place, row.closed_until_s, row.history, recounts)

    async def is_current(self, partition: int, epoch: int, place: LogPlace, history: HistoryProgress) -> bool:
        """Compares the row."""
        return (self.row.epoch, self.row.place, self.row.history) == (epoch, place, history)

    async def flush(self, contents: Sequence[PartitionFlush]) -> None:
        """One transaction, that may come late, fail, or succeed without a word."""
        await self.gates.pause()
        if self._happens(self.faults.aborted):
            raise ConnectionResetError("the transaction was rolled back")
        for content in contents:
            self.check_owner(content)
        for content in contents:
            self._commit(content)
        if self._happens(self.faults.answer_lost):
            await self.gates.pause()
            raise ConnectionResetError("the answer was lost")

    def check_owner(self, content: PartitionFlush) -> None:
        """Step 2: the row stands where the flush begins."""
        row = self.row
        if (row.epoch, row.place, row.history.step) != (content.epoch, content.start, content.history.before.step):
            self.fenced += 1
            raise NotOwnerError(content.partition)

    async def was_committed(self, content: PartitionFlush) -> bool:
        """The row tells."""
        await self.gates.pause()
        self._may_be_unreachable()
        if self.row.epoch != content.epoch:
            raise NotOwnerError(content.partition)
        return self.row.place == content.end and self.row.history.step == content.history.after.step

    async def let_go(self) -> None:
        """There is no connection."""

    async def remembered(self, partition: int, after_step: int) -> list[RememberedSeries]:
        """Those of later steps."""
        return [one for step, one in self.series.values() if step > after_step]

    async def waiting_from(self, partition: int, recount_offset: int, queue_begin: int) -> int | None:
        """The queue's begin, if the recount is there."""
        await self.gates.pause()
        self._may_be_unreachable()
        if recount_offset not in self.recounts:
            return None
        return min((offset for offset, _ in self.queue if offset >= queue_begin), default=NOTHING_WAITS)

    async def late_batch(
        self, partition: int, span: tuple[int, int], until: int | None, readings_max: int
    ) -> LateBatch | None:
        """A few messages of the queue, so that a batch is often not all of it."""
        await self.gates.pause()
        self._may_be_unreachable()
        waiting = sorted(place for place in self.queue if place[0] >= span[0])
        if until is None:
            end = min(span[1], self.row.place.offset)  # a message that is flushed in parts may not be whole yet
            offsets = sorted({offset for offset, _ in waiting if offset < end})
            if not offsets:
                return None
            until = offsets[min(self.gates.random.randrange(4), len(offsets) - 1)]
        parts = [self.queue[place] for place in waiting if place[0] <= until]
        return LateBatch(waiting[0][0], until, joined(parts)) if parts else None

    async def deferred(self, partition: int, after: int) -> DeferredChanges | None:
        """The next one."""
        await self.gates.pause()
        self._may_be_unreachable()
        number = min((number for number in self.deferred_changes if number > after), default=None)
        return None if number is None else DeferredChanges(number, self.deferred_changes[number])

    async def topology(self, number: int) -> Topology:
        """As it was loaded."""
        return self.topologies[number]

    async def followed_topology(self, partition: int) -> int:
        """The row's."""
        return self.row.topology

    def _happens(self, percent: int) -> bool:
        return self.gates.random.randrange(100) < percent

    def _may_be_unreachable(self) -> None:
        if self._happens(self.faults.unreachable):
            raise ConnectionRefusedError("the store cannot be reached")

    def _commit(self, content: PartitionFlush) -> None:
        row = self.row
        row.place, row.history, row.topology = content.end, content.history.after, content.topology
        row.closed_until_s = content.closed_until_s
        rows = zip(content.zone_id.tolist(), content.window_s.tolist(), content.sums.tolist(), strict=True)
        for zone, window_s, sums in rows:
            known = self.totals.get((zone, window_s), [0] * len(sums))
            self.totals[zone, window_s] = [a + b for a, b in zip(known, sums, strict=True)]
            self.revisions[zone, window_s] = self.revisions.get((zone, window_s), 0) + 1
        for outcome, deliveries in content.deliveries.items():
            self.books[outcome] += deliveries
        if content.late is not None:
            self._queue(content.late)
        self._keep_history(content)
        self.commits += 1

    def _queue(self, late: LateReadings) -> None:
        for offset in sorted(set(late.log_offset.tolist())):
            part = late.take((late.log_offset == offset).nonzero()[0])
            self.queue[offset, int(part.position.min())] = part

    def _keep_history(self, content: PartitionFlush) -> None:
        history = content.history
        kept = self.deferred_changes
        self.deferred_changes = {number: part for number, part in kept.items() if number > history.deferred_done}
        for part in content.deferred:
            self.deferred_numbers += 1
            self.deferred_changes[self.deferred_numbers] = part
        if history.drained_until is not None:
            self.queue = {place: late for place, late in self.queue.items() if place[0] > history.drained_until}
        for one in history.remembered:
            self.series[one.slot] = (history.after.step, one)
        for recount in history.recounts:
            self.recounts.pop(recount.log_offset, None)
            if recount.slots_to_go:
                self.recounts[recount.log_offset] = recount
