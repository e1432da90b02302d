"""The recomputation of many weeks of the rural network: its archive is made, read back, counted and checked."""

import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from deploy.bench.progress import BenchProgress
from deploy.bench.recompute_archive import FILE_ROWS, write_archive
from deploy.bench.recompute_expected import difference_wh
from deploy.bench.recompute_network import WEEK_QUARTERS, Network, read_network
from deploy.bench.usage import rss_bytes_max
from deploy.demo import RURAL_WEEK
from deploy.verify.recompute import Extent, Spent, count_archived, energy_series, recompute
from shared.archive.files import Archive


@dataclass(slots=True)
class RecomputeRun:
    """What was recomputed, and what that took."""

    archived_readings: int = 0
    """All readings of the archive, those of states of charge too."""
    readings: int = 0
    """Those of registers of energy: all of them are counted."""
    archive_bytes: int = 0
    series: int = 0
    """Series of energy."""
    rows: int = 0
    """Rows of totals: a zone and a window of a partition each."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    reading_seconds: float = 0.0
    """Of reading the archive and putting it in order, which goes on beside the counting …"""
    counting_seconds: float = 0.0
    """… of counting: the two overlap."""
    rss_bytes: int = 0
    """The most memory held while recomputing."""
    difference_wh: int = 0
    missing_readings: int = 0
    """Readings that were written and are not found in the archive."""


def recompute_weeks(weeks: int, partitions: int, progress: BenchProgress, file_rows: int = FILE_ROWS) -> RecomputeRun:
    """Makes the archive in a folder of its own, recomputes each partition from it, and checks every row.

    The clock runs while totals are recomputed, not while they are checked. What is read was written just before, so
    that the system still has it in memory as far as there is room.
    """
    run = RecomputeRun()
    network = read_network(RURAL_WEEK, partitions)
    with tempfile.TemporaryDirectory(prefix="bilans-recompute-", ignore_cleanup_errors=True) as folder:
        archive = Archive(folder)
        _fill(run, archive, network, weeks, file_rows, progress)
        run.archive_bytes = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
        _forget_peak_memory()
        progress.step(f"recomputing {run.readings:,} readings of {run.series:,} series", run.series)
        for partition in range(partitions):
            _recompute_partition(run, archive, network, partition, weeks, progress)
        run.rss_bytes = rss_bytes_max(psutil.Process(os.getpid()))
    return run


def _fill(
    run: RecomputeRun, archive: Archive, network: Network, weeks: int, file_rows: int, progress: BenchProgress
) -> None:
    quarters = weeks * WEEK_QUARTERS
    progress.step(f"writing the archive of {weeks} weeks", sum(map(len, network.week)) * (quarters + 1))
    written = 0

    def advance(rows: int) -> None:
        nonlocal written
        written += rows
        progress.show(written)

    run.archived_readings = write_archive(archive, network, quarters, file_rows, len(os.sched_getaffinity(0)), advance)
    run.series = sum(energy_series(network.topology, partition) for partition in range(len(network.week)))
    run.readings = run.series * (quarters + 1)


def _recompute_partition(
    run: RecomputeRun, archive: Archive, network: Network, partition: int, weeks: int, progress: BenchProgress
) -> None:
    extent = Extent(partition, archive.next_offset(partition), 0, np.zeros(0, np.int64), np.zeros(0, np.int32))
    done = sum(energy_series(network.topology, before) for before in range(partition))

    def advance(series: int) -> None:
        nonlocal done
        done += series
        progress.show(done)

    spent = Spent()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    found = recompute(archive, extent, network.topology, advance, spent)
    run.seconds += time.perf_counter() - began_s
    run.cpu_seconds += time.process_time() - began_cpu_s
    run.reading_seconds += spent.reading_s
    run.counting_seconds += spent.counting_s
    run.rows += len(found.key)
    run.difference_wh += difference_wh(found, network, partition, weeks)
    archived, exact = count_archived(archive, extent)
    written = len(network.week[partition]) * (weeks * WEEK_QUARTERS + 1)
    run.missing_readings += abs(written - archived) if exact else written


def _forget_peak_memory() -> None:
    """Lets the peak of memory count from here on, where the system can: making the archive needs memory too."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
