"""Taking partitions over: the epoch is raised, the newest whole checkpoint restored, the log replayed."""

import asyncio
import logging
from pathlib import Path

from services.balancer.checkpoint import newest_checkpoint
from services.balancer.differences import Differences
from services.balancer.partition import Partition
from services.balancer.store import Store
from shared.archive.files import Archive
from shared.archive.history import read_messages
from shared.errors import BilansError
from shared.topics import READINGS

_log = logging.getLogger(__name__)


async def still_ours(store: Store, partition: Partition) -> bool:
    """Whether nobody took the partition over since its last flush: its state may be used on as it is."""
    return await store.is_current(partition.number, partition.epoch, partition.flushed, partition.lane.flushed)


async def acquire(
    store: Store,
    number: int,
    owner: str,
    checkpoints: Path,
    archive: Archive,
    log_begin: int,
    differences: Differences | None = None,
) -> Partition:
    """The partition, ours from here on, with the state to go on from at its `next_offset` in the log.

    `differences` are where it notes what changes; None: tables of the usual size.
    Raises BilansError when the log begins (`log_begin`) after what is needed and the archive has not got it either.
    """
    ownership = await store.take_over(number, owner)
    partition = Partition(number, ownership, await store.topology(0), differences)
    published = ownership.next_place.offset, ownership.history.step
    checkpoint = await asyncio.to_thread(newest_checkpoint, checkpoints, number, *published)
    history_step = 0
    if checkpoint is not None:
        topology = await store.topology(checkpoint.topology)
        # In a thread: placing millions of series takes longer than a member of the group may be silent.
        await asyncio.to_thread(
            partition.restore, checkpoint.next_offset, checkpoint.event_now_s, checkpoint.memory, topology
        )
        history_step = checkpoint.history_step
    partition.bring_back(await store.remembered(number, history_step))
    if partition.next_offset < log_begin:
        await asyncio.to_thread(partition.follow, await store.topology(await store.followed_topology(number)))
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
    for stretch in read_messages(archive, partition.number, partition.next_offset, log_begin):
        for message in stretch.messages:
            partition.apply(message.offset, message.readings)
        partition.pass_over(stretch.end_offset)
    if partition.next_offset < log_begin:
        raise BilansError(
            f"Partition {partition.number} cannot be rebuilt: neither the log nor the archive has offset"
            f" {partition.next_offset}.",
            "Bring back the archive's files or a checkpoint.",
        )
