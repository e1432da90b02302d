"""What a forecast is made from: each zone's demand and supply, quarter after quarter, and which of them are known.

Days here are those of UTC: the sun keeps to them when clocks change, and each has 96 quarters.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.limits import QUARTER_S

Whole = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

DAY_QUARTERS = 96
DAY_S = DAY_QUARTERS * QUARTER_S

_KNOWN_TENTHS = 9
"""A window with a tenth of its series missing is no measure of the zone."""


def is_known(counted: Whole, expected: Whole) -> Mask:
    """Which windows are known well enough, by how many of the series that are expected were counted."""
    known: Mask = (expected > 0) & (10 * counted >= _KNOWN_TENTHS * expected)
    return known


@dataclass(frozen=True, slots=True)
class History:
    """Z zones, whole days of T quarters in all. What is not known is not zero: it is not looked at."""

    first_s: int
    """Where the first quarter begins, seconds since 1970: 00:00 UTC of a day."""
    demand_wh: Whole
    """[Z, T] withdrawn and charged."""
    supply_wh: Whole
    """[Z, T] injected and discharged."""
    known: Mask
    """[Z, T]"""

    def __post_init__(self) -> None:
        """Shapes and the first instant must be as said."""
        assert self.first_s % DAY_S == 0
        assert self.quarters % DAY_QUARTERS == 0
        assert self.demand_wh.shape == self.supply_wh.shape == self.known.shape

    @property
    def zones(self) -> int:
        """How many zones there are."""
        return len(self.known)

    @property
    def quarters(self) -> int:
        """How many quarters of an hour."""
        return int(self.known.shape[1])

    @property
    def net_wh(self) -> Whole:
        """[Z, T] positive for import."""
        return self.demand_wh - self.supply_wh

    def quarter_of(self, instant_s: int) -> int:
        """The number of the quarter in which an instant lies; it may be before the first or after the last."""
        return (instant_s - self.first_s) // QUARTER_S

    def start_of(self, quarter: int) -> int:
        """Where quarter number `quarter` begins, seconds since 1970."""
        return self.first_s + quarter * QUARTER_S

    def of(self, zones: slice) -> "History":
        """The history of some zones."""
        return History(self.first_s, self.demand_wh[zones], self.supply_wh[zones], self.known[zones])

    def until(self, quarter: int) -> "History":
        """The same history of which nothing from number `quarter` on is known."""
        known = self.known.copy()
        known[:, max(quarter, 0) :] = False
        return History(self.first_s, self.demand_wh, self.supply_wh, known)
