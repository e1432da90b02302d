"""How large an Arrow stream is once its buffers are decompressed, told before any is.

Arrow's reader allocates what a compressed buffer claims to hold; a body of some kilobytes may claim gigabytes. The
claims stand at the front of the buffers, where the message's metadata (a flatbuffer, Arrow's format/Message.fbs) says
that the buffers are.
"""

import struct

import pyarrow as pa

_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2
_NOT_COMPRESSED = -1
"""What a buffer claims that is stored as it is, in a message of compressed buffers."""


class _Table:
    """A table of a flatbuffer: fields by their number. Raises struct.error when it points out of the data."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place
        (back,) = struct.unpack_from("<i", data, place)
        self._fields = place - back
        if self._fields < 0:
            raise struct.error("a table of fields before the data")

    def field(self, number: int) -> int:
        """Where the field's value is; 0 when it has none."""
        (size,) = struct.unpack_from("<H", self._data, self._fields)
        entry = 4 + 2 * number
        if entry >= size:
            return 0
        (offset,) = struct.unpack_from("<H", self._data, self._fields + entry)
        return self._place + int(offset) if offset else 0

    def target(self, number: int) -> int:
        """Where the table or vector is that the field points at; 0 when there is none."""
        place = self.field(number)
        return place + int(struct.unpack_from("<I", self._data, place)[0]) if place else 0


def decompressed_bytes(body: bytes) -> int:
    """The bytes of all record batches and dictionaries of a stream, decompressed.

    Raises struct.error, IndexError, OSError or an error of pyarrow when it is no Arrow stream.
    """
    total = 0
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
        if message.type in ("record batch", "dictionary"):
            total += _message_bytes(message.metadata.to_pybytes(), message.body)
    return total


def _message_bytes(metadata: bytes, content: pa.Buffer) -> int:
    root = _Table(metadata, int(struct.unpack_from("<I", metadata)[0]))
    kind = metadata[root.field(1)] if root.field(1) else 0
    header = root.target(2)
    if kind == _DICTIONARY_BATCH:
        header = _Table(metadata, header).target(1)
    elif kind != _RECORD_BATCH:
        raise struct.error(f"a message of kind {kind}")
    batch = _Table(metadata, header)
    if not batch.target(3):  # nothing is compressed
        return len(content)
    buffers = batch.target(2)
    (count,) = struct.unpack_from("<I", metadata, buffers)
    text, total = memoryview(content), 0
    for place, length in struct.iter_unpack("<qq", metadata[buffers + 4 : buffers + 4 + 16 * count]):
        if length == 0:
            continue
        if not 0 <= place <= len(text) - 8:
            raise struct.error(f"a buffer at {place}")
        (claimed,) = struct.unpack_from("<q", text, place)
        if claimed < _NOT_COMPRESSED:
            raise struct.error(f"a buffer of {claimed} bytes")
        total += length if claimed == _NOT_COMPRESSED else claimed
    return total
