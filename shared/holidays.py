"""Days on which nobody works in Poland: Saturdays, Sundays, and the days of the act of 18 January 1951. Pure."""

from datetime import date, timedelta
from functools import lru_cache

_FIXED = ((1, 1), (1, 6), (5, 1), (5, 3), (8, 15), (11, 1), (11, 11), (12, 25), (12, 26))
"""Month and day of the holidays that have one (Dz.U. 2020 poz. 1920)."""

_CHRISTMAS_EVE_SINCE = 2025
"""24 December is one of them since then (Dz.U. 2024 poz. 1965)."""

_AFTER_EASTER_DAYS = (0, 1, 49, 60)
"""Easter Sunday and Monday, Pentecost, Corpus Christi."""

_SATURDAY = 5


def is_rest_day(day: date) -> bool:
    """Whether `day` is a Saturday, a Sunday or a public holiday in Poland."""
    return day.weekday() >= _SATURDAY or day in holidays(day.year)


@lru_cache(maxsize=64)
def holidays(year: int) -> frozenset[date]:
    """The public holidays of `year`, after 1582."""
    easter = easter_sunday(year)
    fixed = [date(year, month, day) for month, day in _FIXED]
    if year >= _CHRISTMAS_EVE_SINCE:
        fixed.append(date(year, 12, 24))
    return frozenset([*fixed, *(easter + timedelta(days=days) for days in _AFTER_EASTER_DAYS)])


def easter_sunday(year: int) -> date:
    """Easter of the Gregorian calendar, by the anonymous rule (Meeus, Astronomical Algorithms, chapter 8)."""
    golden = year % 19
    century, of_century = divmod(year, 100)
    leaps, rest = divmod(century, 4)
    shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - shift + 15) % 30
    of_leaps, of_rest = divmod(of_century, 4)
    weekday = (32 + 2 * rest + 2 * of_leaps - epact - of_rest) % 7
    correction = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1)
