"""A model of the log and its archive: messages at offsets, and how far the archive has got."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from shared.archive.history import ArchivedReadings
from shared.balance.memory import Int32Array
from shared.readings_message import ReadingColumns
from tests.simulation.gates import Gates

Message = ReadingColumns | int
"""Readings, or the number of a topology that is followed from here on."""


@dataclass
class ModelLog:
    """Implements services.balancer.history_worker.ArchiveReader over the log itself."""

    gates: Gates
    messages: list[Message] = field(default_factory=list)
    archived: int = 0
    damaged_percent: int = 0
    """How often, of a hundred, a file cannot be read."""

    async def archived_until(self, partition: int) -> int:
        """How far the archive has got."""
        await self.gates.pause()
        return self.archived

    async def history(self, partition: int, slots: Int32Array, end_offset: int) -> ArchivedReadings:
        """What is archived before `end_offset`."""
        await self.gates.pause()
        if self.gates.random.randrange(100) < self.damaged_percent:
            raise pa.ArrowInvalid("a file is damaged")
        rows = [
            (int(m.slot[k]), int(m.ts_s[k]), int(m.value[k]), int(m.version[k]), offset, k)
            for offset, m in enumerate(self.messages[: min(end_offset, self.archived)])
            if isinstance(m, ReadingColumns)
            for k in np.flatnonzero(np.isin(m.slot, slots)).tolist()
        ]
        rows.sort(key=lambda row: row[0])
        columns = np.array(rows, np.int64).reshape(-1, 6).T
        dtypes = (np.int32, np.int64, np.int64, np.int32, np.int64, np.int32)
        return ArchivedReadings(*(column.astype(dtype) for column, dtype in zip(columns, dtypes, strict=True)))
