"""What a window of an order is held against, when it is told, and what is said when it changes."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.verification.order_setpoints import OrderPlace
from services.api.verification.settled_order import SettledOrder, money, window_wh
from services.api.verification.verification_answers import totals
from services.api.verification.verified_window import ActualWindow, VerifiedWindow, may_settle, revised, verify_window
from shared.instants import format_instant
from shared.stages import Stage

FROM = 1_777_888_800
HOUR = [FROM + 900 * place for place in range(4)]


def order(*, up: bool = True, power_w: int = 5000, cost: str = "3.00", level_wh: int | None = 3000) -> SettledOrder:
    """An hour of 5 kW for 3.00, so 0.60 a kWh, against a level of 12 kW."""
    after = [FROM + 3600 + 900 * place for place in range(16)]
    return SettledOrder(
        place=OrderPlace(datetime(2026, 5, 4, tzinfo=UTC), "B"),
        request_id="R",
        status="delivered",
        zone_id=10,
        up=up,
        power_w=power_w,
        cost=Decimal(cost),
        from_s=FROM,
        to_s=FROM + 3600,
        baseline={
            "windows": [{"window_start": format_instant(at), "baseline_wh": level_wh} for at in HOUR],
            "after": [{"window_start": format_instant(at), "baseline_wh": level_wh} for at in after],
        },
    )


def verified(
    actual_wh: int, *, up: bool = True, baseline_wh: int = 3000, stage: Stage = Stage.LIVE, missing: int = 0
) -> VerifiedWindow:
    actual = ActualWindow(FROM, actual_wh, known=4, missing=missing)
    return verify_window(order(up=up), actual, baseline_wh, 5000 if up else -5000, stage, penalty_percent=200)


@pytest.mark.parametrize(
    ("actual_wh", "delivered_wh", "deficiency_wh", "amount"),
    [
        (1750, 1250, 0, "0.75"),  # the battery gave its 5 kW
        (1000, 1250, 0, "0.75"),  # more than was ordered is not paid
        (2750, 250, 1000, "-1.05"),  # a kWh short costs twice its price
        (3000, 0, 1250, "-1.5"),
        (3100, 0, 1350, "-1.62"),  # it went the other way
        (-500, 1250, 0, "0.75"),
    ],
)
def test_an_hour_of_a_battery(actual_wh: int, delivered_wh: int, deficiency_wh: int, amount: str) -> None:
    found = verified(actual_wh)
    assert (found.delivered_wh, found.deficiency_wh, found.amount) == (delivered_wh, deficiency_wh, Decimal(amount))
    mirrored = verified(-actual_wh, up=False, baseline_wh=-3000)
    assert (mirrored.delivered_wh, mirrored.deficiency_wh, mirrored.amount) == (
        delivered_wh,
        deficiency_wh,
        Decimal(amount),
    )


@given(st.integers(1, 30_000_000), st.decimals("0", "100000", places=2), st.integers(1, 96))
def test_what_is_delivered_in_full_is_paid_as_it_was_offered(power_w: int, cost: Decimal, windows: int) -> None:
    bought = replace(order(power_w=power_w, cost=str(cost)), to_s=FROM + 900 * windows)
    paid = money(windows * bought.ordered_wh(power_w) * bought.price_per_wh)
    fractions_wh = windows * (power_w % 4) / Decimal(4)
    energy_wh = Decimal(power_w * windows) / 4
    assert abs(cost - paid - fractions_wh * cost / energy_wh) <= energy_wh * Decimal("5e-10") + Decimal("1e-12")


def test_energy_that_was_bought_before_is_not_paid_again() -> None:
    assert order().baseline_wh({}) == dict.fromkeys(HOUR, 3000)
    assert order().baseline_wh({HOUR[1]: 2000, HOUR[2]: -401}) == {
        HOUR[0]: 3000,
        HOUR[1]: 2500,
        HOUR[2]: 3100,
        HOUR[3]: 3000,
    }
    assert order(level_wh=None).baseline_wh({}) == {}


def test_a_fraction_of_a_watt_hour_is_let_go_in_both_directions() -> None:
    assert [window_wh(power_w) for power_w in (7, 8, -7, -8)] == [1, 2, -1, -2]


@pytest.mark.parametrize(
    ("known", "missing", "stage", "told", "may"),
    [
        (4, 0, Stage.LIVE, False, True),
        (3, 1, Stage.LIVE, False, False),
        (3, 1, Stage.LIVE, True, True),
        (3, 1, Stage.D1, False, True),
        (0, 4, Stage.D7, False, False),
    ],
)
def test_a_window_waits_for_its_series_until_the_next_morning(
    known: int, missing: int, stage: Stage, told: bool, may: bool
) -> None:
    assert may_settle(ActualWindow(FROM, 1, known, missing), stage, told=told) is may


def test_a_revision_says_what_changed() -> None:
    first = verified(2000)
    assert revised(None, first) == first and first.note == ""
    assert revised(first, verified(2000)) is None
    second = revised(first, verified(1750))
    assert second is not None and second.revision == 2
    assert second.note == "actual 2000 → 1750 Wh; amount 0.3 → 0.75 (+0.45)"
    third = revised(second, verified(1750, stage=Stage.D1, missing=2))
    assert third is not None and (third.revision, third.note) == (3, "missing 0 → 2; stage live → D+1")
    fourth = revised(third, verified(1750, baseline_wh=2900, stage=Stage.D1))
    assert fourth is not None
    assert fourth.note == "baseline 3000 → 2900 Wh; missing 2 → 0; amount 0.75 → 0.57 (-0.18)"


def test_the_sums_of_an_order() -> None:
    after = [
        ActualWindow(FROM + 3600, 3200, 4, 0),
        ActualWindow(FROM + 4500, 2950, 4, 0),
        ActualWindow(FROM + 5400, 9999, 3, 1),  # not all of it is known
        ActualWindow(FROM + 3600 + 4 * 3600, 9999, 4, 0),  # more than four hours after
    ]
    found = totals(order(), [verified(1750), verified(2750)], after)
    assert found == {
        "windows": 2,
        "ordered_wh": 2500,
        "delivered_wh": 1500,
        "deficiency_wh": 1000,
        "amount": -0.3,
        "performance": 0.6,
        "rebound_wh": 150,
        "rebound_windows": 2,
    }
    assert totals(order(), [], [])["performance"] is None and totals(order(), [], [])["rebound_wh"] is None
