"""Tells the live view of what a balancer owns, in a task of its own: it waits for no flush and for no fetch.

The figures are worked out in the kernel's thread, between messages, where the state stands still.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from aiokafka.errors import KafkaError

from services.balancer.history_worker import InWorker
from services.balancer.live_publisher import LivePublisher
from services.balancer.partition import Partition

_LOOK_S = 0.02
"""How often it is asked whether a partition has something to tell."""

_log = logging.getLogger(__name__)


class LiveTelling:
    """Asks each partition in turn, and sends what is due."""

    def __init__(
        self,
        publisher: LivePublisher,
        in_worker: InWorker,
        owned: Callable[[], Iterable[Partition]],
        behind: Callable[[], bool],
    ) -> None:
        """`owned` gives the partitions that are owned now; `behind` says whether they catch up with their log."""
        self._publisher = publisher
        self._in_worker = in_worker
        self._owned = owned
        self._behind = behind

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            owned = list(self._owned())
            self._publisher.forget_all_but({partition.number for partition in owned})
            for partition in owned:
                if not partition.replaying and self._publisher.due(partition, behind=self._behind()):
                    await self._tell(partition)
            await asyncio.sleep(_LOOK_S)

    async def _tell(self, partition: Partition) -> None:
        messages = await self._in_worker(self._publisher.work_out, partition)
        began_s = time.thread_time()
        try:
            await self._publisher.send(messages)
        except KafkaError as error:
            _log.warning("the live view is not told: %s", error)
        self._publisher.note_sending(partition, time.thread_time() - began_s)
