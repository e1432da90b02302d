"""Design rule 10 as plain code: what a delivery is, and the first reason for which it is rejected.

This is the specification. The columnar paths (json_lines, arrow_stream) take only what they are sure of and hand
everything else to `judge`, so that each verdict and its words come from here.
"""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.ingest.lookup import REGISTER_CODES, SeriesLookup
from shared.instants import parse_instant
from shared.limits import EARLIEST_INSTANT_S, FUTURE_S_MAX, READING_BYTES_MAX, VALUE_MAX, VERSION_MAX
from shared.words import RejectReason

_SHOWN_CHARACTERS = 64
"""Of a sender's own text in a detail: enough to find it, too little to fill an answer."""


class Reading(NamedTuple):
    """A good reading, at its place in the log."""

    partition: int
    slot: int
    ts_s: int
    value: int
    version: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a delivery was rejected, and what could be read of it."""

    reason: RejectReason
    detail: str
    meter: str | None = None
    register: str | None = None
    ts: str | None = None


class NotJsonError(ValueError):
    """The bytes are no JSON value."""


class _Literal(str):
    """A number as it was written: `1.0`, `1e3`, `-0`, `NaN` and a million digits stay apart from whole numbers."""

    __slots__ = ()


def latest_instant_s(now_s: float) -> int:
    """The last instant that a reading received at `now_s` may have (design rule 10)."""
    return int(now_s + FUTURE_S_MAX)


def parse_json(text: bytes) -> object:
    """The JSON value in `text`, numbers as `_Literal`.

    Raises NotJsonError. The bare tokens NaN and Infinity are taken; of a key that comes twice the last one counts.
    """
    try:
        return json.loads(text.decode(), parse_int=_Literal, parse_float=_Literal, parse_constant=_Literal)
    except UnicodeDecodeError as error:
        raise NotJsonError(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise NotJsonError(f"not JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise NotJsonError("not JSON that can be read: nested too deeply") from error


def judge(delivery: bytes, lookup: SeriesLookup, latest_s: int) -> Reading | Rejection:
    """The verdict on one JSON delivery: the bytes of one value, no line end. Never raises.

    `latest_s` is the last instant that is not in the future. Reasons are tried in the order of design rule 10.
    """
    if len(delivery) > READING_BYTES_MAX:
        return Rejection(RejectReason.OVERSIZED, f"{len(delivery)} bytes; a reading has at most {READING_BYTES_MAX}")
    try:
        fields = parse_json(delivery)
    except NotJsonError as error:
        return Rejection(RejectReason.MALFORMED, str(error))
    if not isinstance(fields, dict):
        return Rejection(RejectReason.MALFORMED, "not a JSON object")
    form_error = _form_error(fields)
    if form_error:
        names = {name: _text_or_none(fields.get(name)) for name in ("meter", "register", "ts")}
        return Rejection(RejectReason.MALFORMED, form_error, **names)
    return _judge_fields(fields, lookup, latest_s)


def _form_error(fields: dict[str, Any]) -> str:
    """What makes an object no reading at all; empty when it is one."""
    for name in ("meter", "register", "ts", "value"):
        if name not in fields:
            return f"`{name}` is missing"
    for name in ("meter", "register", "ts"):
        if _text_or_none(fields[name]) is None:
            return f"`{name}` is not a string"
    if "version" in fields and _whole_number(fields["version"], VERSION_MAX) is None:
        return f"`version` is not a whole number from 0 to {VERSION_MAX}"
    return ""


def _judge_fields(fields: dict[str, Any], lookup: SeriesLookup, latest_s: int) -> Reading | Rejection:
    meter, register, ts = fields["meter"], fields["register"], fields["ts"]

    def rejected(reason: RejectReason, detail: str) -> Rejection:
        return Rejection(reason, detail, meter, register, ts)

    meter_index = lookup.meter_index.get(meter)
    if meter_index is None:
        return rejected(RejectReason.UNKNOWN_METER, f"meter {_shown(meter)} is in no row of topology {lookup.number}")
    register_code = REGISTER_CODES.get(register)
    place = None if register_code is None else lookup.find(meter_index, register_code)
    if place is None:
        return rejected(RejectReason.UNKNOWN_REGISTER, f"meter {_shown(meter)} has no register {_shown(register)}")
    try:
        ts_s = parse_instant(ts)
    except ValueError as error:
        return rejected(RejectReason.BAD_TIMESTAMP, str(error))
    if ts_s < EARLIEST_INSTANT_S:
        return rejected(RejectReason.BAD_TIMESTAMP, f"{_shown(ts)} is before the year 2000")
    if ts_s > latest_s:
        ahead_s = ts_s - latest_s + FUTURE_S_MAX
        detail = f"{_shown(ts)} is {ahead_s} s ahead of the clock; at most {FUTURE_S_MAX} are taken"
        return rejected(RejectReason.FUTURE_TIMESTAMP, detail)
    value = _whole_number(fields["value"], VALUE_MAX)
    if value is None:
        return rejected(RejectReason.BAD_VALUE, f"`value` is not a whole number from 0 to {VALUE_MAX}")
    version = int(fields.get("version", "0"))
    return Reading(place.partition, place.slot, ts_s, value, version)


def _text_or_none(value: object) -> str | None:
    """A string of Unicode text: not a number, and without the lone surrogates that an escape can make."""
    if not isinstance(value, str) or isinstance(value, _Literal):
        return None
    return value if value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value) else None


def _whole_number(value: object, largest: int) -> int | None:
    """The number of a literal of digits only, from 0 to `largest`; JSON allows it no leading zeros."""
    if not isinstance(value, _Literal) or not value.isdecimal() or len(value) > len(str(largest)):
        return None
    number = int(value)
    return number if number <= largest else None


def _shown(text: str) -> str:
    return repr(text[:_SHOWN_CHARACTERS])
