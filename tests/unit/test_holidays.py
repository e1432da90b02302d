"""Polish public holidays: days as the calendars of those years print them."""

from datetime import date

import pytest

from shared.holidays import easter_sunday, holidays, is_rest_day


@pytest.mark.parametrize(
    "easter",
    [date(1961, 4, 2), date(2000, 4, 23), date(2008, 3, 23), date(2011, 4, 24), date(2026, 4, 5), date(2038, 4, 25)],
)
def test_easter(easter: date) -> None:
    assert easter_sunday(easter.year) == easter


def test_the_year_2026() -> None:
    expected = ["01-01", "01-06", "04-05", "04-06", "05-01", "05-03", "05-24", "06-04", "08-15", "11-01", "11-11"]
    expected += ["12-24", "12-25", "12-26"]
    assert sorted(f"{day:%m-%d}" for day in holidays(2026)) == expected


def test_christmas_eve_is_one_since_2025() -> None:
    assert not is_rest_day(date(2024, 12, 24)) and is_rest_day(date(2025, 12, 24))


def test_rest_days_are_weekends_and_holidays() -> None:
    assert is_rest_day(date(2026, 6, 4))  # Corpus Christi, a Thursday
    assert is_rest_day(date(2026, 6, 6)) and is_rest_day(date(2026, 6, 7))
    assert not is_rest_day(date(2026, 6, 5))
