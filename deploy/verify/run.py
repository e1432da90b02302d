"""The verification: a snapshot of PostgreSQL, every total recomputed from the archive, and what differs."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg
import numpy as np
import orjson

from deploy.stores_answer import stores_answer
from deploy.verify.books import BooksDifference, check_books
from deploy.verify.progress import VerifyProgress
from deploy.verify.recompute import count_archived, energy_series, recompute
from deploy.verify.snapshot import (
    PublishedPartition,
    Unlike,
    count_recounts,
    read_books,
    read_partitions,
    read_rows,
    read_unlike_revisions,
    read_zone_names,
)
from deploy.verify.totals import Totals, compare, union, window_of, zone_of
from shared.archive.files import Archive
from shared.balance.memory import Int64Array
from shared.database.engine import connect
from shared.database.tables import SUM_COLUMNS
from shared.errors import BilansError
from shared.instants import format_instant
from shared.topology.index import Topology
from shared.topology.store import read_topology

DIFFERENCES_NAMED = 20
"""So many differences are told one by one."""
_ASK_S = 0.5
_ARCHIVE_SILENT_S_MAX = 60.0
"""The archive is given up when it has not got any further for this long: it is written every few seconds."""
_STATEMENT_S_MAX = 600
"""A statement may read all rows of a partition."""


@dataclass(slots=True)
class Verification:
    """What was compared, and what differs."""

    readings: int = 0
    differences: int = 0
    """Figures of rows that are not what they must be."""
    named: list[str] = field(default_factory=list)
    """The first of them, and of the books, a line each."""
    notes: list[str] = field(default_factory=list)
    """What could not be compared, a line each."""
    books: list[BooksDifference] = field(default_factory=list)
    keys: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))
    """The zones and windows that were compared."""
    seconds: float = 0.0

    @property
    def right(self) -> bool:
        """Whether nothing differs."""
        return self.differences == 0 and not self.books

    @property
    def books_difference(self) -> int:
        """By how many deliveries the books are wrong."""
        return sum(abs(difference.found - difference.expected) for difference in self.books)

    @property
    def zones(self) -> int:
        """How many zones have windows."""
        return len(np.unique(zone_of(self.keys)))

    def name(self, line: str) -> None:
        """Notes a difference, if it is one of the first."""
        if len(self.named) < DIFFERENCES_NAMED:
            self.named.append(line)

    def last_line(self) -> str:
        """The result as one line of JSON."""
        result = {
            "windows": len(self.keys),
            "zones": self.zones,
            "readings": self.readings,
            "differences": self.differences,
            "books_difference": self.books_difference,
            "seconds": round(self.seconds, 2),
        }
        return orjson.dumps(result).decode()


async def verify(database_url: str, archive_location: str, *, wait: bool, progress: VerifyProgress) -> Verification:
    """Recomputes and compares everything.

    Raises BilansError when the database or the archive cannot be read; without `wait` also when windows are still to be
    recounted or the archive is not as far as the published rows.
    """
    began_s = time.monotonic()
    archive = Archive(archive_location)
    with stores_answer():
        connection = await connect(database_url, application_name="bilans verify", statement_timeout_s=_STATEMENT_S_MAX)
    try:
        while True:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                recounts = await count_recounts(connection)
                if recounts == 0:
                    verification = await _Run(connection, archive, progress, wait=wait).run()
                    verification.seconds = time.monotonic() - began_s
                    return verification
            if not wait:
                raise BilansError(
                    f"{recounts:,} windows are still to be recounted after a change of topology.",
                    "Leave --no-wait out, or call again later.",
                )
            progress.show(f"waiting: {recounts:,} windows are to be recounted")
            await asyncio.sleep(_ASK_S)
    finally:
        await connection.close(timeout=2)


class _Run:
    """One verification within one snapshot."""

    def __init__(
        self, connection: asyncpg.Connection, archive: Archive, progress: VerifyProgress, *, wait: bool
    ) -> None:
        self._connection = connection
        self._archive = archive
        self._progress = progress
        self._wait = wait
        self._names: dict[int, str] = {}
        self._result = Verification()

    async def run(self) -> Verification:
        partitions = await read_partitions(self._connection)
        self._names = await read_zone_names(self._connection)
        topologies = {
            number: await read_topology(self._connection, number)
            for number in sorted({partition.topology for partition in partitions})
        }
        series = [energy_series(topologies[one.topology], one.extent.partition) for one in partitions]
        self._progress.begin(sum(series))
        archived: dict[int, int] = {}
        for one in partitions:
            await self._await_archive(one)
            self._progress.show(f"partition {one.extent.partition}")
            count, exact = await self._verify_partition(one, topologies[one.topology])
            self._result.readings += count
            if exact:
                archived[one.extent.partition] = count
            else:
                self._result.notes.append(
                    f"partition {one.extent.partition}: a compacted file is cut where the balance stands or by a"
                    " hand-over, so received is not held against the archive"
                )
        for unlike in await read_unlike_revisions(self._connection):
            self._result.differences += 1
            self._result.name(self._say_unlike(unlike))
        waiting = {one.extent.partition: len(one.extent.waiting_offset) for one in partitions}
        self._result.books = check_books(await read_books(self._connection), waiting, archived)
        for difference in self._result.books:
            self._result.name(str(difference))
        return self._result

    async def _await_archive(self, one: PublishedPartition) -> None:
        """Returns when the archive has every reading that is in the published rows."""
        extent = one.extent
        reached, since_s = -1, time.monotonic()
        while True:
            with _archive_answers():
                next_offset = await asyncio.to_thread(self._archive.next_offset, extent.partition)
            if next_offset >= extent.end_offset:
                return
            if next_offset > reached:
                reached, since_s = next_offset, time.monotonic()
            if not self._wait or time.monotonic() - since_s > _ARCHIVE_SILENT_S_MAX:
                raise BilansError(
                    f"The archive has partition {extent.partition} up to offset {next_offset}, the published rows have"
                    f" it up to {extent.end_offset}.",
                    "It is written by the balancers: start them, and call again.",
                )
            self._progress.show(f"waiting: the archive is {extent.end_offset - next_offset:,} messages behind")
            await asyncio.sleep(_ASK_S)

    async def _verify_partition(self, one: PublishedPartition, topology: Topology) -> tuple[int, bool]:
        """Compares the partition's rows; how many deliveries the archive has of it, and whether that is exact."""
        with _archive_answers():
            counted = await asyncio.to_thread(count_archived, self._archive, one.extent)
            expected = await asyncio.to_thread(recompute, self._archive, one.extent, topology, self._progress.advance)
        self._hold(one.extent.partition, await read_rows(self._connection, one.extent.partition), expected)
        return counted

    def _hold(self, partition: int, found: Totals, expected: Totals) -> None:
        compared = compare(found, expected)
        self._result.keys = union(self._result.keys, compared.key)
        rows, columns = np.nonzero(compared.found != compared.expected)
        self._result.differences += len(rows)
        order = np.lexsort((columns, compared.key[rows] >> 32, window_of(compared.key[rows])))[:DIFFERENCES_NAMED]
        missing = set(compared.missing.tolist())
        for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            there = " (there is no row)" if row in missing else ""
            self._result.name(
                f"{self._say_window(int(zone_of(compared.key[row])), int(window_of(compared.key[row])))},"
                f" partition {partition}, {SUM_COLUMNS[column]}:"
                f" found {compared.found[row, column]}{there}, expected {compared.expected[row, column]}"
            )

    def _say_window(self, zone_id: int, window_s: int) -> str:
        return f"{self._names.get(zone_id, f'zone number {zone_id}')} {format_instant(window_s)}"

    def _say_unlike(self, unlike: Unlike) -> str:
        where = f"{self._say_window(unlike.zone_id, unlike.window_s)}, partition {unlike.partition}"
        if unlike.revision is None:
            return f"{where}: found no row, expected that of revision {unlike.newest}"
        if unlike.newest is None:
            return f"{where}: found revision {unlike.revision}, which is not among the revisions"
        if unlike.revision != unlike.newest:
            return f"{where}, revision: found {unlike.revision}, expected {unlike.newest}, the newest one"
        return f"{where}: found other sums than those of its revision {unlike.newest}"


@contextmanager
def _archive_answers() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BilansError(f"The archive cannot be read: {error}.", "Bring back what is missing, or mend it.") from error
