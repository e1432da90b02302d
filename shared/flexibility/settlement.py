"""What an order's windows are worth: what was delivered of it is paid, what is missing costs a penalty.

Quantities are whole Wh of one window, prices whole units of money for each Wh (the smallest unit; no float has a part).
"""

from typing import NamedTuple


class SettledWindow(NamedTuple):
    """One window of an order, settled."""

    delivered_wh: int
    """Baseline less actual withdrawal: negative where more was withdrawn than without the order."""
    credited_wh: int
    """Of that what is paid: not less than nothing, not more than was ordered."""
    deficiency_wh: int
    """What is missing of the order; more than all of it where the delivery went the wrong way."""
    amount: int


def settle_window(
    baseline_wh: int, actual_wh: int, ordered_wh: int, price_per_wh: int, penalty_per_wh: int
) -> SettledWindow:
    """Settles a window of an order for less withdrawal; for more, both quantities are given with the other sign."""
    delivered_wh = baseline_wh - actual_wh
    credited_wh = min(max(delivered_wh, 0), ordered_wh)
    deficiency_wh = max(ordered_wh - delivered_wh, 0)
    amount = credited_wh * price_per_wh - deficiency_wh * penalty_per_wh
    return SettledWindow(delivered_wh, credited_wh, deficiency_wh, amount)
