"""A register's readings to energy, as the frameworks' states keep them: a dict that can be JSON.

Kept is the register at the newest edge up to which there is no gap, and aside what came ahead of that. So it is right
for any disorder and any number of doubles, and as little is kept as can be.
"""

from typing import TypedDict


class Series(TypedDict):
    """One register of one meter."""

    next_quarter: int
    """The edge (its instant // 900 s) that comes next."""
    last_wh: int | None
    """The register at the edge before it; None before the first reading."""
    ahead_wh: dict[str, int]
    """What came before its turn, by edge (as text: keys of JSON are)."""


def new_series(begin_quarter: int) -> Series:
    """A series whose first reading will be at this edge."""
    return {"next_quarter": begin_quarter, "last_wh": None, "ahead_wh": {}}


def advance(series: Series, quarter: int, value_wh: int) -> list[tuple[int, int]]:
    """Takes a reading in; the windows (by number) that it completes and their energy in Wh. A double completes none."""
    if quarter < series["next_quarter"]:
        return []
    if quarter > series["next_quarter"]:
        series["ahead_wh"][str(quarter)] = value_wh
        return []
    completed = []
    while True:
        if (last_wh := series["last_wh"]) is not None:
            completed.append((quarter - 1, value_wh - last_wh))
        series["last_wh"] = value_wh
        quarter += 1
        series["next_quarter"] = quarter
        ahead_wh = series["ahead_wh"].pop(str(quarter), None) if series["ahead_wh"] else None
        if ahead_wh is None:
            return completed
        value_wh = ahead_wh
