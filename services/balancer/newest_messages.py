"""Messages of `bilans.meters`: the newest reading of each series, a chunk of slots a message."""

import numpy as np
import pyarrow as pa

from services.balancer.partition import Partition
from shared.balance.live import cadences_s, slopes_w
from shared.balance.memory import Int64Array, newest_readings
from shared.topics import METERS

CHUNK = 50_000
"""Slots of a message: 1.6 MB at most."""
AT_ONCE = 10 * CHUNK
"""Slots whose newest readings are told at once: of a larger partition the next ones follow at the next time, since all
of three million series would take the main thread and the broker a second each time."""


def next_turn(until: int, slots: int) -> tuple[int, int]:
    """The first slot of the next turn, and the one behind its last: what follows `until`, or the first ones again."""
    begin = until if until < slots else 0
    return begin, min(begin + AT_ONCE, slots)


def newest_messages(partition: Partition, begin: int, end: int) -> list[tuple[str, bytes, bytes]]:
    """Topic, key and value: Arrow streams of slot, ts, value, cadence_s and power_w of the series heard so far.

    They are those of the slots begin … end − 1; a message has the series of CHUNK slots from a multiple of CHUNK on,
    and `begin` is one.
    """
    messages = []
    for first in range(begin, end, CHUNK):
        heard = partition.memory.holds[first : min(first + CHUNK, end)] > 0
        if heard.any():
            key = f"{partition.number}|{first // CHUNK}".encode()
            messages.append((METERS, key, _stream_of(partition, first + np.flatnonzero(heard))))
    return messages


def _stream_of(partition: Partition, slots: Int64Array) -> bytes:
    newest = newest_readings(partition.memory, slots)
    batch = pa.record_batch(
        {
            "slot": pa.array(slots.astype(np.int32)),
            "ts": pa.array(newest["ts_s"].astype(np.int64)).cast(pa.timestamp("s", tz="UTC")),
            "value": pa.array(newest["value"].copy()),
            "cadence_s": pa.array(cadences_s(partition.memory, slots)),
            "power_w": pa.array(slopes_w(partition.memory, partition.placement, slots)),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
