"""The rows of the archive's files: a row a reading, with its meter and register by name, and its place in the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from shared.archive.message import ArchivedMessage
from shared.balance.memory import Int32Array, Int64Array
from shared.readings_message import READINGS_SCHEMA, ReadingColumns
from shared.topology.index import Topology
from shared.words import REGISTERS

ROW_GROUP_ROWS = 65_536
"""Rows of a row group: a series is found in a compacted file by reading one or two of them, 1 MB or so each."""

DELIVERIES_KEY = "bilans.deliveries"
"""Key in a file's metadata: how many readings its messages had, doubles included; empty where nobody knows."""

PLACE_COLUMNS = ("slot", "ts", "value", "version", "log_offset", "position")
"""The columns that say what was read and where it stands in the log."""

SOUGHT_COLUMNS = ("slot", "ts", "log_offset", "version")
"""The columns by which rows are sought, and the version, which need not be read where there is but one: they alone get
statistics. Those of all columns would take a quarter of the time of writing."""

NAME_COLUMNS = ("meter", "register")
"""The columns that name it for people."""


def message_table(partition: int, messages: Sequence[ArchivedMessage], topology: Topology) -> pa.Table:
    """The rows of the messages, in the order of the log."""
    readings = [message.readings for message in messages]
    counts = [len(columns) for columns in readings]
    return row_table(
        partition,
        ReadingColumns(
            _joined([columns.slot for columns in readings], np.int32),
            _joined([columns.ts_s for columns in readings], np.int64),
            _joined([columns.value for columns in readings], np.int64),
            _joined([columns.version for columns in readings], np.int32),
        ),
        np.repeat(np.array([message.offset for message in messages], np.int64), counts),
        _joined([np.arange(count, dtype=np.int32) for count in counts], np.int32),
        topology,
        {},
    )


def row_table(
    partition: int,
    readings: ReadingColumns,
    log_offset: Int64Array,
    position: Int32Array,
    topology: Topology,
    remembered: Mapping[int, tuple[str, str]],
) -> pa.Table:
    """The rows of readings at places in the log; `remembered` has meter and register of slots not in `topology`."""
    meter, register = _names(partition, readings.slot, topology, remembered)
    return pa.table(
        {
            "meter": meter,
            "register": register,
            "ts": pa.array(readings.ts_s).cast(READINGS_SCHEMA.field("ts").type),
            "value": pa.array(readings.value),
            "version": pa.array(readings.version),
            "slot": pa.array(readings.slot),
            "log_offset": pa.array(log_offset),
            "position": pa.array(position),
        }
    )


def named_slots(partition: int, topology: Topology) -> Int32Array:
    """The partition's slots that `topology` has names for, ascending."""
    slots: Int32Array = np.sort(topology.series_slot[topology.series_partition == partition])
    return slots


def _joined(columns: list[Any], of: type) -> Any:
    return np.concatenate(columns) if columns else np.empty(0, of)


@dataclass(frozen=True, slots=True)
class _SlotNames:
    """Whose each slot of a partition is, by the topology."""

    meter: Int32Array
    """[slots] index of the meter, −1 for a slot that the topology does not know."""
    register: Int32Array
    """[slots] the register's code, or −1."""


def _slot_names(partition: int, topology: Topology, slots: int) -> _SlotNames:
    """Of at least `slots` slots."""
    mine = np.flatnonzero(topology.series_partition == partition)
    slot = topology.series_slot[mine]
    slots = max(slots, int(slot.max()) + 1 if len(slot) else 0)
    names = _SlotNames(np.full(slots, -1, np.int32), np.full(slots, -1, np.int32))
    names.meter[slot] = topology.series_meter[mine]
    names.register[slot] = topology.series_register[mine]
    return names


def _names(
    partition: int, slot: Int32Array, topology: Topology, remembered: Mapping[int, tuple[str, str]]
) -> tuple[pa.DictionaryArray, pa.DictionaryArray]:
    """The meter and register of each slot; a slot newer than `topology` has no name there, its number tells."""
    slots = int(slot.max()) + 1 if len(slot) else 0
    names = _slot_names(partition, topology, slots)
    used = np.zeros(len(topology.meter) + 1, np.bool_)  # the last one is meter −1
    used[names.meter[slot]] = True
    meters = np.flatnonzero(used[:-1])
    code = np.full(len(used), -1, np.int32)
    code[meters] = np.arange(len(meters))
    meter_code, register_code = code[names.meter], names.register
    words = {topology.meter[meter]: k for k, meter in enumerate(meters.tolist())}
    for one, (name, register) in remembered.items():
        if one < slots and names.meter[one] < 0:
            meter_code[one], register_code[one] = words.setdefault(name, len(words)), REGISTERS.index(register)
    return _dictionary(meter_code[slot], list(words)), _dictionary(register_code[slot], list(REGISTERS))


def _dictionary(code: Int32Array, words: list[str]) -> pa.DictionaryArray:
    """The words by their codes; −1 is null."""
    return pa.DictionaryArray.from_arrays(pa.array(code, mask=code < 0), pa.array(words, pa.string()))
