"""The live view in memory: the newest record of each zone and partition, as the topic `bilans.live` brings them."""

from collections.abc import Iterable

from shared import metrics
from shared.clock import Clock
from shared.limits import LIVE_RECORD_S_MAX, READINGS_SILENT_S_MAX
from shared.live_record import LiveRecord
from shared.settings import ClockMode


class LiveView:
    """Holds records; what they mean for a zone is worked out by `services.api.zone_live` when it is asked for."""

    def __init__(self, clock: Clock, mode: ClockMode) -> None:
        """Empty; `mode` says what now is (design section 3)."""
        self._clock = clock
        self._mode = mode
        self._records: dict[str, dict[int, LiveRecord]] = {}
        self._epochs: dict[int, int] = {}
        self._written_at_s: dict[int, float] = {}
        self._last_received_at_s: dict[int, float] = {}
        self._event_now_s: int | None = None
        self._changed: set[str] = set()
        self.changes = 0
        """Grows with each record."""

    @property
    def wall_s(self) -> float:
        """The wall clock."""
        return self._clock.now_s()

    @property
    def event_mode(self) -> bool:
        """Whether now is the time of the readings."""
        return self._mode == "event"

    def now_s(self) -> int | None:
        """The service's now, in seconds since 1970; None in event mode before the first reading."""
        return self._event_now_s if self.event_mode else int(self._clock.now_s())

    def take(self, record: LiveRecord) -> bool:
        """Takes in `record`; False, changing nothing, when a replaced owner of its partition wrote it."""
        metrics.LIVE_RECORDS.inc()
        epoch = self._epochs.get(record.partition, 0)
        if record.epoch < epoch:
            metrics.LIVE_RECORDS_FENCED.inc()
            return False
        self._epochs[record.partition] = record.epoch
        # A new owner may be on another machine: its clock alone counts from here on, also one that is behind.
        written_at_s = self._written_at_s.get(record.partition, 0.0) if record.epoch == epoch else 0.0
        self._written_at_s[record.partition] = max(record.written_at_s, written_at_s)
        if record.last_received_at_s is not None:
            self._last_received_at_s[record.partition] = record.last_received_at_s
        if record.now_s is not None and record.now_s > (self._event_now_s or 0):
            self._event_now_s = record.now_s  # the greatest of the partitions', and it never goes back
        self._records.setdefault(record.zone, {})[record.partition] = record
        self._changed.add(record.zone)
        self.changes += 1
        return True

    def awake(self, partition: int) -> bool:
        """Whether the partition's meters may count as heard: its balancer writes, in event mode of new readings too."""
        if self.wall_s - self._written_at_s.get(partition, float("-inf")) > LIVE_RECORD_S_MAX:
            return False
        received_at_s = self._last_received_at_s.get(partition, float("-inf"))
        return not self.event_mode or self.wall_s - received_at_s < READINGS_SILENT_S_MAX + 1

    def forget(self, zone: str, partition: int) -> None:
        """Drops the record of a zone and partition: its topic has a tombstone for it."""
        self._records.get(zone, {}).pop(partition, None)
        self._changed.add(zone)
        self.changes += 1

    def records_of(self, zone: str) -> list[LiveRecord]:
        """The records that make up `zone` now.

        An owner writes all its zones at least once a second. So a record that its partition's newest has left behind
        by more than a heartbeat is of a zone that the partition has no meters in any more; it is left out.
        """
        return [record for record in self._records.get(zone, {}).values() if self._stands(record)]

    def records(self) -> Iterable[LiveRecord]:
        """The records that make up all zones now."""
        return (record for records in self._records.values() for record in records.values() if self._stands(record))

    def _stands(self, record: LiveRecord) -> bool:
        return self._written_at_s[record.partition] - record.written_at_s <= LIVE_RECORD_S_MAX

    def take_changed(self) -> Iterable[str]:
        """The zones that changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed
