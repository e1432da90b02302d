"""Tells the live view: each zone's record on `bilans.live`, each series' newest reading on `bilans.meters`.

Live records are not part of a flush: they tell what is known now, also before it is committed, and one that is lost is
followed by the next within a second.
"""

import asyncio
import logging
import time
from collections.abc import Set
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from services.balancer.newest_messages import newest_messages, next_turn
from services.balancer.partition import Partition
from shared.balance.live import LiveColumn, live_zones
from shared.clock import Clock
from shared.limits import LIVE_RECORD_S_MAX, QUARTER_S
from shared.live_record import LiveRecord, encode_live_record
from shared.topics import LIVE
from shared.topology.index import FOREVER_S

_log = logging.getLogger(__name__)
_CHANGE_S = 0.05
"""A change is told at most so often (design section 3)."""
_SHARE = 10
"""A tenth of the time goes into telling at most, of all partitions together; for the pulse half of it."""
_PULSE_S = 1.0
"""All zones are told at least so often, so that a reader can tell a quiet zone from a dead balancer."""
_CATCHING_UP_PULSE_S = LIVE_RECORD_S_MAX - 1.0
"""A balancer that catches up with its log tells very many zones less often, but before a reader gives them up."""
_METERS_S = 1.0
"""The newest readings are told so often where new ones came: signals are told once a second (design section 4)."""
_METERS_SHARE = 20
"""They take a twentieth of the time at most, of all partitions together; they do not delay the zones."""


_Facts = tuple[int, int, int | None, bytes]
"""Epoch, topology, now and figures: what makes a zone's record worth telling; the passing of time alone does not."""


@dataclass(slots=True)
class _Told:
    """What was told last of a partition."""

    zones: dict[str, "_Facts"] = field(default_factory=dict)
    at_s: float = 0.0
    all_at_s: float = 0.0
    meters_at_s: float = 0.0
    meters_offset: int = -1
    """What had come when the newest readings were told from the first slot on."""
    meters_until: int = 0
    """The slot before which they were told last."""
    offset: int = -1
    cost_s: float = 0.0
    """Of processor: what others take meanwhile must not make telling rarer."""
    meters_cost_s: float = 0.0


class LivePublisher:
    """Publishes the live view of the partitions that it is shown."""

    def __init__(self, producer: AIOKafkaProducer, clock: Clock, *, event_mode: bool) -> None:
        """`event_mode`: now is the partition's own event time."""
        self._producer = producer
        self._clock = clock
        self._event_mode = event_mode
        self._told: dict[int, _Told] = {}

    def due(self, partition: Partition, *, behind: bool = False) -> bool:
        """Whether it is time to tell of the partition: after a change, or for the pulse.

        `behind`: the balancer catches up with its log.
        """
        told = self._told.setdefault(partition.number, _Told())
        since_s = time.monotonic() - told.at_s
        cost_s = sum(one.cost_s for one in self._told.values())
        # Nor may the pulse of very large partitions leave no time for readings.
        pulse_s = max(_PULSE_S, 2 * cost_s)
        if behind:
            pulse_s = max(pulse_s, min(_SHARE * cost_s, _CATCHING_UP_PULSE_S))
        return since_s >= pulse_s or (
            since_s >= max(_CHANGE_S, _SHARE * cost_s) and partition.next_offset != told.offset
        )

    def work_out(self, partition: Partition) -> list[tuple[str, bytes, bytes]]:
        """The messages due: topic, key and value. Runs in the worker thread, where the state stands still."""
        began_s, began_thread_s = time.monotonic(), time.thread_time()
        told = self._told[partition.number]
        now_s, zones = self._zones(partition)
        pulse = began_s - told.all_at_s >= _PULSE_S
        messages = []
        for zone, row in zones:
            facts = (partition.epoch, partition.topology.number, now_s, row.tobytes())
            if pulse or told.zones.get(zone) != facts:
                told.zones[zone] = facts
                record = self._record(partition, zone, row, now_s)
                messages.append((LIVE, record.key, encode_live_record(record)))
        told.at_s, told.offset = began_s, partition.next_offset
        told.all_at_s = began_s if pulse else told.all_at_s
        told.cost_s = time.thread_time() - began_thread_s
        return messages + self._newest(partition)

    def _newest(self, partition: Partition) -> list[tuple[str, bytes, bytes]]:
        """What is due of the newest readings: turns go on to the last slot, and begin anew where new ones came."""
        told, slots, began_s = self._told[partition.number], len(partition.memory.series), time.monotonic()
        wait_s = max(_METERS_S, _METERS_SHARE * sum(one.meters_cost_s for one in self._told.values()))
        unfinished = 0 < told.meters_until < slots
        if began_s - told.meters_at_s < wait_s or (partition.next_offset == told.meters_offset and not unfinished):
            return []
        began_thread_s = time.thread_time()
        told.meters_at_s = began_s
        begin, told.meters_until = next_turn(told.meters_until, slots)
        if begin == 0:
            told.meters_offset = partition.next_offset
        messages = newest_messages(partition, begin, told.meters_until)
        told.meters_cost_s = time.thread_time() - began_thread_s
        return messages

    def note_sending(self, partition: Partition, cost_s: float) -> None:
        """Counts what sending took among the costs of telling."""
        self._told[partition.number].cost_s += cost_s

    def forget_all_but(self, owned: Set[int]) -> None:
        """Lets go of partitions that are no longer owned: they cost nothing."""
        for number in self._told.keys() - owned:
            del self._told[number]

    async def send(self, messages: list[tuple[str, bytes, bytes]]) -> None:
        """Sends them without waiting for their acknowledgement, many in one batch: one by one they cost three times."""
        for topic, told in groupby(messages, itemgetter(0)):
            batch = self._producer.create_batch()
            for _, key, value in told:
                if batch.append(timestamp=None, key=key, value=value) is None:  # it is full
                    await self._send_batch(topic, batch)
                    batch = self._producer.create_batch()
                    batch.append(timestamp=None, key=key, value=value)
            await self._send_batch(topic, batch)

    async def _send_batch(self, topic: str, batch: BatchBuilder) -> None:
        future = await self._producer.send_batch(batch, topic, partition=0)
        future.add_done_callback(_note_failure)

    def _zones(self, partition: Partition) -> tuple[int | None, list[tuple[str, npt.NDArray[np.int64]]]]:
        """The partition's now, and the zones that it has something to tell of, with their live sums."""
        partition.advance_event_now()
        now_s = partition.event_now_s if self._event_mode else int(self._clock.now_s())
        topology = partition.topology
        zones = live_zones(partition.memory, partition.placement, FOREVER_S - 1 if now_s is None else now_s)
        told = self._told[partition.number].zones
        return now_s, [
            (zone, row)
            for zone, row in zip(topology.zone, zones, strict=True)
            if row[LiveColumn.METERS] or zone in told
        ]

    def _record(self, partition: Partition, zone: str, row: npt.NDArray[np.int64], now_s: int | None) -> LiveRecord:
        figures: list[int] = row.tolist()
        return LiveRecord(
            zone=zone,
            partition=partition.number,
            epoch=partition.epoch,
            topology=partition.topology.number,
            now_s=now_s,
            written_at_s=self._clock.now_s(),
            last_received_at_s=partition.last_received_at_s,
            meters=figures[LiveColumn.METERS],
            heard=0 if now_s is None else figures[LiveColumn.HEARD],
            newest_s=figures[LiveColumn.NEWEST_S] or None,
            withdrawn_w=figures[LiveColumn.WITHDRAWN_W],
            injected_w=figures[LiveColumn.INJECTED_W],
            charged_w=figures[LiveColumn.CHARGED_W],
            discharged_w=figures[LiveColumn.DISCHARGED_W],
            soc_wh=figures[LiveColumn.SOC_WH] if figures[LiveColumn.SOC_KNOWN] else None,
            window_start_s=None if now_s is None else now_s // QUARTER_S * QUARTER_S,
            withdrawn_wh=figures[LiveColumn.WITHDRAWN_WH],
            injected_wh=figures[LiveColumn.INJECTED_WH],
            charged_wh=figures[LiveColumn.CHARGED_WH],
            discharged_wh=figures[LiveColumn.DISCHARGED_WH],
            withdrawn_expected_wh=figures[LiveColumn.WITHDRAWN_EXPECTED_WH],
            injected_expected_wh=figures[LiveColumn.INJECTED_EXPECTED_WH],
            charged_expected_wh=figures[LiveColumn.CHARGED_EXPECTED_WH],
            discharged_expected_wh=figures[LiveColumn.DISCHARGED_EXPECTED_WH],
        )


def _note_failure(future: "asyncio.Future[RecordMetadata]") -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        _log.debug("a live message was not sent: %s", error)
