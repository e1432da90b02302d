"""The archive: every reading of `bilans.readings` once in Parquet, with its partition and offset (design section 7).

A file holds the messages of one partition from one offset to another, and is named by them:
`readings/partition-000/00000000000000000000-00000000000000001234.parquet` (the second offset is the first not in it).
The names are the follower's progress: a file is written whole or not at all, and the next begins where it ended. After
a hand-over two files may overlap; a reader goes by the offsets and takes each once (shared/archive/cover.py).
"""

import re
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from shared.archive.cover import ArchiveFile, Piece, cover
from shared.archive.message import ArchivedMessage
from shared.archive.rows import (
    DELIVERIES_KEY,
    NAME_COLUMNS,
    PLACE_COLUMNS,
    ROW_GROUP_ROWS,
    SOUGHT_COLUMNS,
    message_table,
)
from shared.topology.index import Topology

_FILE = re.compile(r"(\d{20})-(\d{20})\.parquet$")
_UNFINISHED = ".unfinished"
_UNFINISHED_S_MAX = 3600.0
"""An unfinished file this old was left by somebody who died: writing one takes seconds."""
_LISTINGS_MAX = 20
"""So often a reader lists again because a file was gone: compaction merges a stretch of the log a few times in all."""

_Result = TypeVar("_Result")


class Archive:
    """The archive under a folder or an fsspec URL."""

    def __init__(self, location: str) -> None:
        """`location` is a folder or a URL that fsspec knows."""
        self._files, self._root = fsspec.core.url_to_fs(location)

    def _folder(self, partition: int) -> str:
        return f"{self._root}/readings/partition-{partition:03d}"

    def _names(self, partition: int) -> list[str]:
        folder = self._folder(partition)
        self._files.invalidate_cache()
        try:
            return list(self._files.ls(folder, detail=False))
        except FileNotFoundError:
            return []

    def files(self, partition: int) -> list[ArchiveFile]:
        """The partition's files in the order of offsets."""
        found = []
        for path in self._names(partition):
            match = _FILE.search(path)
            if match:
                found.append(ArchiveFile(int(match[1]), int(match[2]), path))
        return sorted(found)

    def cover(self, partition: int, end_offset: int | None = None, first_offset: int = 0) -> list[Piece]:
        """The pieces of files that hold each archived offset in [first_offset, end_offset) exactly once."""
        return cover(self.files(partition), first_offset, end_offset)

    def next_offset(self, partition: int) -> int:
        """The first offset that is in no file: the archive has got as far as this."""
        return max((file.end_offset for file in self.files(partition)), default=0)

    def with_cover(
        self,
        partition: int,
        work: Callable[[Sequence[Piece]], _Result],
        end_offset: int | None = None,
        first_offset: int = 0,
    ) -> _Result:
        """What `work` makes of the cover; begun anew when compaction took a file away meanwhile.

        Raises FileNotFoundError when files vanish each time that they are listed.
        """
        for _ in range(_LISTINGS_MAX):
            with suppress(FileNotFoundError):
                return work(self.cover(partition, end_offset, first_offset))
        return work(self.cover(partition, end_offset, first_offset))

    def write(
        self,
        partition: int,
        first_offset: int,
        end_offset: int,
        messages: Sequence[ArchivedMessage],
        topology: Topology,
    ) -> str:
        """Writes one file of all messages with readings in [first_offset, end_offset), and returns its path.

        Names of meters are those of `topology`. Without messages the file has no rows: it says that there was nothing
        to keep, only control records.
        """
        table = message_table(partition, messages, topology)
        # In one row group: nobody finds a series in a file in the order of the log without reading all of it.
        rows = max(1, table.num_rows)
        return self.write_table(partition, first_offset, end_offset, table, table.num_rows, row_group_rows=rows)

    def write_table(
        self,
        partition: int,
        first_offset: int,
        end_offset: int,
        table: pa.Table,
        deliveries: int | None,
        *,
        row_group_rows: int = ROW_GROUP_ROWS,
    ) -> str:
        """Writes `table` as the partition's file of [first_offset, end_offset) and returns its path.

        `deliveries` is how many readings the messages had, None where nobody knows. The file is written whole under a
        name of its own, then renamed: whoever dies before leaves nothing that a reader takes for a part of the archive.
        """
        folder = self._folder(partition)
        self._files.makedirs(folder, exist_ok=True)
        path = f"{folder}/{first_offset:020d}-{end_offset:020d}.parquet"
        unfinished = f"{path}.{uuid.uuid4().hex}{_UNFINISHED}"
        table = table.replace_schema_metadata({DELIVERIES_KEY: "" if deliveries is None else str(deliveries)})
        with self._files.open(unfinished, "wb") as file:
            pq.write_table(
                table,
                file,
                compression="zstd",
                row_group_size=row_group_rows,
                write_statistics=list(SOUGHT_COLUMNS),
                use_dictionary=list(NAME_COLUMNS),
                column_encoding=dict.fromkeys(PLACE_COLUMNS, "DELTA_BINARY_PACKED"),
            )
        self._files.mv(unfinished, path)
        return path

    def open(self, path: str) -> pq.ParquetFile:
        """A file to read from; raises FileNotFoundError when compaction has deleted it."""
        return pq.ParquetFile(path, filesystem=self._files)

    def row_count(self, path: str) -> int:
        """How many rows a file has; raises FileNotFoundError when compaction has deleted it."""
        with self.open(path) as file:
            return int(file.metadata.num_rows)

    def read(self, path: str) -> pa.Table:
        """The rows of one file."""
        with self.open(path) as file:
            return file.read()

    def remove(self, file: ArchiveFile) -> None:
        """Deletes a file, if nobody else has."""
        with suppress(FileNotFoundError):
            self._files.rm_file(file.path)

    def sweep(self, partition: int) -> None:
        """Deletes what writers who died long ago left unfinished."""
        for path in self._names(partition):
            if path.endswith(_UNFINISHED):
                with suppress(FileNotFoundError):
                    if time.time() - self._files.modified(path).timestamp() > _UNFINISHED_S_MAX:
                        self._files.rm_file(path)
