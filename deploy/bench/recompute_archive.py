"""The archive of many weeks of a network, as compaction leaves it: final files of one to two million rows by series."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from deploy.bench.recompute_network import Network
from services.balancer.compaction import FINAL_ROWS
from shared.archive.files import Archive
from shared.archive.rows import row_table
from shared.limits import QUARTER_S
from shared.readings_message import ReadingColumns

FILE_ROWS = FINAL_ROWS * 5 // 4
"""Between FINAL_ROWS and twice as many, as a merge of files that are not final leaves it."""


def write_archive(
    archive: Archive, network: Network, quarters: int, file_rows: int, threads: int, advance: Callable[[int], None]
) -> int:
    """Writes the readings of quarters 0 … `quarters`, one message of each partition a quarter; how many readings.

    `advance` hears of each file's readings, in whatever thread.
    """
    files = []
    for partition, week in enumerate(network.week):
        file_quarters = max(1, file_rows // max(1, len(week)))
        files += [
            (partition, first, min(first + file_quarters, quarters + 1))
            for first in range(0, quarters + 1, file_quarters)
        ]

    def write(file: tuple[int, int, int]) -> int:
        rows = _write_file(archive, network, *file)
        advance(rows)
        return rows

    with ThreadPoolExecutor(threads, thread_name_prefix="write-archive") as pool:
        return sum(pool.map(write, files))


def _write_file(archive: Archive, network: Network, partition: int, first: int, end: int) -> int:
    """Writes one file: of each series, in the order of slots, its readings in the order of time."""
    slots = np.arange(len(network.week[partition]), dtype=np.int32)
    quarter = np.arange(first, end)
    readings = ReadingColumns(
        np.repeat(slots, len(quarter)),
        np.tile(network.begin_s + quarter * QUARTER_S, len(slots)),
        network.values(partition, first, end).ravel(),
        np.zeros(len(slots) * len(quarter), np.int32),
    )
    log_offset, position = np.tile(quarter, len(slots)), readings.slot  # a message has each series once, in their order
    table = row_table(partition, readings, log_offset, position, network.topology, {})
    archive.write_table(partition, first, end, table, table.num_rows)
    return int(table.num_rows)
