"""Arrow streams of readings (design section 5) to checked columns: meter, register, ts, value and perhaps version."""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from services.ingest.arrow_sizes import decompressed_bytes
from services.ingest.checked import Checked, TooLargeBodyError, UnreadableBodyError, place_columns
from services.ingest.lookup import NO_PARTITION, SeriesLookup
from services.ingest.name_table import NOT_FOUND, NameTable
from shared.limits import BODY_BYTES_MAX, BODY_DELIVERIES_MAX, EARLIEST_INSTANT_S, VALUE_MAX, VERSION_MAX

_UNITS_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_END_MARK = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What a closed writer puts at the end of a stream."""

_INVALID_INTEGER = -1
"""What stands for a null or for a number beyond 63 bits: every rule on integers refuses it."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of one record batch; where `filled` is false a cell that must not be null is null."""

    filled: npt.NDArray[np.bool_]
    meter_index: npt.NDArray[np.int32]
    register_index: npt.NDArray[np.int32]
    ts_s: npt.NDArray[np.int64]
    value: npt.NDArray[np.int64]
    version: npt.NDArray[np.int64]


def check_arrow(body: bytes, lookup: SeriesLookup, latest_s: int) -> Checked:
    """The deliveries of an Arrow IPC stream.

    Raises UnreadableBodyError when the stream is broken, ends too early, or lacks a column of the right type, and
    TooLargeBodyError when it holds more than a body may. Whatever is not surely good is left to `judge`, as
    canonical JSON.
    """
    try:
        size = decompressed_bytes(body)
        if size > BODY_BYTES_MAX:
            raise TooLargeBodyError(f"{size} bytes when decompressed")
        batches = _read_batches(body)
    except (pa.ArrowException, struct.error, IndexError, OSError, MemoryError, UnicodeDecodeError) as error:
        raise UnreadableBodyError(f"not an Arrow stream: {error}") from error
    columns = _joined([_columns_of(batch, lookup) for batch in batches])
    partition, slot = place_columns(lookup, columns.meter_index, columns.register_index)
    ts_s, value, version = columns.ts_s, columns.value, columns.version
    good = columns.filled & (partition != NO_PARTITION)
    good &= (ts_s >= EARLIEST_INSTANT_S) & (ts_s <= latest_s)
    good &= (value >= 0) & (value <= VALUE_MAX) & (version >= 0) & (version <= VERSION_MAX)
    firsts = np.cumsum([0, *(batch.num_rows for batch in batches)])

    def original(index: int) -> bytes:
        place = int(np.searchsorted(firsts, index, "right")) - 1
        return canonical_json(batches[place], index - int(firsts[place]))

    return Checked(good, partition, slot, ts_s, value, version.astype(np.int32), original, max(0, size - len(body)))


def canonical_json(batch: pa.RecordBatch, row: int) -> bytes:
    """A row as the JSON reading that means the same: whole seconds, nulls as null."""
    ts = batch.column("ts")
    fields = {
        "meter": batch.column("meter")[row].as_py(),
        "register": batch.column("register")[row].as_py(),
        "ts": None if not ts[row].is_valid else f"{np.datetime64(int(_seconds(ts[row : row + 1])[0]), 's')}Z",
        "value": batch.column("value")[row].as_py(),
    }
    if "version" in batch.schema.names:
        fields["version"] = batch.column("version")[row].as_py()
    return orjson.dumps(fields)


def _read_batches(body: bytes) -> list[pa.RecordBatch]:
    """The record batches, only their columns of a reading, each checked so that no later step can read astray."""
    source = pa.BufferReader(body)
    batches, rows = [], 0
    with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
        included = _included_fields(reader.schema)
    options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=included)
    with pa.ipc.open_stream(source, options=options) as reader:
        for batch in reader:
            batch.validate(full=True)
            rows += batch.num_rows
            if rows > BODY_DELIVERIES_MAX:
                raise TooLargeBodyError(f"more than {BODY_DELIVERIES_MAX} readings")
            batches.append(batch)
    # A writer that broke off between two batches, or two streams one after the other, must not pass for all of it.
    if source.tell() != len(body) or not body.endswith(_END_MARK):
        raise UnreadableBodyError("not one Arrow stream with its end mark; the writer has to be closed")
    return batches


def _included_fields(schema: pa.Schema) -> list[int]:
    """The places of a reading's columns. Raises UnreadableBodyError for a missing, doubled or wrongly typed one."""
    included = []
    for name, is_right, wanted in _WANTED:
        places = schema.get_all_field_indices(name)
        if not places and name == "version":
            continue
        if len(places) != 1:
            raise UnreadableBodyError(f"{'no column' if not places else 'more than one column'} `{name}`")
        found = schema.field(places[0]).type
        if not is_right(found):
            raise UnreadableBodyError(f"column `{name}` is of type {found}, not {wanted}")
        included.append(places[0])
    return sorted(included)


def _is_text(kind: pa.DataType) -> bool:
    value_kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value_kind) or pa.types.is_large_string(value_kind))


def _is_instant(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) and kind.tz is not None)


_WANTED = (
    ("meter", _is_text, "utf8, large_utf8 or a dictionary of them"),
    ("register", _is_text, "utf8, large_utf8 or a dictionary of them"),
    ("ts", _is_instant, "a timestamp with a zone"),
    ("value", pa.types.is_integer, "an integer"),
    ("version", pa.types.is_integer, "an integer"),
)


def _columns_of(batch: pa.RecordBatch, lookup: SeriesLookup) -> _Columns:
    filled = np.ones(batch.num_rows, np.bool_)
    for column in batch.columns:
        if column.null_count:
            filled &= pc.is_valid(column).to_numpy(zero_copy_only=False)
    version = np.zeros(batch.num_rows, np.int64)
    if "version" in batch.schema.names:
        version = _integers(batch.column("version"))
    return _Columns(
        filled=filled,
        meter_index=_name_indices(batch.column("meter"), lookup.meters),
        register_index=_name_indices(batch.column("register"), lookup.registers),
        ts_s=_seconds(batch.column("ts")),
        value=_integers(batch.column("value")),
        version=version,
    )


def _joined(parts: list[_Columns]) -> _Columns:
    none = np.zeros(0, np.int64)
    empty = _Columns(none.astype(np.bool_), none.astype(np.int32), none.astype(np.int32), none, none, none)
    parts = [empty, *parts]
    return _Columns(
        filled=np.concatenate([part.filled for part in parts]),
        meter_index=np.concatenate([part.meter_index for part in parts]),
        register_index=np.concatenate([part.register_index for part in parts]),
        ts_s=np.concatenate([part.ts_s for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        version=np.concatenate([part.version for part in parts]),
    )


def _name_indices(column: pa.Array, table: NameTable) -> npt.NDArray[np.int32]:
    """The index of each name in `table`; a null is NOT_FOUND."""
    if isinstance(column, pa.DictionaryArray):
        of_entry = np.append(_name_indices(column.dictionary, table), np.int32(NOT_FOUND))
        return of_entry[_filled_integers(column.indices, len(of_entry) - 1)]
    text = column.cast(pa.large_string())
    _, offsets_buffer, text_buffer = text.buffers()
    if len(text) == 0 or text_buffer is None:  # all are empty or null, and nothing has an empty name
        return np.full(len(text), NOT_FOUND, np.int32)
    offsets = np.frombuffer(offsets_buffer, np.int64, len(text) + 1, text.offset * 8)
    found = table.find(np.frombuffer(text_buffer, np.uint8), offsets[:-1], offsets[1:])
    if text.null_count:
        found[pc.is_null(text).to_numpy(zero_copy_only=False)] = NOT_FOUND
    return found


def _seconds(column: pa.Array) -> npt.NDArray[np.int64]:
    """Whole seconds since 1970, floored also before; a null becomes −1, which is before 2000."""
    ticks = _filled_integers(column, _INVALID_INTEGER)
    units = _UNITS_A_SECOND[column.type.unit]
    return ticks if units == 1 else ticks // units


def _integers(column: pa.Array) -> npt.NDArray[np.int64]:
    """64 bits with a sign; a null and what does not fit become −1, which no rule takes."""
    if pa.types.is_uint64(column.type):
        column = pc.if_else(pc.greater(column, pa.scalar(2**63 - 1, pa.uint64())), None, column)
    return _filled_integers(column, _INVALID_INTEGER)


def _filled_integers(column: pa.Array, null: int) -> npt.NDArray[np.int64]:
    integers = column.cast(pa.int64())
    filled: npt.NDArray[np.int64] = (pc.fill_null(integers, null) if integers.null_count else integers).to_numpy()
    return filled
