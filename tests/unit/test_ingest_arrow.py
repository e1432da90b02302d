"""Arrow streams: each row is judged as its canonical JSON is, and a stream that cannot be read counts nothing."""

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest import arrow_stream
from services.ingest.arrow_sizes import decompressed_bytes
from services.ingest.arrow_stream import check_arrow
from services.ingest.checked import TooLargeBodyError, UnreadableBodyError
from services.ingest.reading_rules import Reading, Rejection, judge, latest_instant_s
from shared.limits import BODY_BYTES_MAX, VALUE_MAX, VERSION_MAX
from tests.unit.ingest_lookup import METERS, small_lookup

LOOKUP = small_lookup()
LATEST_S = latest_instant_s(1_777_630_500.5)
TS_S = 1_777_630_500
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def stream(table: pa.Table, rows_a_batch: int = 1000, compression: str | None = None) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression, emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows_a_batch)
    return sink.getvalue()


def table_of(**columns: Any) -> pa.Table:
    """One good reading of each meter but for the columns given; None leaves one out."""
    good: dict[str, Any] = {
        "meter": pa.array(METERS),
        "register": pa.array(["1.8.0"] * len(METERS)),
        "ts": pa.array([TS_S] * len(METERS), pa.timestamp("s", tz="UTC")),
        "value": pa.array(range(len(METERS)), pa.int64()),
    }
    return pa.table({name: column for name, column in (good | columns).items() if column is not None})


def verdicts(body: bytes) -> tuple[list[bool], list[Reading | Rejection], list[bytes]]:
    """Which rows the columns took, what became of each, and its canonical JSON."""
    checked = check_arrow(body, LOOKUP, LATEST_S)
    taken = checked.good.tolist()
    rejected = {item.index: item.rejection for item in checked.judge_some(checked.doubtful(), LOOKUP, LATEST_S)}
    columns = (checked.partition, checked.slot, checked.ts_s, checked.value, checked.version)
    found: list[Reading | Rejection] = [
        Reading(*(int(column[row]) for column in columns)) if checked.good[row] else rejected[row]
        for row in range(len(checked))
    ]
    return taken, found, [checked.original(row) for row in range(len(checked))]


_texts = [
    pa.string(),
    pa.large_string(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.int32(), pa.large_string()),
]
_meters = st.none() | st.sampled_from([*METERS, "nobody", "", "y" * 5000])
_registers = st.none() | st.sampled_from(["1.8.0", "1.8.0", "2.8.0", "1-0:1.8.0*255", "soc", "1.8.1"])
_seconds = st.none() | st.sampled_from(
    [TS_S, TS_S + 300, TS_S + 301, 946_684_800, 946_684_799, 0, -1, -(10**9), 9 * 10**9]
)
_values = st.none() | st.sampled_from([0, 5, VALUE_MAX, VALUE_MAX + 1, -1, 2**63 - 1])
_versions = st.none() | st.sampled_from([0, 1, VERSION_MAX, VERSION_MAX + 1, -1])


def _ticks(second: int | None, thousandths: int, factor: int) -> int | None:
    """The instant in units of 1/factor s, as far as 64 bits hold it."""
    return None if second is None else min(second * factor + thousandths * factor // 1000, 2**63 - 1)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(_meters, _registers, _seconds, st.integers(0, 999), _values, _versions), max_size=20),
    st.tuples(*[st.sampled_from(_texts)] * 2),
    st.sampled_from(list(UNITS)),
    st.booleans(),
    st.integers(1, 7),
    st.sampled_from([None, "zstd", "lz4"]),
)
def test_rows_are_judged_as_their_json_is(
    rows: list[tuple[Any, ...]],
    texts: tuple[pa.DataType, pa.DataType],
    unit: str,
    with_version: bool,
    rows_a_batch: int,
    compression: str | None,
) -> None:
    meters, registers, seconds, parts, values, versions = zip(*rows, strict=True) if rows else ((),) * 6
    factor = UNITS[unit]
    ticks = [_ticks(second, part, factor) for second, part in zip(seconds, parts, strict=True)]
    table = table_of(
        meter=pa.array(meters, texts[0]),
        register=pa.array(registers, texts[1]),
        ts=pa.array(ticks, pa.timestamp(unit, tz="Europe/Warsaw")),
        value=pa.array(values, pa.int64()),
        version=pa.array(versions, pa.int64()) if with_version else None,
    )
    taken, found, originals = verdicts(stream(table, rows_a_batch, compression))
    assert found == [judge(original, LOOKUP, LATEST_S) for original in originals]
    # The columns take every good row: none of them goes the slow way.
    assert taken == [isinstance(verdict, Reading) for verdict in found]
    for row, original in enumerate(originals):
        fields = json.loads(original)
        assert (fields["meter"], fields["register"], fields["value"]) == (meters[row], registers[row], values[row])
        assert fields.get("version") == (versions[row] if with_version else None)
        tick = ticks[row]
        assert fields["ts"] == (None if tick is None else f"{np.datetime64(tick // factor, 's')}Z")


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
)
def test_every_width_of_integer(kind: pa.DataType) -> None:
    table = table_of(value=pa.array([7] * len(METERS), kind), version=pa.array([1] * len(METERS), kind))
    taken, found, _ = verdicts(stream(table))
    assert all(taken)
    assert {(item.value, item.version) for item in found if isinstance(item, Reading)} == {(7, 1)}


def test_numbers_beyond_63_bits_are_bad_values() -> None:
    values = pa.array([2**64 - 1] * len(METERS), pa.uint64())
    _, found, originals = verdicts(stream(table_of(value=values)))
    assert {item.reason for item in found if isinstance(item, Rejection)} == {"bad_value"}
    assert str(2**64 - 1).encode() in originals[0]


_count = len(METERS)


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"meter": None}, "meter"),
        ({"register": None}, "register"),
        ({"ts": None}, "ts"),
        ({"value": None}, "value"),
        ({"meter": pa.array([1] * _count)}, "meter"),
        ({"meter": pa.array([b"a"] * _count)}, "meter"),
        ({"register": pa.array([1] * _count).dictionary_encode()}, "register"),
        ({"ts": pa.array([TS_S] * _count, pa.timestamp("s"))}, "ts"),
        ({"ts": pa.array([TS_S] * _count)}, "ts"),
        ({"ts": pa.array(["2026-05-01T10:15:00Z"] * _count)}, "ts"),
        ({"value": pa.array([1.0] * _count)}, "value"),
        ({"value": pa.array([True] * _count)}, "value"),
        ({"value": pa.nulls(_count)}, "value"),
        ({"version": pa.array(["0"] * _count)}, "version"),
        ({"version": pa.array([0.0] * _count)}, "version"),
    ],
)
def test_missing_and_wrong_columns(columns: dict[str, Any], named: str) -> None:
    with pytest.raises(UnreadableBodyError, match=f"column `{named}`"):
        check_arrow(stream(table_of(**columns)), LOOKUP, LATEST_S)


def test_a_doubled_column() -> None:
    table = table_of()
    with pytest.raises(UnreadableBodyError, match="more than one column `value`"):
        check_arrow(stream(table.append_column("value", table["value"])), LOOKUP, LATEST_S)


def test_a_stream_without_rows() -> None:
    assert len(check_arrow(stream(table_of().slice(0, 0)), LOOKUP, LATEST_S)) == 0


def test_too_many_rows_or_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    body = stream(table_of(), 2)
    monkeypatch.setattr(arrow_stream, "BODY_DELIVERIES_MAX", len(METERS) - 1)
    with pytest.raises(TooLargeBodyError, match="readings"):
        check_arrow(body, LOOKUP, LATEST_S)
    monkeypatch.setattr(arrow_stream, "BODY_DELIVERIES_MAX", len(METERS))
    assert len(check_arrow(body, LOOKUP, LATEST_S)) == len(METERS)
    monkeypatch.setattr(arrow_stream, "BODY_BYTES_MAX", 100)
    with pytest.raises(TooLargeBodyError, match="bytes"):
        check_arrow(body, LOOKUP, LATEST_S)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_bomb_is_refused_before_it_is_unpacked(compression: str) -> None:
    count = BODY_BYTES_MAX // 8
    table = pa.table({"other": pa.array(np.zeros(count, np.int64)), "value": pa.array(np.zeros(count, np.int64))})
    body = stream(table, count, compression)
    assert len(body) < BODY_BYTES_MAX // 100
    allocated = pa.total_allocated_bytes()
    with pytest.raises(TooLargeBodyError, match="when decompressed"):
        check_arrow(body, LOOKUP, LATEST_S)
    assert pa.total_allocated_bytes() == allocated
    assert decompressed_bytes(body) >= 16 * count


def test_two_streams_or_none_closed_are_not_taken() -> None:
    body = stream(table_of())
    for wrong in (body + body, body + b"x", body[:-8], body[:-8] + b"\0\0\0\0", b""):
        with pytest.raises(UnreadableBodyError):
            check_arrow(wrong, LOOKUP, LATEST_S)


_BODY = stream(table_of(meter=pa.array(METERS).dictionary_encode(), version=pa.array([0] * _count, pa.int32())), 3)
_BODIES = [_BODY, stream(table_of(), 3), stream(table_of(), 3, "zstd")]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_BODIES), st.data())
def test_a_cut_stream_is_never_taken(body: bytes, data: st.DataObject) -> None:
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    with pytest.raises(UnreadableBodyError):
        check_arrow(cut, LOOKUP, LATEST_S)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(_BODIES), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4))
def test_a_damaged_stream_harms_nothing(body: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(body)
    for place, byte in changes:
        damaged[place % len(body)] = byte
    try:
        _, found, originals = verdicts(bytes(damaged))
    except (UnreadableBodyError, TooLargeBodyError):
        return
    assert found == [judge(original, LOOKUP, LATEST_S) for original in originals]
