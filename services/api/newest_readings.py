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


@dataclass(frozen=True, slots=True)
class NewestColumns:
    """The newest reading of some series, a column each."""

    slot: Whole
    ts_s: Whole
    value: Whole
    cadence_s: Whole


class NewestReadings:
    """The newest chunk under each key `partition|chunk`."""

    def __init__(self) -> None:
        """Empty."""
        self._chunks: dict[int, dict[str, NewestColumns]] = defaultdict(dict)

    def take(self, key: bytes, value: bytes | None) -> None:
        """Takes in a message of the topic; a tombstone drops its chunk. Raises ValueError when it is none."""
        partition, _, chunk = key.decode().partition("|")
        if value is None:
            self._chunks[int(partition)].pop(chunk, None)
        else:
            self._chunks[int(partition)][chunk] = _decode(value)

    def of_series(self, partition: npt.NDArray[np.int16], slot: npt.NDArray[np.int32]) -> NewestColumns:
        """The newest reading of each series given; `ts_s` is NOT_HEARD_S where none has come."""
        found = NewestColumns(
            slot=slot.astype(np.int64),
            ts_s=np.full(len(slot), NOT_HEARD_S, np.int64),
            value=np.zeros(len(slot), np.int64),
            cadence_s=np.full(len(slot), CADENCE_UNKNOWN_S, np.int64),
        )
        for number, chunks in self._chunks.items():
            mine = np.flatnonzero(partition == number)
            if not len(mine):
                continue
            place = np.full(int(slot[mine].max()) + 1, -1, np.int64)
            place[slot[mine]] = mine
            for chunk in chunks.values():
                _lay_out(found, place, chunk)
        return found


def _lay_out(found: NewestColumns, place: Whole, chunk: NewestColumns) -> None:
    known = chunk.slot < len(place)
    target = np.where(known, place[np.where(known, chunk.slot, 0)], -1)
    # A slot may stand in two chunks for a moment, when chunks are cut anew: the newer reading is the newest.
    newer = (target >= 0) & (chunk.ts_s > found.ts_s[target])
    target = target[newer]
    found.ts_s[target] = chunk.ts_s[newer]
    found.value[target] = chunk.value[newer]
    found.cadence_s[target] = chunk.cadence_s[newer]


def _decode(value: bytes) -> NewestColumns:
    with pa.ipc.open_stream(pa.py_buffer(value)) as reader:
        table = reader.read_all()

    def column(name: str) -> Whole:
        numbers: Whole = table.column(name).cast(pa.int64()).to_numpy().astype(np.int64)
        return numbers

    cadence = column("cadence_s")
    return NewestColumns(
        slot=column("slot"),
        ts_s=column("ts"),
        value=column("value"),
        cadence_s=np.where(cadence > 0, cadence, CADENCE_UNKNOWN_S),
    )
