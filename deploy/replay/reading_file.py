"""A readings file (design section 5): Parquet or CSV, plain or gzip, as record batches of one shape."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from shared.errors import BilansError
from shared.instants import parse_instant

NEEDED_COLUMNS = ("meter", "register", "ts", "value")
BATCH_READINGS = 262_144
"""Readings read at once: some 6 MB, enough that the cost of a batch does not show."""
UNREADABLE_MAX = 100_000
"""So many lines without a readable instant or number are no readings file; they are held in memory."""

_DICTIONARY = pa.dictionary(pa.int32(), pa.string())


@dataclass(slots=True)
class ReadingFile:
    """A readings file that is opened for reading, once, from its beginning to its end.

    Batches have the columns meter and register (dictionary-encoded strings), ts (a timestamp with a zone), value and,
    where the file has it, version (whole numbers). An empty cell is null.
    """

    path: Path
    has_version: bool
    readings: int | None
    """How many readings it holds; None where only reading it can tell (CSV)."""
    _parquet: pq.ParquetFile | None
    unreadable: list[bytes] = field(default_factory=list)
    """Lines of a CSV file whose ts or value are no instant and no number, each as a JSON reading. Ingest rejects
    them with their reason, so that they stand in the books as every other delivery does."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The readings in the order of the file. Raises BilansError where the file cannot be read further."""
        try:
            if self._parquet is not None:
                columns = [*NEEDED_COLUMNS, *(["version"] if self.has_version else [])]
                for batch in self._parquet.iter_batches(BATCH_READINGS, columns=columns):
                    yield pa.RecordBatch.from_arrays([_shape(column) for column in batch.columns], names=columns)
            else:
                for batch in _open_csv(self.path):
                    yield self._read_lines(batch)
        except (pa.ArrowException, OSError, EOFError) as error:
            what = f"{self.path} cannot be read further: {_one_line(error)}."
            raise BilansError(what, "Is the file whole?") from error

    def _read_lines(self, lines: pa.RecordBatch) -> pa.RecordBatch:
        """Lines of text as readings; those that are none go to `unreadable`."""
        instants = _parse_instants(lines.column("ts"))
        numbers = {"value": _parse_whole_numbers(lines.column("value"))}
        if self.has_version:  # an empty cell is version 0, as a version that is left out
            numbers["version"] = _parse_whole_numbers(pc.fill_null(lines.column("version"), "0"))
        readable = pc.is_valid(instants)
        for column in numbers.values():
            readable = pc.and_(readable, pc.is_valid(column))
        arrays = [lines.column("meter"), lines.column("register"), instants, *numbers.values()]
        batch = pa.RecordBatch.from_arrays(arrays, names=["meter", "register", "ts", *numbers])
        if pc.all(readable).as_py() is not False:
            return batch
        self._keep_unreadable(lines.filter(pc.invert(readable)))
        return batch.filter(readable)

    def _keep_unreadable(self, lines: pa.RecordBatch) -> None:
        for line in lines.to_pylist():
            if line.get("version") is None:
                line.pop("version", None)
            self.unreadable.append(orjson.dumps(line))
        if len(self.unreadable) > UNREADABLE_MAX:
            raise BilansError(
                f"{self.path} has more than {UNREADABLE_MAX:,} lines without a readable ts or value, "
                f"for example {self.unreadable[0].decode()}.",
                "ts must be ISO 8601 with an offset, value a whole number.",
            )


def open_reading_file(path: Path) -> ReadingFile:
    """Opens `path` and checks its columns.

    Raises BilansError that names what is missing: the file, a column, or a column's type.
    """
    if not path.is_file():
        raise BilansError(f"{path} is not a file.", "Give a readings file: Parquet, CSV or gzipped CSV.")
    try:
        if _is_parquet(path):
            parquet = pq.ParquetFile(path, read_dictionary=["meter", "register"])
            schema = parquet.schema_arrow
            _check_columns(schema.names, path)
            _check_types(schema, path)
            return ReadingFile(path, "version" in schema.names, parquet.metadata.num_rows, parquet)
        names = pa.csv.open_csv(path).schema.names
    except (pa.ArrowException, OSError, EOFError) as error:
        raise BilansError(f"{path} is neither Parquet nor CSV: {_one_line(error)}.", "Is the file whole?") from error
    _check_columns(names, path)
    return ReadingFile(path, "version" in names, None, None)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _check_columns(names: list[str], path: Path) -> None:
    missing = [name for name in NEEDED_COLUMNS if name not in names]
    if missing:
        raise BilansError(
            f"{path} has no column {' and no column '.join(missing)} (it has {', '.join(names)}).",
            f"A readings file has {', '.join(NEEDED_COLUMNS)} and, if there are corrections, version.",
        )


def _check_types(schema: pa.Schema, path: Path) -> None:
    """Raises BilansError at a column that ingest could not take: better before the first reading is sent."""

    def wrong(name: str, needed: str) -> BilansError:
        return BilansError(f"Column {name} of {path} is {schema.field(name).type}.", f"It must be {needed}.")

    for name in ("meter", "register"):
        kind = schema.field(name).type
        value_type = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(value_type) or pa.types.is_large_string(value_type)):
            raise wrong(name, "text")
    instants = schema.field("ts").type
    if not pa.types.is_timestamp(instants) or instants.tz is None:
        raise wrong("ts", "a timestamp with a time zone, for example UTC")
    for name in ("value", "version"):
        if name in schema.names and not pa.types.is_integer(schema.field(name).type):
            raise wrong(name, "whole numbers (int64)")


def _shape(column: pa.Array) -> pa.Array:
    """Text of any kind as a dictionary of strings; other columns as they are."""
    if isinstance(column, pa.DictionaryArray):
        return pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()), column.dictionary.cast(pa.string()))
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.string()).dictionary_encode()
    return column


def _open_csv(path: Path) -> Iterator[pa.RecordBatch]:
    """A CSV file's lines, every cell as text: what a number or an instant is, is decided by this page's rules."""
    text_columns = {name: pa.string() for name in (*NEEDED_COLUMNS, "version")}
    names = pa.csv.open_csv(path).schema.names
    options = pa.csv.ConvertOptions(
        column_types=text_columns | {"meter": _DICTIONARY, "register": _DICTIONARY},
        include_columns=[name for name in text_columns if name in names],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    read_options = pa.csv.ReadOptions(block_size=8 * 1024 * 1024)
    yield from pa.csv.open_csv(path, read_options=read_options, convert_options=options)


def _parse_instants(texts: pa.StringArray) -> pa.TimestampArray:
    """ISO 8601 texts as instants, whole seconds; null where a text is none."""
    distinct = texts.dictionary_encode()
    seconds: list[int | None] = []
    for text in distinct.dictionary.to_pylist():
        try:
            seconds.append(parse_instant(text))
        except ValueError:
            seconds.append(None)
    return pa.array(seconds, pa.timestamp("s", tz="UTC")).take(distinct.indices)


def _parse_whole_numbers(texts: pa.StringArray) -> pa.Int64Array:
    """Texts as whole numbers; null where a text is none (rule 10: only a whole-number literal counts)."""
    plain = pc.match_substring_regex(texts, r"^(0|[1-9][0-9]{0,17})$")
    return pc.if_else(plain, texts, pa.scalar(None, pa.string())).cast(pa.int64())


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
