"""The requests in which originals are sent again: each original counts as exactly one delivery, byte for byte. Pure."""

import itertools
import json
from dataclasses import dataclass

from deploy.rejected.store import Original
from shared.limits import ORIGINAL_BYTES_MAX

LINES, ARRAY = "application/x-ndjson", "application/json"
_SPACES = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class RetryRequest:
    """A request to the door, and the originals in it in their order."""

    originals: list[Original]
    content_type: str
    body: bytes


def pack(originals: list[Original]) -> tuple[list[RetryRequest], list[Original]]:
    """`originals` as requests in their order, and those that cannot be sent as one delivery each.

    One goes as a line. One that holds line ends came as an element of a JSON array, where they may stand between
    values: it goes as such an element again, once it is sure that it is a single JSON value. One as long as is kept at
    most may be the beginning of a longer one, and is not sent.
    """
    sorted_out = [(_content_type(original.content), original) for original in originals]
    impossible = [original for content_type, original in sorted_out if content_type is None]
    possible = [(content_type, original) for content_type, original in sorted_out if content_type is not None]
    requests = []
    for content_type, run in itertools.groupby(possible, lambda item: item[0]):
        together = [original for _, original in run]
        requests.append(RetryRequest(together, content_type, _body(content_type, together)))
    return requests, impossible


def _content_type(content: bytes) -> str | None:
    """How `content` can be sent as exactly one delivery of these bytes; None where it cannot."""
    if not 0 < len(content) < ORIGINAL_BYTES_MAX:
        return None
    if b"\n" not in content:
        return LINES
    if content != content.strip(_SPACES):
        return None  # the door takes the spaces around an element away
    try:
        json.loads(content.decode())
    except (ValueError, RecursionError):
        return None
    return ARRAY


def _body(content_type: str, originals: list[Original]) -> bytes:
    contents = [original.content for original in originals]
    if content_type == ARRAY:
        return b"[" + b",".join(contents) + b"]"
    # A line's own carriage return would be taken for a part of its end, so each gets one that is.
    return b"".join(content + b"\r\n" for content in contents)
