"""The newest reading of every series in memory, as the topic `bilans.meters` brings them, chunk by chunk."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Whole = npt.NDArray[np.int64]

NOT_HEARD_S = -(2**62)
"""The instant of a series that has not been heard."""

CADENCE_UNKNOWN_S = 900
"""The cadence of a series that has not shown one yet (design section 3)."""

HEARD_GRACE_S = 60
"""A meter is heard within two of its own cadences and this (design section 3)."""


@dataclass(frozen=True, slots=True)
class NewestColumns:
    """The newest reading of some series, a column each."""

    slot: Whole
    """Ascending in a chunk."""
    ts_s: Whole
    value: Whole
    cadence_s: Whole
    power_w: Whole
    """The slope between an energy register's last two readings, W; 0 for the other registers."""

    def in_time(self, now_s: int) -> npt.NDArray[np.bool_]:
        """Which of the series were heard within two of their own cadences and a minute before `now_s`."""
        oldest_s = now_s - 2 * self.cadence_s - HEARD_GRACE_S
        fresh: npt.NDArray[np.bool_] = (self.ts_s >= oldest_s) & (self.ts_s != NOT_HEARD_S)
        return fresh


class SoughtSeries:
    """Series whose newest readings are looked up again and again: their slots, sorted once."""

    def __init__(self, partition: npt.NDArray[np.int16], slot: npt.NDArray[np.int32]) -> None:
        """`partition` and `slot` of each series."""
        self.slot: Whole = slot.astype(np.int64)
        self.places: dict[int, tuple[Whole, Whole]] = {}
        """By partition: the places of its series in the order of their slots, and those slots."""
        for number in np.unique(partition).tolist():
            mine = np.flatnonzero(partition == number)
            ordered = mine[np.argsort(self.slot[mine], kind="stable")]
            self.places[number] = ordered, self.slot[ordered]


class NewestReadings:
    """The newest chunk under each key `partition|chunk`."""

    def __init__(self) -> None:
        """Empty."""
        self._chunks: dict[int, dict[str, NewestColumns]] = defaultdict(dict)
        self.changes = 0
        """Grows with each message: what was looked up is still right while it stands."""

    def take(self, key: bytes, value: bytes | None) -> None:
        """Takes in a message of the topic; a tombstone drops its chunk. Raises ValueError when it is none."""
        partition, _, chunk = key.decode().partition("|")
        self.put(int(partition), chunk, None if value is None else _decode(value))

    def put(self, partition: int, chunk: str, columns: NewestColumns | None) -> None:
        """Takes in a chunk of a partition; None drops it."""
        if columns is None:
            self._chunks[partition].pop(chunk, None)
        else:
            self._chunks[partition][chunk] = columns
        self.changes += 1

    def of_series(self, partition: npt.NDArray[np.int16], slot: npt.NDArray[np.int32]) -> NewestColumns:
        """The newest reading of each series given; `ts_s` is NOT_HEARD_S where none has come."""
        return self.find(SoughtSeries(partition, slot))

    def find(self, sought: SoughtSeries) -> NewestColumns:
        """The newest reading of each series sought; `ts_s` is NOT_HEARD_S where none has come."""
        count = len(sought.slot)
        found = NewestColumns(
            slot=sought.slot,
            ts_s=np.full(count, NOT_HEARD_S, np.int64),
            value=np.zeros(count, np.int64),
            cadence_s=np.full(count, CADENCE_UNKNOWN_S, np.int64),
            power_w=np.zeros(count, np.int64),
        )
        for number, (places, slots) in sought.places.items():
            for chunk in self._chunks.get(number, {}).values():
                _lay_out(found, places, slots, chunk)
        return found


def _lay_out(found: NewestColumns, places: Whole, slots: Whole, chunk: NewestColumns) -> None:
    """Puts what `chunk` has of the `slots`, ascending, to their `places` in `found`."""
    if not len(chunk.slot):
        return
    begin, end = np.searchsorted(slots, (chunk.slot[0], chunk.slot[-1] + 1))
    at = np.searchsorted(chunk.slot, slots[begin:end])  # within the chunk: its last slot is not below any of these
    target = places[begin:end]
    # A slot may stand in two chunks for a moment, when chunks are cut anew: the newer reading is the newest.
    newer = (chunk.slot[at] == slots[begin:end]) & (chunk.ts_s[at] > found.ts_s[target])
    at, target = at[newer], target[newer]
    found.ts_s[target] = chunk.ts_s[at]
    found.value[target] = chunk.value[at]
    found.cadence_s[target] = chunk.cadence_s[at]
    found.power_w[target] = chunk.power_w[at]


def _decode(value: bytes) -> NewestColumns:
    with pa.ipc.open_stream(pa.py_buffer(value)) as reader:
        table = reader.read_all()

    def column(name: str) -> Whole:
        numbers: Whole = table.column(name).cast(pa.int64()).to_numpy().astype(np.int64)
        return numbers

    slot, cadence = column("slot"), column("cadence_s")
    # A balancer of an earlier version tells no power.
    power = column("power_w") if "power_w" in table.column_names else np.zeros(len(slot), np.int64)
    if (slot[1:] <= slot[:-1]).any():
        raise ValueError("its slots do not ascend")
    return NewestColumns(
        slot=slot,
        ts_s=column("ts"),
        value=column("value"),
        cadence_s=np.where(cadence > 0, cadence, CADENCE_UNKNOWN_S),
        power_w=power,
    )
