"""Kafka's record batches are read as the client's own reader reads them, and damage is never taken for messages."""

import struct

import pytest
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.ingest.record_batches import RecordBatches

Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value and headers."""

_COMPRESSIONS = range(5)
_CONTROL = 0b100000

_records: st.SearchStrategy[Record] = st.tuples(
    st.none() | st.binary(max_size=20),
    st.none() | st.binary(max_size=300),
    st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2),
)
_batches = st.lists(
    st.tuples(st.sampled_from(_COMPRESSIONS), st.lists(_records, min_size=1, max_size=20), st.integers(0, 5)),
    min_size=1,
    max_size=5,
)
"""Compression, records, and how many offsets are left out behind them."""


def _encoded(base_offset: int, compression: int, records: list[Record]) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 24,
    )
    for place, (key, value, headers) in enumerate(records):
        builder.append(place, 1_777_630_500_000 + 1000 * place, key, value, headers)
    return struct.pack(">q", base_offset) + bytes(builder.build())[8:]


def _answer(batches: list[tuple[int, list[Record], int]], first_offset: int) -> tuple[bytes, int]:
    """The bytes of all batches, and the offset behind the last record."""
    answer, offset, end = b"", first_offset, first_offset
    for compression, records, gap in batches:
        answer += _encoded(offset, compression, records)
        end = offset + len(records)
        offset = end + gap
    return answer, end


def _with_header(content: bytes, count: int, attributes: int = 0, message_format: int = 2) -> bytes:
    """A batch with any content and a right checksum, from offset 70 on."""
    checked = struct.pack(">hiqqqhii", attributes, count - 1, 0, 0, -1, -1, -1, count) + content
    return struct.pack(">qiibI", 70, 9 + len(checked), 0, message_format, calc_crc32c(checked)) + checked


def _messages(batches: RecordBatches) -> list[tuple[int, bytes]]:
    """(offset, value) of all messages."""
    return [
        (int(offset), messages.body[start:end])
        for messages in batches.portions()
        for offset, start, end in zip(messages.offsets, messages.starts, messages.ends, strict=True)
    ]


def _messages_by_the_client(answer: bytes, from_offset: int) -> list[tuple[int, bytes]]:
    reader, found = MemoryRecords(answer), []
    while reader.has_next():
        batch = reader.next_batch()
        found += [(record.offset, record.value or b"") for record in batch if record.offset >= from_offset]
    return found


@settings(max_examples=100, deadline=None)
@given(_batches, st.integers(0, 1 << 40), st.integers(0, 25), st.integers(0, 100))
@example([(0, [(None, None, [])], 0)], 0, 0, 0)
@example([(0, [(None, b"x" * 70_000, [])], 0)], (1 << 62), 0, 0)
def test_messages_are_those_that_the_client_finds(
    batches: list[tuple[int, list[Record], int]], first_offset: int, read_before: int, cut_off: int
) -> None:
    answer, end = _answer(batches, first_offset)
    following = _encoded(end + 9, 0, [(None, b"cut off", [])])
    read = RecordBatches(answer + following[: cut_off % len(following)], first_offset + read_before)
    assert read.next_offset == end
    assert _messages(read) == _messages_by_the_client(answer, first_offset + read_before)


def test_many_batches_come_in_portions() -> None:
    records: list[Record] = [(None, b"v" * 1000, [])] * 1000
    answer, end = _answer([(compression, records, 0) for compression in _COMPRESSIONS] * 5, 5)
    portions = list(RecordBatches(answer, 0).portions())
    assert [len(portion.starts) for portion in portions] == [3000] * 8 + [1000]
    assert [portion.next_offset for portion in portions] == [*range(3005, 24006, 3000), end]


def test_nothing_is_nothing() -> None:
    read = RecordBatches(b"", 17)
    assert (read.next_offset, list(read.portions())) == (17, [])


def test_a_batch_of_kafkas_own_is_passed_over() -> None:
    answer = _with_header(b"any", 1, _CONTROL)
    read = RecordBatches(answer, 70)
    assert _messages(read) == []
    assert [portion.next_offset for portion in read.portions()] == [71]


@settings(max_examples=200, deadline=None)
@given(_batches, st.integers(0, 10**6), st.integers(1, 255))
def test_damage_is_met(batches: list[tuple[int, list[Record], int]], place: int, change: int) -> None:
    answer, _ = _answer(batches[:1], 5)
    damaged = bytearray(answer)
    damaged[17 + place % (len(answer) - 17)] ^= change  # from the checksum on
    with pytest.raises(CorruptRecordException):
        _messages(RecordBatches(bytes(damaged), 0))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60), st.integers(-1, 12))
@example(b"\x0c\x00\x00\x00\x01\x00\x00", 1)  # good
@example(b"\x0c\x00\x00\x00\x01\x00\x00", 2)
@example(b"\x0c\x00\x00\x00\x01\x00\x00\x00", 1)
@example(b"\x00" * 12, 1)
@example(b"\xff" * 30, 1)
@example(b"\x0c\x00\x00\x00\x08\x00\x00", 1)  # a key that is longer than its record
@example(b"\x0c\x00\x00\x00\x01\x08\x00", 1)  # a value that is
@example(b"\x0c" + b"\x00" * 3 + b"\xff" * 9, 1)
def test_any_content_is_messages_or_damage(content: bytes, count: int) -> None:
    answer = _with_header(content, count)
    try:
        expected = _messages_by_the_client(answer, 0)
    except (CorruptRecordException, UnicodeDecodeError):
        expected = None
    try:
        found = _messages(RecordBatches(answer, 0))
    except CorruptRecordException:
        assert expected is None
    else:
        assert expected is None or found == expected  # headers are not looked at


def test_what_is_no_batch_of_today_is_met() -> None:
    with pytest.raises(CorruptRecordException, match="no record batch"):
        RecordBatches(b"\x00" * 40, 0)
    with pytest.raises(CorruptRecordException, match="message format 1"):
        _messages(RecordBatches(_with_header(b"", 0, message_format=1), 0))
    with pytest.raises(CorruptRecordException, match="room"):
        _messages(RecordBatches(_with_header(b"\x00" * 50, 1 << 30), 0))
    with pytest.raises(UnsupportedCodecError):
        _messages(RecordBatches(_with_header(b"any", 1, 5), 0))
