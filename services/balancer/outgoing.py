"""What a flush tells others, as messages for the outbox: conflicts, late readings, changed windows."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from shared.balance.late import LateReadings
from shared.balance.memory import Int32Array, Int64Array
from shared.balance.placement import Placement
from shared.instants import format_instant
from shared.readings_message import ReadingColumns
from shared.rejected_message import RejectedDelivery, encode_rejected, rejected_headers
from shared.topics import BALANCE, CHANGES, LATE, READINGS, REJECTED
from shared.topology.index import Topology
from shared.words import REGISTERS, RejectReason

_ROWS_MAX = 50_000
"""Rows of a message: 2 MB, which is far below what the log takes, however much one flush has to say."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message for the outbox; `message_id` is derived from what it says, so that a double is known as one."""

    message_id: str
    topic: str
    value: bytes
    headers: dict[str, str] = field(default_factory=dict)
    topic_partition: int | None = None


def _named(topology: Topology, placement: Placement, slot: int) -> tuple[str, str] | tuple[None, None]:
    """The meter and register of a slot; None of one that the topology has no more: ingest hears of that later."""
    if placement.meter[slot] < 0:
        return None, None
    return topology.meter[placement.meter[slot]], REGISTERS[placement.register[slot]]


def conflict_messages(
    topology: Topology,
    placement: Placement,
    partition: int,
    offset: int,
    positions: npt.NDArray[np.intp],
    readings: ReadingColumns,
) -> list[OutgoingMessage]:
    """A rejected delivery for each of `readings`: their versions came before with other values (rule 1).

    `positions` are their places in the message at `offset`.
    """
    messages = []
    for k, position in enumerate(positions.tolist()):
        meter, register = _named(topology, placement, int(readings.slot[k]))
        ts = format_instant(int(readings.ts_s[k]))
        reading = {
            "meter": meter,
            "register": register,
            "ts": ts,
            "value": int(readings.value[k]),
            "version": int(readings.version[k]),
        }
        delivery = RejectedDelivery(
            reason=RejectReason.CONFLICT,
            source="balancer",
            detail=f"another value came first for version {reading['version']} of this instant",
            meter=meter,
            register=register,
            ts=ts,
            position=f"{READINGS}/{partition}@{offset} reading {position}",
            original=orjson.dumps(reading),
        )
        headers = {name: value.decode() for name, value in rejected_headers(delivery)}
        message_id = f"conflict-{partition}-{offset}-{position}"
        messages.append(OutgoingMessage(message_id, REJECTED, encode_rejected(delivery), headers))
    return messages


def late_messages(
    topology: Topology, placement: Placement, partition: int, late: LateReadings
) -> list[OutgoingMessage]:
    """Tells which readings wait in the late queue: Arrow streams with meter, register, ts, value and version.

    Meter and register are null where the topology has the series no more.
    """
    parts = [late.take(slice(first, first + _ROWS_MAX)) for first in range(0, len(late), _ROWS_MAX)]
    return [_late_message(topology, placement, partition, part) for part in parts]


def _late_message(topology: Topology, placement: Placement, partition: int, late: LateReadings) -> OutgoingMessage:
    known = placement.meter[late.slot]
    meters, index = np.unique(known, return_inverse=True)
    names = pa.array([topology.meter[meter] if meter >= 0 else None for meter in meters.tolist()], pa.string())
    register = placement.register[late.slot].astype(np.int32)
    table = pa.table(
        {
            "meter": pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), names),
            "register": pa.DictionaryArray.from_arrays(
                pa.array(register, mask=register < 0), pa.array(list(REGISTERS), pa.string())
            ),
            "ts": pa.array(late.ts_s).cast(pa.timestamp("s", tz="UTC")),
            "value": pa.array(late.value),
            "version": pa.array(late.version),
            "log_offset": pa.array(late.log_offset),
        }
    )
    message_id = f"late-{partition}-{late.log_offset[0]}-{late.position[0]}"
    return OutgoingMessage(message_id, LATE, _stream(table), topic_partition=partition)


def changed_windows_messages(
    topology: Topology, partition: int, place: tuple[int, int, int], zone_id: Int32Array, window_s: Int64Array
) -> list[OutgoingMessage]:
    """Tells which windows of which zones changed: Arrow streams with zone, window_start and partition.

    Their header `kind` is `changes`; `restatements.py` tells of windows that were closed already.
    """
    order = np.argsort(topology.zone_id)
    nearest = np.minimum(np.searchsorted(topology.zone_id, zone_id, sorter=order), max(len(order) - 1, 0))
    index = order[nearest]
    known = topology.zone_id[index] == zone_id  # a zone that the newest topology has no more has no name
    table = pa.table(
        {
            "zone": pa.DictionaryArray.from_arrays(
                pa.array(index[known].astype(np.int32)), pa.array(topology.zone, pa.string())
            ),
            "window_start": pa.array(window_s[known]).cast(pa.timestamp("s", tz="UTC")),
            "partition": pa.array(np.full(int(known.sum()), partition, np.int16)),
        }
    )
    message_id = f"balance-{partition}-{'-'.join(map(str, place))}"
    return [
        OutgoingMessage(
            f"{message_id}-{first}",
            BALANCE,
            _stream(table.slice(first, _ROWS_MAX)),
            {"kind": CHANGES},
            topic_partition=partition,
        )
        for first in range(0, len(table), _ROWS_MAX)
    ]


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
