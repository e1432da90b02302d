"""The rows of the archive's files: a row a reading, with its meter and register by name, and its place in the log."""

from collections.abc import Mapping, Sequence
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


def _names(
    partition: int, slot: Int32Array, topology: Topology, remembered: Mapping[int, tuple[str, str]]
) -> tuple[pa.DictionaryArray, pa.DictionaryArray]:
    """The meter and register of each slot; a slot newer than `topology` has no name there, its number tells."""
    slots, place = np.unique(slot, return_inverse=True)
    mine = np.flatnonzero(topology.series_partition == partition)
    mine = mine[np.argsort(topology.series_slot[mine])]
    found = np.searchsorted(topology.series_slot[mine], slots)
    series = np.append(mine, -1)[found]
    known = np.append(topology.series_slot[mine], -1)[found] == slots
    meter_of: list[str | None] = [None] * len(slots)
    register_of = np.full(len(slots), -1, np.int32)
    for k in np.flatnonzero(known).tolist():
        meter_of[k] = topology.meter[topology.series_meter[series[k]]]
        register_of[k] = topology.series_register[series[k]]
    for k in np.flatnonzero(~known).tolist():
        if int(slots[k]) in remembered:
            meter_of[k], register = remembered[int(slots[k])]
            register_of[k] = REGISTERS.index(register)
    meters = {name: k for k, name in enumerate(dict.fromkeys(name for name in meter_of if name is not None))}
    meter_code = np.array([-1 if name is None else meters[name] for name in meter_of], np.int32)
    return _dictionary(meter_code[place], list(meters)), _dictionary(register_of[place], list(REGISTERS))


def _dictionary(code: Int32Array, words: list[str]) -> pa.DictionaryArray:
    """The words by their codes; −1 is null."""
    return pa.DictionaryArray.from_arrays(pa.array(code, mask=code < 0), pa.array(words, pa.string()))
