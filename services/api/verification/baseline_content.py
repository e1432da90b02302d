"""A baseline as it is frozen: its figures, what they were worked out from, and the checksum over both."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from shared.flexibility.baseline import METER_BEFORE_WINDOWS, Estimate, Method
from shared.flexibility.baseline_choice import Choice, accepted
from shared.flexibility.baseline_days import AFTER_WINDOWS
from shared.instants import format_instant
from shared.limits import QUARTER_S

Content = dict[str, Any]

NO_METHOD = "none"
"""Where nothing is known from which a baseline could be worked out; such an order cannot be verified."""


def baseline_content(choice: Choice, zone: str, from_s: int, to_s: int, ordered_s: int, *, estimated: bool) -> Content:
    """The content of the frozen row. `estimated`: interpolated series had to serve, too."""
    estimate = choice.estimate
    event_wh = [None] * ((to_s - from_s) // QUARTER_S) if estimate is None else estimate.event_wh.tolist()
    after_wh = [None] * AFTER_WINDOWS if estimate is None else estimate.after_wh
    return {
        "zone": zone,
        "ordered_at": format_instant(ordered_s),
        "method": choice.method or NO_METHOD,
        "measured": choice.is_measured,
        "reason": choice.reason,
        "windows": _windows(from_s, event_wh),
        "after": _windows(to_s, after_wh),
        "inputs": {"estimated_windows": estimated, **({} if estimate is None else _inputs(estimate))},
        "methods": [_tried(method, choice) for method in Method if method in choice.measured],
    }


def canonical(content: Mapping[str, Any]) -> bytes:
    """The bytes that the checksum is over: JSON with sorted names and no spaces, so that PostgreSQL may reorder it."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def digest_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(canonical(content)).hexdigest()


def _windows(first_s: int, values_wh: Any) -> list[Content]:
    return [
        {"window_start": format_instant(first_s + place * QUARTER_S), "baseline_wh": value}
        for place, value in enumerate(values_wh)
    ]


def _inputs(estimate: Estimate) -> Content:
    if estimate.windows_s:
        return {"windows": [format_instant(start) for start in estimate.windows_s], "k": METER_BEFORE_WINDOWS}
    return {
        "days": [day.isoformat() for day in estimate.days],
        "adjustment_wh": estimate.adjustment_wh,
        "adjustment_windows": estimate.adjustment_windows,
    }


def _tried(method: Method, choice: Choice) -> Content:
    measured = choice.measured[method]
    estimate = choice.estimates.get(method)
    return {
        "method": method,
        "rrmse": measured.rrmse,
        "bias": measured.bias,
        "placebo_days": measured.days,
        "accepted": accepted(measured),
        "baseline_wh": None if estimate is None else estimate.event_wh.tolist(),
    }
