"""What a balancer asks of its store: PostgreSQL in the service, an exact model of it in the simulation."""

from collections.abc import Sequence
from typing import Protocol

from services.balancer.deferred import DeferredChanges
from services.balancer.flush_content import HistoryProgress, LogPlace, Ownership, PartitionFlush, RememberedSeries
from services.balancer.history_tables import LateBatch
from shared.topology.index import Topology


class Store(Protocol):
    """Every method may raise what shared.database.engine.DATABASE_TROUBLE names while the store cannot be reached."""

    async def take_over(self, partition: int, owner: str) -> Ownership:
        """Makes the partition `owner`'s: no flush of an earlier owner passes from here on."""

    async def is_current(self, partition: int, epoch: int, place: LogPlace, history: HistoryProgress) -> bool:
        """Whether nobody took the partition over, and its results stand exactly there."""

    async def flush(self, contents: Sequence[PartitionFlush]) -> None:
        """Writes all of it in one transaction, or nothing.

        Raises NotOwnerError when a partition is somebody else's. After any other error its outcome may be unknown:
        `was_committed` tells.
        """

    async def was_committed(self, content: PartitionFlush) -> bool:
        """What became of a flush without an answer; raises NotOwnerError when the partition is somebody else's."""

    async def let_go(self) -> None:
        """Gives up the connection for flushes: the next flush begins on a new one."""

    async def remembered(self, partition: int, after_step: int) -> list[RememberedSeries]:
        """The series whose memory late readings changed after a history step."""

    async def waiting_from(self, partition: int, recount_offset: int, queue_begin: int) -> int | None:
        """The first message of the late queue from `queue_begin` on, NOTHING_WAITS when there is none.

        None while the recount is not written: it is written with everything that was late before it.
        """

    async def late_batch(
        self, partition: int, span: tuple[int, int], until: int | None, readings_max: int
    ) -> LateBatch | None:
        """The queue's next messages in `span` (half open), about `readings_max` readings; `until` repeats one.

        None of them is one of which the store has a part only.
        """

    async def deferred(self, partition: int, after: int) -> DeferredChanges | None:
        """The next changes after number `after` that a flush has put off; None when there are none."""

    async def topology(self, number: int) -> Topology:
        """Topology `number`; raises LookupError when it was never loaded."""

    async def followed_topology(self, partition: int) -> int:
        """The topology that the partition's results follow."""
