"""An order and what its windows are held against: the frozen baseline, the set-points, the price. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from services.api.verification.baseline_content import Content
from services.api.verification.order_setpoints import OrderPlace
from shared.flexibility.baseline import rounded
from shared.instants import parse_instant

PRICE_SCALE = 10**9
"""Prices are whole billionths of the currency for each Wh, which is a thousandth of its unit for each MWh: no float has
a part in money, and no price of a topology is finer than that by more than rounding."""


@dataclass(frozen=True, slots=True)
class SettledOrder:
    """An order as verification and settlement see it."""

    place: OrderPlace
    request_id: str
    status: str
    zone_id: int
    up: bool
    """Less withdrawal or more injection was ordered; else the opposite."""
    power_w: int
    cost: Decimal
    """Of the whole order, as it was ordered."""
    from_s: int
    to_s: int
    baseline: Content
    """What was frozen."""

    @property
    def order_id(self) -> str:
        """The order's identifier."""
        return self.place.order_id

    @property
    def price_per_wh(self) -> int:
        """What a Wh is worth, in billionths of the currency: the order's cost by its energy, halves up."""
        energy_wh = Fraction(self.power_w * (self.to_s - self.from_s), 3600)
        price = Fraction(self.cost) * PRICE_SCALE / energy_wh
        return rounded(price.numerator, price.denominator)

    def penalty_per_wh(self, percent: int) -> int:
        """What a missing Wh costs, in billionths of the currency: `percent` of the price."""
        return rounded(self.price_per_wh * percent, 100)

    def ordered_wh(self, setpoint_w: int) -> int:
        """The energy of a window that was ordered by such set-points; a fraction of a Wh is let go."""
        return window_wh(setpoint_w if self.up else -setpoint_w)

    def baseline_wh(self, earlier_setpoints_w: Mapping[int, int]) -> dict[int, int]:
        """What each window is held against: the frozen baseline, less what was bought of the zone before this order.

        The frozen baseline is that of a zone without any order. Where two orders meet in a window the energy of the
        first is not paid a second time. Empty where there is no baseline.
        """
        frozen = {parse_instant(row["window_start"]): row["baseline_wh"] for row in self.baseline["windows"]}
        return {
            start: int(level_wh) - window_wh(earlier_setpoints_w.get(start, 0))
            for start, level_wh in frozen.items()
            if level_wh is not None
        }

    def after_wh(self) -> dict[int, int]:
        """The frozen baseline of the hours after the order, where there is one."""
        rows = self.baseline["after"]
        return {
            parse_instant(row["window_start"]): int(row["baseline_wh"])
            for row in rows
            if row["baseline_wh"] is not None
        }


def window_wh(power_w: int) -> int:
    """What such a power moves in a quarter of an hour, whole Wh towards 0."""
    return power_w // 4 if power_w >= 0 else -(-power_w // 4)


def money(billionths: int) -> Decimal:
    """An amount in the currency."""
    return Decimal(billionths) / PRICE_SCALE
