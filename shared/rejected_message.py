"""Messages of the topic `bilans.rejected`: one rejected delivery each, with its reason and its own bytes."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from shared.words import RejectReason

Source = Literal["ingest", "balancer"]
"""Who rejected: ingest by design rule 10, or the balancer a conflict by rule 1."""


@dataclass(frozen=True, slots=True)
class RejectedDelivery:
    """A rejected delivery."""

    reason: RejectReason
    source: Source
    detail: str
    meter: str | None
    register: str | None
    ts: str | None
    """As the sender wrote them, where they could be read."""
    position: str
    """Where it came from, like `http:index 17` or `bilans.readings.json/2@1234 line 3`."""
    original: bytes
    """The delivery's own bytes, or its canonical JSON where it was none (Arrow, the balancer); at most
    ORIGINAL_BYTES_MAX: of a longer one the beginning."""


def encode_rejected(delivery: RejectedDelivery) -> bytes:
    """The message's value."""
    return orjson.dumps(
        {
            "reason": delivery.reason,
            "detail": delivery.detail,
            "meter": delivery.meter,
            "register": delivery.register,
            "ts": delivery.ts,
            "position": delivery.position,
            "original_base64": base64.b64encode(delivery.original).decode(),
        }
    )


def rejected_headers(delivery: RejectedDelivery) -> Sequence[tuple[str, bytes]]:
    """The message's headers, for a reader that only counts."""
    return (("reason", delivery.reason.encode()), ("source", delivery.source.encode()))


def decode_rejected(headers: Sequence[tuple[str, bytes]], value: bytes) -> RejectedDelivery:
    """The delivery in a message.

    Raises ValueError or KeyError when it is none: that is a bug of a producer.
    """
    fields = orjson.loads(value)
    source = dict(headers)["source"].decode()
    if source not in ("ingest", "balancer"):
        raise ValueError(f"a rejected delivery from {source!r}")
    return RejectedDelivery(
        reason=RejectReason(fields["reason"]),
        source="ingest" if source == "ingest" else "balancer",
        detail=fields["detail"],
        meter=fields["meter"],
        register=fields["register"],
        ts=fields["ts"],
        position=fields["position"],
        original=base64.b64decode(fields["original_base64"]),
    )
