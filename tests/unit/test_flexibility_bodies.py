"""What a request means, and how long its offer stands."""

from datetime import UTC, datetime

import pytest

from services.api.flexibility.bodies import Asked, check_period, quarter, watts
from services.api.flexibility.requests import offer_ends_s
from services.api.flexibility.words import Direction
from shared.problem import Problem

WALL = datetime(2026, 5, 4, 10, 0, 30, 999_999, tzinfo=UTC)
WALL_S = 1_777_888_830


@pytest.mark.parametrize(
    ("from_s", "now_s", "ends_s"),
    [
        (WALL_S + 570, WALL_S, WALL_S + 300),
        (WALL_S + 70, WALL_S, WALL_S + 70),  # the period begins before that
        (WALL_S - 30, WALL_S, WALL_S + 300),  # it has begun already
        (WALL_S + 70, None, WALL_S + 300),  # now is the time of the readings: it says nothing about the wall
    ],
)
def test_an_offer_ends_before_its_period_begins(from_s: int, now_s: int | None, ends_s: int) -> None:
    asked = Asked("S", Direction.UP, 5000, from_s, from_s + 900)
    assert offer_ends_s(asked, WALL, now_s, 300) == ends_s


def test_power_is_whole_watts_exactly() -> None:
    assert [watts(kw) for kw in (5, 0.001, 1.001, 4.35, 29_999_999.999)] == [5000, 1, 1001, 4350, 29_999_999_999]
    for kw in (0.0001, 1.0005, 1e-9):
        with pytest.raises(Problem, match="three decimals"):
            watts(kw)


def test_quarters_are_told_in_any_offset() -> None:
    assert quarter("from", "2026-05-04T12:00:00+02:00") == quarter("from", "2026-05-04T10:00:00.9Z") == 1_777_888_800
    for text, says in (
        ("2026-05-04T10:00:00", "offset"),
        ("2026-05-04T10:07:30Z", "quarter"),
        ("1999-01-01T00:00Z", "2000"),
    ):
        with pytest.raises(Problem, match=says):
            quarter("from", text)


def test_a_period_is_neither_long_nor_far_nor_gone() -> None:
    start = 1_777_888_800
    check_period(start, start + 86_400, start + 899)
    check_period(start + 86_400, start + 2 * 86_400, start + 899)
    check_period(start - 86_400, start, None)
    for from_s, to_s, says in (
        (start, start + 87_300, "24 hours"),
        (start - 900, start, "before the window that runs"),
        (start + 86_400 + 900, start + 2 * 86_400 + 900, "too far ahead"),
    ):
        with pytest.raises(Problem, match=says):
            check_period(from_s, to_s, start + 899)
