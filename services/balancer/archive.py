"""The archive: every reading of `bilans.readings` once in Parquet, with its partition and offset (design section 7).

A file holds the messages of one partition from one offset to another, and is named by them:
`readings/partition-000/00000000000000000000-00000000000000001234.parquet` (the second offset is the first not in it).
The names are the follower's progress: a file is written whole or not at all, and the next begins where it ended. After
a hand-over two files may overlap; a reader goes by the offsets and takes each once.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.balance.memory import Int64Array
from shared.readings_message import ReadingColumns
from shared.topology.index import Topology
from shared.words import REGISTERS

_FILE = re.compile(r"(\d{20})-(\d{20})\.parquet$")


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    """A message's readings and its offset."""

    offset: int
    readings: ReadingColumns


class Archive:
    """The archive under a folder or an fsspec URL."""

    def __init__(self, location: str) -> None:
        """`location` is a folder or a URL that fsspec knows."""
        self._files, self._root = fsspec.core.url_to_fs(location)

    def _folder(self, partition: int) -> str:
        return f"{self._root}/readings/partition-{partition:03d}"

    def files(self, partition: int) -> list[tuple[int, int, str]]:
        """The partition's files: first offset, end offset, path; in the order of offsets."""
        folder = self._folder(partition)
        self._files.invalidate_cache()
        if not self._files.exists(folder):
            return []
        found = []
        for path in self._files.ls(folder, detail=False):
            match = _FILE.search(path)
            if match:
                found.append((int(match[1]), int(match[2]), path))
        return sorted(found)

    def next_offset(self, partition: int) -> int:
        """The first offset that is in no file."""
        return max((end for _, end, _ in self.files(partition)), default=0)

    def write(self, partition: int, end_offset: int, messages: list[ArchivedMessage], topology: Topology) -> str:
        """Writes the messages into one file and returns its path; names of meters are those of `topology`."""
        folder = self._folder(partition)
        self._files.makedirs(folder, exist_ok=True)
        path = f"{folder}/{messages[0].offset:020d}-{end_offset:020d}.parquet"
        unfinished = f"{path}.unfinished"
        with self._files.open(unfinished, "wb") as file:
            pq.write_table(_table(partition, messages, topology), file, compression="zstd")
        self._files.mv(unfinished, path)
        return path

    def read(self, path: str) -> pa.Table:
        """The rows of one file."""
        with self._files.open(path, "rb") as file:
            return pq.read_table(file)


def _table(partition: int, messages: list[ArchivedMessage], topology: Topology) -> pa.Table:
    slot = np.concatenate([message.readings.slot for message in messages])
    counts = [len(message.readings) for message in messages]
    meter, register = _names(partition, slot, topology)
    return pa.table(
        {
            "meter": meter,
            "register": register,
            "ts": pa.array(_joined(m.readings.ts_s for m in messages)).cast(pa.timestamp("s", tz="UTC")),
            "value": pa.array(_joined(m.readings.value for m in messages)),
            "version": pa.array(_joined(m.readings.version for m in messages)),
            "slot": pa.array(slot),
            "log_offset": pa.array(np.repeat([message.offset for message in messages], counts)),
            "position": pa.array(_joined(np.arange(n, dtype=np.int32) for n in counts)),
        }
    )


def _joined(columns: Iterable[Any]) -> Any:
    return np.concatenate(list(columns))


def _names(partition: int, slot: Any, topology: Topology) -> tuple[pa.DictionaryArray, pa.DictionaryArray]:
    """The meter and register of each slot; a slot newer than `topology` has no name there, its number tells."""
    mine = np.flatnonzero(topology.series_partition == partition)
    size = max(int(slot.max()), int(topology.series_slot[mine].max(initial=-1))) + 1
    series_of_slot: Int64Array = np.full(size, -1, np.int64)
    series_of_slot[topology.series_slot[mine]] = mine
    series = series_of_slot[slot]
    known = series >= 0
    # −1, for a slot without a name, picks what is appended.
    meters, index = np.unique(np.append(topology.series_meter, -1)[series], return_inverse=True)
    names = pa.array([topology.meter[meter] if meter >= 0 else "" for meter in meters.tolist()], pa.string())
    register = np.append(topology.series_register, 0)[series].astype(np.int32)
    return (
        pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32), mask=~known), names),
        pa.DictionaryArray.from_arrays(pa.array(register, mask=~known), pa.array(list(REGISTERS), pa.string())),
    )
