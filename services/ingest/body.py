"""The body of a request: read and decompressed within bounds."""

from collections.abc import AsyncIterator

import pyarrow as pa

from services.ingest.admission import Lease
from services.ingest.checked import TooLargeBodyError, UnreadableBodyError
from shared.limits import BODY_BYTES_MAX

CONTENT_ENCODINGS = ("gzip", "zstd")
"""What `Content-Encoding` may name, beside nothing and `identity`."""

_STEP_BYTES = 1024 * 1024


async def read_body(chunks: AsyncIterator[bytes], lease: Lease) -> bytes:
    """The body as it was sent, held by `lease`.

    Raises TooLargeBodyError over BODY_BYTES_MAX, and FullError when there is no room for it now.
    """
    parts, size = [], 0
    async for chunk in chunks:
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise TooLargeBodyError(f"over {BODY_BYTES_MAX} bytes")
        lease.hold(len(chunk))
        parts.append(chunk)
    return b"".join(parts)


def decompress(body: bytes, encoding: str, lease: Lease) -> bytes:
    """`body` without its gzip or zstd encoding, held by `lease`; it never grows far beyond BODY_BYTES_MAX.

    Raises UnreadableBodyError when it is broken or ends too early, TooLargeBodyError over BODY_BYTES_MAX, and
    FullError when there is no room for it now.
    """
    if not body:
        raise UnreadableBodyError(f"an empty body is not {encoding}")
    parts, size = [], 0
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), encoding) as stream:
            while part := stream.read(_STEP_BYTES):
                size += len(part)
                if size > BODY_BYTES_MAX:
                    raise TooLargeBodyError(f"over {BODY_BYTES_MAX} bytes when decompressed")
                lease.hold(len(part))
                parts.append(part)
    except (OSError, pa.ArrowException) as error:
        raise UnreadableBodyError(f"not {encoding}: {error}") from error
    return b"".join(parts)
