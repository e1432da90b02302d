"""How signals are kept: the envelope's numbers without their names, which would be more than half of a row."""

from typing import Any

import orjson

from services.api.kilowatts import kilowatts
from services.api.signals.envelope_text import NOTHING
from services.api.signals.signals_text import Answer
from shared.instants import format_instant

_NOT_KEPT = ("zone", "at", "cost_curve")
"""Beside what the row says by itself the cost curve: it is the longest part, and follows from the assets then."""

_NAMES: list[str] = list(NOTHING["envelope"][0])  # type: ignore[index]
"""The names of an envelope's row, in the order in which its numbers are kept; new ones go to the end."""


def packed(answer: Answer) -> str:
    """What is kept of an answer, as JSON."""
    content: dict[str, Any] = {name: value for name, value in answer.items() if name not in _NOT_KEPT}
    content["envelope"] = [[row.get(name) for name in _NAMES] for row in content["envelope"]]
    return orjson.dumps(content).decode()


def unpacked(at_s: int, net_w: int | None, kept: str) -> Answer:
    """The row of the history."""
    content: dict[str, Any] = orjson.loads(kept)
    # An older version may have kept fewer numbers.
    content["envelope"] = [dict.fromkeys(_NAMES) | dict(zip(_NAMES, row, strict=False)) for row in content["envelope"]]
    return {"at": format_instant(at_s), "net_kw": kilowatts(net_w), **content}
