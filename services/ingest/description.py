"""What the OpenAPI description says of the HTTP door: its bodies, with examples."""

from typing import Any

from pydantic import BaseModel, Field

from shared.limits import BODY_BYTES_MAX, BODY_DELIVERIES_MAX, VALUE_MAX, VERSION_MAX
from shared.words import RejectReason

NDJSON = "application/x-ndjson"
JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"

ABOUT = f"""Takes meter readings and answers 202 once Kafka has acknowledged all of them with all replicas.

Each delivery is judged by itself: a bad one is rejected with a reason and does not harm the others. A body that cannot
be read at all is 400 and counts nothing. After 429 or 503 send the same body again: what was already taken changes
nothing the second time. At most {BODY_BYTES_MAX} bytes (also after gzip or zstd) and {BODY_DELIVERIES_MAX} readings."""

_READING_EXAMPLE = {
    "meter": "590322400000000017",
    "register": "1.8.0",
    "ts": "2026-05-01T10:15:00Z",
    "value": 123456789,
    "version": 0,
}

_READING_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["meter", "register", "ts", "value"],
    "properties": {
        "meter": {"type": "string", "description": "The metering point's name."},
        "register": {"type": "string", "description": "OBIS code or `soc`; `1-0:1.8.0*255` is read as `1.8.0`."},
        "ts": {"type": "string", "format": "date-time", "description": "ISO 8601 with an offset."},
        "value": {"type": "integer", "minimum": 0, "maximum": VALUE_MAX, "description": "Whole Wh, or W for power."},
        "version": {
            "type": "integer",
            "minimum": 0,
            "maximum": VERSION_MAX,
            "description": "0 first, more: corrected.",
        },
    },
    "example": _READING_EXAMPLE,
}

_LINES_EXAMPLE = (
    '{"meter":"590322400000000017","register":"1.8.0","ts":"2026-05-01T10:15:00Z","value":123456789}\n'
    '{"meter":"590322400000000017","register":"2.8.0","ts":"2026-05-01T12:15:00+02:00","value":4200,"version":1}\n'
)

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        NDJSON: {"schema": {"type": "string", "description": "One reading a line."}, "example": _LINES_EXAMPLE},
        JSON: {"schema": {"type": "array", "items": _READING_SCHEMA}, "example": [_READING_EXAMPLE]},
        ARROW: {
            "schema": {
                "type": "string",
                "format": "binary",
                "description": "Arrow IPC stream: meter and register (utf8, large_utf8 or dictionary), ts (timestamp "
                "of any unit with a zone), value (integer) and, if there, version (integer).",
            }
        },
    },
}

PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "Content-Encoding",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "enum": ["identity", "gzip", "zstd"]},
    }
]


class DeliveryError(BaseModel):
    """A rejected delivery."""

    index: int = Field(description="Its place among the deliveries of the body, from 0.", examples=[17])
    reason: RejectReason = Field(examples=[RejectReason.UNKNOWN_METER])
    detail: str = Field(examples=["meter '5903' is in no row of topology 1"])


class Answer(BaseModel):
    """What became of a body."""

    accepted: int = Field(description="Deliveries acknowledged in the log.", examples=[95])
    rejected: int = Field(description="Deliveries acknowledged in `bilans.rejected`.", examples=[1])
    errors: list[DeliveryError] = Field(description="The rejected ones, in the order of the body.")
