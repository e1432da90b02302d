"""Taking partitions over: the epoch is raised, the newest whole checkpoint restored, the log replayed."""

import asyncio
import logging
from pathlib import Path

import asyncpg
import numpy as np

from services.balancer.checkpoint import newest_checkpoint
from services.balancer.flush import take_over
from services.balancer.partition import Partition
from services.balancer.topologies import Topologies
from shared.archive.files import Archive
from shared.errors import BilansError
from shared.readings_message import ReadingColumns
from shared.topics import READINGS

_log = logging.getLogger(__name__)


async def still_ours(connection: asyncpg.Connection, partition: Partition) -> bool:
    """Whether nobody took the partition over since its last flush: its state may be used on as it is."""
    row = await connection.fetchrow(
        "SELECT owner_epoch, next_offset, next_position FROM progress WHERE topic = $1 AND partition = $2",
        READINGS,
        partition.number,
    )
    return row is not None and tuple(row) == (partition.epoch, *partition.flushed)


async def acquire(
    connection: asyncpg.Connection,
    topologies: Topologies,
    number: int,
    owner: str,
    checkpoints: Path,
    archive: Archive,
    log_begin: int,
) -> Partition:
    """The partition, ours from here on, with the state to go on from at its `next_offset` in the log.

    Raises BilansError when the log begins (`log_begin`) after what is needed and the archive has not got it either.
    """
    ownership = await take_over(connection, READINGS, number, owner)
    partition = Partition(number, ownership, await topologies.get(connection, 0))
    checkpoint = await asyncio.to_thread(newest_checkpoint, checkpoints, number, ownership.next_place.offset)
    if checkpoint is not None:
        topology = await topologies.get(connection, checkpoint.topology)
        partition.restore(checkpoint.next_offset, checkpoint.event_now_s, checkpoint.memory, topology)
    if partition.next_offset < log_begin:
        followed = await connection.fetchval(
            "SELECT topology FROM progress WHERE topic = $1 AND partition = $2", READINGS, number
        )
        partition.restore(
            partition.next_offset, partition.event_now_s, partition.memory, await topologies.get(connection, followed)
        )
        await asyncio.to_thread(_rebuild, partition, archive, log_begin)
    _log.info(
        "partition %d is ours (epoch %d): from offset %d, published up to %d",
        number,
        partition.epoch,
        partition.next_offset,
        partition.flushed.offset,
    )
    return partition


def _rebuild(partition: Partition, archive: Archive, log_begin: int) -> None:
    """Applies what the log has lost from the archive, up to `log_begin`."""
    if partition.flushed.offset < log_begin:
        raise BilansError(
            f"Partition {partition.number} of {READINGS} begins at offset {log_begin},"
            f" but only what lies before {partition.flushed.offset} was balanced: readings are lost.",
            "Restore the topic, or move progress.next_offset by hand once you have sent the readings again.",
        )
    for first, end, path in archive.files(partition.number):
        if end <= partition.next_offset or first >= log_begin:
            continue
        if first > partition.next_offset:
            break
        table = archive.read(path)
        offsets = table["log_offset"].to_numpy()
        begins = np.flatnonzero(np.r_[True, offsets[1:] != offsets[:-1]])
        columns = ReadingColumns(
            slot=table["slot"].to_numpy(),
            ts_s=table["ts"].cast("int64").to_numpy(),
            value=table["value"].to_numpy(),
            version=table["version"].to_numpy(),
        )
        for begin, stop in zip(begins, [*begins[1:], len(offsets)], strict=True):
            if partition.next_offset <= offsets[begin] < log_begin:
                partition.apply(
                    int(offsets[begin]),
                    ReadingColumns(
                        columns.slot[begin:stop],
                        columns.ts_s[begin:stop],
                        columns.value[begin:stop],
                        columns.version[begin:stop],
                    ),
                )
        partition.pass_over(min(end, log_begin))
    if partition.next_offset < log_begin:
        raise BilansError(
            f"Partition {partition.number} cannot be rebuilt: neither the log nor the archive has offset"
            f" {partition.next_offset}.",
            "Bring back the archive's files or a checkpoint.",
        )
