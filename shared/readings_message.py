"""Messages of the topic `bilans.readings`: Arrow record batches of one partition's readings, and control records.

Every message has the header `kind`: `readings` (value: an Arrow IPC stream with one record batch) or `topology`
(value: JSON `{"topology": N}`, the record by which a balancer switches to topology N).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

READINGS_SCHEMA = pa.schema(
    [
        pa.field("slot", pa.int32(), nullable=False),
        pa.field("ts", pa.timestamp("s", tz="UTC"), nullable=False),
        pa.field("value", pa.int64(), nullable=False),
        pa.field("version", pa.int32(), nullable=False),
    ]
)
"""A reading in the log: its series' slot in the partition, its instant, value (Wh or W) and version."""

_READING_BYTES = 24

READINGS_HEADERS: Sequence[tuple[str, bytes]] = (("kind", b"readings"),)
TOPOLOGY_HEADERS: Sequence[tuple[str, bytes]] = (("kind", b"topology"),)


@dataclass(frozen=True, slots=True)
class ReadingColumns:
    """Readings of one partition, a column each, all of the same length."""

    slot: npt.NDArray[np.int32]
    ts_s: npt.NDArray[np.int64]
    value: npt.NDArray[np.int64]
    version: npt.NDArray[np.int32]

    def __len__(self) -> int:
        """How many readings."""
        return len(self.slot)

    def take(self, order: npt.NDArray[np.intp]) -> "ReadingColumns":
        """The readings at the places in `order`."""
        return ReadingColumns(self.slot[order], self.ts_s[order], self.value[order], self.version[order])


@dataclass(frozen=True, slots=True)
class TopologySwitch:
    """A control record: from here on the partition follows topology `number`."""

    number: int


def encode_readings(readings: ReadingColumns) -> bytes:
    """The value of a `readings` message."""
    batch = pa.record_batch(
        [
            pa.array(readings.slot, pa.int32()),
            pa.array(readings.ts_s, pa.int64()).cast(READINGS_SCHEMA.field("ts").type),
            pa.array(readings.value, pa.int64()),
            pa.array(readings.version, pa.int32()),
        ],
        schema=READINGS_SCHEMA,
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, READINGS_SCHEMA) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def encode_topology_switch(number: int) -> bytes:
    """The value of a `topology` control record."""
    return orjson.dumps({"topology": number})


def readings_at_most(value: bytes) -> int:
    """How many readings a `readings` message has at most, by its length: 24 bytes each."""
    return len(value) // _READING_BYTES


def decode_message(headers: Sequence[tuple[str, bytes]], value: bytes) -> ReadingColumns | TopologySwitch:
    """What a message of `bilans.readings` says; the columns are views of `value`, nothing is copied.

    Raises ValueError when it is neither kind: that is a bug of a producer, never a bad reading.
    """
    kind = dict(headers).get("kind", b"")
    if kind == b"topology":
        return TopologySwitch(int(orjson.loads(value)["topology"]))
    if kind != b"readings":
        raise ValueError(f"message of kind {kind!r} in bilans.readings")
    with pa.ipc.open_stream(pa.py_buffer(value)) as reader:
        batch = reader.read_next_batch()
    return ReadingColumns(
        slot=batch.column(0).to_numpy(),
        ts_s=batch.column(1).view(pa.int64()).to_numpy(),
        value=batch.column(2).to_numpy(),
        version=batch.column(3).to_numpy(),
    )
