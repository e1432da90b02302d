"""Kafka's record batches, as they come from the broker, to the values of their messages: without an object a message.

The client's own way makes several Python objects of every message, and that costs more than all the rest of ingest.
The layout is that of message format 2, the only one since Kafka 4 (kafka.apache.org, "Message format").
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.util import calc_crc32c

from services.ingest.kernel_options import KERNEL_OPTIONS

_BYTES_AT_ONCE = 2 * 1024 * 1024
"""Batches are read together up to here: a portion costs a few milliseconds, whatever its size, and one that is larger
than a processor's own memory takes longer a message."""

_DECODE = {1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}
"""What undoes the compression that the lowest bits of a batch's attributes name."""

_COMPRESSION, _CONTROL = 0b111, 0b100000
"""Bits of the attributes."""

_CHECKED_FROM, _RECORDS_FROM = 21, 61
"""Where in a batch the bytes begin of which it holds the checksum, and where its records begin."""

_RECORD_BYTES_MIN = 7
"""Of a record with no key, value or header: room for spans is made by what a batch says that it holds."""

_START, _END, _BASE_OFFSET, _NEXT_OFFSET, _ATTRIBUTES, _CHECKSUM, _RECORDS, _FORMAT = range(8)
"""The columns of the table of batches."""

_bytes = nb.types.Array(nb.uint8, 1, "C", readonly=True)
_numbers = nb.types.Array(nb.int64, 1, "C")
_table = nb.types.Array(nb.int64, 2, "C")
_two_numbers = nb.types.UniTuple(nb.int64, 2)  # type: ignore[no-untyped-call]  # Numba says nothing of its types
_three_numbers = nb.types.UniTuple(nb.int64, 3)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages of one partition, in their order: the value of message k is body[starts[k]:ends[k]]."""

    body: bytes
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    """A message without a value has an empty one."""
    offsets: npt.NDArray[np.int64]
    next_offset: int
    """All messages before it have been read."""


class RecordBatches:
    """The whole batches of one partition in a broker's answer; one that is cut off at the end is left out."""

    def __init__(self, answer: bytes, from_offset: int) -> None:
        """`from_offset` was asked for: a batch may begin before it, and those messages were read earlier.

        Raises CorruptRecordException when there is something, but no batch; a broker always sends the first one whole.
        """
        self._answer = answer
        self._from_offset = from_offset
        text = np.frombuffer(answer, np.uint8)
        self._batches = np.empty((len(text) // _RECORDS_FROM, _FORMAT + 1), np.int64)
        self._batches = self._batches[: _find_batches(text, self._batches)]
        if len(text) and not len(self._batches):
            raise CorruptRecordException(f"{len(text)} bytes that are no record batch")

    @property
    def next_offset(self) -> int:
        """What to ask for next."""
        return int(self._batches[-1, _NEXT_OFFSET]) if len(self._batches) else self._from_offset

    def portions(self) -> Iterator[Messages]:
        """All messages, some megabytes at a time.

        Raises CorruptRecordException when they are not what the broker wrote, UnsupportedCodecError for a compression
        that Kafka does not have.
        """
        contents: list[bytes | memoryview] = []
        first = size = 0
        for place in range(len(self._batches)):
            content = self._content(place)
            contents.append(content)
            size += len(content)
            if size >= _BYTES_AT_ONCE or place + 1 == len(self._batches):
                yield self._messages(contents, self._batches[first : place + 1])
                contents, first, size = [], place + 1, 0

    def _content(self, place: int) -> bytes | memoryview:
        """A batch's records, none of a control batch: those belong to Kafka."""
        start, end, *_, attributes, checksum, _, message_format = self._batches[place].tolist()
        if message_format != 2:
            raise CorruptRecordException(f"a record batch of message format {message_format}")
        whole = memoryview(self._answer)
        if calc_crc32c(whole[start + _CHECKED_FROM : end]) != checksum:
            raise CorruptRecordException("a record batch with a wrong checksum")
        if attributes & _CONTROL:
            return b""
        content = whole[start + _RECORDS_FROM : end]
        compression = attributes & _COMPRESSION
        if not compression:
            return content
        if compression not in _DECODE:
            raise UnsupportedCodecError(f"compression {compression}")
        return bytes(_DECODE[compression](content.tobytes()))

    def _messages(self, contents: list[bytes | memoryview], batches: npt.NDArray[np.int64]) -> Messages:
        body = b"".join(contents)
        sizes = np.array([len(content) for content in contents], np.int64)
        counts = np.where(sizes > 0, batches[:, _RECORDS], 0)
        if np.any((counts < 0) | (counts > sizes // _RECORD_BYTES_MIN)):
            raise CorruptRecordException("a record batch of more records than it has room for")
        spans = np.empty((3, int(counts.sum())), np.int64)
        text = np.frombuffer(body, np.uint8)
        found = _find_messages(
            text, np.cumsum(sizes), counts, batches[:, _BASE_OFFSET].copy(), self._from_offset, spans
        )
        if found < 0:
            raise CorruptRecordException("a record that does not end where its batch says")
        starts, ends, offsets = spans[:, :found]
        return Messages(body, starts, ends, offsets, int(batches[-1, _NEXT_OFFSET]))


@nb.njit(nb.int64(_bytes, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _big_endian(text: npt.NDArray[np.uint8], position: int, count: int) -> int:
    """The number in `count` bytes, without a sign unless they are eight."""
    number = 0
    for place in range(position, position + count):
        number = number << 8 | int(text[place])
    return number


@nb.njit(nb.int64(_bytes, _table), **KERNEL_OPTIONS)
def _find_batches(text: npt.NDArray[np.uint8], batches: npt.NDArray[np.int64]) -> int:
    """Fills a row for each batch that is whole; how many."""
    position, row = 0, 0
    while position + _RECORDS_FROM <= len(text) and row < len(batches):
        end = position + 12 + _big_endian(text, position + 8, 4)
        if end > len(text) or end < position + _RECORDS_FROM:
            break
        batches[row, _START], batches[row, _END] = position, end
        base_offset = _big_endian(text, position, 8)
        batches[row, _BASE_OFFSET] = base_offset
        batches[row, _FORMAT] = text[position + 16]
        batches[row, _CHECKSUM] = _big_endian(text, position + 17, 4)
        batches[row, _ATTRIBUTES] = _big_endian(text, position + 21, 2)
        batches[row, _NEXT_OFFSET] = base_offset + _big_endian(text, position + 23, 4) + 1
        batches[row, _RECORDS] = _big_endian(text, position + 57, 4)
        position = end
        row += 1
    return row


@nb.njit(_two_numbers(_bytes, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _varint(text: npt.NDArray[np.uint8], position: int, end: int) -> tuple[int, int]:
    """A zigzag number of up to 63 bits at `position`, and where it ends; −1 for that when it does not end by `end`."""
    number, shift = 0, 0
    while position < end and shift < 63:
        byte = int(text[position])
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return (number >> 1) ^ -(number & 1), position
        shift += 7
    return 0, -1


@nb.njit(_three_numbers(_bytes, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _read_record(text: npt.NDArray[np.uint8], position: int, end: int) -> tuple[int, int, int]:
    """Of the record whose attributes stand at `position`: its offset in the batch, start and end of its value.

    −1 for the last when it is not within `end`. The headers behind the value are not looked at.
    """
    _, position = _varint(text, position + 1, end)  # its time
    if position < 0:
        return 0, 0, -1
    offset_delta, position = _varint(text, position, end)
    if position < 0:
        return 0, 0, -1
    key_size, position = _varint(text, position, end)
    if position < 0 or key_size > end - position:
        return 0, 0, -1
    if key_size > 0:
        position += key_size
    value_size, position = _varint(text, position, end)
    if position < 0 or value_size > end - position:
        return 0, 0, -1
    return offset_delta, position, position + max(value_size, 0)


@nb.njit(nb.int64(_bytes, _numbers, _numbers, _numbers, nb.int64, _table), **KERNEL_OPTIONS)
def _find_messages(
    text: npt.NDArray[np.uint8],
    batch_ends: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    base_offsets: npt.NDArray[np.int64],
    from_offset: int,
    spans: npt.NDArray[np.int64],
) -> int:
    """Fills start, end and offset of each message from `from_offset` on; how many, −1 when a record is broken."""
    position, found = 0, 0
    for batch in range(len(batch_ends)):
        for _ in range(counts[batch]):
            size, position = _varint(text, position, batch_ends[batch])
            if position < 0 or size < 1 or size > batch_ends[batch] - position:
                return -1
            offset_delta, start, end = _read_record(text, position, position + size)
            if end < 0:
                return -1
            position += size
            offset = base_offsets[batch] + offset_delta
            if offset >= from_offset:
                spans[0, found], spans[1, found], spans[2, found] = start, end, offset
                found += 1
        if position != batch_ends[batch]:
            return -1
    return found
