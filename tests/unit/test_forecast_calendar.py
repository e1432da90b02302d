"""The calendar of forecasts: local clocks, days of 23 and 25 hours, kinds of days."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from shared.forecast.calendar import REST_DAY, SATURDAY, WORKDAY, Calendar, calendar_of
from shared.instants import WARSAW
from shared.limits import QUARTER_S


def calendar_from(year: int, month: int, day: int, days: int) -> Calendar:
    return calendar_of(int(datetime(year, month, day, tzinfo=UTC).timestamp()), days)


@pytest.mark.parametrize(
    ("day", "quarters"), [(date(2026, 3, 29), 92), (date(2026, 10, 25), 100), (date(2026, 7, 5), 96)]
)
def test_a_local_day_has_its_quarters(day: date, quarters: int) -> None:
    calendar = calendar_from(day.year, day.month, day.day - 2, 5)
    number = (day - date(1970, 1, 1)).days
    shown = calendar.local_quarter[calendar.local_day == number]
    assert len(shown) == quarters
    assert shown[0] == 0 and shown[-1] == 95
    assert len(np.unique(shown)) == min(quarters, 96)


def test_it_shows_what_clocks_show() -> None:
    first_s = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    calendar = calendar_of(first_s, 366)
    for place in range(0, 366 * 96, 997):
        local = datetime.fromtimestamp(first_s + place * QUARTER_S, WARSAW)
        assert calendar.local_quarter[place] == local.hour * 4 + local.minute // 15
        assert calendar.local_day[place] == (local.date() - date(1970, 1, 1)).days


def test_kinds_of_days() -> None:
    calendar = calendar_from(2026, 6, 1, 14)  # Corpus Christi is on Thursday the 4th
    noon = calendar.day_kind[48::96]
    expected = [WORKDAY] * 3 + [REST_DAY, WORKDAY, SATURDAY, REST_DAY] + [WORKDAY] * 5 + [SATURDAY, REST_DAY]
    assert noon.tolist() == expected
    before, after = calendar.day_kind[[3 * 96 - 9, 3 * 96 - 8]]  # local midnight is 22:00 UTC
    assert (before, after) == (WORKDAY, REST_DAY)
